//! Publishes the event `callpark::info`, with its headers.

use std::ffi::CStr;

use crate::freeswitch::{Event, Subclass};
use crate::service::{Observer, ParkEvent, ParkingService};

pub(crate) const INFO: &CStr = c"callpark::info";

const ACTION: &str = "CallPark-Action";
const LOT: &str = "CallPark-Lot";
const DOMAIN: &str = "CallPark-Domain";
const SLOT: &str = "CallPark-Slot";
const PARKER: &str = "CallPark-Parker";
const LABEL: &str = "CallPark-Label";
const PARKED_AT: &str = "CallPark-Parked-At";
const WAIT_MS: &str = "CallPark-Wait-Ms";
const RETRIEVER: &str = "CallPark-Retriever";
const RETRIEVER_UUID: &str = "CallPark-Retriever-UUID";
const ATTEMPT: &str = "CallPark-Attempt";
const CAUSE: &str = "CallPark-Cause";
const ACTOR: &str = "CallPark-Actor";
const HOOK: &str = "CallPark-Hook";

/// Reserves the event subclass for this module. Returns `None` if another module has it.
pub(crate) fn reserve() -> Option<Subclass> {
    Subclass::reserve(INFO)
}

/// Publishes parking events through the core's event system.
pub(crate) struct EventPublisher;

impl Observer for EventPublisher {
    fn on_event(&self, _: &ParkingService, event: &ParkEvent<'_>) {
        let Some(mut message) = Event::custom(INFO).filter(|_| !event.kind.is_display_only()) else { return };
        message.set(ACTION, event.kind.action());
        if let Some(call) = event.call {
            let info = &call.info;
            message.set(LOT, &info.lot.name);
            message.set(DOMAIN, &info.lot.domain);
            message.set(SLOT, info.slot.as_str());
            message.set(PARKER, &info.parker);
            message.set(LABEL, &call.label);
            message.set(PARKED_AT, &info.parked_at_ms.to_string());
            message.set(WAIT_MS, &event.wait.as_millis().to_string());
            if call.attempt > 0 {
                message.set(ATTEMPT, &call.attempt.to_string());
            }
        } else {
            if let Some(lot) = event.lot {
                message.set(LOT, &lot.name);
                message.set(DOMAIN, &lot.domain);
            }
            if let Some(slot) = event.slot {
                message.set(SLOT, slot.as_str());
            }
        }
        if let Some(retriever) = event.retriever {
            message.set(RETRIEVER, &retriever.user);
            message.set(RETRIEVER_UUID, &retriever.uuid);
        }
        if let Some(cause) = event.cause {
            message.set(CAUSE, cause);
        }
        if let Some(actor) = event.actor {
            message.set(ACTOR, actor);
        }
        if let Some(hook) = event.hook {
            message.set(HOOK, hook);
        }
        if let Some(leg) = event.leg {
            leg.describe(&mut message);
        }
        message.fire();
    }
}
