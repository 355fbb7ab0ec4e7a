//! Whether the module can speak the languages in use.

use std::collections::BTreeSet;

use super::Facts;
use crate::finding::{Finding, Fix, Kind};

/// The phrases that the module needs are those of the file that is shipped.
const SHIPPED: &str = include_str!("../../../conf/lang/en/callpark.xml");
/// The language of calls that have none, as in FreeSWITCH.
const DEFAULT_LANGUAGE: &str = "en";

fn needed() -> BTreeSet<&'static str> {
    let names = SHIPPED.split("<macro name=\"").skip(1).filter_map(|rest| rest.split('"').next());
    names.collect()
}

/// The phrases of each language in use.
pub(super) fn phrases(facts: &Facts) -> Vec<Finding> {
    let default = if facts.default_language.is_empty() { DEFAULT_LANGUAGE } else { &facts.default_language };
    let mut in_use: BTreeSet<&str> = facts.configuration.languages_in_use.iter().map(String::as_str).collect();
    in_use.insert(default);
    in_use.into_iter().filter_map(|language| lacks(facts, language)).collect()
}

fn lacks(facts: &Facts, language: &str) -> Option<Finding> {
    let known = facts.configuration.languages.iter().filter(|known| known.name == language);
    let macros: BTreeSet<&str> = known.clone().flat_map(|known| known.macros.iter().map(String::as_str)).collect();
    let missing: Vec<&str> = needed().into_iter().filter(|name| !macros.contains(name)).collect();
    if missing.is_empty() {
        return None;
    }
    let files = &facts.files;
    let folder = files.language_folder(language);
    let what = if known.clone().next().is_none() {
        format!("FreeSWITCH has no language {language}, so nothing is announced in it")
    } else if missing.len() == needed().len() {
        format!("the language {language} has no phrases of mod_callpark, so no slot is announced")
    } else {
        format!("the language {language} lacks the phrases {}", missing.join(", "))
    };
    let installed = files.file_with(&folder, &["<macro ", "\"callpark_announce_slot\""]);
    let main = files.file_with(&folder, &["<language ", &format!("\"{language}\"")]);
    let fix = match (installed, main) {
        (Some(phrases), _) if missing.len() < needed().len() => {
            Fix::Do(format!("add these phrases of conf/lang/{language}/callpark.xml to {}", phrases.display()))
        }
        (Some(phrases), Some(file)) => Fix::Add {
            inside: "<macros>".into(),
            line: format!(
                r#"<X-PRE-PROCESS cmd="include" data="{}"/>"#,
                phrases.strip_prefix(&folder).unwrap_or(&phrases).display()
            ),
            file,
        },
        (Some(_), None) => {
            Fix::Do(format!("write a language {language} that includes the phrases in {}", folder.display()))
        }
        (None, _) => Fix::Do(format!(
            "copy conf/lang/{language}/callpark.xml, or that of another language, to {}/ivr/",
            folder.display()
        )),
    };
    let reload = facts.running.as_ref().map(|_| facts.command("reloadxml"));
    Some(Finding::new(Kind::Missing, what, std::iter::once(fix).chain(reload)))
}
