//! The legs that have answered for a call that was held for them, until each is connected. If one is not, because it hangs up at once, the call waits on, and
//! this is reported as for a phone that does not answer: displays have shown the call as held.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::freeswitch;
use crate::parking::{Call, Claimant};
use crate::service::ParkingService;

/// The reason that is reported.
pub(super) const NOT_CONNECTED: &str = "the phone answered and was not connected";

/// The answered legs by UUID.
#[derive(Debug, Default)]
pub(in crate::service) struct AnsweredLegs(Mutex<HashMap<String, AnsweredLeg>>);

#[derive(Debug)]
struct AnsweredLeg {
    call: Call,
    /// The user whose phone it is; empty for a dial string.
    user: String,
}

impl ParkingService {
    /// Notes that a leg has answered, to which the claim of a call that was held has passed.
    pub(super) fn note_answered(&self, leg: &str, call: &Call, user: &str) {
        let answered = AnsweredLeg { call: call.clone(), user: user.to_owned() };
        self.answered.0.lock().insert(leg.to_owned(), answered);
    }

    /// Returns the user of a leg that has answered, and forgets it.
    pub(super) fn take_answered(&self, leg: &str) -> Option<String> {
        self.answered.0.lock().remove(leg).map(|answered| answered.user)
    }

    /// Ends the claim of a leg that was not connected, so that the call waits on.
    pub(in crate::service) fn release_retriever(&self, call: &str, leg: &str) -> Option<Claimant> {
        let released = self.change(|table, now| table.release(call, leg, now));
        let answered = self.answered.0.lock().remove(leg);
        if let (Some(_), Some(AnsweredLeg { call, user })) = (&released, answered) {
            self.ringing_failed(&call, &user, NOT_CONNECTED);
        }
        released
    }

    /// Forgets the legs that have been connected. It is called at each tick.
    pub(super) fn forget_connected(&self) {
        let waits = |leg: &str, call: &Call| {
            // A call on another node is claimed there, and its leg is assigned here.
            self.call_of(&call.info.uuid).is_some_and(|now| now.node().is_some() || now.is_claimed_by(leg))
                && freeswitch::SessionGuard::find(leg).is_some()
        };
        let legs: Vec<(String, Call)> =
            self.answered.0.lock().iter().map(|(leg, answered)| (leg.clone(), answered.call.clone())).collect();
        for (leg, _) in legs.iter().filter(|(leg, call)| !waits(leg, call)) {
            self.answered.0.lock().remove(leg);
        }
    }
}
