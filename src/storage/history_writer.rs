//! The part of a cycle that writes the history and deletes old rows.

use std::time::Duration;

use super::backoff::Backoff;
use super::connection::{StorageError, unless_away};
use super::cycle::Cycle;
use super::history;
use super::pending_history::Erasure;
use crate::freeswitch;
use crate::parking::MonotonicTime;

/// The number of history rows in one statement.
const MAX_HISTORY_BATCH: usize = 200;
/// How often old rows are deleted.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(3600);
const DAY_MS: i64 = 86_400_000;

/// The state of the history between cycles.
#[derive(Default)]
pub(super) struct HistoryWriter {
    pub(super) backoff: Backoff,
    attempt: usize,
    refused_again: bool,
    next_forget: MonotonicTime,
}

enum Progress {
    More,
    Done,
}

impl HistoryWriter {
    /// Writes rows. A row leaves the queue when the database has it, or refuses it and accepts a probe row. Returns why rows must be tried again. At
    /// `until` this node's heartbeat is due.
    pub(super) fn write(
        &mut self,
        cycle: &Cycle<'_>,
        until: MonotonicTime,
    ) -> Result<Option<StorageError>, StorageError> {
        let storage = cycle.storage;
        if storage.backlog() == 0 || !(cycle.closing || self.backoff.is_due(freeswitch::now())) {
            return Ok(None);
        }
        loop {
            match self.write_batch(cycle) {
                Ok(Progress::Done) => {
                    self.backoff.succeeded();
                    self.attempt = 0;
                    storage.history_succeeds();
                    return Ok(None);
                }
                Ok(Progress::More) => {}
                Err(why) if why.is_away() => return Err(why),
                Err(why) => {
                    self.backoff.failed(freeswitch::now(), &why);
                    self.attempt += 1;
                    storage.history_fails(&why);
                    return Ok(Some(why));
                }
            }
            if storage.is_urgent() || freeswitch::now() >= until {
                // A caller waits for a slot, or the heartbeat is due. The remaining rows are written in the next cycle.
                storage.wake();
                return Ok(None);
            }
        }
    }

    fn write_batch(&mut self, cycle: &Cycle<'_>) -> Result<Progress, StorageError> {
        let (storage, connection) = (cycle.storage, &cycle.connection);
        let (take_back, erasure, records, refused) = {
            let history = storage.history.lock();
            let (take_back, erasure) = (history.next_take_back(), history.next_erasure());
            (take_back, erasure, history.next_records(MAX_HISTORY_BATCH), history.next_refused(MAX_HISTORY_BATCH))
        };
        if take_back.is_none() && erasure.is_none() && records.is_empty() && refused.is_empty() {
            return Ok(Progress::Done);
        }
        if let Some(key) = take_back {
            if !history::take_back(connection, &key)? {
                return Err(StorageError::RowNotDeleted);
            }
            storage.history.lock().remove_first();
        }
        if let Some(Erasure { caller, done }) = erasure {
            let rows = history::erase(connection, &caller)?;
            storage.history.lock().remove_first();
            log::info!(rows = rows; "erased a caller from the history");
            // The requester may have given up.
            let _ = done.try_send(rows);
        }
        if !records.is_empty() {
            let outcome = history::write(connection, &records, self.attempt)?;
            storage.history.lock().remove_records(MAX_HISTORY_BATCH, |key| outcome.is_settled(key));
            for record in &records {
                let Some(why) = outcome.refused.get(&record.key()) else { continue };
                storage.count_dropped();
                log::error!(
                    uuid:% = record.uuid, slot:% = record.slot, lot:% = format_args!("{}@{}", record.lot, record.domain),
                    outcome:% = record.outcome, cause:% = why;
                    "database refuses the record of a call"
                );
            }
            if outcome.written.is_empty() && outcome.refused.is_empty() {
                return Err(StorageError::NoRowWritten(outcome.why));
            }
        }
        if !refused.is_empty() {
            let again = std::mem::replace(&mut self.refused_again, true);
            if !history::write_refused(connection, &refused, again)? {
                return Err(StorageError::RowsNotKept);
            }
            self.refused_again = false;
            storage.history.lock().remove_refused(refused.len());
        }
        Ok(Progress::More)
    }

    /// Deletes old rows from time to time.
    pub(super) fn forget(&mut self, cycle: &Cycle<'_>) -> Result<(), StorageError> {
        if freeswitch::now() >= self.next_forget {
            let before = freeswitch::epoch_ms() - i64::from(cycle.settings.record_days) * DAY_MS;
            unless_away(history::forget(&cycle.connection, before))?;
            self.next_forget = freeswitch::now().after(CLEANUP_INTERVAL);
        }
        Ok(())
    }
}
