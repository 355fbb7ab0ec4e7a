//! Parks the call that a user holds, from another leg of the user: hold the call, dial a number, hear the slot.

use std::time::Duration;

use super::ParkOrder;
use super::announce::show_parked;
use crate::freeswitch::{HangupCause, Leg, SessionGuard};
use crate::parking::{Arrival, Call, Refusal};
use crate::service::call_log::log_call;
use crate::service::{AppResult, ParkingService};

/// How long the caller may take to leave the bridge.
const BRIDGE_EXIT_TIME: Duration = Duration::from_millis(300);

impl ParkingService {
    /// Runs `callpark_park held`: parks the party whom the user of this leg holds on another leg, announces the slot, and hangs up both legs of the
    /// user. If that fails, the call stays on hold.
    pub(crate) fn park_held(&self, leg: &Leg<'_>, order: &ParkOrder) -> AppResult {
        let parked =
            self.held_call(leg).and_then(|held| self.send_held_to_slot(&held, order).map(|call| (held.uuid(), call)));
        match parked {
            Ok((held, call)) => self.announce_parked_held(leg, &held, &call),
            Err(refusal) => {
                let slot = order.wanted.slot();
                let result = self.refuse(leg, "parking", AppResult::Refused(refusal), None, slot);
                self.answer_to_explain(leg);
                self.explain(leg, result, slot)
            }
        }
    }

    /// Returns the leg on which the user of this leg holds somebody; the one that was connected last, if there are several.
    fn held_call(&self, leg: &Leg<'_>) -> Result<SessionGuard, Refusal> {
        let user = self.user_of(leg);
        let held = (!user.is_empty()).then(|| self.talking_legs.held_call(leg, &user)).flatten();
        held.ok_or(Refusal::NothingHeld(if user.is_empty() { "a leg that belongs to no user".into() } else { user }))
    }

    fn send_held_to_slot(&self, held: &Leg<'_>, order: &ParkOrder) -> Result<Call, Refusal> {
        let caller = held.partner().ok_or_else(|| Refusal::NothingHeld(self.user_of(held)))?;
        self.send_to_slot(&caller, order, self.parker_on(held), Some(held), Arrival::Transferred)
    }

    /// Tells the slot to the leg of the user. A leg in a conversation stays in it.
    fn announce_parked_held(&self, leg: &Leg<'_>, held: &str, call: &Call) -> AppResult {
        log_call!(Debug, leg, slot = call.info.slot, lot = call.info.lot, held = held; "parked the call that is on hold");
        show_parked(leg, call);
        let is_alone = leg.partner().is_none();
        if is_alone {
            super::attended_transfer::show_slot(leg, call);
            leg.answer_and_anchor_media();
        }
        leg.sleep(BRIDGE_EXIT_TIME);
        if let Some(held) = SessionGuard::find(held) {
            held.hang_up(HangupCause::NormalClearing);
        }
        self.tell_slot(leg, call);
        if is_alone {
            leg.hang_up(HangupCause::NormalClearing);
        }
        AppResult::Parked
    }

    fn answer_to_explain(&self, leg: &Leg<'_>) {
        if leg.partner().is_none() {
            leg.answer_and_anchor_media();
        }
    }
}
