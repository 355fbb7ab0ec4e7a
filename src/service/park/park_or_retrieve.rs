//! Implements the application for one extension that parks and retrieves, and handles invalid data of applications.

use std::error::Error;
use std::sync::Arc;

use super::hand_over::with_transfer_target;
use crate::freeswitch::Leg;
use crate::parking::{Arrival, Refusal, RetrieveTarget, SlotRequest};
use crate::service::{AppResult, ParkOrder, ParkingService, RetrieveOrder, identity};

impl ParkingService {
    /// Runs `callpark_slot`. A transferred leg is parked. From a leg in a conversation, the other party is parked. A leg that dialled
    /// retrieves and is never parked itself; an empty slot is reserved for the other call of its user.
    pub(crate) fn park_or_retrieve(
        self: &Arc<Self>,
        leg: &Leg<'_>,
        park: &ParkOrder,
        retrieve: &RetrieveOrder,
    ) -> AppResult {
        if self.has_ticket(leg) {
            return self.retrieve(leg, retrieve);
        }
        if leg.partner().is_some() || identity::was_transferred(leg) {
            return self.park(leg, park);
        }
        if !self.is_slot_empty(leg, retrieve) {
            return self.retrieve(leg, retrieve);
        }
        match self.other_call(leg) {
            Some(other) => self.consult(leg, other, park),
            None => {
                let lot = self.lot_of_order(leg, park);
                let slot = park.wanted.slot();
                with_transfer_target(leg, "callpark_slot", slot, lot.as_deref(), || self.retrieve(leg, retrieve))
            }
        }
    }

    /// Runs `valet_park` with a slot: as `callpark_slot`, but a leg that dials an empty slot is parked there. A user whom a command or a script sends to
    /// an occupied slot retrieves; two callers are never connected.
    pub(crate) fn park_or_retrieve_as_valet(
        self: &Arc<Self>,
        leg: &Leg<'_>,
        park: &ParkOrder,
        retrieve: &RetrieveOrder,
    ) -> AppResult {
        let parks = || match Arrival::of(leg) {
            Arrival::Transferred => true,
            Arrival::Moved => self.user_of(leg).is_empty() || self.is_slot_empty(leg, retrieve),
            Arrival::Dialled | Arrival::Chosen => self.is_slot_empty(leg, retrieve),
        };
        if !self.has_ticket(leg) && (leg.partner().is_some() || parks()) {
            self.park(leg, park)
        } else {
            self.retrieve(leg, retrieve)
        }
    }

    fn is_slot_empty(&self, leg: &Leg<'_>, order: &RetrieveOrder) -> bool {
        let place = self.lot_selector(leg, order.lot.clone(), None);
        let RetrieveTarget::Slot(slot) = &order.target else { return false };
        matches!(self.table.lock().find(&place, slot), Err(Refusal::Empty(_)))
    }

    /// Handles invalid data of an application that parks. A transferred leg returns to its parker, as for a slot that does not exist; any other
    /// leg hears the reason.
    pub(crate) fn refuse_invalid_park(
        self: &Arc<Self>,
        leg: &Leg<'_>,
        application: &str,
        why: &dyn Error,
    ) -> AppResult {
        if leg.partner().is_some() || !identity::was_transferred(leg) {
            return self.refuse_invalid(leg, application, why);
        }
        let request = self.request(leg, &ParkOrder::new(SlotRequest::Auto, None), self.parker_of(leg), None);
        let result = self.refuse(leg, application, AppResult::Invalid(why.to_string()), None, None);
        self.without_slot(leg, &request, result, true)
    }

    /// Handles invalid data of an application: the leg hears the reason and continues in its dialplan.
    pub(crate) fn refuse_invalid(&self, leg: &Leg<'_>, application: &str, why: &dyn Error) -> AppResult {
        let result = self.refuse(leg, application, AppResult::Invalid(why.to_string()), None, None);
        self.explain(leg, result, None)
    }
}
