//! Whether the numbers of the lots reach the module.

use fancy_regex::Regex;

use super::Facts;
use crate::configuration::{Context, Extension, Profile};
use crate::finding::{Finding, Fix, Kind};

/// What a SIP profile of users must have as its dialplan.
const DIALPLAN: &str = "callpark,XML";
/// The ways in which phones write a slot, beside the number itself.
const PREFIXES: [&str; 4] = ["", "+", "**", "park+"];

fn names(dialplan: &str) -> Vec<String> {
    dialplan.split(',').map(|name| name.trim().to_ascii_lowercase()).collect()
}

pub(super) fn asks_callpark(profile: &Profile) -> bool {
    names(&profile.dialplan).contains(&"callpark".into())
}

/// Whether the module is asked before the XML dialplan.
fn is_first(dialplan: &str) -> bool {
    let names = names(dialplan);
    let at = |wanted: &str| names.iter().position(|name| name == wanted);
    at("callpark").is_some_and(|callpark| at("xml").is_none_or(|xml| callpark < xml))
}

/// One of the two ways in which the numbers reach the module: the dialplan `callpark` of a profile, or extensions of the XML dialplan.
pub(super) fn numbers(facts: &Facts) -> Vec<Finding> {
    let named: Vec<&Profile> = facts.configuration.profiles.iter().filter(|profile| asks_callpark(profile)).collect();
    let contexts: Vec<&Context> = facts
        .configuration
        .contexts
        .iter()
        .filter(|context| context.extensions.iter().any(Extension::is_of_module))
        .collect();
    if named.is_empty() && !contexts.is_empty() {
        return contexts.into_iter().filter_map(|context| taken_before(facts, context)).collect();
    }
    if named.is_empty() {
        return without_numbers(facts);
    }
    let late = named.iter().filter(|profile| !is_first(&profile.dialplan)).map(|profile| {
        let what = format!("the SIP profile {} asks the XML dialplan before callpark", profile.name);
        Finding::new(Kind::Conflict, what, set_dialplan(facts, profile))
    });
    let mut found: Vec<Finding> = late.collect();
    found.extend(
        named.iter().filter(|profile| is_first(&profile.dialplan)).filter_map(|profile| not_in_force(facts, profile)),
    );
    if contexts.is_empty() {
        found.extend(unasked(facts));
    } else {
        let in_contexts: Vec<&str> = contexts.iter().map(|context| context.name.as_str()).collect();
        let what = format!(
            "the dialplan callpark answers the numbers, so extensions with callpark_... in the context {} are not needed for them",
            in_contexts.join(", ")
        );
        found.push(Finding::new(Kind::Note, what, []));
    }
    found
}

/// No profile and no extension leads to the module.
fn without_numbers(facts: &Facts) -> Vec<Finding> {
    let in_server = facts.set_in_server("internal", "dialplan", DIALPLAN);
    if let Some(fix) = in_server.filter(|_| facts.running.is_none()) {
        let what = "the numbers of the lots have a route only if the SIP profile asks the dialplan callpark; the extensions that run valet_park need nothing";
        return vec![Finding::new(Kind::Note, what, [fix])];
    }
    if !facts.profiles().any(|profile| profile.is_for_users) {
        let fix =
            Fix::Do(format!(r#"in the SIP profile of your users, write <param name="dialplan" value="{DIALPLAN}"/>"#));
        return vec![Finding::new(Kind::Missing, "no SIP profile asks the dialplan callpark", [fix])];
    }
    unasked(facts)
}

/// The profiles of users whose phones cannot dial the numbers of the lots.
fn unasked(facts: &Facts) -> Vec<Finding> {
    // A program may serve extensions that run the module's applications, or mod_valet_parking's, as FusionPBX does.
    let (kind, effect) = match facts.configuration.server {
        Some(_) => (Kind::Note, "have a route only by extensions that run valet_park or callpark_slot"),
        None => (Kind::Missing, "have no route"),
    };
    let what = |name: &str| {
        format!("the SIP profile {name} does not ask the dialplan callpark, so the numbers of the lots {effect}")
    };
    let unasked = facts.profiles().filter(|profile| profile.is_for_users && !asks_callpark(profile));
    unasked.map(|profile| Finding::new(kind, what(&profile.name), set_dialplan(facts, profile))).collect()
}

/// The change that has a profile ask the dialplan `callpark` first.
fn set_dialplan(facts: &Facts, profile: &Profile) -> Vec<Fix> {
    let new = format!(r#"<param name="dialplan" value="{DIALPLAN}"/>"#);
    let in_file = || match facts.files.profile(&profile.name) {
        Some(file) => match facts.files.line(&file, &["<param ", "\"dialplan\""]) {
            Some(line) => Fix::Replace { file, number: line.number, old: line.text, new: new.clone() },
            None => Fix::Add { file, inside: "<settings>".into(), line: new.clone() },
        },
        None => Fix::Do(format!("in the settings of the SIP profile {}, write {new}", profile.name)),
    };
    let mut fixes = vec![facts.set_in_server(&profile.name, "dialplan", DIALPLAN).unwrap_or_else(in_file)];
    fixes.extend(facts.running.as_ref().map(|_| rescan(facts, profile)));
    fixes
}

/// Has the running profile read its configuration again.
fn rescan(facts: &Facts, profile: &Profile) -> Fix {
    facts.command(&format!("sofia profile {} rescan", profile.name))
}

/// A profile whose configuration names `callpark`, and which runs without it.
fn not_in_force(facts: &Facts, profile: &Profile) -> Option<Finding> {
    let (_, dialplan) = facts.running.as_ref()?.dialplans.iter().find(|(name, _)| *name == profile.name)?;
    let what = format!(
        "the SIP profile {} runs with the dialplan {dialplan}, not with that of its configuration",
        profile.name
    );
    (!is_first(dialplan)).then(|| Finding::new(Kind::Fault, what, [rescan(facts, profile)]))
}

/// An extension that takes numbers of the lots before those of the module, in a context.
fn taken_before(facts: &Facts, context: &Context) -> Option<Finding> {
    let slot = facts.configuration.callpark.as_ref()?.slots.first()?;
    let takes = |number: &str| {
        let mut extensions = context.extensions.iter().filter(|extension| !extension.goes_on);
        extensions.find(|extension| extension.takes(number)).filter(|extension| !extension.is_of_module())
    };
    let taken = |number: String| takes(&number).map(|extension| (number, &extension.name));
    let (number, extension) = PREFIXES.iter().find_map(|prefix| taken(format!("{prefix}{slot}")))?;
    let what = format!(
        "in the context {}, the extension {extension} takes {number} before the extensions of mod_callpark",
        context.name
    );
    let move_them = "move the line that includes the extensions of mod_callpark to the beginning of the context, or use the dialplan callpark instead";
    Some(Finding::new(Kind::Conflict, what, [Fix::Do(move_them.into())]))
}

impl Extension {
    /// Whether its expressions match a number. Other conditions are not known here, and count as met.
    fn takes(&self, number: &str) -> bool {
        let matches = |expression: &String| {
            let regex = Regex::new(expression.trim_start_matches('/').trim_end_matches('/'));
            regex.is_ok_and(|regex| regex.is_match(number).unwrap_or(false))
        };
        !self.numbers.is_empty() && self.numbers.iter().all(matches)
    }
}

/// The feature code is bound by the module or by the dialplan, not by both.
pub(super) fn feature_code(facts: &Facts) -> Vec<Finding> {
    let has_code = facts.configuration.callpark.as_ref().is_some_and(|callpark| !callpark.feature_code.is_empty());
    let bound = facts.configuration.contexts.iter().flat_map(|context| {
        let binding = context.extensions.iter().filter(|extension| extension.binds_feature_code());
        binding.map(move |extension| (context, extension))
    });
    let conflict = |(context, extension): (&Context, &Extension)| {
        let what = format!(
            "feature-code in callpark.conf.xml and the extension {} of the context {} bind the same keys",
            extension.name, context.name
        );
        let file = facts
            .files
            .file_with(&facts.files.conf.join("dialplan"), &["<extension ", &format!("\"{}\"", extension.name)]);
        let place = file.map_or(String::new(), |file| format!(" from {}", file.display()));
        Finding::new(Kind::Conflict, what, [Fix::Do(format!("remove the extension {}{place}", extension.name))])
    };
    if has_code { bound.map(conflict).collect() } else { Vec::new() }
}

/// A number cannot be that of a user and of a slot. A program may serve the users, who are then known if they are registered.
pub(super) fn users(facts: &Facts) -> Vec<Finding> {
    let slots = facts.configuration.callpark.iter().flat_map(|callpark| &callpark.slots);
    let registered = |slot: &String| facts.running.as_ref().is_some_and(|running| running.registered.contains(slot));
    let is_user = |slot: &&String| facts.configuration.users.contains(*slot) || registered(slot);
    let both: Vec<&str> = slots.filter(is_user).map(String::as_str).collect();
    if both.is_empty() {
        return Vec::new();
    }
    let what = format!("the numbers {} are slots and users", both.join(", "));
    let file = facts.files.autoload("callpark.conf");
    let fix = Fix::Do(format!("choose other numbers for slots in {}", file.display()));
    vec![Finding::new(Kind::Conflict, what, [fix])]
}
