//! A lot: its slots, which of them are free, and which calls wait in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::call::CallId;
use super::free_slots::FreeSlots;
use super::names::{LotId, Slot};
use super::settings::{LotSettings, SlotOrder};
use super::slot_request::SlotRange;

/// A lot as the configuration describes it. Domain `*` makes it a template for every domain.
#[derive(Clone, Debug)]
pub struct LotPlan {
    /// The name and the domain of the lot.
    pub id: LotId,
    /// The slots in ascending order, without duplicates.
    pub slots: Arc<[Slot]>,
    /// The labels that the configuration gives to slots.
    pub labels: Arc<BTreeMap<Slot, String>>,
    /// How the lot parks calls.
    pub settings: Arc<LotSettings>,
}

impl LotPlan {
    /// Whether each domain has a copy of this lot, unless it has a lot of that name of its own.
    pub(super) fn is_template(&self) -> bool {
        &*self.id.domain == "*"
    }

    /// The copy of a template for a domain.
    pub(super) fn copy_for(&self, domain: &Arc<str>) -> LotPlan {
        LotPlan { id: LotId { name: Arc::clone(&self.id.name), domain: Arc::clone(domain) }, ..self.clone() }
    }

    /// A lot that is not in the configuration.
    pub(super) fn without_slots(id: LotId, settings: Arc<LotSettings>) -> LotPlan {
        LotPlan { id, slots: Arc::from([]), labels: Arc::default(), settings }
    }
}

#[derive(Debug)]
pub(super) struct Lot {
    pub(super) plan: LotPlan,
    free: FreeSlots,
    /// The call in each slot, by index.
    held: Vec<Option<CallId>>,
    /// The calls of this lot that have a slot, in the order in which they were parked: that is the order of their ids.
    pub(super) waiting: BTreeSet<CallId>,
    last_taken: Option<u32>,
}

impl Lot {
    pub(super) fn new(plan: LotPlan) -> Lot {
        let free = FreeSlots::all(plan.slots.len(), plan.settings.slot_order);
        let held = vec![None; plan.slots.len()];
        Lot { plan, free, held, waiting: BTreeSet::new(), last_taken: None }
    }

    pub(super) fn size(&self) -> usize {
        self.plan.slots.len()
    }

    pub(super) fn free_count(&self) -> usize {
        self.free.count()
    }

    /// Returns the free slot that is next by the lot's order. `entropy` decides where the order is random.
    pub(super) fn choose(&self, entropy: u64) -> Option<(u32, Slot)> {
        let from = match self.plan.settings.slot_order {
            SlotOrder::Next => self.last_taken.map_or(0, |last| last.saturating_add(1)),
            _ => 0,
        };
        let index = self.free.choose(from, entropy)?;
        Some((index, self.plan.slots.get(index as usize)?.clone()))
    }

    /// Returns the free slot with the highest number.
    pub(super) fn last_free(&self) -> Option<(u32, Slot)> {
        let index = self.held.iter().rposition(Option::is_none)?;
        Some((u32::try_from(index).ok()?, self.plan.slots.get(index)?.clone()))
    }

    /// Returns the free slot with the lowest number in a range.
    pub(super) fn lowest_free(&self, range: SlotRange) -> Option<(u32, Slot)> {
        let slots = self.plan.slots.iter().zip(0..).zip(&self.held);
        let mut free = slots.filter(|((slot, _), held)| held.is_none() && range.contains(slot));
        free.next().map(|((slot, index), _)| (index, slot.clone()))
    }

    pub(super) fn held(&self, index: u32) -> Option<&CallId> {
        self.held.get(index as usize)?.as_ref()
    }

    /// Puts a call into a slot. Returns false if there is a call in it already.
    pub(super) fn take(&mut self, index: u32, call: CallId) -> bool {
        let Some(held @ None) = self.held.get_mut(index as usize) else { return false };
        *held = Some(call);
        self.free.take(index);
        self.last_taken = Some(index);
        true
    }

    /// Removes a call from its slot and puts the `next` one there, if there is one. Returns false if it was not in that slot.
    pub(super) fn give_back(&mut self, index: u32, call: CallId, next: Option<CallId>) -> bool {
        let Some(held) = self.held.get_mut(index as usize).filter(|held| **held == Some(call)) else { return false };
        *held = next;
        if next.is_none() {
            self.free.give_back(index);
        }
        true
    }
}
