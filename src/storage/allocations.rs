//! The slots that calls of this node allocate in a cluster, where the database assigns each slot once. A caller waits for the answer for a moment.

use super::pending_slots::{Allocation, AllocationAnswer, PendingRow, PendingWrites, SyncState};
use super::slot_row::SlotRow;
use crate::parking::StoredCall;

impl PendingWrites {
    /// Allocates a slot. Returns false if the row is in that slot already.
    pub(super) fn allocate(&mut self, row: SlotRow) -> bool {
        let is_new = !self.has(&row.key(), &row.uuid);
        if is_new {
            self.remember(row.uuid.clone());
            self.allocations.insert(row.uuid.clone(), Allocation { row, answer: None });
        }
        is_new
    }

    /// Returns an allocation without an answer, and the calls of this node whose rows may still be in that slot, although they have left it.
    pub(super) fn next_allocation(&mut self) -> Option<(SlotRow, Vec<String>)> {
        let row = self.allocations.values().find(|allocation| !allocation.is_answered())?.row.clone();
        self.leave(&row.key(), &row.uuid);
        let left = self.left.get(&row.key()).cloned().unwrap_or_default();
        Some((row, left))
    }

    /// Stores the answer to an allocation, unless the caller does not wait for it any more.
    pub(super) fn answer_allocation(&mut self, row: SlotRow, answer: AllocationAnswer) {
        let Some(allocation) = self.allocations.get_mut(&row.uuid) else { return };
        allocation.answer = Some(answer.clone());
        if let Ok(state) = answer {
            if state != SyncState::Written {
                self.changed.insert(row.key());
            }
            self.wanted.insert(row.key(), PendingRow { row, state, refusals: 0 });
        }
    }

    /// Takes the answer to an allocation. Returns `None` if there is none yet.
    pub(super) fn take_answer(&mut self, uuid: &str) -> Option<Result<(), Box<StoredCall>>> {
        // An allocation that is gone was for a call that has ended, and whose leg has been parked again.
        let Some(allocation) = self.allocations.get(uuid) else { return Some(Ok(())) };
        allocation.answer.as_ref()?;
        self.allocations.remove(uuid)?.answer.map(|answer| answer.map(drop))
    }

    /// Removes an allocation whose answer nobody waits for any more.
    pub(super) fn withdraw_allocation(&mut self, uuid: &str) {
        self.allocations.remove(uuid);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::parking::{
        CallOverrides, LotId, LotPlan, LotSelector, MonotonicTime, ParkRequest, Slot, SlotRequest, StoredState, Table,
        parse_slots,
    };

    /// The row of a leg that is parked in slot 701.
    fn row(uuid: &str) -> SlotRow {
        let lot = LotPlan {
            id: LotId::new("main", "a.test"),
            slots: parse_slots("701").unwrap().into(),
            labels: Arc::default(),
            settings: Arc::default(),
        };
        let request = ParkRequest {
            uuid: uuid.into(),
            place: LotSelector { domains: vec!["a.test".into()], ..LotSelector::default() },
            wanted: SlotRequest::Auto,
            caller: Arc::default(),
            parker: "".into(),
            label: String::new(),
            overrides: CallOverrides::default(),
            parked_at_ms: 0,
            entropy: 0,
        };
        SlotRow::of(&Table::new(&[lot], None).park(&request, false, MonotonicTime::default()).unwrap())
    }

    fn of_another_node() -> Box<StoredCall> {
        Box::new(StoredCall {
            uuid: "there".into(),
            node: "b".into(),
            is: StoredState::Parked,
            lot: LotId::new("main", "a.test"),
            slot: Slot::parse("701").unwrap(),
            caller: Arc::default(),
            parker: "".into(),
            label: "".into(),
            attempt: 0,
            parked_at_ms: 0,
            waited: Duration::ZERO,
            left: None,
        })
    }

    #[test]
    fn an_allocation_has_one_answer() {
        let mut writes = PendingWrites::default();
        assert!(writes.allocate(row("a")) && !writes.is_empty() && writes.take_answer("a").is_none());
        let (allocated, left) = writes.next_allocation().unwrap();
        assert!(left.is_empty() && !writes.has(&allocated.key(), "a"));
        writes.answer_allocation(allocated, Ok(SyncState::Written));
        assert!(writes.next_allocation().is_none() && matches!(writes.take_answer("a"), Some(Ok(()))));
        assert_eq!(writes.written(), HashSet::from(["a".to_owned()]));
        assert!(!writes.allocate(row("a")), "the row is in that slot already");
    }

    #[test]
    fn a_slot_of_another_node_is_not_written() {
        let mut writes = PendingWrites::default();
        writes.allocate(row("a"));
        let (allocated, _) = writes.next_allocation().unwrap();
        writes.answer_allocation(allocated, Err(of_another_node()));
        assert!(matches!(writes.take_answer("a"), Some(Err(other)) if &*other.node == "b"));
        assert!(writes.wanted.is_empty() && writes.is_empty());
    }

    /// The database answers after the node has decided alone, and the call has ended by then.
    #[test]
    fn a_row_whose_allocation_was_withdrawn_is_known_as_this_nodes() {
        let mut writes = PendingWrites::default();
        writes.allocate(row("a"));
        let (allocated, _) = writes.next_allocation().unwrap();
        writes.withdraw_allocation("a");
        writes.answer_allocation(allocated, Ok(SyncState::Written));
        assert!(writes.wanted.is_empty() && writes.had_call("a"), "the comparison with the table deletes it");
    }

    #[test]
    fn an_allocation_deletes_the_row_of_the_call_that_was_in_the_slot() {
        let mut writes = PendingWrites::default();
        writes.set_row(row("a").key(), Some(row("a")));
        writes.allocate(row("b"));
        let (allocated, left) = writes.next_allocation().unwrap();
        assert_eq!((allocated.uuid.as_str(), left), ("b", vec!["a".to_owned()]));
    }

    /// Before: the row counted as one that the database refuses, because its key was found after it had been deleted.
    #[test]
    fn a_leg_that_comes_back_into_its_slot_at_once_is_written() {
        let (mut writes, place) = (PendingWrites::default(), row("a").key());
        for now in [Some(row("a")), None, Some(row("a"))] {
            writes.set_row(place.clone(), now);
        }
        let changes = writes.take_changes(9);
        assert!(matches!(changes.as_slice(), [change] if change.wanted.is_some() && change.left.is_empty()));
    }
}
