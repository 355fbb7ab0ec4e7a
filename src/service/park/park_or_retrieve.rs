//! The application for one extension that parks and retrieves, and what applications do with data that makes no sense.

use std::error::Error;
use std::sync::Arc;

use super::hand_over::with_transfer_target;
use crate::freeswitch::Leg;
use crate::parking::{Refusal, RetrieveTarget, SlotRequest};
use crate::service::{AppResult, ParkOrder, ParkingService, RetrieveOrder, identity};

impl ParkingService {
    /// The application for one extension that parks and retrieves: a leg that a transfer brought is parked, and so is the
    /// other party of one that is in a conversation; one that dialled retrieves, and is never parked itself, but an empty slot
    /// is kept for the call that its user holds.
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

    fn is_slot_empty(&self, leg: &Leg<'_>, order: &RetrieveOrder) -> bool {
        let place = self.place(leg, order.lot.clone(), None);
        let RetrieveTarget::Slot(slot) = &order.pick else { return false };
        matches!(self.table.lock().find(&place, slot), Err(Refusal::Empty(_)))
    }

    /// The same where a leg was to be parked. One that a transfer brought cannot be told, and goes back to its parker as from a slot that
    /// does not exist.
    pub(crate) fn invalid_park(self: &Arc<Self>, leg: &Leg<'_>, application: &str, why: &dyn Error) -> AppResult {
        if leg.partner().is_some() || !identity::was_transferred(leg) {
            return self.invalid(leg, application, why);
        }
        let request = self.request(leg, &ParkOrder { wanted: SlotRequest::Auto, lot: None }, self.parker_of(leg), None);
        let verdict = self.refuse(leg, application, AppResult::Invalid(why.to_string()), None, None);
        self.without_slot(leg, &request, verdict, true)
    }

    /// What an application was told makes no sense: the leg is told so and goes on in its dialplan.
    pub(crate) fn invalid(&self, leg: &Leg<'_>, application: &str, why: &dyn Error) -> AppResult {
        let verdict = self.refuse(leg, application, AppResult::Invalid(why.to_string()), None, None);
        self.explain(leg, verdict, None)
    }
}
