//! Finds out how a leg came to its extension.

use super::last_peer;
use super::{address, referred_by};
use crate::freeswitch::{Leg, RanApplication};
use crate::parking::Arrival;

impl Arrival {
    /// How the leg came to the application that runs on it.
    pub(in crate::service) fn of(leg: &Leg<'_>) -> Arrival {
        let ran = leg.applications();
        Arrival::after(leg, ran.split_last().map_or(&[][..], |(_, before)| before))
    }

    /// How the leg came to its number, before an application runs there.
    pub(in crate::service) fn at_number(leg: &Leg<'_>) -> Arrival {
        Arrival::after(leg, &leg.applications())
    }

    /// `before`: the applications that ran before.
    fn after(leg: &Leg<'_>, before: &[RanApplication]) -> Arrival {
        if referred_to_here(leg) || leg.var(DIVERTED_TO).is_some() {
            return Arrival::Transferred;
        }
        let referred = referred_by(leg).is_some() || leg.var("sip_refer_to").is_some();
        let talked = referred || leg.var("last_bridge_to").is_some();
        if talked && !chose_since(before, last_peer::talked_at(leg)) {
            return Arrival::Transferred;
        }
        match moved_after_answer(leg, before) {
            None if executes_choice(before) => Arrival::Chosen,
            None => Arrival::Dialled,
            Some(at) if moved_itself(before, at) => Arrival::Chosen,
            Some(_) => Arrival::Moved,
        }
    }
}

/// Whether the REFER of the leg named this extension.
fn referred_to_here(leg: &Leg<'_>) -> bool {
    let target = leg.var("sip_refer_to").and_then(|target| address(&target));
    let user = target.as_deref().and_then(|target| target.split('@').next());
    user.is_some() && user == leg.profile("destination_number").as_deref()
}

/// The variable with the extension to which mod_sofia sent a calling leg because the called phone diverted it (302).
pub(super) const DIVERTED_TO: &str = "sip_redirected_to";
/// The applications in which the caller chooses by keys.
const MENU_APPLICATIONS: [&str; 3] = ["ivr", "play_and_get_digits", "read"];
/// The applications that can send their own leg elsewhere.
const MOVING_APPLICATIONS: [&str; 6] = ["transfer", "lua", "javascript", "perl", "python", "python3"];
/// The maximum difference of the clocks of caller profiles and applications, in microseconds.
const MAX_CLOCK_DIFFERENCE_US: i64 = 100_000;

/// Whether the caller was in a menu after the last conversation.
fn chose_since(before: &[RanApplication], talked_at: Option<i64>) -> bool {
    let since = talked_at.unwrap_or(i64::MAX);
    before.iter().any(|ran| ran.at > since && MENU_APPLICATIONS.contains(&ran.name.as_str()))
}

/// Whether an extension is executed on a leg that was in a menu and was not moved.
fn executes_choice(before: &[RanApplication]) -> bool {
    let menu = before.iter().position(|ran| MENU_APPLICATIONS.contains(&ran.name.as_str()));
    menu.is_some_and(|menu| before[menu..].iter().any(|ran| ran.name == "execute_extension"))
}

/// When the leg was sent to its extension, in microseconds, if it was answered before.
fn moved_after_answer(leg: &Leg<'_>, before: &[RanApplication]) -> Option<i64> {
    let time = |field: &str| leg.profile(field).and_then(|time| time.parse::<i64>().ok()).filter(|time| *time > 0);
    leg.var("transfer_source")?;
    // Each transfer gives a leg a new caller profile.
    let moved = time("profile_created_time").unwrap_or(i64::MAX);
    let after = match time("answered_time") {
        None => leg.answered(),
        // These times come from different clocks, so they are too close to be compared.
        Some(answered) if answered.abs_diff(moved) <= MAX_CLOCK_DIFFERENCE_US.unsigned_abs() => {
            answered_before_moving(before)
        }
        Some(answered) => answered < moved,
    };
    after.then_some(moved)
}

fn answered_before_moving(before: &[RanApplication]) -> bool {
    let moved = last_mover(before).unwrap_or(before.len());
    before[..moved].iter().any(|ran| ran.name == "answer")
}

/// Whether an application of the leg's own dialplan moved it. The applications after that one belong to the new extension.
fn moved_itself(before: &[RanApplication], moved: i64) -> bool {
    let Some(last) = last_mover(before) else { return false };
    let (mover, then) = (&before[last], &before[last + 1..]);
    let at_that_moment = |ran: &RanApplication| ran.at >= moved.saturating_sub(MAX_CLOCK_DIFFERENCE_US);
    (mover.name != "transfer" || at_that_moment(mover)) && then.iter().all(at_that_moment)
}

fn last_mover(before: &[RanApplication]) -> Option<usize> {
    before.iter().rposition(|ran| MOVING_APPLICATIONS.contains(&ran.name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(names: &[(&str, i64)]) -> Vec<RanApplication> {
        names.iter().map(|(name, at)| RanApplication { name: (*name).into(), at: *at }).collect()
    }

    #[test]
    fn a_menu_counts_only_after_the_last_conversation() {
        let menu = ran(&[("answer", 1), ("ivr", 2), ("transfer", 3)]);
        assert!(chose_since(&menu, Some(1)));
        assert!(!chose_since(&menu, Some(4)));
        assert!(!chose_since(&menu, None), "talked before the module was there to note it");
    }

    #[test]
    fn an_extension_that_is_executed_after_a_menu_was_chosen() {
        assert!(executes_choice(&ran(&[("answer", 1), ("ivr", 2), ("execute_extension", 3)])));
        assert!(!executes_choice(&ran(&[("execute_extension", 1), ("ivr", 2)])), "the route to the menu");
        assert!(!executes_choice(&ran(&[("answer", 1), ("ivr", 2)])), "the menu runs the application itself");
    }

    #[test]
    fn who_moved_a_leg_is_told_by_what_ran_at_that_moment() {
        const S: i64 = 1_000_000;
        let menu = ran(&[("answer", S), ("ivr", 2 * S), ("transfer", 9 * S), ("set", 9 * S + 5)]);
        assert!(moved_itself(&menu, 9 * S - 20_000), "the clocks differ by a tick");
        let script = ran(&[("answer", S), ("lua", 2 * S), ("set", 9 * S)]);
        assert!(moved_itself(&script, 9 * S));
        let from_outside = ran(&[("transfer", S), ("answer", S), ("playback", 2 * S), ("set", 9 * S)]);
        assert!(!moved_itself(&from_outside, 9 * S));
        assert!(!moved_itself(&[], S));
    }
}
