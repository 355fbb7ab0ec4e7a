//! Shares slots with the other nodes of a cluster, and retrieves their calls.

use std::time::Duration;

use super::call_log::{About, log_call};
use super::ending::Ending;
use super::identity::{PARKER_VARIABLE, Parker};
use super::template::{call_field, fill_in, percent_encoded};
use super::{AppResult, EventKind, ParkEvent, ParkOrder, ParkingService, Retriever, identity};
use crate::config::is_node_name;
use crate::freeswitch::{CancelToken, Dial, HangupCause, Leg};
use crate::parking::{
    Arrival, Call, CallInfo, CallOverrides, ChangedSlot, Denial, Ended, LeaveReason, LotName, Outcome, Refusal, Slot,
    SlotRequest, StoredCall,
};

/// How long the call to another node may ring.
const NODE_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The variable for the header with the ticket, which mod_sofia sends and receives.
const TICKET_VARIABLE: &str = "sip_h_X-CallPark-Ticket";

/// The one-time right to retrieve a call from another node: the call's UUID and the retriever's name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RetrieveTicket {
    pub(crate) uuid: String,
    pub(crate) retriever: String,
}

/// A message from one node to another: a request, or the answer to one, which has the same id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NodeMessage {
    pub(crate) id: String,
    /// The node that receives it.
    pub(crate) to: String,
    pub(crate) is_answer: bool,
    pub(crate) body: String,
}

/// The slot store that the nodes of a cluster share. No function takes longer than a caller can wait.
pub(crate) trait SlotStore: Send + Sync {
    /// Saves the calls in slots that have changed, for the next start and for the other nodes, and does not wait for that. A call whose slot is
    /// being allocated is written by the allocation.
    fn save(&self, service: &ParkingService, slots: &[ChangedSlot]);
    /// Allocates a slot for this node: writes the call if no other node has one in that slot, and waits for the answer. The error is the call of
    /// the node that has it. Without an answer the slot is this node's, because a caller does not wait for a database.
    fn allocate(&self, call: &Call) -> Result<(), Box<StoredCall>>;
    /// Forgets the leg of a call that has ended, so that it is not recovered.
    fn forget_leg(&self, uuid: &str);
    /// Issues a ticket with which a leg may retrieve a call at `node`, once. Returns false if the store does not answer.
    fn issue(&self, code: &str, node: &str, ticket: RetrieveTicket) -> bool;
    /// Redeems a ticket. Returns `None` if it is not valid for this node, or not any more.
    fn redeem(&self, code: &str) -> Option<RetrieveTicket>;
    /// Sends a message to another node, which reads it within a second. Returns false if the store does not answer.
    fn send(&self, message: NodeMessage) -> bool;
    /// Returns the names of the other nodes that are alive.
    fn live_nodes(&self) -> Vec<String>;
    /// Takes the answer to a request of this node, if there is one yet.
    fn take_answer(&self, id: &str) -> Option<String>;
}

/// The variable of a leg to another node whose retriever is gone. Its far end has not dialled the extension to which it is sent.
pub(super) const LEFT_BEHIND: &str = "callpark_left_behind";

impl ParkingService {
    pub(crate) fn clustered(&self) -> bool {
        self.config.get().settings.cluster
    }

    /// Returns the call of this node in a slot, including one that awaits recovery.
    pub(crate) fn own_call_at(&self, domain: &str, slot: &Slot) -> Option<Call> {
        self.table.lock().own_call_in(domain, slot)
    }

    /// Reserves the slots of the calls that this node had when it died.
    pub(crate) fn reserve_for_recovery(&self, calls: &[StoredCall], window: Duration) {
        self.change(|table, now| {
            for remote in calls {
                table.reserve_for_recovery(remote, now.after(window), now);
            }
        });
    }

    /// Replaces the calls of all other nodes. Phones stop ringing that this node rings for a call which has ended.
    pub(crate) fn replace_remote_calls(&self, calls: &[StoredCall]) {
        let ((), mut changed) = self.change_slots(|table, now| table.replace_remote_calls(calls, now));
        self.cancel_rings_for_ended_calls();
        // One event for each lot is enough for displays, which read all calls again.
        changed.sort_by(|(one, _), (other, _)| one.cmp(other));
        changed.dedup_by(|(one, _), (other, _)| one == other);
        for (lot, slot) in &changed {
            self.publish(&ParkEvent { lot: Some(lot), slot: Some(slot), ..ParkEvent::of(EventKind::OtherNode) });
        }
    }

    /// Gives up a call whose caller another node has recovered, because this node seemed to be dead. The leg here has no far end any more.
    /// It is not hung up, because its BYE could end the call on the other node.
    pub(crate) fn relinquish(&self, remote: &StoredCall) {
        if self.call_of(&remote.uuid).is_none_or(|call| !call.is_here()) {
            return;
        }
        log_call!(Warning, About::channel(&remote.uuid), slot = remote.slot, lot = remote.lot, node = remote.node; "relinquished call, another node recovered it");
        self.rings.cancel(&remote.uuid);
        self.leg_commands.post(&remote.uuid, super::wait::leg_commands::LegCommand::Forget);
        self.leg_commands.close(&remote.uuid);
        self.change(|table, now| table.leave(&remote.uuid, LeaveReason::Moved, now));
    }

    /// Ends a call whose node has died and whose caller nobody recovered.
    pub(crate) fn end_lost_remote_call(&self, remote: &StoredCall) {
        let call = self.change(|table, now| table.absent_call(remote, now));
        let ended = Ended { call, outcome: Outcome::Abandoned, wait: remote.waited };
        self.end_call(&ended, Ending { cause: Some(Ended::NOT_RECOVERED), ..Ending::default() });
    }

    /// Connects a leg with a call on another node, by a call to that node with a ticket. `code` is that of a ticket for which the node holds the call.
    pub(super) fn retrieve_from_node(
        &self,
        leg: &Leg<'_>,
        call: &Call,
        node: &str,
        retriever: &Retriever,
        code: Option<String>,
    ) -> AppResult {
        let gone = || AppResult::Refused(Refusal::Gone(call.info.slot.clone()));
        let out_of_reach = || AppResult::Refused(Refusal::OnOtherNode(call.info.slot.clone(), node.into()));
        let dial = self.settings().cluster_dial;
        if !is_node_name(node) {
            // The name comes from the database and would be a part of a dial string.
            log_call!(Error, call, node = node; "call cannot be retrieved, the slot store has an invalid node name");
            return out_of_reach();
        }
        if dial.is_empty() {
            log_call!(Error, call, node = node; "call cannot be retrieved from its node, cluster-dial is not set");
            return out_of_reach();
        }
        let Some(code) = code.or_else(random_secret) else { return out_of_reach() };
        let ticket = RetrieveTicket { uuid: call.info.uuid.to_string(), retriever: retriever.user.clone() };
        if !self.slot_store.issue(&code, node, ticket) {
            log_call!(Error, call, node = node; "call cannot be retrieved from its node, the slot store does not answer");
            return out_of_reach();
        }
        let to = fill_in(&dial, |name| match name {
            "node" => Some(node.to_owned()),
            "ticket" => Some(code.clone()),
            _ => call_field(call, name).map(|value| percent_encoded(&value)),
        });
        let retriever_party = identity::party(leg);
        let dial = Dial {
            to: &to,
            caller_name: &retriever_party.name,
            caller_number: &retriever_party.number,
            variables: &[(TICKET_VARIABLE, &code)],
            ring_timeout: NODE_ANSWER_TIMEOUT,
        };
        let peer = match self.outgoing.originate(&dial, &CancelToken::default()) {
            Ok(peer) => peer,
            Err(cause) => {
                log_call!(Error, call, node = node, cause = cause; "node of the call could not be called");
                return gone();
            }
        };
        leg.set_var("callpark_result", "retrieved");
        // A bridge with a leg that is gone would hang up on the caller.
        let talked = leg.ready() && self.bridge(leg, &peer, &retriever_party, &call.info.caller, &mut || {});
        if !talked {
            if !peer.hung_up() {
                self.park_caller_left_behind(&peer, call);
            }
            return gone();
        }
        if leg.ready() {
            leg.hang_up(HangupCause::NormalClearing);
        }
        AppResult::Retrieved
    }

    /// Parks a caller from another node here, behind the leg `peer`, because the retriever is gone and the caller has left the slot.
    fn park_caller_left_behind(&self, peer: &Leg<'_>, call: &Call) {
        let CallInfo { uuid, lot, slot, parker, .. } = &*call.info;
        self.change(|table, now| table.remove_remote_call(uuid, now));
        peer.set_var("callpark_label", &call.label);
        let id = lot;
        let lot = LotName { name: lot.name.to_string(), domain: Some(lot.domain.to_string()), may_be_new: true };
        // A lot that this node does not have has no time-out of its own.
        let overrides =
            CallOverrides { park_timeout: Some(call.info.settings.park_timeout), ..CallOverrides::default() };
        let order = |wanted| ParkOrder { overrides: overrides.clone(), ..ParkOrder::new(wanted, Some(lot.clone())) };
        let parker = Parker::user(parker.to_string());
        let send = |wanted| self.send_to_slot(&peer.uuid(), &order(wanted), parker.clone(), None, Arrival::Moved);
        let again = send(SlotRequest::Slot(slot.clone())).or_else(|_| send(SlotRequest::Auto));
        match again {
            Ok(now) => {
                log_call!(Warning, &now, previous_uuid = uuid; "caller from another node waits here, the retriever is gone")
            }
            Err(refusal) => {
                log_call!(Error, call, cause = refusal; "caller from another node has no slot here, the retriever is gone");
                // The caller is handled like any transferred caller without a slot.
                peer.set_var(PARKER_VARIABLE, &call.info.parker);
                peer.set_var(LEFT_BEHIND, "true");
                peer.transfer(&format!("callpark_park:{slot} {id}"), Some("inline"), None);
            }
        }
    }

    pub(super) fn has_ticket(&self, leg: &Leg<'_>) -> bool {
        self.clustered() && leg.var(TICKET_VARIABLE).is_some()
    }

    /// Redeems the ticket of a leg from another node. Returns the ticket and its code, or `None` if the leg has none.
    pub(super) fn redeem(&self, leg: &Leg<'_>) -> Option<Result<(RetrieveTicket, String), Refusal>> {
        let code = leg.var(TICKET_VARIABLE).filter(|_| self.clustered())?;
        leg.unset_var(TICKET_VARIABLE);
        let ticket = self.slot_store.redeem(&code).ok_or(Denial::InvalidTicket.into());
        Some(ticket.map(|ticket| (ticket, code)))
    }
}

/// Returns 128 random bits; `None` if the system has no random source.
pub(super) fn random_secret() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
