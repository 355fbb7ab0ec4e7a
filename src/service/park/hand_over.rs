//! Hands slots over at attended transfers: a leg that replaces another one takes over the slot that this one occupies or has reserved.
//!
//! mod_sofia and mod_verto send a transferred leg to the `inline_destination` of the leg that ends (`nua_i_refer` in `sofia.c`).
//! A leg that comes by an INVITE with Replaces runs what `current_application` and `current_application_data` of the replaced one say
//! (`sofia_handle_sip_i_invite_replaces`). So each leg in a slot names there the application that parks its successor in that slot.
//! The data contains a secret, because a variable that a client can set must not name the slot of another leg.

use std::cell::Cell;
use std::collections::HashMap;

use parking_lot::Mutex;

use crate::freeswitch::Leg;
use crate::parking::{Call, ParkRequest, Refusal, Slot};
use crate::service::ParkingService;
use crate::service::call_log::{About, log_call};

/// The variable of the leg that takes over a slot, with the secret of the leg that had it.
const SECRET_VARIABLE: &str = "callpark_hand_over";
/// The variable in which the core finds the destination of the next leg.
const DESTINATION_VARIABLE: &str = "inline_destination";

/// The secrets of the legs in slots, by UUID.
#[derive(Debug, Default)]
pub(in crate::service) struct HandOvers(Mutex<HashMap<String, String>>);

impl HandOvers {
    fn holder(&self, secret: &str) -> Option<String> {
        self.0.lock().iter().find(|(_, of)| *of == secret).map(|(uuid, _)| uuid.clone())
    }

    pub(in crate::service) fn forget(&self, uuid: &str) {
        self.0.lock().remove(uuid);
    }
}

impl ParkingService {
    /// Offers the slot of a leg to the leg that replaces it.
    pub(super) fn offer_hand_over(&self, leg: &Leg<'_>, call: &Call) {
        let Some(secret) = crate::service::cluster::random_secret() else { return };
        let (slot, lot) = (&call.info.slot, &call.info.lot);
        let set = format!("{SECRET_VARIABLE}={secret},callpark_park:{slot} {lot}");
        self.hand_overs.0.lock().insert(leg.uuid(), secret);
        leg.set_var(DESTINATION_VARIABLE, &format!("set:{set}"));
        leg.set_var("current_application", "set");
        leg.set_var("current_application_data", &set);
    }

    /// Withdraws the offer, because the leg leaves its slot.
    pub(in crate::service) fn withdraw_hand_over(&self, leg: &Leg<'_>) {
        self.hand_overs.forget(&leg.uuid());
        leg.unset_var(DESTINATION_VARIABLE);
    }

    /// Returns the leg that this one replaces in an attended transfer, and removes the variable that tells it.
    pub(super) fn take_replaced_leg(&self, leg: &Leg<'_>) -> Option<String> {
        let secret = leg.var(SECRET_VARIABLE)?;
        leg.unset_var(SECRET_VARIABLE);
        self.hand_overs.holder(&secret)
    }

    /// Parks a leg in the slot of the leg that it replaces. Also returns whether that leg was parked (true) or had only reserved the
    /// slot.
    pub(in crate::service) fn take_over(&self, holder: &str, request: &ParkRequest) -> Result<(Call, bool), Refusal> {
        let was_parked = Cell::new(false);
        let call = self.take_here(request, |table, now| {
            was_parked.set(table.find_leg(holder).is_some_and(|call| call.was_parked));
            table.take_over(holder, request, now)
        })?;
        self.hand_overs.forget(holder);
        self.rings.cancel(holder);
        self.leg_commands.close(holder);
        log_call!(Info, &call, replaced = holder; "took over slot");
        log_call!(Info, About::channel(holder), by = call.info.uuid; "slot is taken over");
        Ok((call, was_parked.get()))
    }

    /// Keeps the slot of a leg that ends because another one replaces it. Returns false if the leg ends for another reason.
    pub(in crate::service) fn leaves_slot_to_next(&self, leg: &Leg<'_>) -> bool {
        if !leg.left_by_attended_transfer() {
            return false;
        }
        let uuid = leg.uuid();
        self.rings.cancel(&uuid);
        if self.change(|table, now| table.expect_replacement(&uuid, now)) {
            log_call!(Info, About::channel(&uuid); "reserved slot for the leg that takes the place of this one");
        }
        true
    }
}

/// Runs a dialled application that has no slot for its leg. If the user transfers a call meanwhile, the transferred leg runs the same
/// application, whatever its own context contains.
pub(super) fn with_transfer_target<T>(
    leg: &Leg<'_>,
    application: &str,
    slot: Option<&Slot>,
    lot: Option<&str>,
    run: impl FnOnce() -> T,
) -> T {
    let slot = slot.map_or("auto", Slot::as_str);
    leg.set_var(DESTINATION_VARIABLE, format!("{application}:{slot} {}", lot.unwrap_or("")).trim_end());
    let answer = run();
    leg.unset_var(DESTINATION_VARIABLE);
    answer
}
