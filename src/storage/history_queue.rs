//! The interface of the history: rows wait here until they are written, and queries include those that wait.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use super::caller_number::CallerNumber;
use super::connection::{StorageError, truncated};
use super::pending_history::{Erasure, HistoryWrite, MAX_HISTORY, PendingHistory};
use super::reader::QUERY_TIMEOUT;
use super::record::{HistoryFilter, Record, RecordKey, RefusedCall};
use super::report::{self, Report, ReportQuery};
use super::schema::width;
use super::statistics::{self, Tally};
use super::{Storage, history};
use crate::freeswitch;
use crate::parking::{Call, Ended, LotId};
use crate::service::{History, Retriever};

/// How long a query for statistics waits for the last rows to be written.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a request to erase a caller waits until it is done.
const ERASE_TIMEOUT: Duration = Duration::from_secs(5);

impl History for Storage {
    fn record(&self, ended: &Ended, retriever: Option<&Retriever>, actor: Option<&str>, node: String) {
        let record = Record::new(ended, retriever, actor, node).private(self.config.get().settings.record_privacy);
        self.push_history(|history| history.push(HistoryWrite::Ended(Box::new(record))));
    }

    fn take_back(&self, call: &Call) {
        let key = (call.info.uuid.to_string(), call.info.parked_at_ms);
        self.push_history(|history| history.push(HistoryWrite::TakeBack(key)));
    }

    fn count_refused(&self, lot: &LotId) {
        let key = |text| truncated(text, width::KEY).to_owned();
        let refused = RefusedCall { at: freeswitch::epoch_ms(), lot: key(&lot.name), domain: key(&lot.domain) };
        self.push_history(|history| history.push_refused(refused));
    }
}

impl Storage {
    fn push_history(&self, push: impl FnOnce(&mut PendingHistory) -> bool) {
        if !push(&mut self.history.lock()) {
            // This is logged once for a hundred rows, so that the log does not overflow too.
            if self.dropped.fetch_add(1, Ordering::Relaxed) % 100 == 0 {
                log::error!(waiting = MAX_HISTORY; "too many records wait for the database, newer ones are dropped");
            }
        }
        self.wake();
    }

    /// Waits a moment for the worker to write the rows that wait, because the database counts only what it has.
    fn drain(&self) {
        let until = Instant::now() + DRAIN_TIMEOUT;
        let mut history = self.history.lock();
        while history.len() > 0 && !self.history_away.load(Ordering::Relaxed) {
            if self.drained.wait_until(&mut history, until).timed_out() {
                return;
            }
        }
    }

    pub(super) fn history_succeeds(&self) {
        drop(self.history.lock());
        self.drained.notify_all();
        if self.history_away.swap(false, Ordering::Relaxed) {
            log::warn!("the database of the history is back");
        }
    }

    pub(super) fn history_fails(&self, why: &StorageError) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        if !self.history_away.swap(true, Ordering::Relaxed) {
            log::error!(cause:% = why, waiting = self.backlog(); "the database of the history fails, its rows wait for it");
        }
        drop(self.history.lock());
        self.drained.notify_all();
    }

    pub(super) fn count_dropped(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of rows that wait for the database.
    pub(crate) fn backlog(&self) -> usize {
        self.history.lock().len()
    }

    /// The number of rows that were lost since the module was loaded.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// How often the database has failed.
    pub(crate) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Returns records of calls parked at or after `since`, the newest first, including those that are not in the database yet.
    pub(crate) fn records(
        self: &Arc<Self>,
        since: i64,
        filter: HistoryFilter,
        most: usize,
    ) -> Result<Vec<Record>, StorageError> {
        let mut records = self.history.lock().records(since, &filter);
        // The database is read after the queue. A row that was written in between is in both, and is recognised by its key.
        let known: HashSet<RecordKey> = records.iter().map(Record::key).collect();
        let stored = self.reader.read(self.config.settings().db_dsn, move |connection| {
            history::records(connection, since, &filter, most)
        })?;
        records.extend(stored.into_iter().filter(|record| !known.contains(&record.key())));
        records.sort_by_key(|record| std::cmp::Reverse(record.parked_at));
        records.truncate(most);
        Ok(records)
    }

    /// Erases a caller from the history. Returns the number of rows. If the database does not answer in time, the caller is erased later.
    pub(crate) fn erase(&self, caller: CallerNumber) -> Result<u64, StorageError> {
        let (done, erased) = mpsc::sync_channel(1);
        if !self.history.lock().push(HistoryWrite::Erase(Erasure { caller, done })) {
            return Err(StorageError::Busy);
        }
        self.wake();
        erased.recv_timeout(ERASE_TIMEOUT).map_err(|_| StorageError::ErasedLater)
    }

    /// Returns a tally for each lot and each of the last `days` days, starting with today.
    pub(crate) fn tallies(&self, days: u32, filter: HistoryFilter) -> Result<Vec<Tally>, StorageError> {
        self.drain();
        let (now, service_level) = (freeswitch::epoch_ms(), self.config.get().settings.service_level);
        self.reader.read(self.config.settings().db_dsn, move |connection| {
            statistics::tallies(connection, (now, days), &filter, service_level)
        })
    }

    /// As [`Storage::tallies`], but from a cache of some seconds, because many dashboards may ask.
    pub(crate) fn recent_tallies(&self, days: u32, filter: HistoryFilter) -> Result<Vec<Tally>, StorageError> {
        self.reader.tallies.get((days, filter.clone()), QUERY_TIMEOUT, || self.tallies(days, filter))
    }

    /// Makes a report.
    pub(crate) fn report(&self, query: ReportQuery) -> Result<Report, StorageError> {
        self.drain();
        let (now, service_level) = (freeswitch::epoch_ms(), self.config.get().settings.service_level);
        self.reader.read(self.config.settings().db_dsn, move |connection| {
            report::report(connection, &query, now, service_level)
        })
    }

    /// As [`Storage::report`], but from a cache of some seconds.
    pub(crate) fn recent_report(&self, query: ReportQuery) -> Result<Report, StorageError> {
        self.reader.reports.get(query.clone(), QUERY_TIMEOUT, || self.report(query))
    }
}
