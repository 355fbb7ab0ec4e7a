//! A lot: its slots, which of them are free, and who waits in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::call::CallId;
use super::free::FreeSlots;
use super::names::{LotId, Slot};
use super::settings::{LotSettings, SlotOrder};

/// A lot as the configuration describes it. Domain `*` makes it a template for every domain.
#[derive(Clone, Debug)]
pub struct LotPlan {
    pub id: LotId,
    /// In counting order, each once.
    pub slots: Arc<[Slot]>,
    pub labels: Arc<BTreeMap<Slot, String>>,
    pub settings: Arc<LotSettings>,
}

impl LotPlan {
    /// A lot that the configuration does not have.
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
    /// Calls of this lot, the one that was parked first in front: ids only grow.
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

    /// The free slot that is next by the lot's order; `entropy` decides a random one.
    pub(super) fn choose(&self, entropy: u64) -> Option<(u32, Slot)> {
        let from = match self.plan.settings.slot_order {
            SlotOrder::Next => self.last_taken.map_or(0, |last| last.saturating_add(1)),
            _ => 0,
        };
        let index = self.free.choose(from, entropy)?;
        Some((index, self.plan.slots.get(index as usize)?.clone()))
    }

    pub(super) fn held(&self, index: u32) -> Option<&CallId> {
        self.held.get(index as usize)?.as_ref()
    }

    /// False if there is a call in that slot already.
    pub(super) fn take(&mut self, index: u32, call: CallId) -> bool {
        let Some(held @ None) = self.held.get_mut(index as usize) else { return false };
        *held = Some(call);
        self.free.take(index);
        self.last_taken = Some(index);
        true
    }

    /// A call leaves its slot to the `next` one, or to whoever will be parked there. False if it was not in that slot.
    pub(super) fn give_back(&mut self, index: u32, call: CallId, next: Option<CallId>) -> bool {
        let Some(held) = self.held.get_mut(index as usize).filter(|held| **held == Some(call)) else { return false };
        *held = next;
        if next.is_none() {
            self.free.give_back(index);
        }
        true
    }
}
