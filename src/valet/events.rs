//! Publishes the event `valet_parking::info`, with the headers of mod_valet_parking.

use std::ffi::CStr;
use std::sync::Arc;

use super::lot_names::LotNames;
use crate::freeswitch::Event;
use crate::parking::{Call, Outcome};
use crate::service::{EventKind, Observer, ParkEvent, ParkingService};

pub(super) const INFO: &CStr = c"valet_parking::info";

const LOT: &str = "Valet-Lot-Name";
const EXTENSION: &str = "Valet-Extension";
const ACTION: &str = "Action";
const BRIDGE_TO: &str = "Bridge-To-UUID";
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
pub(super) struct ValetEvents(pub(super) Arc<LotNames>);

impl Observer for ValetEvents {
    fn on_event(&self, _: &ParkingService, event: &ParkEvent<'_>) {
        let Some(call) = event.call.filter(|call| !call.waits_for_slot()) else { return };
        for action in SlotAction::of(event.kind) {
            self.publish(event, call, *action);
        }
    }
}

impl ValetEvents {
    fn publish(&self, event: &ParkEvent<'_>, call: &Call, action: SlotAction) {
        let Some(mut message) = Event::custom(INFO) else { return };
        message.set(LOT, &self.0.of(&call.info.lot));
        message.set(EXTENSION, call.info.slot.as_str());
        message.set(ACTION, action.name());
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
