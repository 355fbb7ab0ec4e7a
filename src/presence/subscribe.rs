//! Publishes lamps when a phone subscribes, a SIP profile starts, or the module is loaded.

use std::sync::Arc;
use std::time::Duration;

use crate::freeswitch::{Binding, CoreEvent, EventRef, OnEvent, StateLookup, valet_parking_loaded};
use crate::service::{ParkingService, Subscription};

/// The duration of a subscription that names none: the default of the dialog event package (RFC 4235).
const DEFAULT_EXPIRY: Duration = Duration::from_secs(3600);

pub(crate) fn on_probe<W: StateLookup<ParkingService>>() -> Option<Binding> {
    Binding::bind::<OnProbe, W>()
}

pub(crate) fn on_profile<W: StateLookup<ParkingService>>() -> Option<Binding> {
    Binding::bind::<OnProfileStart, W>()
}

/// Logs a warning if mod_valet_parking is loaded, because both modules answer every subscription and contradict each other.
pub(crate) fn warn_about_valet_parking() {
    if valet_parking_loaded() {
        log::warn!(
            "mod_valet_parking answers every subscription to park+<slot>, so lamps of occupied slots go out; remove it from modules.conf.xml and restart FreeSWITCH"
        );
    }
}

/// A phone has subscribed, or renewed its subscription.
struct OnProbe;

impl OnEvent for OnProbe {
    type Context = ParkingService;
    const EVENT: CoreEvent = CoreEvent::PresenceProbe;

    fn on_event(service: &Arc<ParkingService>, event: &EventRef<'_>) {
        let Some(to) = event.get("to") else { return };
        let name = to.strip_prefix("park+");
        let Some((lamp, host)) = name.unwrap_or(&to).split_once('@') else { return };
        let expires = event.get("expires").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        // The end of a subscription raises this event too, and mod_sofia has ended it already.
        if expires == Some(Duration::ZERO) {
            return;
        }
        service.subscribed(&Subscription {
            lamp: lamp.to_owned(),
            is_plain: name.is_none(),
            host: host.to_owned(),
            call_id: event.get("sub-call-id"),
            expires: expires.unwrap_or(DEFAULT_EXPIRY),
        });
    }
}

/// A SIP profile has started, which may have subscriptions from before a restart.
struct OnProfileStart;

impl OnEvent for OnProfileStart {
    type Context = ParkingService;
    const EVENT: CoreEvent = CoreEvent::Custom(c"sofia::profile_start");

    fn on_event(service: &Arc<ParkingService>, _: &EventRef<'_>) {
        service.publish_all_lamps();
    }
}
