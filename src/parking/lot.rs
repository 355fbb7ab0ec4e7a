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
        let free = FreeSlots::all(plan.slots.len(), plan.terms.slot_order);
        Lot { plan, free, waiting: BTreeSet::new(), last_taken: None }
    }

    pub(super) fn size(&self) -> usize {
        self.plan.slots.len()
    }

    pub(super) fn free_count(&self) -> usize {
        self.free.count()
    }

    /// The free slot that is next by the lot's order; `dice` decides a random one.
    pub(super) fn choose(&self, dice: u64) -> Option<(u32, Slot)> {
        let from = match self.plan.terms.slot_order {
            SlotOrder::Next => self.last_taken.map_or(0, |last| last.saturating_add(1)),
            _ => 0,
        };
        let index = self.free.choose(from, dice)?;
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

/// The free slots of a lot by index, kept in the one way in which its order finds the next of them without a walk.
#[derive(Debug)]
enum FreeSlots {
    ByNumber(BTreeSet<u32>),
    /// The one that is free for longest in front. `since`: at which turn each came free; 0 = it was never taken.
    ByIdleTime {
        queue: BTreeSet<(u64, u32)>,
        since: Vec<u64>,
    },
    /// In no order, for the dice. `place`: where each stands, if it is there.
    Bag {
        bag: Vec<u32>,
        place: Vec<usize>,
    },
}

impl FreeSlots {
    fn all(count: usize, order: SlotOrder) -> FreeSlots {
        let indexes = 0..u32::try_from(count).unwrap_or(u32::MAX);
        match order {
            SlotOrder::First | SlotOrder::Next => FreeSlots::ByNumber(indexes.collect()),
            SlotOrder::LongestFree => {
                FreeSlots::ByIdleTime { queue: indexes.map(|index| (0, index)).collect(), since: vec![0; count] }
            }
            SlotOrder::Random => FreeSlots::Bag { bag: indexes.collect(), place: (0..count).collect() },
        }
    }

    fn count(&self) -> usize {
        match self {
            FreeSlots::ByNumber(free) => free.len(),
            FreeSlots::ByIdleTime { queue, .. } => queue.len(),
            FreeSlots::Bag { bag, .. } => bag.len(),
        }
    }

    /// The lowest from `from` on, or else the lowest of all; another where that is not the order.
    fn choose(&self, from: u32, dice: u64) -> Option<u32> {
        match self {
            FreeSlots::ByNumber(free) => free.range(from..).next().or_else(|| free.first()).copied(),
            FreeSlots::ByIdleTime { queue, .. } => queue.first().map(|(_, index)| *index),
            FreeSlots::Bag { bag, .. } => {
                let pick = dice.checked_rem(bag.len() as u64)?;
                bag.get(usize::try_from(pick).ok()?).copied()
            }
        }
    }

    /// Nothing if it is taken already.
    fn take(&mut self, index: u32) {
        let at = index as usize;
        match self {
            FreeSlots::ByNumber(free) => drop(free.remove(&index)),
            FreeSlots::ByIdleTime { queue, since } => {
                if let Some(since) = since.get(at) {
                    queue.remove(&(*since, index));
                }
            }
            FreeSlots::Bag { bag, place } => {
                let Some(here) = place.get(at).copied().filter(|here| bag.get(*here) == Some(&index)) else { return };
                bag.swap_remove(here);
                if let Some(moved) = bag.get(here).and_then(|moved| place.get_mut(*moved as usize)) {
                    *moved = here;
                }
            }
        }
    }

    /// Nothing if it is free already.
    fn give_back(&mut self, index: u32, turn: u64) {
        let at = index as usize;
        match self {
            FreeSlots::ByNumber(free) => drop(free.insert(index)),
            FreeSlots::ByIdleTime { queue, since } => {
                if let Some(since) = since.get_mut(at).filter(|since| !queue.contains(&(**since, index))) {
                    *since = turn;
                    queue.insert((turn, index));
                }
            }
            FreeSlots::Bag { bag, place } => {
                if let Some(here) = place.get_mut(at).filter(|here| bag.get(**here) != Some(&index)) {
                    *here = bag.len();
                    bag.push(index);
                }
            }
        }
    }
}
