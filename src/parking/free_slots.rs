//! Keeps the free slots of a lot, by index, in the structure in which the lot's slot order finds the next one without a search.

use std::iter;

use super::settings::SlotOrder;

#[derive(Debug)]
pub(super) enum FreeSlots {
    ByNumber(NumberSet),
    /// The slot that has been free for longest is first.
    ByIdleTime(IndexQueue),
    /// In no order, for a random choice. `positions[index]` is the position of a slot in `slots`, if it is free.
    Unordered {
        slots: Vec<u32>,
        positions: Vec<usize>,
    },
}

impl FreeSlots {
    pub(super) fn all(count: usize, order: SlotOrder) -> FreeSlots {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        match order {
            SlotOrder::First | SlotOrder::Next => FreeSlots::ByNumber(NumberSet::up_to(count)),
            SlotOrder::LongestFree => FreeSlots::ByIdleTime(IndexQueue::up_to(count)),
            SlotOrder::Random => {
                FreeSlots::Unordered { slots: (0..count).collect(), positions: (0..count as usize).collect() }
            }
        }
    }

    pub(super) fn count(&self) -> usize {
        match self {
            FreeSlots::ByNumber(free) => free.count,
            FreeSlots::ByIdleTime(queue) => queue.count,
            FreeSlots::Unordered { slots, .. } => slots.len(),
        }
    }

    /// Returns the next free slot: by number, the lowest from `from` on, otherwise the lowest of all.
    pub(super) fn choose(&self, from: u32, entropy: u64) -> Option<u32> {
        match self {
            FreeSlots::ByNumber(free) => free.first_from(from).or_else(|| free.first_from(0)),
            FreeSlots::ByIdleTime(queue) => queue.first(),
            FreeSlots::Unordered { slots, .. } => {
                let pick = entropy.checked_rem(slots.len() as u64)?;
                slots.get(usize::try_from(pick).ok()?).copied()
            }
        }
    }

    /// Marks a slot as occupied. Does nothing if it is occupied already.
    pub(super) fn take(&mut self, index: u32) {
        match self {
            FreeSlots::ByNumber(free) => free.set(index, false),
            FreeSlots::ByIdleTime(queue) => queue.take(index),
            FreeSlots::Unordered { slots, positions } => {
                let at = index as usize;
                let Some(here) = positions.get(at).copied().filter(|here| slots.get(*here) == Some(&index)) else {
                    return;
                };
                slots.swap_remove(here);
                if let Some(moved) = slots.get(here).and_then(|moved| positions.get_mut(*moved as usize)) {
                    *moved = here;
                }
            }
        }
    }

    /// Marks a slot as free. Does nothing if it is free already.
    pub(super) fn give_back(&mut self, index: u32) {
        match self {
            FreeSlots::ByNumber(free) => free.set(index, true),
            FreeSlots::ByIdleTime(queue) => queue.put_last(index),
            FreeSlots::Unordered { slots, positions } => {
                if let Some(here) = positions.get_mut(index as usize).filter(|here| slots.get(**here) != Some(&index)) {
                    *here = slots.len();
                    slots.push(index);
                }
            }
        }
    }
}

/// A set of numbers: one bit for each number, and one for each 64 of those bits that are not all 0. The lowest of 100,000 numbers is
/// found in at most 25 steps.
#[derive(Debug)]
pub(super) struct NumberSet {
    bits: Vec<u64>,
    any: Vec<u64>,
    size: u32,
    count: usize,
}

impl NumberSet {
    fn up_to(size: u32) -> NumberSet {
        let words = size.div_ceil(64) as usize;
        let mut numbers = NumberSet { bits: vec![0; words], any: vec![0; words.div_ceil(64)], size, count: 0 };
        (0..size).for_each(|number| numbers.set(number, true));
        numbers
    }

    fn set(&mut self, number: u32, there: bool) {
        if number >= self.size {
            return;
        }
        let word = number as usize / 64;
        if let (Some(bits), Some(any)) = (self.bits.get_mut(word), self.any.get_mut(word / 64)) {
            let before = bits.count_ones();
            set_bit(bits, number, there);
            self.count = self.count + bits.count_ones() as usize - before as usize;
            set_bit(any, number / 64, *bits != 0);
        }
    }

    fn first_from(&self, from: u32) -> Option<u32> {
        let word = from / 64;
        let here = self.bits.get(word as usize)? & (u64::MAX << (from % 64));
        if here != 0 {
            return Some(word * 64 + here.trailing_zeros());
        }
        let word = self.next_word(word + 1)?;
        Some(word * 64 + self.bits.get(word as usize)?.trailing_zeros())
    }

    /// Returns the first word from `from` on that has a bit.
    fn next_word(&self, from: u32) -> Option<u32> {
        let (first, rest) = self.any.get(from as usize / 64..)?.split_first()?;
        let words = iter::once(first & (u64::MAX << (from % 64))).chain(rest.iter().copied());
        (from / 64..).zip(words).find(|(_, any)| *any != 0).map(|(at, any)| at * 64 + any.trailing_zeros())
    }
}

fn set_bit(word: &mut u64, bit: u32, to: bool) {
    let mask = 1 << (bit % 64);
    *word = if to { *word | mask } else { *word & !mask };
}

/// A queue of indexes from which any one can be removed: a circular list in which each index knows its neighbours. An index that is not in
/// the queue is its own neighbour. The last element is no index, but the gap between the end and the beginning.
#[derive(Debug)]
pub(super) struct IndexQueue {
    ring: Vec<Neighbours>,
    count: usize,
}

#[derive(Clone, Copy, Debug)]
struct Neighbours {
    before: u32,
    after: u32,
}

impl IndexQueue {
    fn up_to(size: u32) -> IndexQueue {
        let alone = |at| Neighbours { before: at, after: at };
        let mut queue = IndexQueue { ring: (0..=size).map(alone).collect(), count: 0 };
        (0..size).for_each(|index| queue.put_last(index));
        queue
    }

    /// The element between the end and the beginning.
    fn gap(&self) -> u32 {
        u32::try_from(self.ring.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    fn first(&self) -> Option<u32> {
        let first = self.ring.last()?.after;
        (first != self.gap()).then_some(first)
    }

    /// Whether `index` is in the queue.
    fn has(&self, index: u32) -> bool {
        index < self.gap() && self.ring.get(index as usize).is_some_and(|here| here.after != index)
    }

    fn join(&mut self, before: u32, after: u32) {
        if let Some(left) = self.ring.get_mut(before as usize) {
            left.after = after;
        }
        if let Some(right) = self.ring.get_mut(after as usize) {
            right.before = before;
        }
    }

    fn take(&mut self, index: u32) {
        let Some(here) = self.ring.get(index as usize).copied().filter(|_| self.has(index)) else { return };
        self.join(here.before, here.after);
        self.join(index, index);
        self.count -= 1;
    }

    fn put_last(&mut self, index: u32) {
        let gap = self.gap();
        let Some(last) = self.ring.last().map(|gap| gap.before).filter(|_| index < gap && !self.has(index)) else {
            return;
        };
        self.join(last, index);
        self.join(index, gap);
        self.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDERS: [SlotOrder; 4] = [SlotOrder::First, SlotOrder::Next, SlotOrder::LongestFree, SlotOrder::Random];

    /// Takes and returns slots at random, and compares the result with that of a list that is searched.
    fn compare_with_a_list(order: SlotOrder, size: u32, seed: u64) {
        let mut free = FreeSlots::all(size as usize, order);
        let mut list: Vec<u32> = (0..size).collect();
        let mut entropy = seed;
        for _ in 0..2_000 {
            entropy = entropy.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (index, from) = ((entropy >> 33) as u32 % (size + 2), (entropy >> 40) as u32 % (size + 2));
            let is_free = list.contains(&index);
            if entropy >> 63 == 0 {
                free.take(index);
                list.retain(|other| *other != index);
            } else {
                free.give_back(index);
                if index < size && !is_free {
                    list.push(index);
                }
            }
            let lowest = |from| list.iter().copied().filter(|index| *index >= from).min();
            match (order, free.choose(from, entropy)) {
                (SlotOrder::First | SlotOrder::Next, found) => assert_eq!(found, lowest(from).or(lowest(0))),
                (SlotOrder::LongestFree, found) => assert_eq!(found, list.first().copied()),
                (SlotOrder::Random, found) => assert!(found.map_or(list.is_empty(), |found| list.contains(&found))),
            }
            assert_eq!(free.count(), list.len());
        }
    }

    #[test]
    fn each_order_finds_what_a_search_would_find() {
        for order in ORDERS {
            for size in [0, 1, 2, 63, 64, 65, 300, 4_097] {
                compare_with_a_list(order, size, u64::from(size) + 1);
            }
        }
    }
}
