use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::*;

struct Nobody;

impl Caller for Nobody {
    fn field(&self, name: &str) -> String {
        if name == "caller_id_number" { "+4930123".into() } else { String::new() }
    }

    fn expand(&self, text: &str) -> String {
        text.replace("${domain_name}", "a.test")
    }
}

fn node(start: &BytesStart<'_>) -> Node {
    let attribute = |attribute: quick_xml::events::attributes::Attribute<'_>| {
        (String::from_utf8(attribute.key.0.to_vec()).unwrap(), attribute.unescape_value().unwrap().into_owned())
    };
    let attributes = start.attributes().map(|one| attribute(one.unwrap())).collect();
    Node { name: String::from_utf8(start.name().0.to_vec()).unwrap(), attributes, ..Node::default() }
}

fn parsed(text: &str) -> Node {
    let (mut reader, mut open) = (Reader::from_str(text), vec![Node::default()]);
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => open.push(node(&start)),
            Event::Empty(start) => open.last_mut().unwrap().children.push(node(&start)),
            Event::Text(text) => open.last_mut().unwrap().text.push_str(text.decode().unwrap().trim()),
            Event::End(_) => {
                let done = open.pop().unwrap();
                open.last_mut().unwrap().children.push(done);
            }
            Event::Eof => return open.pop().unwrap(),
            _ => {}
        }
    }
}

fn seen(context: &str, extension: &str) -> Seen {
    let all = parsed(&format!("<context name=\"default\">{context}</context>"));
    let target = Target { extension, context: "default", dialplan: "XML" };
    look(all.context("Default").unwrap(), target, &Nobody)
}

fn applications(names: &[&str]) -> Seen {
    Seen::Applications(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn the_first_extension_that_matches_is_it() {
    let dialplan = r#"
        <extension name="a" continue="true"><condition field="destination_number" expression="^7"><action application="set" data="x=1"/></condition></extension>
        <extension name="b"><condition field="destination_number" expression="^70\d$"><action application="answer"/></condition></extension>
        <extension name="c"><condition field="destination_number" expression="^.*$"><action application="park"/></condition></extension>"#;
    assert_eq!(seen(dialplan, "701"), applications(&["set", "answer"]));
    assert_eq!(seen(dialplan, "9"), applications(&["park"]));
    assert_eq!(seen("", "701"), Seen::Nothing);
}

#[test]
fn an_extension_that_only_sets_variables_has_nothing_for_a_caller() {
    let global = r#"<extension name="global" continue="true"><condition><action application="set" data="a=b"/>
        <action application="hash" data="insert/x/y/z"/></condition></extension>"#;
    assert_eq!(seen(global, "nowhere"), Seen::Nothing);
}

#[test]
fn what_is_set_on_the_way_counts() {
    let dialplan = r#"
        <extension name="a" continue="true"><condition field="destination_number" expression="^(\d)(\d+)$">
          <action application="set" data="rest=$2@${domain_name}" inline="true"/></condition></extension>
        <extension name="b"><condition field="${rest}" expression="^01@a\.test$"><action application="answer"/></condition></extension>"#;
    assert_eq!(seen(dialplan, "701"), applications(&["set", "answer"]));
    assert_eq!(seen(dialplan, "702"), Seen::Nothing);
}

#[test]
fn several_conditions_and_what_breaks_them_off() {
    let both = r#"<extension name="a"><condition field="destination_number" expression="^1$" break="on-true"><action application="one"/></condition>
        <condition field="destination_number" expression="^2$" break="never"><action application="two"/><anti-action application="not_two"/></condition>
        <condition field="caller_id_number" expression="/^\+49/i"><action application="german"/></condition></extension>"#;
    assert_eq!(seen(both, "1"), applications(&["one"]));
    assert_eq!(seen(&both.replace("break=\"on-true\"", "break=\"never\""), "2"), applications(&["two", "german"]));
    assert_eq!(seen(&both.replace("break=\"on-true\"", "break=\"never\""), "3"), applications(&["not_two", "german"]));
    assert_eq!(seen(both, "2"), applications(&["two", "german"]), "on-true goes on where it is not true");
}

#[test]
fn conditions_within_conditions_and_of_several_expressions() {
    let nested = r#"<extension name="a"><condition regex="RULE"><regex field="destination_number" expression="^1"/><regex field="destination_number" expression="2$"/>
        <action application="outer"/><condition field="destination_number" expression="0"><action application="inner"/></condition></condition></extension>"#;
    let rule = |rule: &str| nested.replace("RULE", rule);
    assert_eq!(seen(&rule("any"), "13"), applications(&["outer"]));
    assert_eq!(seen(&rule("all"), "13"), Seen::Nothing);
    assert_eq!(seen(&rule("all"), "102"), applications(&["outer", "inner"]));
    assert_eq!(seen(&rule("xor"), "102"), Seen::Nothing);
}

#[test]
fn what_cannot_be_followed_is_not_taken_for_missing() {
    let odd = r#"<extension name="a"><condition field="destination_number" expression="^(unclosed$"><action application="answer"/></condition></extension>"#;
    assert_eq!(seen(odd, "1"), Seen::Unknown);
}
