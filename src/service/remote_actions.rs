//! Carries out the actions of commands and of the HTTP API on a parked call, whichever node of a cluster has it.
//!
//! The nodes share nothing but their database. So a request for a call on another node is a row of a table of messages, which that node reads once a second;
//! it carries out the action, and answers with another row. A message is read once, within five seconds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::call_action::{CallAction, ParkChoice};
use super::call_log::{About, log_call};
use super::cluster::{NodeMessage, random_secret};
use super::error::ErrorKind;
use super::{ActionError, ParkOrder, ParkingService};
use crate::freeswitch::CancelToken;
use crate::parking::{Call, Destination, Extension, LotName, Refusal, Slot, SlotRequest};

/// How long a request waits for the answer of the other node, which reads its messages once a second.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(6);
const ANSWER_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// The body of a message that asks for an action.
#[derive(Debug, Serialize, Deserialize)]
struct NodeRequest {
    /// The node that asks, and gets the answer.
    from: String,
    /// The UUID of the parked leg.
    uuid: String,
    actor: Option<String>,
    action: CallAction,
}

/// The body of its answer.
#[derive(Debug, Serialize, Deserialize)]
struct NodeAnswer {
    error: Option<(ErrorKind, String)>,
    /// The row of the call after the action.
    call: Option<Value>,
}

impl NodeAnswer {
    fn into_result(self) -> Result<Option<Value>, ActionError> {
        match self.error {
            Some((kind, text)) => Err(ActionError::OnOtherNode { kind, text }),
            None => Ok(self.call),
        }
    }
}

impl ParkingService {
    /// Carries out an action on a call. If the call is on another node, this waits for the answer of that node, and returns the row of the call
    /// after the action.
    pub(crate) fn act(
        self: &Arc<Self>,
        call: &Call,
        action: CallAction,
        actor: Option<&str>,
    ) -> Result<Option<Value>, ActionError> {
        match (call.node(), action) {
            (None, action) => self.act_here(call, action, actor).map(|()| None),
            (Some(_), CallAction::Transfer(to)) if to.dialplan.is_some() => {
                Err(call.must_be_here().err().map_or(ActionError::CallerGone, ActionError::from))
            }
            (Some(node), CallAction::Transfer(to)) => {
                self.act_on_node(node, call, CallAction::SendTo { extension: to.extension, as_lot: false }, actor)
            }
            (Some(node), action) => self.act_on_node(node, call, action, actor),
        }
    }

    fn act_here(self: &Arc<Self>, call: &Call, action: CallAction, actor: Option<&str>) -> Result<(), ActionError> {
        match action {
            CallAction::Recall => self.recall_now(call, actor)?,
            CallAction::SendTo { extension, as_lot } => {
                let to = Extension::parse(&extension).ok_or(ActionError::TransferRefused(extension))?;
                let as_call = || Destination { extension: to.as_str().to_owned(), dialplan: None, context: None };
                let to = if as_lot { Destination::of_lot(&to, &call.info.settings) } else { as_call() };
                self.transfer(call, &to, actor)?;
            }
            CallAction::Transfer(to) => self.transfer(call, &to, actor)?,
            CallAction::Label { text } => self.label(call, &text, actor)?,
            CallAction::Extend { seconds } => drop(self.extend(call, Duration::from_secs(seconds), actor)?),
            CallAction::Ring(order) => self.ring_and_wait(call, order, actor)?,
            CallAction::Hold { code, seconds, .. } => {
                self.hold_for_node(call, &code, Duration::from_secs(seconds), actor)?;
            }
            CallAction::Release { code, user, cause } => self.release_for_node(call, &code, &user, &cause),
            CallAction::Park(_) => return Err(Refusal::AlreadyParked(call.info.slot.clone()).into()),
        }
        Ok(())
    }

    /// Parks the party to whom a user talks. If the leg `uuid` is on another node, that node does it. Returns the row of the parked call.
    pub(crate) fn park_anywhere(
        self: &Arc<Self>,
        uuid: &str,
        choice: ParkChoice,
        actor: &str,
    ) -> Result<Value, ActionError> {
        match self.park_as_chosen(uuid, &choice, actor) {
            Err(ActionError::NoSuchChannel(_)) if self.clustered() => {}
            parked => return parked,
        }
        let ask = |node: String| self.send_request(&node, uuid, CallAction::Park(choice.clone()), Some(actor));
        let asked = self.slot_store.live_nodes().into_iter().filter_map(ask).collect();
        let unknown = || ActionError::NoSuchChannel(uuid.to_owned());
        // The other nodes do not have the leg.
        let is_last = |answer: &NodeAnswer| !matches!(&answer.error, Some((ErrorKind::NotFound, _)));
        self.wait_for_answer(asked, is_last).ok_or_else(unknown)?.into_result()?.ok_or_else(unknown)
    }

    fn park_as_chosen(&self, uuid: &str, choice: &ParkChoice, actor: &str) -> Result<Value, ActionError> {
        let ParkChoice { slot, lot, of } = choice;
        let wanted = slot.as_deref().and_then(Slot::parse_with_names).map_or(SlotRequest::Auto, SlotRequest::Slot);
        let order = ParkOrder::new(wanted, lot.as_deref().and_then(LotName::parse));
        let call = self.park_conversation(uuid, &order, of, actor)?;
        let row = self.row_when_arrived(&call);
        serde_json::to_value(row).map_err(|_| ActionError::CallerGone)
    }

    /// Asks a node for an action on its call, and waits for the answer. Returns the row of the call after the action.
    pub(super) fn act_on_node(
        &self,
        node: &str,
        call: &Call,
        action: CallAction,
        actor: Option<&str>,
    ) -> Result<Option<Value>, ActionError> {
        let away = || ActionError::NodeDoesNotAnswer(node.to_owned());
        if !self.slot_store.live_nodes().iter().any(|live| live == node) {
            return Err(away());
        }
        let name = action.name();
        let asked = self.send_request(node, &call.info.uuid, action, actor).ok_or_else(away)?;
        let Some(answer) = self.wait_for_answer(vec![asked], |_| true) else {
            log_call!(Warning, call, node = node, action = name; "node of the call does not answer");
            return Err(away());
        };
        answer.into_result()
    }

    /// Sends a request about a leg to a node. Returns its id, or `None` if the slot store does not answer.
    pub(super) fn send_request(
        &self,
        node: &str,
        uuid: &str,
        action: CallAction,
        actor: Option<&str>,
    ) -> Option<String> {
        let (from, uuid) = (self.node_name(), uuid.to_owned());
        let request = NodeRequest { from, uuid, actor: actor.map(str::to_owned), action };
        let id = random_secret()?;
        let body = serde_json::to_string(&request).ok()?;
        let sent = self.slot_store.send(NodeMessage { id: id.clone(), to: node.to_owned(), is_answer: false, body });
        sent.then_some(id)
    }

    /// Waits for the first answer that `is_last`, or for all of them. Returns the last one.
    fn wait_for_answer(&self, mut asked: Vec<String>, is_last: impl Fn(&NodeAnswer) -> bool) -> Option<NodeAnswer> {
        let until = Instant::now() + ANSWER_TIMEOUT;
        let mut last = None;
        while Instant::now() < until && !asked.is_empty() {
            std::thread::sleep(ANSWER_CHECK_INTERVAL);
            for id in std::mem::take(&mut asked) {
                match self.slot_store.take_answer(&id).map(|answer| serde_json::from_str(&answer).ok()) {
                    None => asked.push(id),
                    Some(answer) => last = answer,
                }
                if last.as_ref().is_some_and(&is_last) {
                    return last;
                }
            }
        }
        last
    }

    fn row_as_json(&self, uuid: &str) -> Option<Value> {
        serde_json::to_value(self.row_of(uuid)?).ok()
    }

    /// Carries out a request of another node, on a thread of its own, and answers it.
    pub(crate) fn execute_request(self: &Arc<Self>, id: &str, body: &str) {
        let Ok(request) = serde_json::from_str::<NodeRequest>(body) else {
            log::warn!(id:% = id; "request of another node cannot be read");
            return;
        };
        let (service, id, key) = (Arc::clone(self), id.to_owned(), format!("request {id}"));
        let key_of = key.clone();
        let execute = move |cancel: &CancelToken| {
            service.rings.finish(&key_of, cancel);
            service.answer_request(id, request);
        };
        // A request without a thread is not answered, which the other node notices.
        self.rings.spawn(&key, execute, || {});
    }

    fn answer_request(self: &Arc<Self>, id: String, request: NodeRequest) {
        let NodeRequest { from, uuid, actor, action } = request;
        let (name, is_answered) = (action.name(), !matches!(action, CallAction::Release { .. }));
        let actor = actor.as_deref();
        let result = match (action, self.call_of(&uuid).filter(Call::is_here)) {
            (CallAction::Park(choice), None) => {
                self.park_as_chosen(&uuid, &choice, actor.unwrap_or_default()).map(Some)
            }
            (action, Some(call)) => self.act_here(&call, action, actor).map(|()| self.row_as_json(&uuid)),
            (_, None) => Err(Refusal::NoLongerParked.into()),
        };
        let answer = if result.is_ok() { "done" } else { "refused" };
        log_call!(Debug, About::channel(&uuid), action = name, node = from, answer = answer; "request of another node");
        let (error, call) = match result {
            Ok(call) => (None, call),
            Err(error) => (Some((error.kind(), error.to_string())), None),
        };
        let Ok(body) = serde_json::to_string(&NodeAnswer { error, call }) else { return };
        if is_answered {
            self.slot_store.send(NodeMessage { id, to: from, is_answer: true, body });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let action = CallAction::Hold { code: "c".into(), user: "1002@a.test".into(), seconds: 35 };
        let request = NodeRequest { from: "n".into(), uuid: "u".into(), actor: None, action };
        let written = serde_json::to_string(&request).unwrap();
        let read: NodeRequest = serde_json::from_str(&written).unwrap();
        assert!(matches!(read.action, CallAction::Hold { seconds: 35, .. }) && read.actor.is_none(), "{written}");
        assert!(serde_json::from_str::<NodeRequest>(&written.replace("hold", "explode")).is_err());
    }
}
