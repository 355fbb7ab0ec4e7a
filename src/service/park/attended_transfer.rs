//! Attended transfer: the parker dials a slot beside the call with the caller, hears which one it is, and then transfers the caller there.
//!
//! The slot is reserved as long as the parker's consulting leg exists, and passes to the caller's leg (`hand_over.rs`).

use super::hand_over::with_transfer_target;
use crate::freeswitch::{Leg, PlayToEnd, SessionGuard};
use crate::parking::{Arrival, Call, LeaveReason};
use crate::service::call_log::log_call;
use crate::service::identity::Parker;
use crate::service::wait::hold_music::Music;
use crate::service::wait::leg_commands::LegCommands;
use crate::service::{AppResult, EventKind, ParkEvent, ParkOrder, ParkingService, Prompt, identity};

impl ParkingService {
    /// Returns the other call of this leg's user, if there is one. Then the leg is a consultation. Another PBX may register as one user of this
    /// server, for all of its phones: the other call may be that of somebody else, and the leg must be parked. So unless the leg comes from the
    /// user's own phone, only a call on hold counts.
    pub(super) fn other_call_of_user(&self, leg: &Leg<'_>) -> Option<SessionGuard> {
        let user = self.user_of(leg);
        let own_phone = is_own_phone(leg, &user);
        (!user.is_empty()).then(|| self.other_call(leg)).flatten().filter(|other| own_phone || other.holding())
    }

    /// Returns the other call of the party at this leg's far end: of its user, or if it belongs to none, of the party that it names. That is reliable
    /// enough only to reserve an empty slot.
    pub(super) fn other_call(&self, leg: &Leg<'_>) -> Option<SessionGuard> {
        let user = self.user_of(leg);
        let among_all = || is_own_phone(leg, &user).then(|| self.other_call_among_all(leg, &user)).flatten();
        self.talking_legs.other_call(leg, &user).or_else(among_all)
    }

    /// Reserves a slot until the caller to whom this leg's user talks is transferred to it, or the user gives up.
    pub(super) fn consult(&self, leg: &Leg<'_>, other: SessionGuard, order: &ParkOrder) -> AppResult {
        let parker = Parker::user(self.user_of(leg));
        let mut request = self.request(leg, order, parker.clone(), None);
        if let Some(caller) = other.partner().and_then(|uuid| SessionGuard::find(&uuid)) {
            request.caller = identity::party(&caller).into();
        }
        drop(other);
        let allowed = self.may_park(leg, &request, Arrival::of(leg), &parker);
        let call = match allowed
            .and_then(|()| self.take(&request, |table, now| table.reserve_for_consultation(&request, now)))
        {
            Ok(call) => call,
            Err(refusal) => {
                let result = self.refuse_to_park(leg, &request, refusal);
                let (slot, lot) = (order.wanted.slot(), self.lot_of_order(leg, order));
                return with_transfer_target(leg, "callpark_park", slot, lot.as_deref(), || {
                    self.explain(leg, result, slot)
                });
            }
        };
        let (slot, lot) = (&call.info.slot, &call.info.lot);
        self.publish(&ParkEvent { call: Some(&call), leg: Some(leg), ..ParkEvent::of(EventKind::Reserve) });
        log_call!(Info, &call; "reserved slot for the transfer that follows");
        leg.set_var("callpark_result", "parked");
        leg.set_var("callpark_slot", slot.as_str());
        leg.set_var("callpark_lot", &lot.name);
        self.offer_hand_over(leg, &call);
        show_slot(leg, &call);
        if leg.answer_and_anchor_media() && call.info.settings.announce {
            self.say(leg, Prompt::AnnounceSlot, slot.as_str(), &mut PlayToEnd);
        }
        let (mut music, no_commands) = (Music::choose(&self.music, leg, &call.info.settings), LegCommands::default());
        while leg.ready() {
            music.play(leg, &no_commands, None);
        }
        if !self.leaves_slot_to_next(leg) {
            self.withdraw_hand_over(leg);
            log_call!(Info, &call; "released slot, the consultation is over");
            self.change(|table, now| table.leave(&request.uuid, LeaveReason::HungUp, now));
            self.publish(&ParkEvent { call: Some(&call), leg: Some(leg), ..ParkEvent::of(EventKind::Release) });
        }
        AppResult::Parked
    }
}

/// Whether a leg is a phone of its user, and not a call that another system forwards.
fn is_own_phone(leg: &Leg<'_>, user: &str) -> bool {
    leg.var("sip_from_user").is_some_and(|from| user.split_once('@').is_some_and(|(name, _)| name == from))
}

/// Shows the slot on the phone that dialled it, from the answer on.
pub(super) fn show_slot(leg: &Leg<'_>, call: &Call) {
    leg.set_var("initial_callee_id_name", &format!("Park {}", call.info.slot));
    leg.set_var("initial_callee_id_number", call.info.slot.as_str());
}
