//! What an extension of the XML dialplan would run, found without running any of it.
//!
//! mod_dialplan_xml itself cannot be asked: as it hunts, it runs each `inline="true"` action that it passes (`exec_app` in
//! `mod_dialplan_xml.c`), and hangs the caller up if no module has such an application. So its conditions are followed here, in the same
//! order. Of inline actions only what they set is noted, since conditions further on may depend on it.

use std::collections::HashMap;

use fancy_regex::{Captures, Regex};

/// An element of the dialplan.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) text: String,
    pub(super) children: Vec<Node>,
    /// Whether it is the time that the element says; `None` if it says none.
    pub(super) is_time: Option<bool>,
}

impl Node {
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The context of that name, or the one that stands for those that are not there.
    pub(super) fn context(&self, name: &str) -> Option<&Node> {
        let named = |name: &str| {
            self.all("context")
                .find(|context| context.attribute("name").is_some_and(|is| is.eq_ignore_ascii_case(name)))
        };
        named(name).or_else(|| named("global"))
    }

    fn expression(&self) -> &str {
        let inside = self.all("expression").next().map(|expression| expression.text.as_str());
        inside.or_else(|| self.attribute("expression")).unwrap_or_default()
    }

    fn is(&self, attribute: &str) -> bool {
        self.attribute(attribute)
            .is_some_and(|value| ["true", "yes", "on", "enabled", "1"].contains(&&*value.to_lowercase()))
    }
}

/// Who is to be sent there, for what conditions ask.
pub(super) trait Caller {
    /// A field of the caller profile.
    fn field(&self, name: &str) -> String;
    /// Text with its `${...}` filled in.
    fn expand(&self, text: &str) -> String;
}

/// Where the caller would be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub(super) extension: &'a str,
    pub(super) context: &'a str,
    pub(super) dialplan: &'a str,
}

/// What was seen there.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Seen {
    /// The applications in their order, inline ones among them.
    Applications(Vec<String>),
    Nothing,
    /// It cannot be told without running it.
    Unknown,
}

/// Applications that leave a caller where they are: a dialplan that has no others for an extension has nothing for it.
const PASSIVE: [&str; 15] = [
    "set",
    "unset",
    "multiset",
    "multiunset",
    "export",
    "bridge_export",
    "set_profile_var",
    "set_user",
    "hash",
    "db",
    "limit",
    "log",
    "info",
    "event",
    "verbose_events",
];

/// Conditions within conditions, as many as the core follows.
const DEEPEST: u32 = 100;

pub(super) fn look(context: &Node, target: Target<'_>, caller: &dyn Caller) -> Seen {
    let known = [("destination_number", target.extension), ("context", target.context), ("dialplan", target.dialplan)];
    let set = known.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let mut look = SlotStatus { caller, set, applications: Vec::new(), acts: false, undecided: false };
    look.context(context, target.extension);
    match look {
        SlotStatus { acts: true, applications, .. } => Seen::Applications(applications),
        SlotStatus { undecided: true, .. } => Seen::Unknown,
        _ => Seen::Nothing,
    }
}

struct SlotStatus<'a> {
    caller: &'a dyn Caller,
    /// What the way there would have set, by name.
    set: HashMap<String, String>,
    applications: Vec<String>,
    /// Whether one of them does something with the caller.
    acts: bool,
    /// Whether there was a condition that could not be followed.
    undecided: bool,
}

/// How a condition turned out.
#[derive(Default)]
struct Outcome<'a> {
    /// Its actions are run, not its anti-actions.
    met: bool,
    /// What the next step goes on with, where the condition decides it.
    proceed: Option<bool>,
    /// What `$1` and so on stand for.
    captures: Option<Captures<'a>>,
}

impl SlotStatus<'_> {
    fn context(&mut self, context: &Node, extension: &str) {
        let extensions: Vec<&Node> = context.all("extension").collect();
        let named = || {
            extensions
                .iter()
                .position(|node| node.attribute("name").is_some_and(|name| name.eq_ignore_ascii_case(extension)))
        };
        let hunts = ["true", "yes", "on", "1"].contains(&self.caller.expand("${auto_hunt}").as_str());
        let first = if hunts { named().unwrap_or(0) } else { 0 };
        for node in extensions.into_iter().skip(first) {
            if self.conditions(node, 0) && !node.is("continue") {
                break;
            }
        }
    }

    /// The conditions of an extension, or those within a condition. True if the last one says so.
    fn conditions(&mut self, node: &Node, depth: u32) -> bool {
        let mut proceed = false;
        for condition in node.all("condition") {
            let field = self.subject(condition);
            let outcome = self.outcome(condition, field.as_deref());
            proceed = outcome.proceed.unwrap_or(proceed);
            let met = outcome.met;
            for action in condition.all(if met { "action" } else { "anti-action" }) {
                self.action(action, outcome.captures.as_ref());
                proceed |= !met;
            }
            let stops = match condition.attribute("break").map(str::to_lowercase).as_deref() {
                Some("on-true") => met,
                Some("always") => true,
                Some("never") => false,
                _ => !met,
            };
            if stops {
                break;
            }
            if proceed && depth < DEEPEST && condition.all("condition").next().is_some() {
                proceed = self.conditions(condition, depth + 1);
                if !proceed && condition.attribute("break") != Some("never") {
                    break;
                }
            }
        }
        proceed || (depth > 0 && node.attribute("require-nested").is_some() && !node.is("require-nested"))
    }

    /// What a condition looks at.
    fn subject(&self, node: &Node) -> Option<String> {
        let field = node.attribute("field")?;
        Some(match self.set.get(field) {
            Some(value) if !field.contains('$') => value.clone(),
            _ if field.contains('$') => self.expand(field),
            _ => self.caller.field(field),
        })
    }

    fn outcome<'b>(&mut self, condition: &Node, subject: Option<&'b str>) -> Outcome<'b> {
        let (by_time, met_by_time) = (condition.is_time, condition.is_time == Some(true));
        if let Some(rule) = condition.attribute("regex") {
            return self.outcome_of_all(condition, &rule.to_lowercase());
        }
        match subject {
            Some(subject) => {
                let captures = self.matches(condition.expression(), subject);
                Outcome { met: met_by_time || captures.is_some(), proceed: Some(captures.is_some()), captures }
            }
            None => Outcome { met: by_time.unwrap_or(true), proceed: Some(by_time.unwrap_or(true)), captures: None },
        }
    }

    /// A condition made of several, `regex="any"`, `all` or `xor`.
    fn outcome_of_all<'b>(&mut self, condition: &Node, rule: &str) -> Outcome<'b> {
        let (mut passed, mut failed, mut proceed) = (0, 0, None);
        for one in condition.all("regex") {
            let passes = match self.subject(one) {
                Some(subject) => self.matches(one.expression(), &subject).is_some(),
                None => one.is_time.unwrap_or(true),
            };
            proceed = Some(passes);
            if passes {
                passed += 1
            } else {
                failed += 1
            }
            let decided = match rule {
                "xor" => false,
                "all" => !passes,
                _ => passes,
            };
            if decided {
                break;
            }
        }
        let met = match rule {
            "xor" => passed == 1,
            "all" => failed == 0,
            _ => passed > 0,
        };
        Outcome { met: met || condition.is_time == Some(true), proceed, captures: None }
    }

    /// As the core writes them: `^7\d\d$`, or `/^abc$/i`.
    fn matches<'b>(&mut self, expression: &str, subject: &'b str) -> Option<Captures<'b>> {
        let expression = self.expand(expression);
        let delimited = expression.strip_prefix('/').and_then(|rest| rest.rsplit_once('/'));
        let expression = match delimited {
            Some((expression, options)) => {
                let options: String = options.chars().filter(|option| "imsx".contains(*option)).collect();
                if options.is_empty() { expression.to_owned() } else { format!("(?{options}){expression}") }
            }
            None => expression,
        };
        let found = Regex::new(&expression).ok().and_then(|regex| regex.captures(subject).ok());
        self.undecided |= found.is_none();
        found.flatten()
    }

    fn action(&mut self, action: &Node, captures: Option<&Captures<'_>>) {
        let application = action.attribute("application").unwrap_or_default();
        self.applications.push(application.to_owned());
        if !action.is("inline") {
            self.acts |= !PASSIVE.contains(&application);
            return;
        }
        let data = if action.text.is_empty() { action.attribute("data").unwrap_or_default() } else { &action.text };
        let data = self.expand(&substituted(data, captures));
        match application {
            "set" | "set_profile_var" => self.note(&data),
            "export" => self.note(data.strip_prefix("nolocal:").map_or(&*data, |_| "")),
            "multiset" => {
                let (rest, separator) =
                    match data.strip_prefix("^^").and_then(|rest| Some((rest, rest.chars().next()?))) {
                        Some((rest, separator)) => (&rest[separator.len_utf8()..], separator),
                        None => (&*data, ' '),
                    };
                rest.split(separator).for_each(|pair| self.note(pair));
            }
            "unset" => drop(self.set.insert(data, String::new())),
            _ => {}
        }
    }

    fn note(&mut self, pair: &str) {
        if let Some((name, value)) = pair.split_once('=') {
            self.set.insert(name.trim().to_owned(), value.to_owned());
        }
    }

    fn expand(&self, text: &str) -> String {
        if !text.contains("${") {
            return text.to_owned();
        }
        let mut text = text.to_owned();
        for (name, value) in &self.set {
            text = text.replace(&format!("${{{name}}}"), value);
        }
        self.caller.expand(&text)
    }
}

/// `$1` and so on for what a condition has found.
fn substituted(data: &str, captures: Option<&Captures<'_>>) -> String {
    let Some(captures) = captures else { return data.to_owned() };
    let mut text = data.to_owned();
    for n in (1..captures.len()).rev() {
        text = text.replace(&format!("${n}"), captures.get(n).map_or("", |found| found.as_str()));
    }
    text
}

#[cfg(test)]
mod tests {
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
        assert_eq!(
            seen(&both.replace("break=\"on-true\"", "break=\"never\""), "3"),
            applications(&["not_two", "german"])
        );
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
}
