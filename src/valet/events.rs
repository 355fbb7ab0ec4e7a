//! Publishes the event `valet_parking::info`, with the headers of mod_valet_parking.

use std::collections::HashMap;
use std::ffi::CStr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::lot_names::LotNames;
use crate::freeswitch::Event;
use crate::parking::{Call, LotId, Outcome, Slot};
use crate::service::{EventKind, Observer, ParkEvent, ParkingService};

pub(super) const INFO: &CStr = c"valet_parking::info";

const LOT: &str = "Valet-Lot-Name";
const EXTENSION: &str = "Valet-Extension";
const ACTION: &str = "Action";
const BRIDGE_TO: &str = "Bridge-To-UUID";
const UUID: &str = "Unique-ID";
/// The variable with the slot.
const EXTENSION_VARIABLE: &str = "valet_lot_extension";

/// What mod_valet_parking calls the events of a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum SlotAction {
    /// A leg is in the slot.
    Hold,
    /// Another leg is connected to it.
    Bridge,
    /// It has left the slot.
    Exit,
}

impl SlotAction {
    fn name(self) -> &'static str {
        match self {
            SlotAction::Hold => "hold",
            SlotAction::Bridge => "bridge",
            SlotAction::Exit => "exit",
        }
    }

    /// What to publish for an event of the service, in order.
    fn of(kind: EventKind) -> &'static [SlotAction] {
        match kind {
            EventKind::Park | EventKind::Recover | EventKind::Reserve | EventKind::HandOver => &[SlotAction::Hold],
            EventKind::Ended(Outcome::Retrieved | Outcome::Returned) => &[SlotAction::Bridge, SlotAction::Exit],
            EventKind::Ended(_) | EventKind::Release => &[SlotAction::Exit],
            _ => &[],
        }
    }
}

/// Publishes the events of all slots.
pub(super) struct ValetEvents {
    lots: Arc<LotNames>,
    /// The leg in each slot, to publish that it has left when an attended transfer puts another one there.
    holders: Mutex<HashMap<(LotId, Slot), Arc<str>>>,
}

impl Observer for ValetEvents {
    fn on_event(&self, _: &ParkingService, event: &ParkEvent<'_>) {
        let Some(call) = event.call.filter(|call| !call.waits_for_slot()) else { return };
        for action in SlotAction::of(event.kind) {
            if let Some(replaced) = self.note(call, *action) {
                self.publish_exit_of(&replaced, call);
            }
            self.publish(event, call, *action);
        }
    }
}

impl ValetEvents {
    pub(super) fn new(lots: Arc<LotNames>) -> ValetEvents {
        ValetEvents { lots, holders: Mutex::default() }
    }

    /// Notes the leg in the slot of a call. Returns the one that it replaces.
    fn note(&self, call: &Call, action: SlotAction) -> Option<Arc<str>> {
        let (slot, uuid) = ((call.info.lot.clone(), call.info.slot.clone()), &call.info.uuid);
        let mut holders = self.holders.lock();
        match action {
            SlotAction::Hold => holders.insert(slot, Arc::clone(uuid)).filter(|before| before != uuid),
            SlotAction::Bridge => None,
            SlotAction::Exit => {
                holders.remove(&slot);
                None
            }
        }
    }

    fn message(&self, call: &Call, action: SlotAction) -> Option<Event> {
        let mut message = Event::custom(INFO)?;
        message.set(LOT, &self.lots.of(&call.info.lot));
        message.set(EXTENSION, call.info.slot.as_str());
        message.set(ACTION, action.name());
        Some(message)
    }

    /// Publishes that a leg has left the slot of a call. The leg may have ended already.
    fn publish_exit_of(&self, uuid: &str, call: &Call) {
        let Some(mut message) = self.message(call, SlotAction::Exit) else { return };
        message.set(UUID, uuid);
        message.fire();
    }

    fn publish(&self, event: &ParkEvent<'_>, call: &Call, action: SlotAction) {
        let Some(mut message) = self.message(call, action) else { return };
        if let Some(retriever) = event.retriever.filter(|_| action == SlotAction::Bridge) {
            message.set(BRIDGE_TO, &retriever.uuid);
        }
        if let Some(leg) = event.leg {
            leg.describe(&mut message);
            if action == SlotAction::Hold {
                leg.set_var(EXTENSION_VARIABLE, call.info.slot.as_str());
            }
        }
        message.fire();
    }
}
