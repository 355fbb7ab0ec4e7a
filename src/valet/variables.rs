//! Translates the variables of mod_valet_parking into changes of the lot's settings.

use std::time::Duration;

use crate::config::{parse_bool, seconds};
use crate::parking::{CallOverrides, Destination};

/// The time-out if the dialplan names where the caller goes then, but no time.
const TIMEOUT_WITH_ORBIT: Duration = Duration::from_secs(60);

/// What a leg and its dialplan say, apart from the data of the application.
pub(super) struct LegFacts<'a> {
    /// Returns a variable of the leg.
    pub(super) variable: &'a dyn Fn(&str) -> Option<String>,
    /// Whether the dialplan has an application after `valet_park`.
    pub(super) has_next_application: bool,
    /// Whether the slot is chosen automatically, so that somebody must hear it.
    pub(super) is_auto: bool,
}

/// The changes that a leg asks for.
///
/// mod_valet_parking sends a caller whose time is over to the orbit extension without a recall. If there is none, it leaves the caller to the
/// dialplan; where that ends, the caller would be hung up, so here the parker is called back instead.
pub(super) fn overrides(facts: &LegFacts<'_>) -> CallOverrides {
    let LegFacts { variable, has_next_application, is_auto } = *facts;
    let orbit = orbit(variable);
    let timeout = variable("valet_parking_timeout").and_then(|text| seconds(&text, 1).ok());
    let timeout = timeout.or(orbit.as_ref().map(|_| TIMEOUT_WITH_ORBIT));
    let goes_on = timeout.is_some() && orbit.is_none() && has_next_application;
    let key = variable("valet_parking_orbit_exit_key").and_then(|key| key.chars().next());
    CallOverrides {
        park_timeout: timeout,
        ringback_attempts: (orbit.is_some() || goes_on).then_some(0),
        goes_on: goes_on.then_some(true),
        exit: key.zip(orbit.clone()),
        fallback: orbit,
        hold_music: variable("valet_hold_music"),
        announce: Some(is_auto && announces(variable)),
        ..CallOverrides::default()
    }
}

/// Where a caller goes when the time is over, or by the exit key.
fn orbit(variable: &dyn Fn(&str) -> Option<String>) -> Option<Destination> {
    Some(Destination {
        extension: variable("valet_parking_orbit_exten")?,
        dialplan: variable("valet_parking_orbit_dialplan"),
        context: variable("valet_parking_orbit_context"),
    })
}

/// Whether the slot is said. mod_valet_parking takes each word that does not mean true as false (`switch_true`).
fn announces(variable: &dyn Fn(&str) -> Option<String>) -> bool {
    variable("valet_announce_slot").is_none_or(|text| parse_bool(&text) == Ok(true) || is_true_word(&text))
}

/// The words that FreeSWITCH takes as true and `parse_bool` does not.
fn is_true_word(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    ["t", "active", "allow"].contains(&text.as_str()) || text.parse::<i64>().is_ok_and(|number| number != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)], has_next_application: bool, is_auto: bool) -> CallOverrides {
        let variable =
            |wanted: &str| variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned());
        overrides(&LegFacts { variable: &variable, has_next_application, is_auto })
    }

    fn orbit_to(text: &str) -> Option<Destination> {
        Destination::parse(text)
    }

    #[test]
    fn the_time_out_is_what_the_variables_say() {
        let orbit = ("valet_parking_orbit_exten", "1000");
        let time = ("valet_parking_timeout", "900");
        let secs = Duration::from_secs;
        for (variables, next, timeout, fallback, rings, goes_on) in [
            (vec![], true, None, None, None, None),
            (vec![orbit], false, Some(secs(60)), orbit_to("1000"), Some(0), None),
            (vec![orbit, time], true, Some(secs(900)), orbit_to("1000"), Some(0), None),
            (vec![time], true, Some(secs(900)), None, Some(0), Some(true)),
            (vec![time], false, Some(secs(900)), None, None, None),
            (vec![("valet_parking_timeout", "0"), orbit], false, Some(secs(60)), orbit_to("1000"), Some(0), None),
            (vec![("valet_parking_timeout", "soon")], true, None, None, None, None),
        ] {
            let found = with(&variables, next, false);
            let expected = (timeout, fallback, rings, goes_on);
            assert_eq!((found.park_timeout, found.fallback, found.ringback_attempts, found.goes_on), expected);
        }
    }

    #[test]
    fn the_exit_key_leads_to_the_orbit() {
        let orbit = [
            ("valet_parking_orbit_exten", "1000"),
            ("valet_parking_orbit_dialplan", "XML"),
            ("valet_parking_orbit_context", "sales"),
            ("valet_parking_orbit_exit_key", "0"),
        ];
        assert_eq!(with(&orbit, false, false).exit, Some('0').zip(orbit_to("1000 XML sales")));
        assert_eq!(with(&orbit[1..], false, false).exit, None, "there is no way out");
    }

    #[test]
    fn a_slot_is_said_only_if_it_was_chosen_automatically() {
        let said = |value: &str, is_auto| with(&[("valet_announce_slot", value)], false, is_auto).announce;
        assert_eq!((with(&[], false, true).announce, with(&[], false, false).announce), (Some(true), Some(false)));
        for (value, is_true) in [("true", true), ("1", true), ("allow", true), ("false", false), ("disable", false)] {
            assert_eq!((said(value, true), said(value, false)), (Some(is_true), Some(false)), "{value}");
        }
    }
}
