//! Stores the calls of a table, each at the index that its id contains, so that it is found without a search.

use super::call::{Call, CallId, MonotonicTime};

#[derive(Debug, Default)]
pub(super) struct Calls {
    seats: Vec<Option<Call>>,
    /// Indexes without a call; the last one is used next.
    empty: Vec<u32>,
    last_turn: u32,
}

impl Calls {
    pub(super) fn reserve(&mut self, more: usize) {
        self.seats.reserve(more);
        self.empty.reserve(more);
    }

    /// Returns the id of the call that is passed to [`Calls::insert`] next.
    pub(super) fn next_id(&mut self, parked_at: MonotonicTime) -> CallId {
        self.last_turn = self.last_turn.wrapping_add(1);
        let seat = self.empty.last().copied().unwrap_or_else(|| u32::try_from(self.seats.len()).unwrap_or(u32::MAX));
        CallId { parked_at, turn: self.last_turn, seat }
    }

    pub(super) fn insert(&mut self, call: Call) {
        match self.empty.pop().and_then(|seat| self.seats.get_mut(seat as usize)) {
            Some(seat) => *seat = Some(call),
            None => self.seats.push(Some(call)),
        }
    }

    pub(super) fn get(&self, id: &CallId) -> Option<&Call> {
        self.seats.get(id.seat as usize)?.as_ref().filter(|call| call.id == *id)
    }

    pub(super) fn get_mut(&mut self, id: &CallId) -> Option<&mut Call> {
        self.seats.get_mut(id.seat as usize)?.as_mut().filter(|call| call.id == *id)
    }

    pub(super) fn remove(&mut self, id: &CallId) -> Option<Call> {
        let call = self.seats.get_mut(id.seat as usize)?.take_if(|call| call.id == *id)?;
        self.empty.push(id.seat);
        Some(call)
    }

    pub(super) fn len(&self) -> usize {
        self.seats.len() - self.empty.len()
    }

    /// All calls, in no particular order.
    pub(super) fn values(&self) -> impl Iterator<Item = &Call> {
        self.after(None)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Call> {
        self.seats.iter_mut().flatten()
    }

    /// The calls stored after `last`, which may have ended; all of them for `None`.
    pub(super) fn after(&self, last: Option<&CallId>) -> impl Iterator<Item = &Call> {
        let from = last.map_or(0, |last| last.seat as usize + 1);
        self.seats.iter().skip(from).flatten()
    }
}
