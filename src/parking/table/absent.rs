//! Calls whose leg is not on this FreeSWITCH: those that it had when it died, until they are recovered or ended, and those of the other nodes of
//! a cluster.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::new_lot::FreeSlot;
use super::park::new_call;
use super::timeouts::MAX_BUSY_RETRIES;
use super::{LotSelector, ParkRequest, SlotRequest, Table, Tenant};
use crate::parking::call::{Call, CallId, MonotonicTime, Party, State, StoredState};
use crate::parking::lot::LotPlan;
use crate::parking::names::{LotId, Slot};
use crate::parking::outcome::Outcome;
use crate::parking::refusal::Refusal;
use crate::parking::settings::CallOverrides;

/// A call as the slot store describes it.
#[derive(Clone, Debug)]
pub struct StoredCall {
    /// The UUID of its leg.
    pub uuid: Arc<str>,
    /// The node that has or had it.
    pub node: Arc<str>,
    /// What is happening to it.
    pub is: StoredState,
    /// Its lot.
    pub lot: LotId,
    /// Its slot.
    pub slot: Slot,
    /// The person at the far end of its leg.
    pub caller: Arc<Party>,
    /// The user who parked it.
    pub parker: Arc<str>,
    /// Its label.
    pub label: Arc<str>,
    /// The number of recalls so far.
    pub attempt: u32,
    /// The wall-clock time of parking, in milliseconds since 1970.
    pub parked_at_ms: i64,
    /// How long it has waited.
    pub waited: Duration,
    /// The time until something is due for it.
    pub left: Option<Duration>,
}

/// The state of a call that is recovered after a crash.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RestoreParams {
    /// How long it has waited.
    pub waited: Duration,
    /// The time until something is due for it; `None` if it may wait without limit.
    pub left: Option<Duration>,
    /// The time until the fallback is due in any case.
    pub max_park_left: Option<Duration>,
    /// The number of recalls so far.
    pub attempt: u32,
    /// The number of recalls that remain.
    pub rings_left: u32,
    /// How often in a row the present recall has found the parker busy.
    pub busy: u32,
    /// The number of reminders so far.
    pub reminders: u32,
}

impl Table {
    /// Puts a recovered call back into its slot, or into another of that lot if the slot is occupied. What became due in the meantime is due at
    /// once.
    pub fn restore(
        &mut self,
        request: &ParkRequest,
        saved: &RestoreParams,
        now: MonotonicTime,
    ) -> Result<Call, Refusal> {
        self.forget_absent(&request.uuid, now)?;
        let lot = self.lot_to_restore(request)?;
        self.open(&lot.domain);
        let tenant = self.tenants.get(&lot.domain).ok_or_else(|| Refusal::NoSuchLot(lot.to_string()))?;
        let (plan, index, slot) = match self.new_lot(&request.place) {
            Some(_) => self.find_slot_for(request, &lot)?,
            None => tenant.slot_to_restore(&lot, request)?,
        };
        let plan = plan.into_owned();
        let id = self.calls.next_id(now.before(saved.waited));
        let new = new_call(&plan, request, slot, index, id);
        // The fallback of the lot may have been removed.
        let fallback = new.info.settings.has_fallback();
        let mut call = Call {
            state: State::Parked,
            was_parked: true,
            deadline: saved.left.map(|left| now.after(left)),
            max_park_end: saved.max_park_left.filter(|_| fallback).map(|left| now.after(left)),
            attempt: saved.attempt,
            rings_left: saved.rings_left,
            busy: saved.busy.min(MAX_BUSY_RETRIES),
            reminders: saved.reminders,
            ..new
        };
        call.limit_reminders(now);
        self.insert(call.clone());
        Ok(call)
    }

    /// Removes the call of a leg that awaits recovery or is on another node, because the leg is here now.
    pub(super) fn forget_absent(&mut self, uuid: &str, now: MonotonicTime) -> Result<(), Refusal> {
        let Some(call) = self.by_uuid.get(uuid).and_then(|id| self.calls.get(id)) else { return Ok(()) };
        if call.is_here() {
            return Err(Refusal::AlreadyParked(call.info.slot.clone()));
        }
        self.end(call.id, Outcome::Abandoned, now);
        Ok(())
    }

    fn lot_to_restore(&self, request: &ParkRequest) -> Result<LotId, Refusal> {
        let named = match &request.wanted {
            SlotRequest::Slot(slot) => self.resolve(&request.place, Some(slot)),
            SlotRequest::Auto | SlotRequest::LowestOf(_) => self.resolve(&request.place, None),
        };
        // If the configuration does not have the lot or slot any more, any lot of the domain is better than none.
        let anywhere = LotSelector {
            lot: None,
            domains: request.place.lot.iter().filter_map(|lot| lot.domain.clone()).collect(),
            any: false,
        };
        named.or_else(|_| self.resolve(&request.place, None)).or_else(|_| self.resolve(&anywhere, None))
    }

    /// Reserves the slot of a call that this node had when it died, unless it is recovered already.
    pub fn reserve_for_recovery(&mut self, stored: &StoredCall, until: MonotonicTime, now: MonotonicTime) {
        if !self.by_uuid.contains_key(&stored.uuid) {
            let call = self.absent_call(stored, now);
            self.insert(Call { state: State::AwaitingRecovery, deadline: Some(until), ..call });
        }
    }

    /// Replaces the calls of all other nodes. Those that are not in `calls` have ended.
    pub fn replace_remote_calls(&mut self, calls: &[StoredCall], now: MonotonicTime) {
        let told: HashMap<&str, &StoredCall> = calls.iter().map(|stored| (&*stored.uuid, stored)).collect();
        let known: Vec<Call> = self.calls.values().filter(|call| call.node().is_some()).cloned().collect();
        for call in known {
            let same = told.get(&*call.info.uuid).is_some_and(|stored| is_same(&call, stored));
            if !same {
                self.end(call.id, Outcome::Abandoned, now);
            }
        }
        for stored in calls {
            match self.by_uuid.get(&stored.uuid).copied() {
                None => {
                    let call = self.absent_call(stored, now);
                    self.insert(call);
                }
                Some(id) => self.update_remote(id, stored, now),
            }
        }
    }

    /// Adds one call of another node.
    pub fn add_remote_call(&mut self, stored: &StoredCall, now: MonotonicTime) {
        if !self.by_uuid.contains_key(&stored.uuid) {
            let call = self.absent_call(stored, now);
            self.insert(call);
        }
    }

    /// Removes a call of another node that was retrieved there just now, before that node says so.
    pub fn remove_remote_call(&mut self, uuid: &str, now: MonotonicTime) {
        let remote =
            self.by_uuid.get(uuid).copied().filter(|id| self.calls.get(id).is_some_and(|call| call.node().is_some()));
        if let Some(id) = remote {
            self.end(id, Outcome::Abandoned, now);
        }
    }

    /// The call of this node in a slot, including one that awaits recovery.
    #[must_use]
    pub fn own_call_in(&self, domain: &str, slot: &Slot) -> Option<Call> {
        let tenant = self.tenants.get(domain)?;
        let mut calls = tenant.calls_in(slot).filter_map(|id| self.calls.get(id));
        calls.find(|call| call.node().is_none()).cloned()
    }

    /// Updates a call that is on another node. A call that is here is not changed.
    fn update_remote(&mut self, id: CallId, stored: &StoredCall, now: MonotonicTime) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let State::OnOtherNode { is, .. } = &mut call.state else { return };
        let changed = *is != stored.is || call.label != stored.label || call.attempt != stored.attempt;
        *is = stored.is;
        call.attempt = stored.attempt;
        call.deadline = stored.left.map(|left| now.after(left));
        if changed {
            call.label = Arc::clone(&stored.label);
            self.changed_slots.push(super::slot_of(call));
        }
    }

    /// Makes a [`Call`] of a remote one. This node need not have its lot.
    #[must_use]
    pub fn absent_call(&mut self, stored: &StoredCall, now: MonotonicTime) -> Call {
        self.open(&stored.lot.domain);
        let tenant = self.tenants.get(&stored.lot.domain);
        let plan = tenant.and_then(|tenant| tenant.lots.get(&stored.lot.name)).map(|lot| lot.plan.clone());
        let index = tenant.and_then(|tenant| tenant.index_of(&stored.lot.name, &stored.slot));
        let unknown = || LotPlan::without_slots(stored.lot.clone(), Arc::default());
        let request = ParkRequest {
            uuid: Arc::clone(&stored.uuid),
            place: LotSelector::default(),
            wanted: SlotRequest::Auto,
            caller: Arc::clone(&stored.caller),
            parker: Arc::clone(&stored.parker),
            label: String::new(),
            overrides: CallOverrides::default(),
            parked_at_ms: stored.parked_at_ms,
            entropy: 0,
        };
        let id = self.calls.next_id(now.before(stored.waited));
        let mut call = Call {
            state: State::OnOtherNode { node: Arc::clone(&stored.node), is: stored.is },
            deadline: stored.left.map(|left| now.after(left)),
            attempt: stored.attempt,
            label: Arc::clone(&stored.label),
            ..new_call(&plan.unwrap_or_else(unknown), &request, stored.slot.clone(), index, id)
        };
        call.skip_reminders(now);
        call
    }
}

impl Tenant {
    /// Finds the slot of a recovered call, or another one of its lot.
    fn slot_to_restore(&self, lot: &LotId, request: &ParkRequest) -> Result<FreeSlot<'_>, Refusal> {
        let own = request.wanted.slot().and_then(|slot| self.free_slot(slot));
        // Others who are yet to be recovered are more likely in the first slots of the lot than in the last.
        let last = || self.lots.get(&lot.name).and_then(|lot| lot.last_free().map(|(index, slot)| (lot, index, slot)));
        let any = || self.find_slot(lot, &SlotRequest::Auto, request.entropy);
        let (home, index, slot) = own.or_else(last).map_or_else(any, Ok)?;
        Ok((Cow::Borrowed(&home.plan), Some(index), slot))
    }
}

fn is_same(call: &Call, stored: &StoredCall) -> bool {
    call.info.slot == stored.slot && call.info.lot == stored.lot && call.node().is_some_and(|node| *node == stored.node)
}
