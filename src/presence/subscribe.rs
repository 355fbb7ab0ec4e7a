//! Publishes lamps when a phone subscribes, a SIP profile starts, or the module is loaded.

use std::sync::Arc;
use std::time::Duration;

use crate::freeswitch::{Binding, EventRef, Kind, OnEvent, WayIn, module_loaded};
use crate::service::{ParkingService, Subscription};

/// A module that answers every subscription to `park+<name>`, also for lots that it does not have.
const RIVAL: &str = "mod_valet_parking";
/// The duration of a subscription that names none: the default of the dialog event package (RFC 4235).
const DEFAULT_EXPIRY: Duration = Duration::from_secs(3600);

pub(crate) fn on_probe<W: WayIn<ParkingService>>() -> Option<Binding> {
    Binding::bind::<Probe, W>()
}

pub(crate) fn on_profile<W: WayIn<ParkingService>>() -> Option<Binding> {
    Binding::bind::<Profile, W>()
}

/// Logs a warning if mod_valet_parking is loaded, because both modules answer every subscription and contradict each other.
pub(crate) fn warn_of_rival() {
    if rival_is_loaded() {
        log::warn!(
            "{RIVAL} is loaded too and answers every subscription to park+<slot> with \"free\": lamps of taken \
             slots will go out; take it out of modules.conf.xml and restart FreeSWITCH"
        );
    }
}

pub(super) fn rival_is_loaded() -> bool {
    module_loaded(RIVAL)
}

/// A phone has subscribed, or renewed its subscription.
struct Probe;

impl OnEvent for Probe {
    type Of = ParkingService;
    const KIND: Kind = Kind::PresenceProbe;

    fn happened(service: &Arc<ParkingService>, event: &EventRef<'_>) {
        let Some(to) = event.get("to") else { return };
        let Some((lamp, host)) = to.strip_prefix("park+").and_then(|to| to.split_once('@')) else { return };
        let expires = event.get("expires").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        // The end of a subscription raises this event too, and mod_sofia has ended it already.
        if expires == Some(Duration::ZERO) {
            return;
        }
        service.subscribed(&Subscription {
            lamp: lamp.to_owned(),
            host: host.to_owned(),
            call_id: event.get("sub-call-id"),
            expires: expires.unwrap_or(DEFAULT_EXPIRY),
        });
    }
}

/// A SIP profile has started, which may have subscriptions from before a restart.
struct Profile;

impl OnEvent for Profile {
    type Of = ParkingService;
    const KIND: Kind = Kind::Custom(c"sofia::profile_start");

    fn happened(service: &Arc<ParkingService>, _: &EventRef<'_>) {
        service.tell_all_lamps();
    }
}
