//! Finds out which applications an extension of the XML dialplan would run, without running any of them.
//!
//! mod_dialplan_xml itself cannot be asked: while it looks for the extension (FreeSWITCH calls this a hunt), it runs each `inline="true"` action that it passes (`exec_app` in
//! `mod_dialplan_xml.c`), and hangs up the caller if no module has such an application. So its conditions are evaluated here, in the same
//! order. Inline actions are not run; only the variables that they set are noted, because later conditions may depend on them.

use std::collections::HashMap;

use fancy_regex::{Captures, Regex};

/// An element of the dialplan.
#[derive(Debug, Default)]
pub(super) struct XmlElement {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) text: String,
    pub(super) children: Vec<XmlElement>,
    /// Whether the present time is the one that the element names; `None` if it names none.
    pub(super) is_time: Option<bool>,
}

impl XmlElement {
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a XmlElement> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// Returns the context of that name, or the context `global` if there is none.
    pub(super) fn context(&self, name: &str) -> Option<&XmlElement> {
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

/// The fields of the caller that conditions use.
pub(super) trait CallerFields {
    /// A field of the caller profile.
    fn field(&self, name: &str) -> String;
    /// Fills in the `${...}` of a text.
    fn expand(&self, text: &str) -> String;
}

/// The destination of the caller.
#[derive(Clone, Copy, Debug)]
pub(super) struct HuntTarget<'a> {
    pub(super) extension: &'a str,
    pub(super) context: &'a str,
    pub(super) dialplan: &'a str,
}

/// The result of a hunt.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum HuntResult {
    /// The applications in their order, including inline ones.
    Applications(Vec<String>),
    Nothing,
    /// The applications cannot be found out without running the dialplan.
    Unknown,
}

/// Applications that do not move the caller. An extension with no others counts as missing.
const PASSIVE_APPLICATIONS: [&str; 15] = [
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

/// The maximum depth of conditions within conditions, as in the core.
const MAX_NESTED_CONDITIONS: u32 = 100;

/// Hunts for the extension of `target` in a context.
pub(super) fn hunt(context: &XmlElement, target: HuntTarget<'_>, caller: &dyn CallerFields) -> HuntResult {
    let known = [("destination_number", target.extension), ("context", target.context), ("dialplan", target.dialplan)];
    let set = known.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let mut hunt = ExtensionHunt { caller, set, applications: Vec::new(), acts: false, undecided: false };
    hunt.follow_context(context, target.extension);
    match hunt {
        ExtensionHunt { acts: true, applications, .. } => HuntResult::Applications(applications),
        ExtensionHunt { undecided: true, .. } => HuntResult::Unknown,
        _ => HuntResult::Nothing,
    }
}

struct ExtensionHunt<'a> {
    caller: &'a dyn CallerFields,
    /// The variables that earlier extensions would have set, by name.
    set: HashMap<String, String>,
    applications: Vec<String>,
    /// Whether one of them is not passive.
    acts: bool,
    /// Whether there was a condition that could not be evaluated.
    undecided: bool,
}

/// The result of a condition.
#[derive(Default)]
struct ConditionResult<'a> {
    /// Whether its actions are run, and not its anti-actions.
    met: bool,
    /// Whether the next step proceeds, if the condition decides that.
    proceed: Option<bool>,
    /// The captured groups, for `$1` and so on.
    captures: Option<Captures<'a>>,
}

impl ExtensionHunt<'_> {
    fn follow_context(&mut self, context: &XmlElement, extension: &str) {
        let extensions: Vec<&XmlElement> = context.all("extension").collect();
        let named = || {
            extensions
                .iter()
                .position(|node| node.attribute("name").is_some_and(|name| name.eq_ignore_ascii_case(extension)))
        };
        let hunts = ["true", "yes", "on", "1"].contains(&self.caller.expand("${auto_hunt}").as_str());
        let first = if hunts { named().unwrap_or(0) } else { 0 };
        for node in extensions.into_iter().skip(first) {
            if self.follow_conditions(node, 0) && !node.is("continue") {
                break;
            }
        }
    }

    /// Follows the conditions of an extension, or those within a condition. Returns whether the last one proceeds.
    fn follow_conditions(&mut self, node: &XmlElement, depth: u32) -> bool {
        let mut proceed = false;
        for condition in node.all("condition") {
            let field = self.condition_subject(condition);
            let outcome = self.evaluate(condition, field.as_deref());
            proceed = outcome.proceed.unwrap_or(proceed);
            let met = outcome.met;
            for action in condition.all(if met { "action" } else { "anti-action" }) {
                self.note_action(action, outcome.captures.as_ref());
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
            if proceed && depth < MAX_NESTED_CONDITIONS && condition.all("condition").next().is_some() {
                proceed = self.follow_conditions(condition, depth + 1);
                if !proceed && condition.attribute("break") != Some("never") {
                    break;
                }
            }
        }
        proceed || (depth > 0 && node.attribute("require-nested").is_some() && !node.is("require-nested"))
    }

    /// Returns the text to which a condition applies.
    fn condition_subject(&self, node: &XmlElement) -> Option<String> {
        let field = node.attribute("field")?;
        Some(match self.set.get(field) {
            Some(value) if !field.contains('$') => value.clone(),
            _ if field.contains('$') => self.expand(field),
            _ => self.caller.field(field),
        })
    }

    fn evaluate<'b>(&mut self, condition: &XmlElement, subject: Option<&'b str>) -> ConditionResult<'b> {
        let (by_time, met_by_time) = (condition.is_time, condition.is_time == Some(true));
        if let Some(rule) = condition.attribute("regex") {
            return self.evaluate_regexes(condition, &rule.to_lowercase());
        }
        match subject {
            Some(subject) => {
                let captures = self.matches(condition.expression(), subject);
                ConditionResult { met: met_by_time || captures.is_some(), proceed: Some(captures.is_some()), captures }
            }
            None => {
                ConditionResult { met: by_time.unwrap_or(true), proceed: Some(by_time.unwrap_or(true)), captures: None }
            }
        }
    }

    /// Evaluates a condition of several expressions: `regex="any"`, `all` or `xor`.
    fn evaluate_regexes<'b>(&mut self, condition: &XmlElement, rule: &str) -> ConditionResult<'b> {
        let (mut passed, mut failed, mut proceed) = (0, 0, None);
        for one in condition.all("regex") {
            let passes = match self.condition_subject(one) {
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
        ConditionResult { met: met || condition.is_time == Some(true), proceed, captures: None }
    }

    /// Matches an expression in the syntax of the core: `^7\d\d$`, or `/^abc$/i`.
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

    fn note_action(&mut self, action: &XmlElement, captures: Option<&Captures<'_>>) {
        let application = action.attribute("application").unwrap_or_default();
        self.applications.push(application.to_owned());
        if !action.is("inline") {
            self.acts |= !PASSIVE_APPLICATIONS.contains(&application);
            return;
        }
        let data = if action.text.is_empty() { action.attribute("data").unwrap_or_default() } else { &action.text };
        let data = self.expand(&substituted(data, captures));
        match application {
            "set" | "set_profile_var" => self.note_variable(&data),
            "export" => self.note_variable(data.strip_prefix("nolocal:").map_or(&*data, |_| "")),
            "multiset" => {
                let (rest, separator) =
                    match data.strip_prefix("^^").and_then(|rest| Some((rest, rest.chars().next()?))) {
                        Some((rest, separator)) => (&rest[separator.len_utf8()..], separator),
                        None => (&*data, ' '),
                    };
                rest.split(separator).for_each(|pair| self.note_variable(pair));
            }
            "unset" => drop(self.set.insert(data, String::new())),
            _ => {}
        }
    }

    fn note_variable(&mut self, pair: &str) {
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

/// Replaces `$1` and so on by the captured groups of a condition.
fn substituted(data: &str, captures: Option<&Captures<'_>>) -> String {
    let Some(captures) = captures else { return data.to_owned() };
    let mut text = data.to_owned();
    for n in (1..captures.len()).rev() {
        text = text.replace(&format!("${n}"), captures.get(n).map_or("", |found| found.as_str()));
    }
    text
}

#[cfg(test)]
mod tests;
