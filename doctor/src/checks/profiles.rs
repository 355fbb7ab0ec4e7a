//! What SIP profiles need for lamps and for recovery.

use fancy_regex::Regex;

use super::Facts;
use crate::finding::{Finding, Fix, Kind};

/// Without a SIP profile there are no calls to park.
pub(super) fn running(facts: &Facts) -> Vec<Finding> {
    let Some(running) = &facts.running else { return Vec::new() };
    let (what, command) = if !running.loads_sofia {
        ("mod_sofia is not loaded, so there are no SIP calls", "load mod_sofia".to_owned())
    } else if running.dialplans.is_empty() {
        let for_users = facts.configuration.profiles.iter().find(|profile| profile.is_for_users);
        let name = for_users.map_or("internal", |profile| &profile.name);
        let what =
            "no SIP profile runs, so there are no SIP calls; FreeSWITCH's log has the reason, such as a port in use";
        (what, format!("sofia profile {name} start"))
    } else {
        return Vec::new();
    };
    vec![Finding::new(Kind::Fault, what, [facts.command(&command)])]
}

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
    let untracked = facts.profiles().filter(|profile| !profile.tracks_calls);
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
