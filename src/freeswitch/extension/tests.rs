use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::*;

struct Nobody;

impl CallerFields for Nobody {
    fn field(&self, name: &str) -> String {
        if name == "caller_id_number" { "+4930123".into() } else { String::new() }
    }

    fn expand(&self, text: &str) -> String {
        text.replace("${domain_name}", "a.test")
    }
}

fn node(start: &BytesStart<'_>) -> XmlElement {
    let attribute = |attribute: quick_xml::events::attributes::Attribute<'_>| {
        (String::from_utf8(attribute.key.0.to_vec()).unwrap(), attribute.unescape_value().unwrap().into_owned())
    };
    let attributes = start.attributes().map(|one| attribute(one.unwrap())).collect();
    XmlElement { name: String::from_utf8(start.name().0.to_vec()).unwrap(), attributes, ..XmlElement::default() }
}

fn parsed(text: &str) -> XmlElement {
    let (mut reader, mut open) = (Reader::from_str(text), vec![XmlElement::default()]);
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

fn hunted(context: &str, extension: &str) -> HuntResult {
    let all = parsed(&format!("<context name=\"default\">{context}</context>"));
    let target = HuntTarget { extension, context: "default", dialplan: "XML" };
    hunt(all.context("Default").unwrap(), target, &Nobody)
}

fn applications(names: &[&str]) -> HuntResult {
    HuntResult::Applications(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn the_first_extension_that_matches_is_it() {
    let dialplan = r#"
        <extension name="a" continue="true"><condition field="destination_number" expression="^7"><action application="set" data="x=1"/></condition></extension>
        <extension name="b"><condition field="destination_number" expression="^70\d$"><action application="answer"/></condition></extension>
        <extension name="c"><condition field="destination_number" expression="^.*$"><action application="park"/></condition></extension>"#;
    assert_eq!(hunted(dialplan, "701"), applications(&["set", "answer"]));
    assert_eq!(hunted(dialplan, "9"), applications(&["park"]));
    assert_eq!(hunted("", "701"), HuntResult::Nothing);
}

#[test]
fn an_extension_that_only_sets_variables_has_nothing_for_a_caller() {
    let global = r#"<extension name="global" continue="true"><condition><action application="set" data="a=b"/>
        <action application="hash" data="insert/x/y/z"/></condition></extension>"#;
    assert_eq!(hunted(global, "nowhere"), HuntResult::Nothing);
}

#[test]
fn what_is_set_on_the_way_counts() {
    let dialplan = r#"
        <extension name="a" continue="true"><condition field="destination_number" expression="^(\d)(\d+)$">
          <action application="set" data="rest=$2@${domain_name}" inline="true"/></condition></extension>
        <extension name="b"><condition field="${rest}" expression="^01@a\.test$"><action application="answer"/></condition></extension>"#;
    assert_eq!(hunted(dialplan, "701"), applications(&["set", "answer"]));
    assert_eq!(hunted(dialplan, "702"), HuntResult::Nothing);
}

#[test]
fn several_conditions_and_what_breaks_them_off() {
    let both = r#"<extension name="a"><condition field="destination_number" expression="^1$" break="on-true"><action application="one"/></condition>
        <condition field="destination_number" expression="^2$" break="never"><action application="two"/><anti-action application="not_two"/></condition>
        <condition field="caller_id_number" expression="/^\+49/i"><action application="german"/></condition></extension>"#;
    assert_eq!(hunted(both, "1"), applications(&["one"]));
    assert_eq!(hunted(&both.replace("break=\"on-true\"", "break=\"never\""), "2"), applications(&["two", "german"]));
    assert_eq!(
        hunted(&both.replace("break=\"on-true\"", "break=\"never\""), "3"),
        applications(&["not_two", "german"])
    );
    assert_eq!(hunted(both, "2"), applications(&["two", "german"]), "on-true goes on where it is not true");
}

#[test]
fn conditions_within_conditions_and_of_several_expressions() {
    let nested = r#"<extension name="a"><condition regex="RULE"><regex field="destination_number" expression="^1"/><regex field="destination_number" expression="2$"/>
        <action application="outer"/><condition field="destination_number" expression="0"><action application="inner"/></condition></condition></extension>"#;
    let rule = |rule: &str| nested.replace("RULE", rule);
    assert_eq!(hunted(&rule("any"), "13"), applications(&["outer"]));
    assert_eq!(hunted(&rule("all"), "13"), HuntResult::Nothing);
    assert_eq!(hunted(&rule("all"), "102"), applications(&["outer", "inner"]));
    assert_eq!(hunted(&rule("xor"), "102"), HuntResult::Nothing);
}

#[test]
fn what_cannot_be_followed_is_not_taken_for_missing() {
    let odd = r#"<extension name="a"><condition field="destination_number" expression="^(unclosed$"><action application="answer"/></condition></extension>"#;
    assert_eq!(hunted(odd, "1"), HuntResult::Unknown);
}
