//! Puts calls into slots.

use std::sync::Arc;
use std::time::Duration;

use super::{LeaveReason, ParkRequest, SlotRequest, Table, Tenant};
use crate::parking::call::{Call, CallId, CallInfo, Ended, MonotonicTime, State};
use crate::parking::lot::{Lot, LotPlan};
use crate::parking::names::{LotId, Slot};
use crate::parking::outcome::Outcome;
use crate::parking::refusal::Refusal;
use crate::parking::settings::SlotTaken;

/// How long a leg may take to its slot before it is sent there again. No leg takes longer, so something else has moved it.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a slot remains reserved after that, or for a leg that is not known yet.
pub(super) const RESERVATION: Duration = Duration::from_secs(10);

impl Table {
    /// Puts a leg into a slot. With `reserve` the slot is only reserved, until [`Table::arrive`] says that the leg has arrived.
    pub fn park(&mut self, request: &ParkRequest, reserve: bool, now: MonotonicTime) -> Result<Call, Refusal> {
        if let Some(call) = self.by_uuid.get(&request.uuid).and_then(|id| self.calls.get(id)) {
            return Err(Refusal::AlreadyParked(call.info.slot.clone()));
        }
        let lot = self.resolve(&request.place, request.wanted.slot())?;
        self.open(&lot.domain);
        let (plan, index, slot) = self.find_slot_for(request, &lot)?;
        let limit = plan.settings.park_limit_per_user;
        if limit > 0 && self.held_by_parker.get(&request.parker).is_some_and(|held| *held >= limit) {
            return Err(Refusal::Limit(limit));
        }
        let plan = plan.into_owned();
        let mut call = new_call(&plan, request, slot, index, self.calls.next_id(now));
        if !reserve {
            call.start_waiting(now);
        }
        self.insert(call.clone());
        Ok(call)
    }

    /// Reserves a slot for as long as the leg of `request` lives, for the call that will be transferred there.
    pub fn reserve_for_consultation(&mut self, request: &ParkRequest, now: MonotonicTime) -> Result<Call, Refusal> {
        let call = self.park(request, true, now)?;
        self.set_deadline(call.id, None);
        Ok(Call { deadline: None, ..call })
    }

    /// Keeps the slot of a leg that an attended transfer replaces by another one, which is on its way. Returns false if the leg has no slot, or the
    /// other one has arrived.
    pub fn expect_replacement(&mut self, holder: &str, now: MonotonicTime) -> bool {
        let Some(id) = self.call_here(holder).map(|call| call.id) else { return false };
        self.update(id, |call| call.state = State::Expected);
        self.set_deadline(id, Some(now.after(RESERVATION)));
        true
    }

    /// Puts a leg into the slot that another leg occupies or has reserved. A call that was parked already continues with another caller, and its
    /// time-outs start again. If the other leg has no slot any more, the leg is parked as requested.
    pub fn take_over(&mut self, holder: &str, request: &ParkRequest, now: MonotonicTime) -> Result<Call, Refusal> {
        if let Some(call) = self.by_uuid.get(&request.uuid).and_then(|id| self.calls.get(id)) {
            return Err(Refusal::AlreadyParked(call.info.slot.clone()));
        }
        let Some(held) = self.call_here(holder).cloned() else { return self.park(request, false, now) };
        let settings = self.plan_of(&held).map_or(&held.info.settings, |plan| &plan.settings);
        // The dialplan of the user who reserved the slot may have changed the settings, for the caller who comes now.
        let overrides = request.overrides.clone().or(held.info.overrides.clone());
        let settings = overrides.apply(settings);
        let text = |held: &Arc<str>, new: &str| if held.is_empty() { Arc::from(new) } else { Arc::clone(held) };
        let (since, parked_at_ms) =
            if held.was_parked { (held.parked_at, held.info.parked_at_ms) } else { (now, request.parked_at_ms) };
        self.end(held.id, Outcome::Abandoned, now);
        let mut call = Call {
            id: self.calls.next_id(since),
            attempt: 0,
            rings_left: settings.ringback_attempts,
            busy: 0,
            label: text(&held.label, &request.label),
            info: Arc::new(CallInfo {
                uuid: Arc::clone(&request.uuid),
                caller: Arc::clone(&request.caller),
                // The user who reserved the slot has authenticated; the parker that a transfer names has not.
                parker: text(&held.info.parker, &request.parker),
                parked_at_ms,
                settings,
                overrides,
                ..CallInfo::clone(&held.info)
            }),
            ..held
        };
        call.start_waiting(now);
        call.parked_at = since;
        call.limit_reminders(now);
        self.insert(call.clone());
        Ok(call)
    }

    /// The legs that are to come to a reserved slot. Only FreeSWITCH knows whether they still exist. A consulting leg is not among them: its own thread
    /// sees how it ends, and has the slot kept for the caller ([`Table::expect_replacement`]).
    #[must_use]
    pub fn legs_on_the_way(&self) -> Vec<String> {
        let coming = self.calls.values().filter(|call| call.state == State::Reserved && call.deadline.is_some());
        coming.map(|call| call.info.uuid.to_string()).collect()
    }

    /// Begins the wait of a leg that has arrived in its reserved slot. Returns `None` if none is reserved for it.
    pub fn arrive(&mut self, uuid: &str, now: MonotonicTime) -> Option<Call> {
        let id = *self.by_uuid.get(uuid)?;
        let call = self.calls.get(&id).filter(|call| call.state == State::Reserved)?;
        let mut arrived = call.clone();
        arrived.start_waiting(now);
        let deadline = arrived.deadline.take();
        self.update(id, |call| *call = Call { deadline: call.deadline, ..arrived });
        self.set_deadline(id, deadline);
        self.schedule_reminder(id);
        self.calls.get(&id).cloned()
    }

    /// Ends a call whose leg has left its slot. Returns `None` if the call has ended already, or had never arrived.
    pub fn leave(&mut self, uuid: &str, how: LeaveReason, now: MonotonicTime) -> Option<Ended> {
        let call = self.call_here(uuid)?;
        let reserved = call.is_reserved();
        let outcome = match how {
            LeaveReason::Intercepted => call.outcome_if_connected(),
            LeaveReason::HungUp => Outcome::Abandoned,
            LeaveReason::Moved if call.state == State::FallingBack => Outcome::Fallback,
            LeaveReason::Moved => Outcome::Transferred,
        };
        self.end(call.id, outcome, now).filter(|ended| !reserved || ended.call.was_parked)
    }
}

impl Tenant {
    /// Finds a slot if it exists and is free.
    pub(super) fn free_slot(&self, slot: &Slot) -> Option<(&Lot, u32, Slot)> {
        let (name, index) = self.slots.get(slot)?;
        let home = self.lots.get(name).filter(|home| home.held(*index).is_none())?;
        Some((home, *index, slot.clone()))
    }

    /// Finds the slot for a request. It follows `overflow-lot` from one full lot to the next, each at most once.
    pub(super) fn find_slot(
        &self,
        lot: &LotId,
        wanted: &SlotRequest,
        entropy: u64,
    ) -> Result<(&Lot, u32, Slot), Refusal> {
        if let SlotRequest::Slot(slot) = wanted {
            if let Some(found) = self.free_slot(slot) {
                return Ok(found);
            }
            if !self.slots.contains_key(slot) {
                return Err(Refusal::NoSuchSlot(format!("{slot} in lot {lot}")));
            }
            let takes_next = |lot: &Lot| lot.plan.settings.slot_taken == SlotTaken::Next;
            if !self.lots.get(&lot.name).is_some_and(takes_next) {
                return Err(Refusal::Taken(slot.clone()));
            }
        }
        if let SlotRequest::LowestOf(range) = wanted {
            let home = self.lots.get(&lot.name).ok_or_else(|| Refusal::NoSuchLot(lot.to_string()))?;
            return home.lowest_free(*range).map(|(index, slot)| (home, index, slot)).ok_or(Refusal::Full(lot.clone()));
        }
        let mut seen: Vec<&str> = Vec::new();
        let mut name: &str = &lot.name;
        while let Some(here) = self.lots.get(name).filter(|_| !seen.contains(&name)) {
            if let Some((index, slot)) = here.choose(entropy) {
                return Ok((here, index, slot));
            }
            seen.push(name);
            match &here.plan.settings.overflow_lot {
                Some(next) => name = next,
                None => break,
            }
        }
        Err(Refusal::Full(lot.clone()))
    }
}

/// A call whose slot is reserved until it arrives.
pub(super) fn new_call(plan: &LotPlan, request: &ParkRequest, slot: Slot, index: Option<u32>, id: CallId) -> Call {
    let settings = request.overrides.apply(&plan.settings);
    let label = match request.label.as_str() {
        "" => plan.labels.get(&slot).map_or("", String::as_str),
        label => label,
    };
    Call {
        id,
        state: State::Reserved,
        index,
        label: label.into(),
        parked_at: id.parked_at,
        deadline: Some(id.parked_at.after(ARRIVAL_TIMEOUT)),
        max_park_end: None,
        attempt: 0,
        rings_left: settings.ringback_attempts,
        busy: 0,
        reminders: 0,
        remind_at: None,
        was_parked: false,
        refused: None,
        wants: None,
        number: 0,
        fetched: false,
        info: Arc::new(CallInfo {
            uuid: request.uuid.clone(),
            lot: plan.id.clone(),
            slot,
            caller: request.caller.clone(),
            parker: request.parker.clone(),
            parked_at_ms: request.parked_at_ms,
            settings,
            overrides: request.overrides.clone(),
        }),
    }
}
