//! What the lots may still want: advice, because the lots work without it.

use super::Facts;
use super::dialplan::asks_callpark;
use crate::configuration::Lot;
use crate::finding::{Finding, Fix, Kind};

fn lots(facts: &Facts) -> &[Lot] {
    facts.configuration.callpark.as_ref().map_or(&[], |callpark| &callpark.lots)
}

/// A note with a line for callpark.conf.xml.
fn note(facts: &Facts, what: String, inside: &str, line: &str) -> Finding {
    let file = facts.files.autoload("callpark.conf");
    let fix = Fix::Add { file, inside: format!("<lot name=\"{inside}\">"), line: line.into() };
    Finding::new(Kind::Note, what, [fix])
}

/// A number that parks in a free slot, where the dialplan `callpark` answers the numbers.
pub(super) fn park_extension(facts: &Facts) -> Vec<Finding> {
    let lots = lots(facts);
    let Some(first) = lots.first() else { return Vec::new() };
    let has_number = lots.iter().any(|lot| !lot.park_extension.is_empty());
    if has_number || !facts.configuration.profiles.iter().any(asks_callpark) {
        return Vec::new();
    }
    let what = "no lot has a park-extension, so no number parks in a free slot";
    vec![note(facts, what.into(), &first.name, r#"<param name="park-extension" value="700"/>"#)]
}

/// Advises a fallback for each lot that has none.
pub(super) fn fallback(facts: &Facts) -> Vec<Finding> {
    let without: Vec<&str> =
        lots(facts).iter().filter(|lot| lot.fallback.is_empty()).map(|lot| lot.name.as_str()).collect();
    let example = r#"<param name="fallback" value="1000 XML default"/>"#;
    let advice = without.first().map(|first| {
        let (verb, names) = (if without.len() == 1 { "lot has" } else { "lots have" }, without.join(", "));
        let what = format!(
            "the {verb} no fallback, so a caller whom nobody retrieves goes on waiting, and the parker is called again: {names}"
        );
        note(facts, what, first, example)
    });
    advice.into_iter().chain(lots(facts).iter().filter_map(|lot| unknown_context(facts, lot))).collect()
}

/// A fallback in a context that the files of the XML dialplan do not have. What a program serves is not known here.
fn unknown_context(facts: &Facts, lot: &Lot) -> Option<Finding> {
    let mut words = lot.fallback.split_whitespace().skip(1);
    let (dialplan, context) = (words.next()?, words.next()?);
    let contexts = &facts.configuration.contexts;
    let is_known = context.contains('$') || contexts.iter().any(|known| known.name == context);
    if facts.configuration.server.is_some() || !dialplan.eq_ignore_ascii_case("XML") || is_known {
        return None;
    }
    let what = format!(
        "the fallback {} of the lot {} is in the context {context}, which the dialplan does not have",
        lot.fallback, lot.name
    );
    let file = facts.files.autoload("callpark.conf");
    Some(Finding::new(Kind::Note, what, [Fix::Do(format!("correct fallback in {}", file.display()))]))
}
