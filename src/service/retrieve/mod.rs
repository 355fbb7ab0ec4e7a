//! Retrieves parked calls: claims the call, and waits until the thread of the caller connects both legs.

pub(super) mod answered;
pub(super) mod assigned;
pub(super) mod held_conversations;
pub(super) mod hold;
pub(super) mod ringing;

use std::time::Duration;

use super::call_log::log_call;
use super::permission::Permitted;
use super::recall::dial::displayable;
use super::recall::pick_up;
use super::wait::leg_commands::LegCommand;
use super::{AppResult, ParkingService, RetrieveTicket, Retriever};
use crate::freeswitch::{self, Leg};
use crate::parking::{Call, LotName, LotSelector, Refusal, RetrieveTarget};
use assigned::Assignment;

/// How long a retriever waits until the thread of the parked leg begins to connect it. It takes up to 20 ms, unless the media of that leg is being
/// changed, or something runs on that leg that cannot be interrupted.
const CONNECT_START_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the caller's thread may be busy before it is interrupted.
const INTERRUPT_AFTER: Duration = Duration::from_millis(100);
/// The maximum time for connecting: a tone, a re-INVITE, and what FreeSWITCH waits for when it bridges two legs.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
pub(crate) struct RetrieveOrder {
    pub(crate) target: RetrieveTarget,
    pub(crate) lot: Option<LotName>,
}

/// The claim of a leg.
struct Claim {
    retriever: Retriever,
    call: Call,
    /// The code of the ticket for which another node holds the call.
    held_by: Option<String>,
}

impl ParkingService {
    /// Runs `callpark_retrieve`: connects this leg with a parked call. Returns when the leg enters the conversation, or with the reason
    /// of a refusal.
    pub(crate) fn retrieve(&self, leg: &Leg<'_>, order: &RetrieveOrder) -> AppResult {
        let place = self.lot_selector(leg, order.lot.clone(), None);
        let slot = match &order.target {
            RetrieveTarget::Slot(slot) => Some(slot),
            RetrieveTarget::Oldest
            | RetrieveTarget::Newest
            | RetrieveTarget::OldestOf(_)
            | RetrieveTarget::OldestBy(_)
            | RetrieveTarget::Call(_) => None,
        };
        let refuse = |result: AppResult| {
            let lot = self.table.lock().resolve(&place, slot).ok();
            let result = self.refuse_retriever(leg, result, lot.as_ref(), slot);
            self.explain(leg, result, slot)
        };
        if leg.partner().is_some() {
            return match self.leave_conversation_for(leg, &place, &order.target) {
                Ok(()) => AppResult::Retrieved,
                Err(result) => refuse(result),
            };
        }
        let Claim { retriever, call, held_by } = match self.claim(leg, &place, &order.target) {
            Ok(claim) => claim,
            Err(refusal) => return refuse(AppResult::Refused(refusal)),
        };
        if let Some(node) = call.node() {
            let result = self.retrieve_from_node(leg, &call, node, &retriever, held_by.clone());
            if matches!(result, AppResult::Retrieved) {
                return result;
            }
            if let Some(code) = held_by {
                self.release_on_node(&call, code, &retriever.user, result.name());
            }
            return refuse(result);
        }
        log_call!(Debug, leg, slot = call.info.slot, lot = call.info.lot, call = call.info.uuid; "claimed call");
        log_call!(Debug, &call, retriever = retriever.user, retriever_uuid = retriever.uuid; "call is claimed");
        self.rings.cancel(&call.info.uuid);
        // Many phones ignore a later update, so the caller is shown in the 200 OK, for which mod_sofia reads these variables.
        leg.set_var("initial_callee_id_name", &displayable(&call.info.caller.name));
        leg.set_var("initial_callee_id_number", &call.info.caller.number);
        let uuid = &call.info.uuid;
        if !leg.answer_and_anchor_media() {
            self.release_retriever(uuid, &retriever.uuid);
            leg.set_var("callpark_result", AppResult::LegGone.name());
            return AppResult::LegGone;
        }
        if !self.leg_commands.post(uuid, LegCommand::Connect(retriever.clone())) {
            self.release_retriever(uuid, &retriever.uuid);
            return refuse(AppResult::Refused(Refusal::Gone(call.info.slot.clone())));
        }
        if self.wait_for_caller(leg, &call, &retriever) {
            AppResult::Retrieved
        } else {
            refuse(AppResult::Refused(Refusal::Gone(call.info.slot.clone())))
        }
    }

    /// Runs `callpark_retrieve mine`: of the calls that the user of this leg parked, retrieves the one that has waited longest.
    pub(crate) fn retrieve_mine(&self, leg: &Leg<'_>, lot: Option<LotName>) -> AppResult {
        self.retrieve(leg, &RetrieveOrder { target: RetrieveTarget::OldestBy(self.user_of(leg)), lot })
    }

    /// Claims a call.
    fn claim(&self, leg: &Leg<'_>, place: &LotSelector, target: &RetrieveTarget) -> Result<Claim, Refusal> {
        let uuid = leg.uuid();
        let claim = |user, call| Claim { retriever: Retriever { user, uuid: uuid.clone() }, call, held_by: None };
        // The other node has checked the permission of a leg with a ticket.
        if let Some(ticket) = self.redeem(leg) {
            let (RetrieveTicket { uuid: call, retriever }, code) = ticket?;
            let call = self.claim_by_ticket(&call, &code, &uuid, &retriever)?;
            return Ok(claim(retriever, call));
        }
        if let Some(Assignment { call, held_by }) = self.assigned.take(&uuid) {
            let user = self.user_of(leg);
            // The other node holds the call.
            if held_by.is_some() {
                let call = self.call_of(&call).filter(|call| call.node().is_some()).ok_or(Refusal::NoLongerParked)?;
                return Ok(Claim { held_by, ..claim(user, call) });
            }
            return Ok(claim(user, self.change(|table, _| table.claim_leg(&call, &uuid))?));
        }
        let Permitted { user, settings, .. } = self.may_retrieve(leg, place, target)?;
        Ok(claim(user, self.change(|table, _| table.claim_as_permitted(place, target, &settings, &uuid))?))
    }

    /// Takes a leg out of its conversation for a parked call that it may retrieve, because the core cannot connect a bridged leg. The application
    /// then runs again on the leg alone.
    fn leave_conversation_for(
        &self,
        leg: &Leg<'_>,
        place: &LotSelector,
        target: &RetrieveTarget,
    ) -> Result<(), AppResult> {
        let Permitted { lot, slot, .. } = self.permitted(leg, place, target).map_err(AppResult::Refused)?;
        let what = match target {
            RetrieveTarget::Slot(_) | RetrieveTarget::OldestOf(_) => format!("{slot} {lot}"),
            RetrieveTarget::Oldest => format!("oldest {lot}"),
            RetrieveTarget::Newest => format!("newest {lot}"),
            RetrieveTarget::OldestBy(_) => format!("mine {lot}"),
            RetrieveTarget::Call(uuid) => pick_up::argument(uuid),
        };
        let left = leg.transfer(&format!("callpark_retrieve:{what}"), Some("inline"), None);
        if left { Ok(()) } else { Err(AppResult::LegGone) }
    }

    /// Waits until the caller's thread takes this leg over. Returns false if the leg was not connected and remains here.
    pub(super) fn wait_for_caller(&self, leg: &Leg<'_>, call: &Call, retriever: &Retriever) -> bool {
        let (began, uuid) = (freeswitch::now(), &call.info.uuid);
        let give_up = || {
            self.leg_commands.withdraw(uuid, &retriever.uuid);
            self.release_retriever(uuid, &retriever.uuid);
        };
        loop {
            if !leg.ready() {
                if leg.hung_up() || leg.transferred() {
                    give_up();
                }
                return true;
            }
            let mine = self.call_of(&call.info.uuid).is_some_and(|call| call.is_claimed_by(&retriever.uuid));
            if !mine {
                // Connecting takes the leg away before the call leaves the table; so if the leg is still here, it was not
                // connected.
                return !leg.ready();
            }
            let (waited, begun) =
                (freeswitch::now().since(began), !self.leg_commands.has_connect_command(uuid, &retriever.uuid));
            if waited > if begun { CONNECT_TIMEOUT } else { CONNECT_START_TIMEOUT } {
                give_up();
                let (retriever, uuid) = (&retriever.user, &retriever.uuid);
                log_call!(Warning, call, retriever = retriever, retriever_uuid = uuid; "call was not connected in time");
                return false;
            }
            if !begun && waited > INTERRUPT_AFTER {
                self.leg_commands.interrupt_if_waiting(uuid);
            }
            leg.sleep(Duration::from_millis(20));
        }
    }
}
