//! Calls that wait for a slot, because there was none when they were sent to a lot. They are calls like any other: the caller hears music, the
//! parker is rung (at once), the fallback follows, and there is one outcome. They get a slot as soon as one is free.

use std::sync::Arc;
use std::time::Duration;

use foldhash::HashMap;

use super::park::new_call;
use super::{ParkRequest, Table};
use crate::parking::call::{Call, CallId, CallInfo, MonotonicTime, State};
use crate::parking::lot::{Lot, LotPlan};
use crate::parking::names::{LotId, LotName, Slot};
use crate::parking::outcome::Outcome;
use crate::parking::refusal::{NoSlotReason, Refusal};
use crate::parking::settings::LotSettings;

/// Decides whether a leg for which there is no slot waits for one. One that its far end brought hears the reason instead. One that others brought
/// cannot be told, and waits, unless there is nobody to ring, no fallback, and an application that follows in its dialplan (`goes_on`).
#[must_use]
pub fn should_wait_for_slot(brought_by_others: bool, parker: &str, settings: &LotSettings, goes_on: bool) -> bool {
    let has_a_way = settings.ringback.has_somebody(parker) || settings.has_fallback();
    brought_by_others && (has_a_way || !goes_on)
}

impl Table {
    /// Adds a call without a slot. `waited` is how long it has waited already.
    pub fn wait_for_slot(
        &mut self,
        request: &ParkRequest,
        refused: NoSlotReason,
        waited: Duration,
        now: MonotonicTime,
    ) -> Result<Call, Refusal> {
        self.forget_absent(&request.uuid, now)?;
        let plan = self.plan_without_slot(request);
        let id = self.calls.next_id(now.before(waited));
        // One half of the number distinguishes it from other calls of this table, the other from those of other nodes.
        let number = (request.entropy << 32) | u64::from(id.sequence);
        let mut call = new_call(&plan, request, Slot::placeholder(number), None, id);
        call.number = number;
        call.start_waiting(now);
        call.parked_at = id.parked_at;
        call.skip_reminders(now);
        call.refused = Some(refused);
        // A caller who may not be parked there gets no slot that becomes free.
        call.wants = (refused != NoSlotReason::Denied).then(|| request.wanted.clone());
        // The parker is rung once, and at once. The fallback follows.
        call.rings_left = 1;
        call.deadline = Some(now);
        self.insert(call.clone());
        Ok(call)
    }

    /// The requested lot, or one of that name with the default settings if there is none.
    fn plan_without_slot(&mut self, request: &ParkRequest) -> LotPlan {
        let wanted = request.wanted.slot();
        let place = &request.place;
        let found = self.resolve(place, wanted).or_else(|_| self.resolve(place, None));
        let id = found.unwrap_or_else(|_| {
            let named = |part: fn(&LotName) -> Option<&str>| place.lot.as_ref().and_then(part);
            let domain = named(|lot| lot.domain.as_deref()).or(place.domains.first().map(String::as_str));
            LotId::new(named(|lot| Some(&lot.name)).unwrap_or_default(), domain.unwrap_or_default())
        });
        self.open(&id.domain);
        let lot = self.tenants.get(&id.domain).and_then(|tenant| tenant.lots.get(&id.name));
        let unknown = || LotPlan::without_slots(id.clone(), self.settings_at(place, wanted));
        lot.map_or_else(unknown, |lot| lot.plan.clone())
    }

    /// The calls without a slot for which there is one now, those that have waited longest first: no more of a lot than it has free slots.
    pub(super) fn calls_with_free_slot(&self) -> Vec<Call> {
        let mut offered: HashMap<LotId, usize> = HashMap::default();
        let waiting = self.waiting_for_slot.iter().filter_map(|id| self.calls.get(id));
        let first = waiting.filter(|call| {
            let Some((plan, index, _)) = self.slot_for(call) else { return false };
            let lot = self.tenants.get(&plan.id.domain).and_then(|tenant| tenant.lots.get(&plan.id.name));
            let offered = offered.entry(plan.id.clone()).or_default();
            *offered += 1;
            // A lot that no configuration has is never full.
            index.is_none() || *offered <= lot.map_or(0, Lot::free_count)
        });
        first.cloned().collect()
    }

    /// Assigns a free slot to a call without one. Returns `None` if there is none, or if the call is being connected.
    pub fn assign(&mut self, uuid: &str, now: MonotonicTime) -> Option<Call> {
        let call = self.by_uuid.get(uuid).and_then(|id| self.calls.get(id))?;
        let (plan, index, slot) = self.slot_for(call)?;
        let settings = call.info.overrides.apply(&plan.settings);
        let mut call = self.take_out(call.id)?;
        call.rings_left = settings.ringback_attempts;
        call.busy = 0;
        call.index = index;
        call.info = Arc::new(CallInfo { lot: plan.id, slot, settings, ..CallInfo::clone(&call.info) });
        // A limit that has passed already would send the caller to the fallback just when there is a slot.
        call.max_park_end = call.max_park_end_by_settings().filter(|limit| *limit > now);
        call.deadline = call.next_deadline(now);
        call.limit_reminders(now);
        self.insert(call.clone());
        Some(call)
    }

    /// Undoes [`Table::assign`], because another node has allocated the slot.
    pub fn unassign(&mut self, uuid: &str, now: MonotonicTime) {
        let Some(mut call) = self.by_uuid.get(uuid).copied().and_then(|id| self.take_out(id)) else { return };
        call.index = None;
        call.info = Arc::new(CallInfo { slot: Slot::placeholder(call.number), ..CallInfo::clone(&call.info) });
        call.rings_left = 0;
        call.deadline = call.next_deadline(now);
        self.insert(call);
    }

    fn slot_for(&self, call: &Call) -> Option<(LotPlan, Option<u32>, Slot)> {
        let wanted = call.wants.as_ref().filter(|_| call.waits_for_slot() && call.state == State::Parked)?;
        let tenant = self.tenants.get(&call.info.lot.domain)?;
        let entropy = u64::from(call.id.sequence).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let CallInfo { lot, settings, .. } = &*call.info;
        let has_slots = tenant.lots.get(&lot.name).is_some_and(|lot| lot.size() > 0);
        let (plan, index, slot) = if settings.is_new_lot && !has_slots {
            let plan = LotPlan::without_slots(lot.clone(), Arc::clone(settings));
            (plan, None, tenant.find_any_slot(lot, wanted).ok()?)
        } else {
            let (home, index, slot) = tenant.find_slot(lot, wanted, entropy).ok()?;
            (home.plan.clone(), Some(index), slot)
        };
        let limit = plan.settings.park_limit_per_user;
        // This call is one of those that the parker has parked.
        let too_many = limit > 0 && self.held_by_parker.get(&call.info.parker).is_some_and(|held| *held > limit);
        (!too_many).then_some((plan, index, slot))
    }

    /// Removes a call from the table, to insert it elsewhere.
    fn take_out(&mut self, id: CallId) -> Option<Call> {
        // The outcome and the time are not used: the call goes on.
        self.end(id, Outcome::Transferred, MonotonicTime::default()).map(|ended| ended.call)
    }
}
