//! The one thread that writes. Each turn it does what there is to do, the most urgent first: the heartbeat, which does not depend on any
//! write; what callers wait for; the slots; the history.

use std::sync::Arc;
use std::time::Duration;

use super::Storage;
use super::connection::{Connection, StorageError, unless_away};
use super::history;
use super::nodes::{self, BEAT, Heartbeat, Watch};
use super::recovery_rows;
use super::schema::{self, Prepared};
use super::slot_row;
use super::slots::{Found, SlotStoreTurn};
use super::tickets;
use crate::attendant::{self, Attendant};
use crate::config::Settings;
use crate::host::{self, guard};
use crate::parking::{Absent, Afar, Moment};

/// For how long a change may wait for others: a transaction of SQLite is files made and removed, and costs the same for one
/// as for many.
const GATHER: Duration = Duration::from_millis(50);
/// Between one try and the next while the database is away; twice as long after each, up to the last. (The core's drivers lose some
/// memory at each connection that fails.)
const FIRST_RETRY: Duration = Duration::from_secs(2);
const LAST_RETRY: Duration = Duration::from_secs(30);
/// The same where the database answers, and takes no rows.
const LAST_RETRY_REFUSED: Duration = Duration::from_secs(5);
/// Rows of the history in one statement.
const BATCH: usize = 200;
/// How often the slots are compared with the table, where no other node is looked at.
const COMPARE: Duration = Duration::from_secs(5);
/// After so long, rows that the database refused are tried once more.
const RETRY_REFUSED: Duration = Duration::from_secs(15);
/// How often old rows are looked for.
const FORGET: Duration = Duration::from_secs(3600);
const DAY_MS: i64 = 86_400_000;

/// When something that failed is tried again.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    next: Moment,
    wait: Duration,
}

impl Backoff {
    pub(super) fn is_due(&self, now: Moment) -> bool {
        now >= self.next
    }

    pub(super) fn failed(&mut self, now: Moment, why: &StorageError) {
        let last = if why.is_away() { LAST_RETRY } else { LAST_RETRY_REFUSED };
        self.wait = (self.wait * 2).clamp(FIRST_RETRY, last);
        self.next = now.after(self.wait);
    }

    pub(super) fn succeeded(&mut self) {
        *self = Backoff::default();
    }

    /// Now, for somebody who waits. How long the next wait is, is not forgotten.
    pub(super) fn try_now(&mut self) {
        self.next = Moment::default();
    }
}

/// What is known of the database from one turn to the next.
#[derive(Default)]
pub(super) struct Turns {
    /// The database that was written to last.
    dsn: Option<String>,
    /// Its tables are known to be as they must.
    tables_are_good: bool,
    tables: Backoff,
    /// Something was refused since the database was opened last.
    was_refused: bool,
    recovery_rows_kept: bool,
    heartbeat: Heartbeat,
    watch: Watch,
    /// By how many milliseconds the clock that the rows are by is ahead of the monotonic one: in a cluster the database's clock, else
    /// the wall clock.
    ahead: i64,
    next_look: Moment,
    next_retry_refused: Moment,
    next_forget: Moment,
    slots: Backoff,
    history: Backoff,
    history_attempt: usize,
    refused_again: bool,
}

impl Storage {
    /// The thread's life.
    pub(super) fn work(&self) {
        let mut turns = self.turns.lock();
        if !turns.recovery_rows_kept {
            turns.recovery_rows_kept = true;
            recovery_rows::keep();
        }
        loop {
            let closing = self.wait_for_work();
            // Where nobody waits for an answer, what comes within a moment is written together.
            if self.writes.lock().loaded_previous && !closing && !settings().cluster {
                std::thread::sleep(GATHER);
            }
            let nothing_waits = || self.backlog() == 0 && !self.is_urgent();
            if closing && nothing_waits() {
                return;
            }
            if closing || self.backoff.lock().is_due(host::now()) {
                let turn = guard::fence("storage", Err(StorageError::Away("a bug; see the log".into())), || {
                    turns.take(self, closing)
                });
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
                self.backoff.lock().failed(host::now(), &why);
                self.slots_fail(&why);
                if self.backlog() > 0 {
                    self.history_fails(&why);
                }
            }
        }
    }
}

impl Turns {
    fn take(&mut self, storage: &Storage, closing: bool) -> Result<(), StorageError> {
        let Some(attendant) = attendant::on_duty() else { return Ok(()) };
        let (settings, node) = (attendant.settings(), attendant.node_name());
        let connection = self.open(storage, &settings)?;
        let now = host::now();
        if !storage.writes.lock().loaded_previous {
            if settings.cluster && self.heartbeat.is_anothers(&connection, &node)? {
                storage.writes.lock().loaded_previous = true;
            } else {
                let turn = self.slot_turn(&connection, storage, &attendant, &node);
                turn.load_previous_calls(Duration::from_secs(settings.recover_window.into()))?;
            }
        }
        let due = now >= self.next_look;
        if settings.cluster && due {
            // A database that refuses it takes no other write either, but can be read.
            unless_away(self.heartbeat.beat(&connection, &node, attendant::dice(), now))?;
        }
        self.slots_and_orders(storage, &connection, &attendant, &node, closing)?;
        if due || (settings.cluster && host::now() >= self.next_look) {
            self.look(storage, &connection, &attendant, &node, &settings)?;
        }
        self.write_history(storage, &connection, closing)?;
        if host::now() >= self.next_forget {
            let before = host::epoch_ms() - i64::from(settings.record_days) * DAY_MS;
            unless_away(history::forget(&connection, before))?;
            self.next_forget = host::now().after(FORGET);
        }
        self.dsn = Some(settings.db_dsn);
        Ok(())
    }

    /// Until a turn has gone well, its database is looked at as a new one.
    fn open(&mut self, storage: &Storage, settings: &Settings) -> Result<Connection, StorageError> {
        let connection = match std::mem::take(&mut self.was_refused) {
            true => Connection::open_again(&settings.db_dsn)?,
            false => Connection::open(&settings.db_dsn)?,
        };
        let is_new = self.dsn.take().as_ref() != Some(&settings.db_dsn);
        if is_new {
            schema::prepare(&connection).inspect_err(|why| self.was_refused = !why.is_away())?;
            self.tables_are_good = true;
        } else if !self.tables_are_good && self.tables.is_due(host::now()) {
            self.mend_tables(&connection)?;
        }
        if is_new {
            self.next_look = Moment::default();
            storage.writes.lock().write_all_again();
        }
        if !settings.cluster {
            self.ahead = host::epoch_ms() - slot_row::monotonic_ms();
        } else if is_new {
            self.ahead = nodes::clock(&connection)? - slot_row::monotonic_ms();
        }
        Ok(connection)
    }

    /// A table that is only locked is no reason to miss a heartbeat.
    fn mend_tables(&mut self, connection: &Connection) -> Result<(), StorageError> {
        match schema::prepare(connection) {
            Ok(prepared) => {
                self.tables.succeeded();
                self.tables_are_good = true;
                if prepared == Prepared::Made {
                    // What waited for them need not wait longer.
                    self.slots.try_now();
                    self.history.try_now();
                }
                Ok(())
            }
            Err(why) if why.is_away() => Err(why),
            Err(why) => {
                self.tables.failed(host::now(), &why);
                Ok(())
            }
        }
    }

    /// The database answers, and does not take what it is given: its tables may be gone, or its file may have been read-only.
    fn note_refusal(&mut self) {
        self.tables_are_good = false;
        self.was_refused = true;
    }

    fn slot_turn<'a>(
        &self,
        connection: &'a Connection,
        storage: &'a Storage,
        attendant: &'a Arc<Attendant>,
        node: &'a str,
    ) -> SlotStoreTurn<'a> {
        SlotStoreTurn { connection, storage, attendant, node, ahead: self.ahead }
    }

    fn slots_and_orders(
        &mut self,
        storage: &Storage,
        connection: &Connection,
        attendant: &Arc<Attendant>,
        node: &str,
        closing: bool,
    ) -> Result<(), StorageError> {
        let now = host::now();
        if now >= self.next_retry_refused {
            self.next_retry_refused = now.after(RETRY_REFUSED);
            storage.writes.lock().retry_set_aside();
        }
        let turn = self.slot_turn(connection, storage, attendant, node);
        let carry_out_orders = || {
            loop {
                let order = storage.writes.lock().pop_order();
                let Some(order) = order else { return Ok(()) };
                tickets::execute(connection, order, node, slot_row::monotonic_ms() + self.ahead)?;
            }
        };
        let done = unless_away(carry_out_orders()).and_then(|_| match closing || self.slots.is_due(now) {
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
                    self.next_look = Moment::default();
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

    /// What the table has: of this node's calls, and in a cluster, of the others'.
    fn look(
        &mut self,
        storage: &Storage,
        connection: &Connection,
        attendant: &Arc<Attendant>,
        node: &str,
        settings: &Settings,
    ) -> Result<(), StorageError> {
        let now = host::now();
        self.next_look = now.after(if settings.cluster { BEAT / 2 } else { COMPARE });
        if !settings.cluster && !storage.has_calls() {
            return Ok(());
        }
        let looked = match settings.cluster {
            true => self.look_at_all(storage, connection, attendant, node, settings),
            false => {
                let turn = self.slot_turn(connection, storage, attendant, node);
                let own = turn
                    .rows(&format!("WHERE node = {}", connection.text(node)), slot_row::monotonic_ms() + self.ahead);
                own.and_then(|own| turn.compare(&own)).map(drop)
            }
        };
        unless_away(looked).map(drop)
    }

    fn look_at_all(
        &mut self,
        storage: &Storage,
        connection: &Connection,
        attendant: &Arc<Attendant>,
        node: &str,
        settings: &Settings,
    ) -> Result<(), StorageError> {
        let clock = nodes::clock(connection)?;
        self.ahead = clock - slot_row::monotonic_ms();
        let beats = nodes::beats(connection)?;
        let now = host::now();
        self.watch.look(&beats, now);
        let turn = self.slot_turn(connection, storage, attendant, node);
        let window = Duration::from_secs(settings.recover_window.into());
        for (dead, beat) in self.watch.gone(window, now).into_iter().filter(|(dead, _)| dead != node) {
            turn.reap_dead_node(&dead, beat, clock)?;
        }
        let (own, mut others): (Vec<Absent>, Vec<Absent>) =
            turn.rows("", clock)?.into_iter().partition(|absent| *absent.node == *node);
        for absent in others.iter_mut().filter(|absent| self.watch.silent(&absent.node, now)) {
            absent.is = Afar::Reserved;
        }
        // What this node is just taking over is another's in the table for one moment more.
        let settled = storage.writes.lock().written();
        for absent in others.iter().filter(|absent| settled.contains(&*absent.uuid)) {
            attendant.let_go(absent);
        }
        attendant.hear(&others);
        if turn.compare(&own)? > 0 {
            self.heartbeat.report_shared_name(node, now);
        }
        // What was found missing is written now.
        turn.write_changes().map(drop)
    }

    /// A row leaves the queue when the database has it, or when it refuses it and takes a stand-in.
    fn write_history(&mut self, storage: &Storage, connection: &Connection, closing: bool) -> Result<(), StorageError> {
        if storage.backlog() == 0 || !(closing || self.history.is_due(host::now())) {
            return Ok(());
        }
        loop {
            match self.write_history_batch(storage, connection) {
                Ok(Progress::Done) => {
                    self.history.succeeded();
                    self.history_attempt = 0;
                    storage.history_succeeds();
                    return Ok(());
                }
                Ok(Progress::More) => {}
                Err(why) if why.is_away() => return Err(why),
                Err(why) => {
                    self.history.failed(host::now(), &why);
                    self.history_attempt += 1;
                    self.note_refusal();
                    storage.history_fails(&why);
                    return Ok(());
                }
            }
            if storage.is_urgent() || host::now() >= self.next_look {
                // Somebody waits for a slot, or the others for this node's heartbeat; the rest is written in the next turn.
                storage.wake();
                return Ok(());
            }
        }
    }

    fn write_history_batch(&mut self, storage: &Storage, connection: &Connection) -> Result<Progress, StorageError> {
        let (take_back, records, refused) = {
            let history = storage.history.lock();
            (history.next_take_back(), history.next_records(BATCH), history.next_refused(BATCH))
        };
        if take_back.is_none() && records.is_empty() && refused.is_empty() {
            return Ok(Progress::Done);
        }
        if let Some(key) = take_back {
            if !history::take_back(connection, &key)? {
                return Err(StorageError::Refused("a row cannot be deleted".into()));
            }
            storage.history.lock().remove_take_back();
        }
        if !records.is_empty() {
            let outcome = history::write(connection, &records, self.history_attempt)?;
            storage.history.lock().remove_records(BATCH, |key| outcome.is_settled(key));
            for record in &records {
                let Some(why) = outcome.refused.get(&record.key()) else { continue };
                storage.count_dropped();
                log::error!(
                    "the database refuses the record of {}: {why}; lot={}@{} slot={} outcome={}",
                    record.uuid,
                    record.lot,
                    record.domain,
                    record.slot,
                    record.outcome
                );
            }
            if outcome.written.is_empty() && outcome.refused.is_empty() {
                return Err(StorageError::Refused(format!("no row can be written: {}", outcome.why)));
            }
        }
        if !refused.is_empty() {
            let again = std::mem::replace(&mut self.refused_again, true);
            if !history::write_refused(connection, &refused, again)? {
                return Err(StorageError::Refused("no row can be written".into()));
            }
            self.refused_again = false;
            storage.history.lock().remove_refused(refused.len());
        }
        Ok(Progress::More)
    }
}

enum Progress {
    More,
    Done,
}

fn settings() -> Settings {
    attendant::on_duty().map(|attendant| attendant.settings()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_is_away_is_asked_ever_more_rarely() {
        let mut backoff = Backoff::default();
        let mut now = Moment(Duration::from_secs(1));
        let mut waits = Vec::new();
        for _ in 0..7 {
            assert!(backoff.is_due(now));
            backoff.failed(now, &StorageError::Closed);
            waits.push(backoff.next.since(now).as_secs());
            now = backoff.next;
        }
        assert_eq!(waits, [2, 4, 8, 16, 30, 30, 30]);
        backoff.failed(now, &StorageError::Refused("its disk is full".into()));
        assert_eq!(backoff.next.since(now).as_secs(), 5);
        backoff.succeeded();
        assert!(backoff.is_due(now));
    }
}
