//! The thread that writes to the database. In each cycle it does what is due, the most urgent first: the heartbeat, which does not depend on any write,
//! the requests of callers who wait, the slots, and the history.

use std::sync::Arc;
use std::time::Duration;

use super::Storage;
use super::backoff::Backoff;
use super::connection::{Connection, StorageError, unless_away};
use super::cycle::Cycle;
use super::history_writer::HistoryWriter;
use super::messages;
use super::nodes::{self, Heartbeat, NodeMonitor};
use super::recovery_rows;
use super::schema::{self, TablesState};
use super::slot_row;
use super::slots::Conflict;
use super::tickets;
use crate::freeswitch::{self, guard};
use crate::parking::MonotonicTime;
use crate::service::{self, ParkingService};

/// How long a change may wait for others, because a transaction of SQLite creates and removes files, and costs the same for one change as for many.
const MAX_BATCH_DELAY: Duration = Duration::from_millis(50);
/// How often rows that the database refused are tried again.
const REFUSED_ROWS_RETRY_INTERVAL: Duration = Duration::from_secs(15);

/// The state of the database between cycles.
#[derive(Default)]
pub(super) struct WorkerState {
    /// The database that was used last.
    dsn: Option<String>,
    /// Whether the tables of that database were checked.
    tables_are_checked: bool,
    tables: Backoff,
    /// Whether that database has refused something since it was opened.
    was_refused: bool,
    recovery_rows_kept: bool,
    pub(super) heartbeat: Heartbeat,
    pub(super) monitor: NodeMonitor,
    /// By how many milliseconds the clock of the rows is ahead of the monotonic one. In a cluster it is the clock of the database, otherwise the wall
    /// clock.
    pub(super) ahead: i64,
    pub(super) next_comparison: MonotonicTime,
    next_retry_refused: MonotonicTime,
    slots: Backoff,
    history: HistoryWriter,
}

impl Storage {
    /// Runs the thread.
    pub(super) fn run_worker(&self, service: &Arc<ParkingService>) {
        let mut worker_state = self.worker_state.lock();
        if !worker_state.recovery_rows_kept {
            worker_state.recovery_rows_kept = true;
            let window = self.config.get().settings.recover_window;
            recovery_rows::keep(&self.recovery_copies, Duration::from_secs(window.into()));
        }
        loop {
            let closing = self.wait_for_work();
            // If no caller waits, changes within a short time are written together.
            if self.writes.lock().loaded_previous && !closing && !self.config.get().settings.cluster {
                std::thread::sleep(MAX_BATCH_DELAY);
            }
            let nothing_waits = || self.backlog() == 0 && !self.is_urgent();
            if closing && nothing_waits() {
                return;
            }
            if closing || self.backoff.lock().is_due(freeswitch::now()) {
                self.silence.cycle_begins();
                let cycle =
                    guard::fence("storage", Err(StorageError::Panicked), || worker_state.run(self, service, closing));
                self.finish_cycle(cycle);
            }
            if closing {
                return;
            }
        }
    }

    fn finish_cycle(&self, cycle: Result<(), StorageError>) {
        match cycle {
            Ok(()) => {
                self.backoff.lock().succeeded();
                if self.silence.cycle_ends() {
                    // The silence may have been told after this cycle had written everything.
                    if self.backlog() == 0 {
                        self.history_succeeds();
                    }
                    self.wake();
                }
            }
            Err(why) => {
                self.silence.cycle_ends();
                self.backoff.lock().failed(freeswitch::now(), &why);
                self.database_fails(&why);
            }
        }
    }

    fn database_fails(&self, why: &StorageError) {
        self.slots_fail(why);
        if self.backlog() > 0 {
            self.history_fails(why);
        }
    }

    /// Says so if the database keeps silent. It is called once a second, by another thread.
    pub(super) fn notice_silence(&self) {
        self.silence.notice(|| self.database_fails(&StorageError::NoAnswer));
    }
}

/// Hands the requests of other nodes to the service, which carries them out on other threads.
fn execute_requests(cycle: &Cycle<'_>, service: &Arc<ParkingService>) -> Result<(), StorageError> {
    let mut requests = Vec::new();
    let read = messages::take_requests(&cycle.connection, &cycle.node, cycle.clock());
    unless_away(read.map(|read| requests = read))?;
    for (id, body) in requests {
        service.execute_request(&id, &body);
    }
    Ok(())
}

impl WorkerState {
    fn run(&mut self, storage: &Storage, service: &Arc<ParkingService>, closing: bool) -> Result<(), StorageError> {
        let mut cycle = self.begin(storage, service, closing)?;
        let (clustered, now) = (cycle.settings.cluster, freeswitch::now());
        if !storage.writes.lock().loaded_previous {
            if clustered && self.heartbeat.is_name_in_use(&cycle.connection, &cycle.node)? {
                storage.writes.lock().loaded_previous = true;
            } else {
                cycle.load_previous_calls()?;
            }
        }
        let due = now >= self.next_comparison;
        if clustered && due {
            // A database that refuses the heartbeat accepts no other write either, but can be read.
            unless_away(self.heartbeat.beat(&cycle.connection, &cycle.node, service::entropy(), now))?;
        }
        self.write_slots_and_tickets(&cycle)?;
        if clustered {
            execute_requests(&cycle, service)?;
        }
        if due || (clustered && freeswitch::now() >= self.next_comparison) {
            self.compare_with_slot_store(&mut cycle)?;
        }
        if self.history.write(&cycle, self.next_comparison)?.is_some() {
            self.on_refusal();
        }
        self.history.forget(&cycle)?;
        self.dsn = Some(cycle.settings.db_dsn);
        Ok(())
    }

    /// Opens the database, and checks it as a new one until a cycle has succeeded.
    fn begin<'a>(
        &mut self,
        storage: &'a Storage,
        service: &'a Arc<ParkingService>,
        closing: bool,
    ) -> Result<Cycle<'a>, StorageError> {
        let (settings, node) = (service.settings(), service.node_name());
        let connection = match std::mem::take(&mut self.was_refused) {
            true => Connection::open_again(&settings.db_dsn)?,
            false => Connection::open(&settings.db_dsn)?,
        };
        let is_new = self.dsn.take().as_ref() != Some(&settings.db_dsn);
        if is_new {
            schema::prepare(&connection).inspect_err(|why| self.was_refused = !why.is_away())?;
            self.tables_are_checked = true;
        } else if !self.tables_are_checked && self.tables.is_due(freeswitch::now()) {
            self.repair_tables(&connection)?;
        }
        if is_new {
            self.next_comparison = MonotonicTime::default();
            storage.writes.lock().write_all_again();
        }
        if !settings.cluster {
            self.ahead = freeswitch::epoch_ms() - slot_row::monotonic_ms();
        } else if is_new {
            self.ahead = nodes::clock(&connection)? - slot_row::monotonic_ms();
        }
        Ok(Cycle { connection, storage, service, settings, node, ahead: self.ahead, closing })
    }

    /// Checks the tables of a database that has accepted no rows, and creates those that are missing. A refusal is no error of the cycle, because the
    /// heartbeat must be sent in any case.
    fn repair_tables(&mut self, connection: &Connection) -> Result<(), StorageError> {
        match schema::prepare(connection) {
            Ok(prepared) => {
                self.tables.succeeded();
                self.tables_are_checked = true;
                if prepared == TablesState::Created {
                    // The rows that waited for the tables are written in this cycle.
                    self.slots.try_now();
                    self.history.backoff.try_now();
                }
                Ok(())
            }
            Err(why) if why.is_away() => Err(why),
            Err(why) => {
                self.tables.failed(freeswitch::now(), &why);
                Ok(())
            }
        }
    }

    /// Has the tables checked and the file opened again in the next cycle, because the database answers but accepts no rows: a table may be missing, or
    /// the file may have been read-only when it was opened.
    fn on_refusal(&mut self) {
        self.tables_are_checked = false;
        self.was_refused = true;
    }

    fn write_slots_and_tickets(&mut self, cycle: &Cycle<'_>) -> Result<(), StorageError> {
        let storage = cycle.storage;
        let now = freeswitch::now();
        if now >= self.next_retry_refused {
            self.next_retry_refused = now.after(REFUSED_ROWS_RETRY_INTERVAL);
            storage.writes.lock().retry_set_aside();
        }
        let execute_ticket_requests = || {
            loop {
                let request = storage.writes.lock().pop_ticket_request();
                let Some(request) = request else { return Ok(()) };
                tickets::execute(&cycle.connection, request, &cycle.node, cycle.clock())?;
            }
        };
        let done = unless_away(execute_ticket_requests()).and_then(|_| match cycle.closing || self.slots.is_due(now) {
            true => cycle.write_changes(),
            false => Ok(Conflict::None),
        });
        match done {
            Ok(found) => {
                if self.slots.is_due(now) {
                    self.slots.succeeded();
                    storage.slots_succeed();
                }
                if found == Conflict::SlotTaken {
                    // Another node has a call that this node does not know yet, so the slot store is read in this cycle.
                    self.next_comparison = MonotonicTime::default();
                }
                Ok(())
            }
            Err(why) if why.is_away() => Err(why),
            Err(why) => {
                self.slots.failed(now, &why);
                self.on_refusal();
                storage.slots_fail(&why);
                Ok(())
            }
        }
    }
}
