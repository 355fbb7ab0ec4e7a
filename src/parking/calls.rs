//! Stores the calls of a table, each at the index that its id contains, so that it is found without a search.

use super::call::{Call, CallId, MonotonicTime};

#[derive(Debug, Default)]
pub(super) struct CallSlab {
    entries: Vec<Option<Call>>,
    /// Indexes without a call; the last one is used next.
    empty: Vec<u32>,
    last_sequence: u32,
}

impl CallSlab {
    pub(super) fn reserve(&mut self, more: usize) {
        self.entries.reserve(more);
        self.empty.reserve(more);
    }

    /// Returns the id of the call that is passed to [`CallSlab::insert`] next.
    pub(super) fn next_id(&mut self, parked_at: MonotonicTime) -> CallId {
        self.last_sequence = self.last_sequence.wrapping_add(1);
        let entry = self.empty.last().copied().unwrap_or_else(|| u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        CallId { parked_at, sequence: self.last_sequence, entry }
    }

    pub(super) fn insert(&mut self, call: Call) {
        match self.empty.pop().and_then(|entry| self.entries.get_mut(entry as usize)) {
            Some(entry) => *entry = Some(call),
            None => self.entries.push(Some(call)),
        }
    }

    pub(super) fn get(&self, id: &CallId) -> Option<&Call> {
        self.entries.get(id.entry as usize)?.as_ref().filter(|call| call.id == *id)
    }

    pub(super) fn get_mut(&mut self, id: &CallId) -> Option<&mut Call> {
        self.entries.get_mut(id.entry as usize)?.as_mut().filter(|call| call.id == *id)
    }

    pub(super) fn remove(&mut self, id: &CallId) -> Option<Call> {
        let call = self.entries.get_mut(id.entry as usize)?.take_if(|call| call.id == *id)?;
        self.empty.push(id.entry);
        Some(call)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.empty.len()
    }

    /// All calls, in no particular order.
    pub(super) fn values(&self) -> impl Iterator<Item = &Call> {
        self.after(None)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Call> {
        self.entries.iter_mut().flatten()
    }

    /// The calls stored after `last`, which may have ended; all of them for `None`.
    pub(super) fn after(&self, last: Option<&CallId>) -> impl Iterator<Item = &Call> {
        let from = last.map_or(0, |last| last.entry as usize + 1);
        self.entries.iter().skip(from).flatten()
    }
}
