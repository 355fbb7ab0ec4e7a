//! What SIP profiles need for lamps and for recovery.

use fancy_regex::Regex;

use super::Facts;
use crate::finding::{Finding, Fix, Kind};

/// The presence map must not give the number of a slot to something else.
pub(super) fn presence_map(facts: &Facts) -> Vec<Finding> {
    let configuration = &facts.configuration;
    let Some(callpark) = &configuration.callpark else { return Vec::new() };
    if !configuration.profiles.iter().any(|profile| profile.looks_up_presence) {
        return Vec::new();
    }
    let matches =
        |expression: &str, slot: &str| Regex::new(expression).is_ok_and(|regex| regex.is_match(slot).unwrap_or(false));
    // FreeSWITCH takes the first rule that matches.
    let rule = |slot: &String| configuration.presence_map.iter().find(|(expression, _)| matches(expression, slot));
    let mut taken = callpark.slots.iter().filter_map(|slot| Some((slot, rule(slot)?)));
    let Some((slot, (expression, proto))) = taken.find(|(_, (_, proto))| proto != "park") else { return Vec::new() };
    let what = format!("the presence map gives lamps on {slot} to {proto}, by the expression {expression}");
    let file = facts.files.autoload("presence_map.conf");
    let new = format!(r#"<exten regex="^(?:{expression})$" proto="{proto}"/>"#);
    let fix = match facts.files.line(&file, &["<exten ", expression]) {
        _ if matches(&format!("^(?:{expression})$"), slot) => {
            Fix::Do(format!("choose an expression in {} that does not match {slot}", file.display()))
        }
        Some(line) => Fix::Replace { file, number: line.number, old: line.text, new },
        None => Fix::Do(format!("anchor the expression: {new}")),
    };
    vec![Finding::new(Kind::Conflict, what, [fix])]
}

/// Without `track-calls` FreeSWITCH recovers nobody after a crash.
pub(super) fn track_calls(facts: &Facts) -> Vec<Finding> {
    let line = r#"<param name="track-calls" value="true"/>"#;
    let untracked = facts.configuration.profiles.iter().filter(|profile| !profile.tracks_calls && !profile.is_ipv6);
    let finding = |name: &str| {
        let what = format!("parked callers of the SIP profile {name} are lost if FreeSWITCH crashes");
        let in_file = || match facts.files.profile(name) {
            Some(file) => match facts.files.line(&file, &["<param ", "\"track-calls\""]) {
                Some(old) => Fix::Replace { file, number: old.number, old: old.text, new: line.into() },
                None => Fix::Add { file, inside: "<settings>".into(), line: line.into() },
            },
            None => Fix::Do(format!("in the settings of the SIP profile {name}, write {line}")),
        };
        Finding::new(Kind::Missing, what, [facts.set_in_server(name, "track-calls", "true").unwrap_or_else(in_file)])
    };
    untracked.map(|profile| finding(&profile.name)).collect()
}
