//! A lot: its slots, which of them are free, and who waits in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::call::CallId;
use super::names::{LotId, Slot};
use super::terms::{SlotOrder, Terms};

/// A lot as the configuration describes it. Domain `*` makes it a template for every domain.
#[derive(Clone, Debug)]
pub struct LotPlan {
    pub id: LotId,
    /// In counting order, each once.
    pub slots: Arc<[Slot]>,
    pub labels: Arc<BTreeMap<Slot, String>>,
    pub terms: Arc<Terms>,
}

#[derive(Debug)]
pub(super) struct Lot {
    pub(super) plan: LotPlan,
    free: FreeSlots,
    /// Calls of this lot, the one that was parked first in front: ids only grow.
    pub(super) waiting: BTreeSet<CallId>,
    last_taken: Option<u32>,
}

impl Lot {
    pub(super) fn new(plan: LotPlan) -> Lot {
        let free = FreeSlots::all(plan.slots.len());
        Lot { plan, free, waiting: BTreeSet::new(), last_taken: None }
    }

    pub(super) fn size(&self) -> usize {
        self.plan.slots.len()
    }

    pub(super) fn free_count(&self) -> usize {
        self.free.by_number.len()
    }

    /// The free slot that is next by the lot's order; `dice` decides a random one.
    pub(super) fn choose(&self, dice: u64) -> Option<(u32, Slot)> {
        let index = match self.plan.terms.slot_order {
            SlotOrder::First => self.free.lowest(),
            SlotOrder::Next => self.free.after(self.last_taken),
            SlotOrder::LongestFree => self.free.longest_idle(),
            SlotOrder::Random => self.free.any(dice),
        }?;
        Some((index, self.plan.slots.get(index as usize)?.clone()))
    }

    pub(super) fn take(&mut self, index: u32) {
        self.free.take(index);
        self.last_taken = Some(index);
    }

    /// `turn` orders the slots that came free: a larger one came later.
    pub(super) fn give_back(&mut self, index: u32, turn: u64) {
        self.free.give_back(index, turn);
    }
}

/// The free slots of a lot by index, kept so that each order finds its next one without a walk.
#[derive(Debug)]
struct FreeSlots {
    by_number: BTreeSet<u32>,
    by_idle: BTreeSet<(u64, u32)>,
    /// When each slot came free, as a turn; 0 = never taken yet.
    idle_since: Vec<u64>,
    /// The free ones in no order, for the dice, and where each stands in it.
    bag: Vec<u32>,
    place_in_bag: Vec<usize>,
}

impl FreeSlots {
    fn all(count: usize) -> FreeSlots {
        let indexes = || 0..u32::try_from(count).unwrap_or(u32::MAX);
        FreeSlots {
            by_number: indexes().collect(),
            by_idle: indexes().map(|index| (0, index)).collect(),
            idle_since: vec![0; count],
            bag: indexes().collect(),
            place_in_bag: (0..count).collect(),
        }
    }

    fn lowest(&self) -> Option<u32> {
        self.by_number.first().copied()
    }

    fn after(&self, last: Option<u32>) -> Option<u32> {
        let from = last.map_or(0, |last| last.saturating_add(1));
        self.by_number.range(from..).next().copied().or_else(|| self.lowest())
    }

    fn longest_idle(&self) -> Option<u32> {
        self.by_idle.first().map(|(_, index)| *index)
    }

    fn any(&self, dice: u64) -> Option<u32> {
        let count = self.bag.len() as u64;
        let pick = dice.checked_rem(count)?;
        self.bag.get(usize::try_from(pick).ok()?).copied()
    }

    fn take(&mut self, index: u32) {
        if !self.by_number.remove(&index) {
            return;
        }
        let at = index as usize;
        if let Some(since) = self.idle_since.get(at) {
            self.by_idle.remove(&(*since, index));
        }
        if let Some(place) = self.place_in_bag.get(at).copied() {
            if place < self.bag.len() {
                self.bag.swap_remove(place);
            }
            if let Some(moved) = self.bag.get(place).copied() {
                if let Some(slot) = self.place_in_bag.get_mut(moved as usize) {
                    *slot = place;
                }
            }
        }
    }

    fn give_back(&mut self, index: u32, turn: u64) {
        if !self.by_number.insert(index) {
            return;
        }
        let at = index as usize;
        if let Some(since) = self.idle_since.get_mut(at) {
            *since = turn;
            self.by_idle.insert((turn, index));
        }
        if let Some(place) = self.place_in_bag.get_mut(at) {
            *place = self.bag.len();
            self.bag.push(index);
        }
    }
}
