//! Attended transfer: the parker holds the caller, dials a slot, hears which one it is, and then transfers.
//!
//! The slot is kept for as long as the parker's consulting leg lives. mod_sofia sends the caller to that leg's
//! `inline_destination` (`nua_i_refer` in `sofia.c`), which says whose slot it is; and the leg then ends with a cause of its
//! own, by which a consultation that was given up is told from one that was carried out.

use std::time::Duration;

use super::park::{request, wanted_slot};
use super::{Attendant, Notice, ParkOrder, Verdict, What, identity};
use crate::host::{self, Leg, Located, ToTheEnd};
use crate::parking::{Call, Left, ParkRequest, Refusal};

/// On the caller's leg: whose slot it takes over.
const KEPT_BY: &str = "callpark_kept_by";

impl Attendant {
    /// The call that this leg's user has put on hold, if there is one: then what they dial is a consultation.
    pub(super) fn held_by_user_of(&self, leg: &Leg<'_>) -> Option<Located> {
        let (uuid, user) = (leg.uuid(), identity::user(leg));
        if user.is_empty() {
            return None;
        }
        let others = host::every_leg().into_iter().filter(|other| *other != uuid);
        others.filter_map(|other| Located::find(&other)).find(|other| other.holding() && identity::user(other) == user)
    }

    /// Keeps a slot until the caller whom this leg's user holds is transferred to it, or the user gives up.
    pub(super) fn consult(&self, leg: &Leg<'_>, held: Located, order: &ParkOrder) -> Verdict {
        let mut request = request(leg, order, identity::user(leg));
        if let Some(caller) = held.partner().and_then(|uuid| Located::find(&uuid)) {
            request.caller = identity::party(&caller).into();
        }
        drop(held);
        let call = match self.take(&request, |table, now| table.keep(&request, now)) {
            Ok(call) => call,
            Err(refusal) => {
                let verdict = self.refuse_to_park(leg, &request, refusal);
                return self.explain(leg, verdict, wanted_slot(&order.wanted));
            }
        };
        let (slot, lot) = (&call.facts.slot, &call.facts.lot);
        self.notify(&Notice { call: Some(&call), ..Notice::of(What::Reserve) });
        log::info!("{slot} of {lot} is kept for the call that {} holds", request.parker);
        leg.set_var("callpark_result", "parked");
        leg.set_var("callpark_slot", slot.as_str());
        leg.set_var("callpark_lot", &lot.name);
        leg.set_var("inline_destination", &format!("set:{KEPT_BY}={},callpark_park:{slot} {lot}", leg.uuid()));
        show_slot(leg, &call);
        if leg.make_audible() && call.facts.terms.announce {
            leg.say(c"callpark_announce_slot", slot.as_str(), &mut ToTheEnd);
        }
        while leg.ready() {
            leg.sleep(Duration::from_millis(200));
        }
        leg.unset_var("inline_destination");
        if leg.replaced() {
            self.change(|table, now| table.expect(&request.uuid, now));
        } else {
            self.change(|table, now| table.left(&request.uuid, Left::HungUp, now));
            self.notify(&Notice { call: Some(&call), ..Notice::of(What::Release) });
        }
        Verdict::Parked
    }

    /// The transferred caller's slot, where one was kept for it.
    pub(super) fn take_over(&self, leg: &Leg<'_>, request: &ParkRequest) -> Option<Result<Call, Refusal>> {
        let kept_by = leg.var(KEPT_BY)?;
        leg.unset_var(KEPT_BY);
        Some(self.take(request, |table, now| table.take_over(&kept_by, request, now)))
    }
}

/// The slot on the display of a phone that dialled it, from the first answer on.
pub(super) fn show_slot(leg: &Leg<'_>, call: &Call) {
    leg.set_var("initial_callee_id_name", &format!("Park {}", call.facts.slot));
    leg.set_var("initial_callee_id_number", call.facts.slot.as_str());
}
