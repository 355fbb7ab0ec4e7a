//! The thread that writes to the database. In each turn it does what is due, the most urgent first: the heartbeat, which does not depend on any write,
//! the requests of callers who wait, the slots, and the history.

use std::sync::Arc;
use std::time::Duration;

use super::Storage;
use super::backoff::Backoff;
use super::connection::{Connection, StorageError, unless_away};
use super::history_turn::HistoryTurns;
use super::nodes::{self, Heartbeat, Watch};
use super::recovery_rows;
use super::schema::{self, Prepared};
use super::slot_row;
use super::slots::Found;
use super::tickets;
use super::turn::Turn;
use crate::freeswitch::{self, guard};
use crate::parking::MonotonicTime;
use crate::service::{self, ParkingService};

/// How long a change may wait for others, because a transaction of SQLite creates and removes files, and costs the same for one change as for many.
const MAX_BATCH_DELAY: Duration = Duration::from_millis(50);
/// How often rows that the database refused are tried again.
const RETRY_REFUSED: Duration = Duration::from_secs(15);

/// The state of the database between turns.
#[derive(Default)]
pub(super) struct Turns {
    /// The database that was used last.
    dsn: Option<String>,
    /// Whether its tables were checked.
    tables_are_good: bool,
    tables: Backoff,
    /// Whether it has refused something since it was opened.
    was_refused: bool,
    recovery_rows_kept: bool,
    pub(super) heartbeat: Heartbeat,
    pub(super) watch: Watch,
    /// By how many milliseconds the clock of the rows is ahead of the monotonic one. In a cluster it is the clock of the database, otherwise the wall
    /// clock.
    pub(super) ahead: i64,
    pub(super) next_look: MonotonicTime,
    next_retry_refused: MonotonicTime,
    slots: Backoff,
    history: HistoryTurns,
}

impl Storage {
    /// Runs the thread.
    pub(super) fn work(&self, service: &Arc<ParkingService>) {
        let mut turns = self.turns.lock();
        if !turns.recovery_rows_kept {
            turns.recovery_rows_kept = true;
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
                let turn = guard::fence("storage", Err(StorageError::Panicked), || turns.take(self, service, closing));
                self.finish_turn(turn);
            }
            if closing {
                return;
            }
        }
    }

    fn finish_turn(&self, turn: Result<(), StorageError>) {
        match turn {
            Ok(()) => self.backoff.lock().succeeded(),
            Err(why) => {
                self.backoff.lock().failed(freeswitch::now(), &why);
                self.slots_fail(&why);
                if self.backlog() > 0 {
                    self.history_fails(&why);
                }
            }
        }
    }
}

impl Turns {
    fn take(&mut self, storage: &Storage, service: &Arc<ParkingService>, closing: bool) -> Result<(), StorageError> {
        let mut turn = self.begin(storage, service, closing)?;
        let (clustered, now) = (turn.settings.cluster, freeswitch::now());
        if !storage.writes.lock().loaded_previous {
            if clustered && self.heartbeat.is_anothers(&turn.connection, &turn.node)? {
                storage.writes.lock().loaded_previous = true;
            } else {
                turn.load_previous_calls()?;
            }
        }
        let due = now >= self.next_look;
        if clustered && due {
            // A database that refuses the heartbeat accepts no other write either, but can be read.
            unless_away(self.heartbeat.beat(&turn.connection, &turn.node, service::entropy(), now))?;
        }
        self.slots_and_orders(&turn)?;
        if due || (clustered && freeswitch::now() >= self.next_look) {
            self.look(&mut turn)?;
        }
        if self.history.write(&turn, self.next_look)?.is_some() {
            self.note_refusal();
        }
        self.history.forget(&turn)?;
        self.dsn = Some(turn.settings.db_dsn);
        Ok(())
    }

    /// Opens the database, and checks it as a new one until a turn has succeeded.
    fn begin<'a>(
        &mut self,
        storage: &'a Storage,
        service: &'a Arc<ParkingService>,
        closing: bool,
    ) -> Result<Turn<'a>, StorageError> {
        let (settings, node) = (service.settings(), service.node_name());
        let connection = match std::mem::take(&mut self.was_refused) {
            true => Connection::open_again(&settings.db_dsn)?,
            false => Connection::open(&settings.db_dsn)?,
        };
        let is_new = self.dsn.take().as_ref() != Some(&settings.db_dsn);
        if is_new {
            schema::prepare(&connection).inspect_err(|why| self.was_refused = !why.is_away())?;
            self.tables_are_good = true;
        } else if !self.tables_are_good && self.tables.is_due(freeswitch::now()) {
            self.mend_tables(&connection)?;
        }
        if is_new {
            self.next_look = MonotonicTime::default();
            storage.writes.lock().write_all_again();
        }
        if !settings.cluster {
            self.ahead = freeswitch::epoch_ms() - slot_row::monotonic_ms();
        } else if is_new {
            self.ahead = nodes::clock(&connection)? - slot_row::monotonic_ms();
        }
        Ok(Turn { connection, storage, service, settings, node, ahead: self.ahead, closing })
    }

    /// Sends the heartbeat first, because a locked table must not delay it.
    fn mend_tables(&mut self, connection: &Connection) -> Result<(), StorageError> {
        match schema::prepare(connection) {
            Ok(prepared) => {
                self.tables.succeeded();
                self.tables_are_good = true;
                if prepared == Prepared::Made {
                    // The rows that waited for them are written now.
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

    /// Checks the tables again, because the database answers but accepts no rows: they may be missing, or the file may have been read-only.
    fn note_refusal(&mut self) {
        self.tables_are_good = false;
        self.was_refused = true;
    }

    fn slots_and_orders(&mut self, turn: &Turn<'_>) -> Result<(), StorageError> {
        let storage = turn.storage;
        let now = freeswitch::now();
        if now >= self.next_retry_refused {
            self.next_retry_refused = now.after(RETRY_REFUSED);
            storage.writes.lock().retry_set_aside();
        }
        let carry_out_orders = || {
            loop {
                let order = storage.writes.lock().pop_order();
                let Some(order) = order else { return Ok(()) };
                tickets::execute(&turn.connection, order, &turn.node, turn.clock())?;
            }
        };
        let done = unless_away(carry_out_orders()).and_then(|_| match turn.closing || self.slots.is_due(now) {
            true => turn.write_changes(),
            false => Ok(Found::Nothing),
        });
        match done {
            Ok(found) => {
                if self.slots.is_due(now) {
                    self.slots.succeeded();
                    storage.slots_succeed();
                }
                if found == Found::Taken {
                    // This node knows too little of the others.
                    self.next_look = MonotonicTime::default();
                }
                Ok(())
            }
            Err(why) if why.is_away() => Err(why),
            Err(why) => {
                self.slots.failed(now, &why);
                self.note_refusal();
                storage.slots_fail(&why);
                Ok(())
            }
        }
    }
}
