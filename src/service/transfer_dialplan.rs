//! Makes the numbers of the lots reachable by a transfer of any leg in a conversation with a phone that may dial them.
//!
//! A transferred leg keeps its own dialplan (`switch_ivr_session_transfer`): that of the SIP profile by which the caller came. So the transfer of an
//! outside caller would ask the dialplan of the outside only. From the moment when a phone whose profile names the dialplan `callpark` is called
//! for it, the leg has a variable by which the core asks that dialplan first.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::ParkingService;
use crate::freeswitch::{self, Leg, NewLegs, OnNewLeg, SessionGuard, StateLookup};
use crate::parking::MonotonicTime;

/// The dialplan of the module, as a SIP profile names it.
pub(super) const DIALPLAN: &str = "callpark";
/// The variable with the dialplans of a transfer that names none.
const OF_TRANSFERS: &str = "force_transfer_dialplan";
/// How long the answer about a SIP profile is used before mod_sofia is asked again, because a rescan of the profile may change it.
const KNOWN_FOR: Duration = Duration::from_secs(10);

/// Which SIP profiles ask the module's dialplan, and when that was found out.
#[derive(Debug, Default)]
pub(super) struct Profiles(Mutex<HashMap<String, (MonotonicTime, bool)>>);

impl Profiles {
    fn ask_us(&self, profile: &str) -> bool {
        let now = freeswitch::now();
        let known = self.0.lock().get(profile).copied();
        if let Some((_, asks)) = known.filter(|(at, _)| now.since(*at) < KNOWN_FOR) {
            return asks;
        }
        // Not under the lock: it is a command to mod_sofia.
        let asks = freeswitch::profile_dialplan(profile).is_some_and(|dialplans| names_us(&dialplans));
        self.0.lock().insert(profile.to_owned(), (now, asks));
        asks
    }
}

impl ParkingService {
    /// Makes a later transfer of either of these two legs, which are connected or about to be, ask the module's dialplan before their own. Does nothing
    /// unless one of them belongs to a SIP profile that names that dialplan, because only its phones may dial the numbers of the lots.
    pub(super) fn extend_transfers(&self, one: &Leg<'_>, other: &Leg<'_>) {
        let may_dial =
            |leg: &Leg<'_>| leg.var("sofia_profile_name").is_some_and(|profile| self.profiles.ask_us(&profile));
        if [one, other].into_iter().any(may_dial) {
            [one, other].into_iter().for_each(extend);
        }
    }
}

/// Registers the callback for phones that are called. Events would come too late: a phone may transfer its caller as soon as it has answered.
pub(crate) fn on_new_leg<W: StateLookup<ParkingService>>() -> Option<NewLegs> {
    NewLegs::register::<CalledPhone, W>()
}

struct CalledPhone;

impl OnNewLeg for CalledPhone {
    type Context = ParkingService;

    fn on_new_leg(service: &Arc<ParkingService>, phone: &Leg<'_>) {
        let caller = phone.var("originating_leg_uuid").filter(|_| phone.outbound());
        if let Some(caller) = caller.and_then(|uuid| SessionGuard::find(&uuid)) {
            service.extend_transfers(&caller, phone);
        }
    }
}

/// Sets the variable with the dialplans of a transfer: the module's, then those that the leg asks itself.
fn extend(leg: &Leg<'_>) {
    let own = leg.profile("dialplan").filter(|dialplan| !dialplan.eq_ignore_ascii_case("inline"));
    let own = own.unwrap_or_else(|| "XML".to_owned());
    if !names_us(&own) && leg.var(OF_TRANSFERS).is_none() {
        leg.set_var(OF_TRANSFERS, &format!("{DIALPLAN},{own}"));
    }
}

/// Whether a list of dialplans, with their arguments, has the module's own.
fn names_us(dialplans: &str) -> bool {
    let name = |dialplan: &str| dialplan.split(':').next().unwrap_or_default().trim().eq_ignore_ascii_case(DIALPLAN);
    dialplans.split(',').any(name)
}

#[cfg(test)]
mod tests {
    use super::names_us;

    #[test]
    fn the_dialplan_is_found_in_a_list() {
        for with in ["callpark", "CallPark,XML", "XML, callpark:x"] {
            assert!(names_us(with), "{with}");
        }
        for without in ["", "XML", "callparking,XML", "lua:callpark"] {
            assert!(!names_us(without), "{without}");
        }
    }
}
