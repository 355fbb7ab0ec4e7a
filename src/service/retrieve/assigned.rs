//! Assigns parked calls to legs, for a command or for a pick-up of the ringing phone. Such a leg needs no permission of its own. The call is
//! claimed for the leg until it arrives.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::freeswitch::{self, Dial, HangupCause, Leg, SessionGuard};
use crate::parking::{Call, MonotonicTime, Party, Refusal};
use crate::service::call_log::{About, log_call};
use crate::service::{ActionError, ParkingService, entropy};

/// How long a leg may take to arrive at the parked call.
const RETRIEVER_ARRIVAL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a dialled party may ring.
const DIAL_RING_TIMEOUT: Duration = Duration::from_secs(60);

/// The parked calls by the UUID of the leg to which each is assigned, with the time of the assignment.
#[derive(Debug, Default)]
pub(in crate::service) struct Assigned(Mutex<HashMap<String, (Arc<str>, MonotonicTime)>>);

impl Assigned {
    /// Removes an assignment, and returns the UUID of the parked call.
    pub(in crate::service) fn take(&self, leg: &str) -> Option<Arc<str>> {
        self.0.lock().remove(leg).map(|(call, _)| call)
    }

    fn overdue(&self, now: MonotonicTime) -> Vec<(String, Arc<str>)> {
        let mut legs = self.0.lock();
        let late = |leg: &str, since: MonotonicTime| {
            now.since(since) >= RETRIEVER_ARRIVAL_TIMEOUT || SessionGuard::find(leg).is_none()
        };
        let gone: Vec<String> =
            legs.iter().filter(|(leg, (_, since))| late(leg, *since)).map(|(leg, _)| leg.clone()).collect();
        gone.into_iter().filter_map(|leg| legs.remove(&leg).map(|(call, _)| (leg, call))).collect()
    }
}

/// The claim of a parked call for a party who is being dialled. Dropping this releases the claim, unless it has passed to a leg.
struct ClaimGuard<'a> {
    service: &'a ParkingService,
    call: &'a str,
    holder: String,
}

impl Drop for ClaimGuard<'_> {
    fn drop(&mut self) {
        self.service.change(|table, now| table.release(self.call, &self.holder, now));
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
        self.send_to_caller(&leg, call)
    }

    /// Dials a party and connects it with the parked call, for the command. The call is claimed meanwhile.
    pub(crate) fn retrieve_by_dialling(&self, call: &Call, dial: &str) -> Result<(), ActionError> {
        let uuid = &*call.info.uuid;
        let claim = ClaimGuard { service: self, call: uuid, holder: format!("dialling {:016x}", entropy()) };
        self.change(|table, _| table.claim_leg(uuid, &claim.holder))?;
        let Party { name, number } = &*call.info.caller;
        let dial = Dial {
            to: dial,
            caller_name: name,
            caller_number: number,
            variables: &[],
            ring_timeout: DIAL_RING_TIMEOUT,
        };
        let cancel = self.rings.begin(uuid);
        let answered = self.outgoing.originate(&dial, &cancel);
        self.rings.finish(uuid, &cancel);
        let leg = answered?;
        if self.change(|table, _| table.hand_claim(uuid, &claim.holder, &leg.uuid())) || !call.is_here() {
            return self.send_to_caller(&leg, call);
        }
        leg.hang_up(HangupCause::LoseRace);
        Err(Refusal::NoLongerParked.into())
    }

    /// Assigns a parked call to a leg, and sends the leg there.
    pub(super) fn send_to_caller(&self, leg: &Leg<'_>, call: &Call) -> Result<(), ActionError> {
        let uuid = leg.uuid();
        self.assigned.0.lock().insert(uuid.clone(), (Arc::clone(&call.info.uuid), freeswitch::now()));
        let extension = format!("callpark_retrieve:{} {}", call.info.slot, call.info.lot);
        if leg.transfer(&extension, Some("inline"), None) {
            return Ok(());
        }
        self.assigned.take(&uuid);
        self.change(|table, now| table.release(&call.info.uuid, &uuid, now));
        Err(ActionError::CannotMove(uuid))
    }

    /// Releases the claims of legs that did not arrive.
    pub(in crate::service) fn release_unclaimed(&self) {
        for (leg, call) in self.assigned.overdue(freeswitch::now()) {
            if self.change(|table, now| table.release(&call, &leg, now)).is_some() {
                log_call!(Warning, About::channel(&call), retriever_uuid = leg; "retriever did not come, the caller waits on");
            }
        }
    }
}
