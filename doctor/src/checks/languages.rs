//! Whether the module can speak the languages in use.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::Facts;
use crate::files::{Files, Line};
use crate::finding::{Finding, Fix, Kind};

/// The phrases that the module needs are those of the file that is shipped.
const SHIPPED: &str = include_str!("../../../conf/lang/en/callpark.xml");
/// The language of calls that have none, as in FreeSWITCH.
const DEFAULT_LANGUAGE: &str = "en";
/// An include of freeswitch.xml that FreeSWITCH reads, and one that it does not.
const READ: &str = "<X-PRE-PROCESS ";
const LEFT_OUT: &str = "<X-NO-PRE-PROCESS ";

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
    let place = Place::of(&facts.files, language);
    let (what, fix) = if known.clone().next().is_none() {
        place.of_unread_language(language)
    } else if missing.len() == needed().len() {
        place.without_phrases(language)
    } else {
        place.with_old_phrases(language, &missing)
    };
    let reload = facts.running.as_ref().map(|_| facts.command("reloadxml"));
    Some(Finding::new(Kind::Missing, what, std::iter::once(fix).chain(reload)))
}

/// Where a language and its phrases are in the files.
struct Place<'a> {
    files: &'a Files,
    folder: PathBuf,
    /// The file of the language itself.
    main: Option<PathBuf>,
    /// The file with the phrases of the module.
    phrases: Option<PathBuf>,
}

impl Place<'_> {
    fn of<'a>(files: &'a Files, language: &str) -> Place<'a> {
        let folder = files.language_folder(language);
        Place {
            main: files.file_with(&folder, &["<language ", &format!("\"{language}\"")]),
            phrases: files.file_with(&folder, &["<macro ", "\"callpark_announce_slot\""]),
            files,
            folder,
        }
    }

    /// A language that FreeSWITCH does not read: that of a user without files, or one that freeswitch.xml leaves out, as the stock configuration does
    /// with Swedish.
    fn of_unread_language(&self, language: &str) -> (String, Fix) {
        if self.main.is_none() {
            let folder = self.folder.display();
            let do_it = format!(
                "write a language {language} with conf/lang/{language}/callpark.xml in {folder}, and include it in freeswitch.xml"
            );
            return (
                format!("FreeSWITCH has no language {language}, so tones replace the prompts in it"),
                Fix::Do(do_it),
            );
        }
        let file = self.files.conf.join("freeswitch.xml");
        let folder = self.folder.strip_prefix(&self.files.conf).unwrap_or(&self.folder).display().to_string();
        let fix = match self.files.line(&file, &[LEFT_OUT, &format!("\"{folder}/")]) {
            Some(Line { number, text }) => {
                let new = text.replace(LEFT_OUT, READ);
                Fix::Replace { file: file.clone(), number, old: text, new }
            }
            None => Fix::Do(format!(
                r#"in {}, add to the section languages: <X-PRE-PROCESS cmd="include" data="{folder}/*.xml"/>"#,
                file.display()
            )),
        };
        (format!("freeswitch.xml does not include the language {language}, so tones replace the prompts in it"), fix)
    }

    /// A language without any phrase of the module. The files of some languages include no file that is added.
    fn without_phrases(&self, language: &str) -> (String, Fix) {
        let what = |why: &str| {
            format!("the language {language} has no phrases of mod_callpark{why}, so tones replace the prompts in it")
        };
        match (&self.main, &self.phrases) {
            (Some(file), Some(phrases)) => {
                let included = phrases.strip_prefix(&self.folder).unwrap_or(phrases).display();
                let why = format!(" because {} does not include {included}", file.display());
                let line = format!(r#"<X-PRE-PROCESS cmd="include" data="{included}"/>"#);
                (what(&why), Fix::Add { file: file.clone(), inside: "<macros>".into(), line })
            }
            _ => {
                let folder = self.folder.display();
                let do_it =
                    format!("copy conf/lang/{language}/callpark.xml, or that of another language, to {folder}/ivr/");
                (what(""), Fix::Do(do_it))
            }
        }
    }

    /// A language with phrases of an earlier version, or with phrases that somebody has removed.
    fn with_old_phrases(&self, language: &str, missing: &[&str]) -> (String, Fix) {
        let file = self.phrases.as_ref().unwrap_or(&self.folder).display();
        let fix = format!("add these phrases of conf/lang/{language}/callpark.xml to {file}");
        (format!("the language {language} lacks the phrases {}", missing.join(", ")), Fix::Do(fix))
    }
}
