//! What the world is told: `callpark::info`, with every header and value that scripts and dashboards read.

use std::ffi::CStr;

use crate::freeswitch::{Event, Subclass};
use crate::service::{Observer, ParkEvent};

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

/// Claims the subclass for this module; `None` if another has it.
pub(crate) fn reserve() -> Option<Subclass> {
    Subclass::reserve(INFO)
}

/// Tells the world through the core's event system.
pub(crate) struct EventPublisher;

impl Observer for EventPublisher {
    fn on_event(&self, notice: &ParkEvent<'_>) {
        let Some(mut event) = Event::custom(INFO).filter(|_| !notice.what.only_looks()) else { return };
        event.set(ACTION, notice.what.action());
        if let Some(call) = notice.call {
            let facts = &call.facts;
            event.set(LOT, &facts.lot.name);
            event.set(DOMAIN, &facts.lot.domain);
            event.set(SLOT, facts.slot.as_str());
            event.set(PARKER, &facts.parker);
            event.set(LABEL, &call.label);
            event.set(PARKED_AT, &facts.parked_at_ms.to_string());
            event.set(WAIT_MS, &notice.wait.as_millis().to_string());
            if call.attempt > 0 {
                event.set(ATTEMPT, &call.attempt.to_string());
            }
        } else {
            if let Some(lot) = notice.lot {
                event.set(LOT, &lot.name);
                event.set(DOMAIN, &lot.domain);
            }
            if let Some(slot) = notice.slot {
                event.set(SLOT, slot.as_str());
            }
        }
        if let Some(retriever) = notice.retriever {
            event.set(RETRIEVER, &retriever.user);
            event.set(RETRIEVER_UUID, &retriever.uuid);
        }
        if let Some(cause) = notice.cause {
            event.set(CAUSE, cause);
        }
        if let Some(leg) = notice.leg {
            leg.describe(&mut event);
        }
        event.fire();
    }
}
