//! `intercept` of the leg that rings for a recall.
//!
//! The core waits until that leg has media, and because it has none, ends it together with the colleague's leg, at the next packet from the colleague
//! (`uuid_bridge_on_soft_execute`, `switch_ivr_wait_for_answer`). A variable makes the core park the colleague's leg instead. The core sends an event
//! before it runs the application, at least 20 ms before that end. From the core's park, the colleague is sent to the slot.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::pick_up;
use crate::freeswitch::{Binding, CoreEvent, EventRef, HangupCause, OnEvent, SessionGuard, StateLookup};
use crate::parking::State;
use crate::service::ParkingService;
use crate::service::call_log::log_call;

/// The variable that makes the core park a leg if the leg with which it is bridged does not answer.
const PARK_ON_CANCEL: &str = "uuid_bridge_park_on_cancel";

pub(crate) fn on_execute<W: StateLookup<ParkingService>>() -> Option<Binding> {
    Binding::bind::<OnExecute, W>()
}

pub(crate) fn on_core_park<W: StateLookup<ParkingService>>() -> Option<Binding> {
    Binding::bind::<OnCorePark, W>()
}

/// The UUIDs of parked legs, by the UUID of the leg that intercepts their recall.
#[derive(Debug, Default)]
pub(in crate::service) struct Intercepts(Mutex<HashMap<String, String>>);

impl Intercepts {
    pub(super) fn expect_somebody_for(&self, parked: &str) -> bool {
        self.0.lock().values().any(|call| call == parked)
    }

    /// Forgets a recall, because the phone does not ring any more and its interceptor is on the way to the slot.
    pub(in crate::service) fn forget(&self, parked: &str) {
        self.0.lock().retain(|_, call| call != parked);
    }
}

impl ParkingService {
    /// Notes that the leg `uuid` is about to intercept the leg `other`, if that rings for a recall.
    fn note_intercept(&self, uuid: &str, other: &str) {
        let rings = |leg: &SessionGuard| {
            let parked = leg.var(pick_up::PARKED).filter(|_| leg.still_rings())?;
            self.call_of(&parked).filter(|call| call.state == State::RingingBack).map(|_| parked)
        };
        let Some(parked) = SessionGuard::find(other).as_ref().and_then(rings) else { return };
        let Some(leg) = SessionGuard::find(uuid) else { return };
        self.intercepts.0.lock().insert(uuid.to_owned(), parked);
        leg.set_var(PARK_ON_CANCEL, "true");
    }

    /// Sends a leg that the core has parked to the slot, if it has intercepted a recall.
    fn fetch_interceptor(&self, uuid: &str) {
        let noted = self.intercepts.0.lock().get(uuid).cloned();
        let (Some(parked), Some(leg)) = (noted, SessionGuard::find(uuid)) else { return };
        leg.unset_var(PARK_ON_CANCEL);
        match self.call_of(&parked) {
            Some(call) => {
                log_call!(Info, &call, retriever_uuid = uuid; "recall is intercepted");
                pick_up::send_to_retrieve(&leg, &call.info.uuid);
            }
            None => leg.hang_up(HangupCause::LoseRace),
        }
    }
}

struct OnExecute;

impl OnEvent for OnExecute {
    type Context = ParkingService;
    const EVENT: CoreEvent = CoreEvent::Execute;

    fn on_event(service: &Arc<ParkingService>, event: &EventRef<'_>) {
        if event.get("Application").as_deref() != Some(pick_up::INTERCEPT) {
            return;
        }
        if let (Some(uuid), Some(other)) = (event.get("Unique-ID"), event.get("Application-Data")) {
            service.note_intercept(&uuid, other.trim());
        }
    }
}

struct OnCorePark;

impl OnEvent for OnCorePark {
    type Context = ParkingService;
    const EVENT: CoreEvent = CoreEvent::CorePark;

    fn on_event(service: &Arc<ParkingService>, event: &EventRef<'_>) {
        if let Some(uuid) = event.get("Unique-ID") {
            service.fetch_interceptor(&uuid);
        }
    }
}
