//! Legs to which a command, or a pick-up of the ringing phone, gives a parked call. They need no permission: whoever decided that
//! has it. The call is kept for them while they are on their way to it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::freeswitch::{self, Dial, HangupCause, Leg, SessionGuard};
use crate::parking::{Call, MonotonicTime, Party, Refusal};
use crate::service::call_log::{About, log_call};
use crate::service::{ActionError, ParkingService, entropy};

/// For how long a leg may take to come to the parked call.
const RETRIEVER_ARRIVAL_TIMEOUT: Duration = Duration::from_secs(10);
/// For how long a dialled party may let it ring.
const DIAL_RING_TIMEOUT: Duration = Duration::from_secs(60);

/// Parked calls by the UUID of the leg that each is given to, and since when.
#[derive(Debug, Default)]
pub(in crate::service) struct Assigned(Mutex<HashMap<String, (Arc<str>, MonotonicTime)>>);

impl Assigned {
    /// The parked call's UUID, once.
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

/// A parked call that is kept for a party who is being dialled. Waits on when this is dropped, unless it was given to a leg.
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
    /// The command: brings a leg that exists to the parked call.
    pub(crate) fn retrieve_by_leg(&self, call: &Call, uuid: &str) -> Result<(), ActionError> {
        let leg = SessionGuard::find(uuid).ok_or_else(|| ActionError::NoSuchChannel(uuid.to_owned()))?;
        if let Some(parked) = self.call_of(uuid) {
            return Err(ActionError::IsParked { uuid: uuid.to_owned(), slot: parked.info.slot.clone() });
        }
        if leg.still_rings() {
            return Err(ActionError::NotAnswered(uuid.to_owned()));
        }
        match self.change(|table, _| table.claim_leg(&call.info.uuid, uuid)) {
            Ok(_) | Err(Refusal::OnOtherNode(..)) => {}
            Err(refusal) => return Err(refusal.into()),
        }
        self.rings.cancel(&call.info.uuid);
        self.send_to_caller(&leg, call)
    }

    /// The command: calls a dial string, and whoever answers gets the parked call, which is kept for them meanwhile.
    pub(crate) fn retrieve_by_dialling(&self, call: &Call, dial: &str) -> Result<(), ActionError> {
        let uuid = &*call.info.uuid;
        let claim = ClaimGuard { service: self, call: uuid, holder: format!("dialling {:016x}", entropy()) };
        match self.change(|table, _| table.claim_leg(uuid, &claim.holder)) {
            Ok(_) | Err(Refusal::OnOtherNode(..)) => {}
            Err(refusal) => return Err(refusal.into()),
        }
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
        self.rings.over(uuid, &cancel);
        let leg = answered?;
        if self.change(|table, _| table.hand_claim(uuid, &claim.holder, &leg.uuid())) || !call.is_here() {
            return self.send_to_caller(&leg, call);
        }
        leg.hang_up(HangupCause::LoseRace);
        Err(Refusal::Empty(format!("slot {} any more", call.info.slot)).into())
    }

    /// Gives a parked call to a leg, and sends the leg there.
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

    /// Calls whose retrievers never came wait on.
    pub(in crate::service) fn release_unclaimed(&self) {
        for (leg, call) in self.assigned.overdue(freeswitch::now()) {
            if self.change(|table, now| table.release(&call, &leg, now)) {
                log_call!(Warning, About::channel(&call), retriever_uuid = leg; "retriever did not come, the caller waits on");
            }
        }
    }
}
