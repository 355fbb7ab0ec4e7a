//! Connects a colleague who picks up the ringing phone of a recall with the caller.
//!
//! The phone rings on a leg that has no other leg. The core would connect the colleague with that leg, so each way of picking up is turned into a
//! retrieval:
//!
//! - An INVITE with Replaces runs what the leg names as its current application (`sofia_handle_sip_i_invite_replaces`).
//! - `pickup` puts the colleague's leg in the place of the one that rings (`CF_CHANNEL_SWAP`), as if that had answered.
//! - `intercept` of the caller's own leg takes the caller out of the slot. That leg is found by the ringing leg's call (`call_uuid`, as in
//!   FusionPBX), or as the last call to the user (`last_dialled.rs`).
//!
//! - `intercept` of the ringing leg itself: see `intercept.rs`.

use std::time::Duration;

use crate::freeswitch::{self, Leg, SessionGuard};
use crate::parking::{Call, State};
use crate::service::call_log::log_call;
use crate::service::error::RecallError;
use crate::service::template::percent_encoded;
use crate::service::{ParkingService, Retriever};

/// The variables of a leg with the application of the leg that replaces it.
const REPLACED_BY: [&str; 2] = ["current_application", "current_application_data"];
pub(super) const INTERCEPT: &str = "intercept";
/// The variable of a ringing leg with the UUID of the parked leg.
pub(super) const PARKED: &str = "call_uuid";
/// How long the core may take to note which leg has moved another one.
const NOTE_TIMEOUT: Duration = Duration::from_millis(100);
const NOTE_CHECK_INTERVAL: Duration = Duration::from_millis(5);
/// How long a colleague who picks up may take to claim the call.
const PICK_UP_TIMEOUT: Duration = Duration::from_secs(2);

/// Returns the argument of `callpark_retrieve` for the call of the parked leg `uuid`, which may be in a slot with a name, or wait for a slot. A Verto
/// client, and a SIP caller where `inbound-use-callid-as-uuid` is set, chooses the UUID of its leg, and the `inline` dialplan would run an application after
/// a comma.
pub(in crate::service) fn argument(uuid: &str) -> String {
    format!("call {}", percent_encoded(uuid))
}

/// Returns the variables of a leg that rings for the parked leg `uuid`.
pub(super) fn ringing_leg_variables<'a>(argument: &'a str, uuid: &'a str) -> [(&'static str, &'a str); 3] {
    let [application, data] = REPLACED_BY;
    // The ringing leg belongs to the call of the parked leg, as if that leg had called it.
    [(application, "callpark_retrieve"), (data, argument), (PARKED, uuid)]
}

/// Returns the leg that answered, unless it is the leg of a colleague who has picked up. Then the colleague is sent to the call.
pub(super) fn unless_picked_up(peer: SessionGuard, uuid: &str) -> Result<SessionGuard, RecallError> {
    if peer.var(freeswitch::PICKED_UP).is_some() {
        log_call!(Info, &*peer, call = uuid; "recall is picked up");
        send_to_retrieve(&peer, uuid);
        return Err(RecallError::PickedUp);
    }
    for name in REPLACED_BY {
        peer.unset_var(name);
    }
    Ok(peer)
}

/// Sends a leg to the application that retrieves the call, which checks the permission of its user.
pub(super) fn send_to_retrieve(leg: &Leg<'_>, uuid: &str) {
    leg.transfer(&format!("callpark_retrieve:{}", argument(uuid)), Some("inline"), None);
}

/// Returns the leg that took this one out of its slot. The core notes it a moment after it has moved this leg.
fn interceptor(leg: &Leg<'_>) -> Option<SessionGuard> {
    let noted = || {
        let moved = leg.var("transfer_source")?;
        SessionGuard::find(moved.rsplit_once(":uuid_br:")?.1).filter(|other| intercepts(other))
    };
    let until = freeswitch::now().after(NOTE_TIMEOUT);
    loop {
        // A leg that is sent to an extension, for example by this module, is not intercepted.
        let elsewhere = leg.is_being_routed();
        match noted().filter(|_| !elsewhere) {
            None if !elsewhere && !leg.hung_up() && freeswitch::now() < until => {
                std::thread::sleep(NOTE_CHECK_INTERVAL)
            }
            found => return found,
        }
    }
}

fn intercepts(leg: &Leg<'_>) -> bool {
    leg.var(REPLACED_BY[0]).as_deref() == Some(INTERCEPT)
}

impl ParkingService {
    /// Whether a recall ended because a colleague picks it up, who then claims the call.
    pub(in crate::service) fn is_picked_up(&self, call: &Call, failure: &RecallError) -> bool {
        let rings = || {
            let now = self.call_of(&call.info.uuid);
            now.is_some_and(|now| now.state == State::RingingBack && now.attempt == call.attempt)
        };
        let comes = failure.is_picked_up() || self.intercepts.expect_somebody_for(&call.info.uuid);
        let until = freeswitch::now().after(PICK_UP_TIMEOUT);
        while comes && rings() && freeswitch::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        !rings()
    }

    /// Returns the retriever who took a parked leg out of its slot by `intercept`.
    pub(in crate::service) fn intercepted_by(&self, leg: &Leg<'_>) -> Option<Retriever> {
        let other = interceptor(leg)?;
        other.set_var("callpark_result", "retrieved");
        Some(Retriever { user: self.user_of(&other), uuid: other.uuid() })
    }
}
