//! The lots of one domain, and which call is in which of their slots.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::HashMap;

use crate::parking::call::{Call, CallId};
use crate::parking::lot::{Lot, LotPlan};
use crate::parking::names::Slot;

/// The lots of one domain.
#[derive(Debug, Default)]
pub(super) struct Tenant {
    pub(super) lots: BTreeMap<Arc<str>, Lot>,
    /// The first lot of the configuration that has slots.
    first: Option<Arc<str>>,
    /// The lot of each slot, and the index of the slot in it.
    pub(super) slots: HashMap<Slot, (Arc<str>, u32)>,
    /// Calls that are not in [`Lot::held`]: in slots that no lot has any more, without a slot, or in a slot that another call occupies because
    /// two nodes assigned it while they could not reach each other.
    pub(super) displaced: HashMap<Slot, Vec<CallId>>,
}

impl Tenant {
    pub(super) fn add(&mut self, plan: LotPlan) {
        self.slots.reserve(plan.slots.len());
        for (slot, index) in plan.slots.iter().zip(0..) {
            self.slots.insert(slot.clone(), (Arc::clone(&plan.id.name), index));
        }
        if !plan.slots.is_empty() {
            self.first.get_or_insert_with(|| Arc::clone(&plan.id.name));
        }
        self.lots.insert(Arc::clone(&plan.id.name), Lot::new(plan));
    }

    /// The calls in a slot, in the order in which they came.
    pub(super) fn calls_in(&self, slot: &Slot) -> impl Iterator<Item = &CallId> {
        let home = self.slots.get(slot).and_then(|(name, index)| self.lots.get(name)?.held(*index));
        home.into_iter().chain(self.displaced.get(slot).into_iter().flatten())
    }

    /// The call in a slot; the first one if there are two.
    pub(super) fn held(&self, slot: &Slot) -> Option<&CallId> {
        self.calls_in(slot).next()
    }

    /// The lot that is used when none is named.
    pub(super) fn first_lot(&self) -> Option<&Arc<str>> {
        self.first.as_ref().or_else(|| self.lots.keys().next())
    }

    pub(super) fn in_use(&self) -> bool {
        !self.displaced.is_empty() || self.lots.values().any(|lot| !lot.waiting.is_empty())
    }

    pub(super) fn index_of(&self, lot: &str, slot: &Slot) -> Option<u32> {
        self.slots.get(slot).filter(|(name, _)| **name == *lot).map(|(_, index)| *index)
    }

    /// The lot that has the slot of a call now, and the index of the slot in it.
    pub(super) fn home(&mut self, call: &Call) -> Option<(&mut Lot, u32)> {
        let (name, index) = match call.index {
            Some(index) => (&call.info.lot.name, index),
            None => self.slots.get(&call.info.slot).map(|(name, index)| (name, *index))?,
        };
        Some((self.lots.get_mut(name)?, index))
    }

    /// Puts a call into its slot, whichever lot has that slot now, even if another call is in it.
    pub(super) fn hold(&mut self, call: &Call) {
        if call.waits_for_slot() {
            return self.displaced.entry(call.info.slot.clone()).or_default().push(call.id);
        }
        let id = &call.info.lot;
        let gone = || LotPlan::without_slots(id.clone(), Arc::clone(&call.info.settings));
        self.lots.entry(Arc::clone(&id.name)).or_insert_with(|| Lot::new(gone())).waiting.insert(call.id);
        let holds = self.home(call).is_some_and(|(lot, index)| lot.take(index, call.id));
        if !holds {
            self.displaced.entry(call.info.slot.clone()).or_default().push(call.id);
        }
    }

    pub(super) fn free(&mut self, call: &Call) {
        let slot = &call.info.slot;
        let next = self.displaced.get(slot).and_then(|calls| calls.first()).copied();
        let held = self.home(call).is_some_and(|(lot, index)| lot.give_back(index, call.id, next));
        let found = if held { next } else { Some(call.id) };
        if let Some((found, calls)) = found.zip(self.displaced.get_mut(slot)) {
            calls.retain(|id| *id != found);
            if calls.is_empty() {
                self.displaced.remove(slot);
            }
        }
        if let Some(lot) = self.lots.get_mut(&call.info.lot.name) {
            lot.waiting.remove(&call.id);
            if lot.size() == 0 && lot.waiting.is_empty() {
                self.lots.remove(&call.info.lot.name);
            }
        }
    }
}
