//! Picking up the ringing phone of a recall: the colleague who does so gets the caller.
//!
//! The phone rings on a leg of its own, with no other leg behind it. So an INVITE with Replaces runs what that leg names as its current
//! application (`sofia_handle_sip_i_invite_replaces`): retrieval. `intercept` of the caller's own leg takes the caller out of the slot.

use std::time::Duration;

use super::{Attendant, Retriever};
use crate::host::{self, Leg, Located};
use crate::parking::{Call, State};

/// On a leg: what whoever takes its place is to do.
const REPLACED_BY: [&str; 2] = ["current_application", "current_application_data"];
/// Whoever picks up needs so long at most to claim the call.
const PICKING_UP: Duration = Duration::from_secs(2);

/// Variables of a leg that rings for the parked call in `place` (slot and lot).
pub(super) fn on_the_ringing_leg(place: &str) -> [(&'static str, &str); 2] {
    [(REPLACED_BY[0], "callpark_retrieve"), (REPLACED_BY[1], place)]
}

/// From here on the leg is one of a conversation.
pub(super) fn answered(peer: &Leg<'_>) {
    for name in REPLACED_BY {
        peer.unset_var(name);
    }
}

impl Attendant {
    /// Whether a recall ended because a colleague picks it up, who then claims the call.
    pub(super) fn is_picked_up(&self, call: &Call, cause: &str) -> bool {
        let rings = || {
            let now = self.call_of(&call.facts.uuid);
            now.is_some_and(|now| now.state == State::RingingBack && now.attempt == call.attempt)
        };
        let until = host::now().after(PICKING_UP);
        while cause == "ATTENDED_TRANSFER" && rings() && host::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        !rings()
    }

    /// Who took a parked leg out of its slot by `intercept`.
    pub(super) fn intercepted_by(&self, leg: &Leg<'_>) -> Option<Retriever> {
        let moved = leg.var("transfer_source")?;
        let (_, uuid) = moved.rsplit_once(":uuid_br:")?;
        let other = Located::find(uuid).filter(|other| other.var(REPLACED_BY[0]).as_deref() == Some("intercept"))?;
        other.set_var("callpark_result", "retrieved");
        Some(Retriever { user: self.user_of(&other), uuid: uuid.to_owned() })
    }
}
