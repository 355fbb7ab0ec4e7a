//! Takes calls out of slots, for a retriever.

use std::borrow::Cow;
use std::sync::Arc;

use super::{LotSelector, RetrieveTarget, Table};
use crate::parking::call::{Call, CallId, Ended, MonotonicTime, State, StoredState};
use crate::parking::names::{Slot, lowercase};
use crate::parking::outcome::Outcome;
use crate::parking::refusal::Refusal;
use crate::parking::settings::LotSettings;

/// Who had a claim that has ended without a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claimant {
    /// A retriever, whose own application tells them.
    Retriever,
    /// The parker who answered a recall. No application runs on that leg.
    Parker,
}

impl Call {
    /// The outcome if the leg that claims the call is connected with the caller.
    pub(super) fn outcome_if_connected(&self) -> Outcome {
        match self.state {
            State::Retrieving { returning: true, .. } => Outcome::Returned,
            _ => Outcome::Retrieved,
        }
    }

    /// Whether the caller waits, and nobody is taking the call.
    fn is_free_to_take(&self) -> bool {
        match &self.state {
            State::Parked | State::RingingBack => true,
            State::OnOtherNode { is, .. } => {
                [StoredState::Parked, StoredState::RingingBack, StoredState::WaitingForSlot].contains(is)
            }
            _ => false,
        }
    }
}

impl Table {
    /// Claims a call for a retriever. Nobody else gets it until [`Table::connected`] or [`Table::release`]. A call that is on another node is not
    /// claimed: that node must be asked for it.
    pub fn claim(&mut self, place: &LotSelector, target: &RetrieveTarget, retriever: &str) -> Result<Call, Refusal> {
        self.claim_call(self.target(place, target)?, retriever)
    }

    /// Claims a call for a retriever who was allowed to have one with the settings `permitted`. The call may be another one since, because
    /// dialling a PIN takes time.
    pub fn claim_as_permitted(
        &mut self,
        place: &LotSelector,
        target: &RetrieveTarget,
        permitted: &LotSettings,
        retriever: &str,
    ) -> Result<Call, Refusal> {
        let call = self.find_target(place, target)?;
        if !call.info.settings.same_access(permitted) {
            return Err(Refusal::Gone(call.info.slot.clone()));
        }
        self.claim_call(call.id, retriever)
    }

    /// Returns the call that a retriever would claim now.
    pub fn find_target(&self, place: &LotSelector, target: &RetrieveTarget) -> Result<Call, Refusal> {
        let id = self.target(place, target)?;
        self.calls.get(&id).cloned().ok_or(Refusal::NoLongerParked)
    }

    fn target(&self, place: &LotSelector, target: &RetrieveTarget) -> Result<CallId, Refusal> {
        match target {
            RetrieveTarget::Slot(slot) => self.call_in(place, slot),
            RetrieveTarget::Oldest => self.waiting_in(place, false, |_| true),
            RetrieveTarget::Newest => self.waiting_in(place, true, |_| true),
            RetrieveTarget::OldestOf(range) => self.waiting_in(place, false, |slot| range.contains(slot)),
            RetrieveTarget::OldestBy(parker) => self.oldest_of(place, parker),
            RetrieveTarget::Call(uuid) => self.id_of(uuid),
        }
    }

    /// Claims the call of a leg.
    pub fn claim_leg(&mut self, uuid: &str, retriever: &str) -> Result<Call, Refusal> {
        self.claim_call(self.id_of(uuid)?, retriever)
    }

    fn id_of(&self, uuid: &str) -> Result<CallId, Refusal> {
        self.by_uuid.get(uuid).copied().ok_or(Refusal::NoLongerParked)
    }

    fn claim_call(&mut self, id: CallId, retriever: &str) -> Result<Call, Refusal> {
        let call = self.calls.get(&id).ok_or(Refusal::NoLongerParked)?;
        match &call.state {
            State::Reserved | State::Expected => Err(Refusal::NotYetParked(call.info.slot.clone())),
            State::Retrieving { .. } if call.is_claimed_by(retriever) => Ok(call.clone()),
            State::Retrieving { .. } | State::FallingBack => Err(Refusal::Gone(call.info.slot.clone())),
            State::AwaitingRecovery => Err(Refusal::AwaitingRecovery(call.info.slot.clone())),
            State::OnOtherNode { is: StoredState::Reserved | StoredState::Retrieving, .. } => {
                Err(Refusal::Gone(call.info.slot.clone()))
            }
            State::OnOtherNode { .. } => Ok(call.clone()),
            State::Parked | State::RingingBack => {
                self.update(id, |call| call.state = State::Retrieving { by: retriever.into(), returning: false });
                self.calls.get(&id).cloned().ok_or(Refusal::NoLongerParked)
            }
        }
    }

    /// Passes a claim on from `holder` to a leg. Returns false if `holder` has not claimed the call.
    pub fn hand_claim(&mut self, uuid: &str, holder: &str, retriever: &str) -> bool {
        let Some(id) = self.if_claimed(uuid, holder) else { return false };
        self.update(id, |call| call.state = State::Retrieving { by: retriever.into(), returning: false })
    }

    /// Ends a claim, because the retriever gave up or could not be connected. The call waits on. Returns `None` if it was not claimed by them.
    pub fn release(&mut self, uuid: &str, retriever: &str, now: MonotonicTime) -> Option<Claimant> {
        let id = self.if_claimed(uuid, retriever)?;
        let returning = self.calls.get(&id)?.outcome_if_connected() == Outcome::Returned;
        self.wait_on(id, returning, now);
        Some(if returning { Claimant::Parker } else { Claimant::Retriever })
    }

    /// Ends all claims of a retriever.
    pub fn release_all(&mut self, retriever: &str, now: MonotonicTime) {
        let claimed = |call: &&Call| call.is_claimed_by(retriever);
        let uuids: Vec<Arc<str>> = self.calls.values().filter(claimed).map(|call| call.info.uuid.clone()).collect();
        for uuid in uuids {
            self.release(&uuid, retriever, now);
        }
    }

    /// Returns a call to waiting, whatever was about to take it out of its slot.
    pub fn return_to_waiting(&mut self, uuid: &str, now: MonotonicTime) {
        match self.by_uuid.get(uuid).and_then(|id| self.calls.get(id)).map(|call| call.state.clone()) {
            Some(State::Retrieving { by, .. }) => drop(self.release(uuid, &by, now)),
            Some(State::FallingBack) => drop(self.fallback_failed(uuid, now)),
            _ => {}
        }
    }

    /// Ends a call because the caller was connected. Returns `None` if it has ended already. Its leg may have been parked again during the
    /// conversation, which is another call.
    pub fn connected(&mut self, id: CallId, now: MonotonicTime) -> Option<Ended> {
        let outcome = self.calls.get(&id)?.outcome_if_connected();
        self.end(id, outcome, now)
    }

    fn waiting_in(
        &self,
        place: &LotSelector,
        newest: bool,
        in_range: impl Fn(&Slot) -> bool,
    ) -> Result<CallId, Refusal> {
        let lot = self.resolve(place, None)?;
        let empty = || Refusal::EmptyLot(lot.clone());
        let tenant = self.tenants.get(&lot.domain).ok_or_else(empty)?;
        let waiting = &tenant.lots.get(&lot.name).ok_or_else(empty)?.waiting;
        let free_to_take =
            |id: &&CallId| self.calls.get(id).is_some_and(|call| in_range(&call.info.slot) && call.is_free_to_take());
        let found = if newest { waiting.iter().rev().find(free_to_take) } else { waiting.iter().find(free_to_take) };
        found.copied().ok_or_else(empty)
    }

    fn oldest_of(&self, place: &LotSelector, parker: &str) -> Result<CallId, Refusal> {
        let nothing = || Refusal::NothingParkedBy(parker.to_owned());
        if parker.is_empty() {
            return Err(nothing());
        }
        let lot = place.lot.as_ref().map(|_| self.resolve(place, None)).transpose()?;
        let domains = lot.as_ref().map_or_else(
            || place.domains.iter().map(|domain| lowercase(domain)).collect(),
            |lot| vec![Cow::Borrowed(&*lot.domain)],
        );
        let theirs = |id: &&CallId, domain: &str| {
            self.calls.get(id).is_some_and(|call| {
                let info = &call.info;
                let there = lot.as_ref().map_or(*info.lot.domain == *domain, |lot| info.lot == *lot);
                there && info.parker.eq_ignore_ascii_case(parker) && call.is_free_to_take()
            })
        };
        let oldest = domains.iter().find_map(|domain| {
            let lots = self.tenants.get(&**domain).into_iter().flat_map(|tenant| tenant.lots.values());
            let in_lots = lots.filter_map(|lot| lot.waiting.iter().find(|id| theirs(id, domain)));
            in_lots.chain(self.waiting_for_slot.iter().find(|id| theirs(id, domain))).min()
        });
        oldest.copied().ok_or_else(nothing)
    }

    fn if_claimed(&self, uuid: &str, retriever: &str) -> Option<CallId> {
        let id = *self.by_uuid.get(uuid)?;
        self.calls.get(&id)?.is_claimed_by(retriever).then_some(id)
    }
}
