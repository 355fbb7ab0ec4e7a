//! Holds a parked call for a party whose phone rings, so that nobody else gets it meanwhile.
//!
//! The call may be on another node, which holds it then for the ticket with which the leg that answers will come (`cluster.rs`). That node releases the call
//! when it is told to, and by itself after the time for which the phone may ring, because this node may die.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;

use crate::freeswitch::{self, HangupCause, SessionGuard};
use crate::parking::{Call, MonotonicTime, Refusal};
use crate::service::call_action::CallAction;
use crate::service::call_log::log_call;
use crate::service::cluster::random_secret;
use crate::service::{ActionError, ErrorKind, EventKind, ParkEvent, ParkingService, entropy};

/// How much longer than a phone may ring another node holds a call, for the way of the answer.
const HOLD_MARGIN: Duration = Duration::from_secs(15);
/// The longest time for which a call is held for another node.
const MAX_HOLD_TIME: Duration = Duration::from_secs(600);

/// The claim of a parked call for a party whose phone rings. Dropping this releases the claim, unless it has passed to a leg.
pub(super) struct HeldCall {
    service: Arc<ParkingService>,
    call: Call,
    user: String,
    hold: Hold,
    /// Why the phone was not connected.
    cause: String,
}

enum Hold {
    /// By this node, for a holder of this name.
    Here(String),
    /// By the node of the call, for the ticket with this code.
    OnNode(String),
    /// The claim has passed to the leg that answered.
    Passed,
}

impl HeldCall {
    /// Holds a call for at most `ring_time`. Also returns the row of a call on another node.
    pub(super) fn hold(
        service: &Arc<ParkingService>,
        call: &Call,
        user: &str,
        ring_time: Duration,
        actor: Option<&str>,
    ) -> Result<(HeldCall, Option<Value>), ActionError> {
        let held = |call, hold| HeldCall {
            service: Arc::clone(service),
            call,
            user: user.to_owned(),
            hold,
            cause: "no phone was called".to_owned(),
        };
        let Some(node) = call.node() else {
            let holder = format!("ringing {:016x}", entropy());
            let call = service.change(|table, _| table.claim_leg(&call.info.uuid, &holder))?;
            service.note_actor(&call.info.uuid, actor, EventKind::RETRIEVED);
            service.show_held(&call, actor);
            return Ok((held(call, Hold::Here(holder)), None));
        };
        let code = random_secret().ok_or(ActionError::NoThread)?;
        let hold = CallAction::Hold {
            code: code.clone(),
            user: user.to_owned(),
            seconds: (ring_time + HOLD_MARGIN).as_secs(),
        };
        let row = service.act_on_node(node, call, hold, actor).inspect_err(|why| {
            if why.kind() == ErrorKind::Unavailable {
                // The answer may be late.
                service.release_on_node(call, code.clone(), user, &why.to_string());
            }
        })?;
        service.node_holds.rings.lock().push(Arc::clone(&call.info.uuid));
        Ok((held(call.clone(), Hold::OnNode(code)), row))
    }

    pub(super) fn call(&self) -> &Call {
        &self.call
    }

    pub(super) fn uuid(&self) -> &Arc<str> {
        &self.call.info.uuid
    }

    /// Sends the leg that has answered to the parked call.
    pub(super) fn connect(&mut self, leg: &SessionGuard) -> Result<(), ActionError> {
        let HeldCall { service, call, user, .. } = self;
        let (is_ours, code) = match &self.hold {
            Hold::Here(holder) => {
                (service.change(|table, _| table.hand_claim(&call.info.uuid, holder, &leg.uuid())), None)
            }
            Hold::OnNode(code) => (service.call_of(&call.info.uuid).is_some(), Some(code.clone())),
            Hold::Passed => (false, None),
        };
        if !is_ours {
            leg.hang_up(HangupCause::LoseRace);
            return Err(Refusal::NoLongerParked.into());
        }
        service.note_retriever(&call.info.uuid, &leg.uuid());
        service.note_answered(&leg.uuid(), call, user);
        let sent = service.send_to_caller(leg, call, code);
        if sent.is_ok() {
            self.end_ring();
            self.hold = Hold::Passed;
        }
        sent
    }

    /// Notes why nobody was connected, which is reported when the call is released.
    pub(super) fn failed(&mut self, why: &ActionError) {
        self.cause = why.to_string();
    }

    fn end_ring(&self) {
        self.service.node_holds.rings.lock().retain(|uuid| *uuid != self.call.info.uuid);
    }
}

impl Drop for HeldCall {
    fn drop(&mut self) {
        let service = &self.service;
        match std::mem::replace(&mut self.hold, Hold::Passed) {
            Hold::Here(holder) => {
                if service.change(|table, now| table.release(&self.call.info.uuid, &holder, now)).is_some() {
                    service.ringing_failed(&self.call, &self.user, &self.cause);
                    // A recall may have become due while the call was held.
                    service.execute_due();
                }
            }
            Hold::OnNode(code) => {
                self.end_ring();
                service.release_on_node(&self.call, code, &self.user, &self.cause);
            }
            Hold::Passed => {}
        }
    }
}

/// What the nodes of a cluster hold for each other.
#[derive(Debug, Default)]
pub(in crate::service) struct NodeHolds {
    /// The calls that this node holds for others.
    held: Mutex<Vec<HeldForNode>>,
    /// The UUIDs of the calls of other nodes for which phones ring here.
    rings: Mutex<Vec<Arc<str>>>,
}

#[derive(Debug)]
struct HeldForNode {
    uuid: Arc<str>,
    holder: String,
    until: MonotonicTime,
}

/// The name of the holder for which a call is held until the leg with a ticket comes.
fn holder_of(code: &str) -> String {
    format!("ticket {code}")
}

impl ParkingService {
    /// Holds a call for the ticket with this code, for another node that rings a phone.
    pub(in crate::service) fn hold_for_node(
        &self,
        call: &Call,
        code: &str,
        time: Duration,
        actor: Option<&str>,
    ) -> Result<(), ActionError> {
        let (holder, uuid) = (holder_of(code), Arc::clone(&call.info.uuid));
        let held = self.change(|table, _| table.claim_leg(&uuid, &holder))?;
        self.rings.cancel(&uuid);
        self.show_held(&held, actor);
        self.note_actor(&uuid, actor, EventKind::RETRIEVED);
        let until = freeswitch::now().after(time.min(MAX_HOLD_TIME));
        self.node_holds.held.lock().push(HeldForNode { uuid, holder, until });
        Ok(())
    }

    /// Has displays show that a call is held.
    fn show_held(&self, call: &Call, actor: Option<&str>) {
        self.publish(&ParkEvent { call: Some(call), actor, ..ParkEvent::of(EventKind::Retrieving) });
    }

    /// Releases a call that was held for another node, and reports that nobody was connected.
    pub(in crate::service) fn release_for_node(self: &Arc<Self>, call: &Call, code: &str, user: &str, cause: &str) {
        let holder = holder_of(code);
        self.node_holds.held.lock().retain(|held| held.holder != holder);
        if self.change(|table, now| table.release(&call.info.uuid, &holder, now)).is_some() {
            self.ringing_failed(call, user, cause);
            self.execute_due();
        }
    }

    /// Releases the calls whose node has not answered in time. It is called at each tick.
    pub(in crate::service) fn release_overdue_holds(&self) {
        let now = freeswitch::now();
        let overdue: Vec<HeldForNode> = {
            let mut held = self.node_holds.held.lock();
            let (overdue, rest) = std::mem::take(&mut *held).into_iter().partition(|held| held.until <= now);
            *held = rest;
            overdue
        };
        for HeldForNode { uuid, holder, .. } in overdue {
            if let Some(call) = self.call_of(&uuid).filter(|call| call.is_claimed_by(&holder)) {
                log_call!(Warning, &call; "retriever of another node did not come, the caller waits on");
                self.change(|table, now| table.release(&uuid, &holder, now));
                self.ringing_failed(&call, "", "the other node does not answer");
            }
        }
    }

    /// Claims a call for the leg with a ticket, for which it may be held.
    pub(super) fn claim_by_ticket(&self, call: &str, code: &str, leg: &str, user: &str) -> Result<Call, Refusal> {
        let holder = holder_of(code);
        self.node_holds.held.lock().retain(|held| held.holder != holder);
        let (is_held, claimed) = self.change(|table, _| {
            let is_held = table.hand_claim(call, &holder, leg);
            (is_held, table.claim_leg(call, leg))
        });
        if is_held {
            self.note_retriever(call, leg);
        }
        if let (true, Ok(call)) = (is_held, &claimed) {
            self.note_answered(leg, call, user);
        }
        claimed
    }

    /// Asks the node of a call to release it, and does not wait for that.
    pub(super) fn release_on_node(&self, call: &Call, code: String, user: &str, cause: &str) {
        let Some(node) = call.node() else { return };
        let release = CallAction::Release { code, user: user.to_owned(), cause: cause.to_owned() };
        self.send_request(node, &call.info.uuid, release, None);
    }

    /// Stops the phones that ring here for calls of other nodes which have ended.
    pub(in crate::service) fn cancel_rings_for_ended_calls(&self) {
        let rings = self.node_holds.rings.lock().clone();
        for uuid in rings.iter().filter(|uuid| self.call_of(uuid).is_none()) {
            self.rings.cancel(uuid);
        }
    }
}
