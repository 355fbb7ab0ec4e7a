//! Assigns parked calls to legs, for a command or for a pick-up of the ringing phone. Such a leg needs no permission of its own. The call is
//! claimed for the leg until it arrives.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::answered::NOT_CONNECTED;
use crate::freeswitch::{self, Leg, SessionGuard};
use crate::parking::{Call, MonotonicTime};
use crate::service::call_log::{About, log_call};
use crate::service::{ActionError, ParkingService};

/// How long a leg may take to arrive at the parked call.
const RETRIEVER_ARRIVAL_TIMEOUT: Duration = Duration::from_secs(10);

/// The parked calls by the UUID of the leg to which each is assigned, with the time of the assignment.
#[derive(Debug, Default)]
pub(in crate::service) struct Assigned(Mutex<HashMap<String, (Assignment, MonotonicTime)>>);

/// The parked call that is assigned to a leg.
#[derive(Clone, Debug)]
pub(super) struct Assignment {
    /// The UUID of its leg.
    pub(super) call: Arc<str>,
    /// The code of the ticket for which another node holds it.
    pub(super) held_by: Option<String>,
}

impl Assigned {
    /// Removes an assignment.
    pub(super) fn take(&self, leg: &str) -> Option<Assignment> {
        self.0.lock().remove(leg).map(|(call, _)| call)
    }

    fn overdue(&self, now: MonotonicTime) -> Vec<(String, Assignment)> {
        let mut legs = self.0.lock();
        let late = |leg: &str, since: MonotonicTime| {
            now.since(since) >= RETRIEVER_ARRIVAL_TIMEOUT || SessionGuard::find(leg).is_none()
        };
        let gone: Vec<String> =
            legs.iter().filter(|(leg, (_, since))| late(leg, *since)).map(|(leg, _)| leg.clone()).collect();
        gone.into_iter().filter_map(|leg| legs.remove(&leg).map(|(assignment, _)| (leg, assignment))).collect()
    }
}

impl ParkingService {
    /// Connects an existing leg with the parked call, for the command.
    pub(crate) fn retrieve_by_leg(&self, call: &Call, uuid: &str) -> Result<(), ActionError> {
        let leg = SessionGuard::find(uuid).ok_or_else(|| ActionError::NoSuchChannel(uuid.to_owned()))?;
        if let Some(parked) = self.call_of(uuid) {
            return Err(ActionError::IsParked { uuid: uuid.to_owned(), slot: parked.info.slot.clone() });
        }
        if leg.still_rings() {
            return Err(ActionError::NotAnswered(uuid.to_owned()));
        }
        self.change(|table, _| table.claim_leg(&call.info.uuid, uuid))?;
        self.rings.cancel(&call.info.uuid);
        self.send_to_caller(&leg, call, None)
    }

    /// Assigns a parked call to a leg, and sends the leg there. `held_by` is the code of the ticket for which another node holds the call.
    pub(super) fn send_to_caller(
        &self,
        leg: &Leg<'_>,
        call: &Call,
        held_by: Option<String>,
    ) -> Result<(), ActionError> {
        let uuid = leg.uuid();
        let assignment = Assignment { call: Arc::clone(&call.info.uuid), held_by };
        self.assigned.0.lock().insert(uuid.clone(), (assignment, freeswitch::now()));
        let extension = format!("callpark_retrieve:{} {}", call.info.slot, call.info.lot);
        if leg.transfer(&extension, Some("inline"), None) {
            return Ok(());
        }
        self.assigned.take(&uuid);
        self.release_retriever(&call.info.uuid, &uuid);
        Err(ActionError::CannotMove(uuid))
    }

    /// Releases the claims of legs that did not arrive.
    pub(in crate::service) fn release_unclaimed(&self) {
        for (leg, Assignment { call, held_by }) in self.assigned.overdue(freeswitch::now()) {
            let on_node = held_by.zip(self.call_of(&call));
            if let Some((code, call)) = &on_node {
                let user = self.take_answered(&leg).unwrap_or_default();
                self.release_on_node(call, code.clone(), &user, NOT_CONNECTED);
            }
            if on_node.is_some() || self.release_retriever(&call, &leg).is_some() {
                log_call!(Warning, About::channel(&call), retriever_uuid = leg; "retriever did not come, the caller waits on");
            }
        }
        self.forget_connected();
    }
}
