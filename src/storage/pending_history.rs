//! Rows of the history that wait for the database. Calls put them here and go on; the worker takes a row out when the database has it.

use std::collections::{HashSet, VecDeque};

use super::record::{HistoryFilter, Record, RecordKey, RefusedCall};

/// Rows of the history that wait at most; at a hundred calls a minute that is more than an hour without the database.
pub(super) const MAX_HISTORY: usize = 10_000;

/// What happened to a call, in the order in which it did.
#[derive(Clone, Debug)]
pub(super) enum HistoryWrite {
    Ended(Box<Record>),
    /// It was given up, and came back: that was not its outcome.
    TakeBack(RecordKey),
}

impl HistoryWrite {
    fn record(&self) -> Option<&Record> {
        match self {
            HistoryWrite::Ended(record) => Some(record),
            HistoryWrite::TakeBack(_) => None,
        }
    }
}

/// Rows of the history that wait for the database.
#[derive(Debug, Default)]
pub(super) struct PendingHistory {
    calls: VecDeque<HistoryWrite>,
    refused: VecDeque<RefusedCall>,
    last_refused_at: i64,
}

impl PendingHistory {
    /// False if there is no room.
    pub(super) fn push(&mut self, write: HistoryWrite) -> bool {
        let room = self.calls.len() < MAX_HISTORY;
        if room {
            self.calls.push_back(write);
        }
        room
    }

    /// False if there is no room. No two are of the same millisecond: that tells them apart.
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

    /// The next to be taken back, if it is the first in the queue.
    pub(super) fn next_take_back(&self) -> Option<RecordKey> {
        match self.calls.front() {
            Some(HistoryWrite::TakeBack(key)) => Some(key.clone()),
            _ => None,
        }
    }

    /// The first records, up to one that is to be taken back. A key is in a batch once.
    pub(super) fn next_records(&self, most: usize) -> Vec<Record> {
        let mut keys = HashSet::new();
        let first = self.calls.iter().take(most).map_while(HistoryWrite::record);
        first.filter(|record| keys.insert(record.key())).cloned().collect()
    }

    pub(super) fn next_refused(&self, most: usize) -> Vec<RefusedCall> {
        self.refused.iter().take(most).cloned().collect()
    }

    pub(super) fn remove_take_back(&mut self) {
        self.calls.pop_front();
    }

    /// Removes those of the first `most` that are settled, up to one that is to be taken back: what comes behind that is news.
    pub(super) fn remove_records(&mut self, most: usize, is_settled: impl Fn(&RecordKey) -> bool) {
        let batch = self.calls.iter().take(most).take_while(|write| write.record().is_some()).count();
        let rest = self.calls.split_off(batch);
        self.calls.retain(|write| write.record().is_none_or(|record| !is_settled(&record.key())));
        self.calls.extend(rest);
    }

    pub(super) fn remove_refused(&mut self, count: usize) {
        self.refused.drain(..count.min(self.refused.len()));
    }

    /// Records that wait, the newest first.
    pub(super) fn records(&self, since: i64, filter: &HistoryFilter) -> Vec<Record> {
        let meant = |record: &&Record| record.parked_at >= since && filter.includes(&record.lot, &record.domain);
        self.calls.iter().filter_map(HistoryWrite::record).filter(meant).rev().cloned().collect()
    }
}
