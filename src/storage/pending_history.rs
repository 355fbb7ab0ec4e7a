//! The queue of history rows that wait for the database. A call adds a row and continues; the worker removes the row when the database has it.

use std::collections::{HashSet, VecDeque};
use std::sync::mpsc::SyncSender;

use super::caller_number::CallerNumber;
use super::record::{HistoryFilter, Record, RecordKey, RefusedCall};

/// The maximum number of rows that wait. At a hundred calls a minute, this is more than an hour without the database.
pub(super) const MAX_HISTORY: usize = 10_000;

/// A change of the history.
#[derive(Clone, Debug)]
pub(super) enum HistoryWrite {
    Ended(Box<Record>),
    /// The call had been given up and came back, so its outcome must be deleted.
    TakeBack(RecordKey),
    /// A caller must be erased. It waits behind the rows of calls that ended before, which may be the caller's.
    Erase(Erasure),
}

/// A request to erase a caller from the history, and where the number of erased rows is told.
#[derive(Clone, Debug)]
pub(super) struct Erasure {
    pub(super) caller: CallerNumber,
    pub(super) done: SyncSender<u64>,
}

impl HistoryWrite {
    fn record(&self) -> Option<&Record> {
        match self {
            HistoryWrite::Ended(record) => Some(record),
            HistoryWrite::TakeBack(_) | HistoryWrite::Erase(_) => None,
        }
    }
}

/// The rows of the history that wait for the database.
#[derive(Debug, Default)]
pub(super) struct PendingHistory {
    calls: VecDeque<HistoryWrite>,
    refused: VecDeque<RefusedCall>,
    last_refused_at: i64,
}

impl PendingHistory {
    /// Adds a change. Returns false if there is no room.
    pub(super) fn push(&mut self, write: HistoryWrite) -> bool {
        let room = self.calls.len() < MAX_HISTORY;
        if room {
            self.calls.push_back(write);
        }
        room
    }

    /// Adds a call without a slot. Returns false if there is no room. No two have the same millisecond, which identifies them.
    pub(super) fn push_refused(&mut self, mut refused: RefusedCall) -> bool {
        let room = self.refused.len() < MAX_HISTORY;
        if room {
            refused.at = refused.at.max(self.last_refused_at + 1);
            self.last_refused_at = refused.at;
            self.refused.push_back(refused);
        }
        room
    }

    pub(super) fn len(&self) -> usize {
        self.calls.len() + self.refused.len()
    }

    /// The next outcome to be deleted, if it is the first in the queue.
    pub(super) fn next_take_back(&self) -> Option<RecordKey> {
        match self.calls.front() {
            Some(HistoryWrite::TakeBack(key)) => Some(key.clone()),
            _ => None,
        }
    }

    /// The next caller to be erased, if it is the first in the queue.
    pub(super) fn next_erasure(&self) -> Option<Erasure> {
        match self.calls.front() {
            Some(HistoryWrite::Erase(erasure)) => Some(erasure.clone()),
            _ => None,
        }
    }

    /// The first records, up to an outcome or a caller to be deleted. Each key is in a batch once.
    pub(super) fn next_records(&self, most: usize) -> Vec<Record> {
        let mut keys = HashSet::new();
        let first = self.calls.iter().take(most).map_while(HistoryWrite::record);
        first.filter(|record| keys.insert(record.key())).cloned().collect()
    }

    pub(super) fn next_refused(&self, most: usize) -> Vec<RefusedCall> {
        self.refused.iter().take(most).cloned().collect()
    }

    /// Removes the first change, which was an outcome or a caller to be deleted.
    pub(super) fn remove_first(&mut self) {
        self.calls.pop_front();
    }

    /// Removes those of the first `most` rows that are finished, up to one to be deleted, because the rows behind it are newer.
    pub(super) fn remove_records(&mut self, most: usize, is_settled: impl Fn(&RecordKey) -> bool) {
        let batch = self.calls.iter().take(most).take_while(|write| write.record().is_some()).count();
        let rest = self.calls.split_off(batch);
        self.calls.retain(|write| write.record().is_none_or(|record| !is_settled(&record.key())));
        self.calls.extend(rest);
    }

    pub(super) fn remove_refused(&mut self, count: usize) {
        self.refused.drain(..count.min(self.refused.len()));
    }

    /// The records that wait, the newest first.
    pub(super) fn records(&self, since: i64, filter: &HistoryFilter) -> Vec<Record> {
        let meant = |record: &&Record| record.parked_at >= since && filter.includes(record);
        self.calls.iter().filter_map(HistoryWrite::record).filter(meant).rev().cloned().collect()
    }
}
