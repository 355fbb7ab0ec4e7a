//! Into a slot.

use std::sync::Arc;
use std::time::Duration;

use super::{LeaveReason, ParkRequest, SlotRequest, Table, Tenant};
use crate::parking::call::{Call, CallId, CallInfo, Ended, MonotonicTime, Outcome, Refusal, State};
use crate::parking::lot::{Lot, LotPlan};
use crate::parking::names::{LotId, Slot};
use crate::parking::settings::SlotTaken;

/// For how long a slot is kept for a leg that was sent to it before the leg is sent there again: no leg takes longer on its way,
/// so something else has taken it elsewhere.
const ARRIVAL: Duration = Duration::from_secs(3);
/// For how long a slot is kept after that, or for a leg that is not known yet.
pub(super) const RESERVATION: Duration = Duration::from_secs(10);

impl Table {
    /// Takes a slot for a leg. `reserve`: the leg is still to come there, and [`Table::arrive`] says that it has.
    pub fn park(&mut self, request: &ParkRequest, reserve: bool, now: MonotonicTime) -> Result<Call, Refusal> {
        if let Some(call) = self.by_uuid.get(&request.uuid).and_then(|id| self.calls.get(id)) {
            return Err(Refusal::AlreadyParked(call.info.slot.clone()));
        }
        let lot = self.resolve(&request.place, request.wanted.slot())?;
        self.open(&lot.domain);
        let tenant = self.tenants.get(&lot.domain).ok_or_else(|| Refusal::NoSuchLot(lot.to_string()))?;
        let (home, index, slot) = tenant.find_slot(&lot, &request.wanted, request.entropy)?;
        let limit = home.plan.settings.park_limit_per_user;
        if limit > 0 && self.held_by_parker.get(&request.parker).is_some_and(|held| *held >= limit) {
            return Err(Refusal::Limit(limit));
        }
        let mut call = new_call(&home.plan, request, slot, Some(index), self.calls.next_id(now));
        if !reserve {
            call.start_waiting(now);
        }
        self.insert(call.clone());
        Ok(call)
    }

    /// Keeps a slot for as long as `request`'s leg lives, for a call that is to follow it: a consultation.
    pub fn keep(&mut self, request: &ParkRequest, now: MonotonicTime) -> Result<Call, Refusal> {
        let call = self.park(request, true, now)?;
        self.set_deadline(call.id, None);
        Ok(Call { deadline: None, ..call })
    }

    /// The leg that holds or keeps a slot is gone, because another one is put in its place, which is on its way. False if it has
    /// come already, or the leg held none.
    pub fn expect(&mut self, holder: &str, now: MonotonicTime) -> bool {
        let Some(id) = self.call_here(holder).map(|call| call.id) else { return false };
        self.update(id, |call| call.state = State::Expected);
        self.set_deadline(id, Some(now.after(RESERVATION)));
        true
    }

    /// Puts a leg in the place of another that holds or keeps a slot. A call that was parked already is the same call, with
    /// another caller, whose times begin again. As asked where the other leg has no slot any more.
    pub fn take_over(&mut self, holder: &str, request: &ParkRequest, now: MonotonicTime) -> Result<Call, Refusal> {
        if let Some(call) = self.by_uuid.get(&request.uuid).and_then(|id| self.calls.get(id)) {
            return Err(Refusal::AlreadyParked(call.info.slot.clone()));
        }
        let Some(held) = self.call_here(holder).cloned() else { return self.park(request, false, now) };
        let settings = self.plan_of(&held).map_or(&held.info.settings, |plan| &plan.settings);
        let settings = request.overrides.apply(settings);
        let text = |held: &Arc<str>, new: &str| if held.is_empty() { Arc::from(new) } else { Arc::clone(held) };
        let (since, parked_at_ms) =
            if held.was_parked { (held.parked_at, held.info.parked_at_ms) } else { (now, request.parked_at_ms) };
        self.end(held.id, Outcome::Abandoned, now);
        let mut call = Call {
            id: self.calls.next_id(since),
            attempt: 0,
            rings_left: settings.ringback_attempts,
            label: text(&held.label, &request.label),
            info: Arc::new(CallInfo {
                uuid: Arc::clone(&request.uuid),
                caller: Arc::clone(&request.caller),
                // Whoever keeps a slot has authenticated; what a transfer says of itself is only written.
                parker: text(&held.info.parker, &request.parker),
                parked_at_ms,
                settings,
                overrides: request.overrides.clone(),
                ..CallInfo::clone(&held.info)
            }),
            ..held
        };
        call.start_waiting(now);
        call.parked_at = since;
        self.insert(call.clone());
        Ok(call)
    }

    /// Legs that slots are kept for or by, and that are not in them: whether they live, only the host knows.
    #[must_use]
    pub fn on_their_way(&self) -> Vec<String> {
        let coming = self.calls.values().filter(|call| call.state == State::Reserved);
        coming.map(|call| call.info.uuid.to_string()).collect()
    }

    /// The leg that a slot was reserved for is there: its parking begins now.
    pub fn arrive(&mut self, uuid: &str, now: MonotonicTime) -> Option<Call> {
        let id = *self.by_uuid.get(uuid)?;
        let call = self.calls.get(&id).filter(|call| call.state == State::Reserved)?;
        let mut arrived = call.clone();
        arrived.start_waiting(now);
        let deadline = arrived.deadline.take();
        self.update(id, |call| *call = Call { deadline: call.deadline, ..arrived });
        self.set_deadline(id, deadline);
        self.calls.get(&id).cloned()
    }

    /// The parked leg is not in its slot any more. `None` if it had an outcome already, or never arrived.
    pub fn left(&mut self, uuid: &str, how: LeaveReason, now: MonotonicTime) -> Option<Ended> {
        let call = self.call_here(uuid)?;
        let reserved = matches!(call.state, State::Reserved | State::Expected);
        let outcome = match how {
            LeaveReason::HungUp => Outcome::Abandoned,
            LeaveReason::Moved if call.state == State::FallingBack => Outcome::Fallback,
            LeaveReason::Moved => Outcome::Transferred,
        };
        self.end(call.id, outcome, now).filter(|ended| !reserved || ended.call.was_parked)
    }
}

impl Tenant {
    /// The slot to use, following `overflow-lot` from one full lot to the next, each at most once.
    pub(super) fn find_slot(
        &self,
        lot: &LotId,
        wanted: &SlotRequest,
        entropy: u64,
    ) -> Result<(&Lot, u32, Slot), Refusal> {
        if let SlotRequest::Slot(slot) = wanted {
            let home = self.slots.get(slot).and_then(|(name, index)| Some((self.lots.get(name)?, *index)));
            let Some((home, index)) = home else {
                return Err(Refusal::NoSuchSlot(format!("{slot} in lot {lot}")));
            };
            if home.held(index).is_none() {
                return Ok((home, index, slot.clone()));
            }
            let has_next_application = |lot: &Lot| lot.plan.settings.slot_taken == SlotTaken::Next;
            if !self.lots.get(&lot.name).is_some_and(has_next_application) {
                return Err(Refusal::Taken(slot.clone()));
            }
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

/// A call for which a slot is kept until it arrives.
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
        deadline: Some(id.parked_at.after(ARRIVAL)),
        latest: None,
        attempt: 0,
        rings_left: settings.ringback_attempts,
        was_parked: false,
        refused: "",
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
