//! Compares the slot store with the slot table: reads the calls of this node's previous run, repairs the rows of its present calls, and in a cluster
//! reads the calls of the other nodes.

use std::collections::HashSet;
use std::time::Duration;

use super::connection::{StorageError, unless_away};
use super::cycle::Cycle;
use super::history;
use super::nodes::{self, HEARTBEAT_INTERVAL};
use super::pending_slots::{PendingRow, PendingWrites, SyncState};
use super::schema::SLOT_COLUMNS;
use super::slot_row::{self, SlotKey, SlotRow};
use super::worker::WorkerState;
use crate::freeswitch;
use crate::parking::{StoredCall, StoredState};

/// The minimum time between two comparisons of the slot store with the calls, if there is no cluster.
const COMPARE_INTERVAL: Duration = Duration::from_secs(5);

impl WorkerState {
    /// Compares the rows of the slot store with the calls of this node, and in a cluster takes over the state of the other nodes' calls.
    pub(super) fn compare_with_slot_store(&mut self, cycle: &mut Cycle<'_>) -> Result<(), StorageError> {
        let clustered = cycle.settings.cluster;
        self.next_comparison =
            freeswitch::now().after(if clustered { HEARTBEAT_INTERVAL / 2 } else { COMPARE_INTERVAL });
        if !clustered && !cycle.storage.has_calls() {
            return Ok(());
        }
        let compared = match clustered {
            true => self.compare_all_nodes(cycle),
            false => cycle.own_rows("").and_then(|own| cycle.compare(&own)).map(drop),
        };
        unless_away(compared).map(drop)
    }

    fn compare_all_nodes(&mut self, cycle: &mut Cycle<'_>) -> Result<(), StorageError> {
        let clock = nodes::clock(&cycle.connection)?;
        self.ahead = clock - slot_row::monotonic_ms();
        cycle.ahead = self.ahead;
        let beats = nodes::beats(&cycle.connection)?;
        let now = freeswitch::now();
        self.monitor.update(&beats, now);
        let is_live_other = |node: &String| *node != cycle.node && !self.monitor.is_silent(node, now);
        *cycle.storage.live_nodes.lock() = beats.iter().map(|(node, _)| node.clone()).filter(is_live_other).collect();
        for (dead, beat) in
            self.monitor.dead_nodes(cycle.window(), now).into_iter().filter(|(dead, _)| *dead != cycle.node)
        {
            cycle.reap_dead_node(&dead, beat, clock)?;
        }
        let (own, mut others): (Vec<StoredCall>, Vec<StoredCall>) =
            cycle.rows("", clock)?.into_iter().partition(|remote| *remote.node == *cycle.node);
        for remote in others.iter_mut().filter(|remote| self.monitor.is_silent(&remote.node, now)) {
            remote.is = StoredState::Reserved;
        }
        // A call that this node is just taking over may still have the row of the other node, so only calls whose rows are written are compared.
        let written = cycle.storage.writes.lock().written();
        for remote in others.iter().filter(|remote| written.contains(&*remote.uuid)) {
            cycle.service.relinquish(remote);
        }
        cycle.service.replace_remote_calls(&others);
        if cycle.compare(&own)? > 0 {
            self.heartbeat.report_shared_name(&cycle.node, now);
        }
        if cycle.storage.is_urgent() {
            // Missing rows are written in the next cycle, which follows at once.
            cycle.storage.wake();
        }
        Ok(())
    }
}

impl Cycle<'_> {
    /// Reads the calls that this node had when it died, once at the start, and reserves their slots.
    pub(super) fn load_previous_calls(&self) -> Result<(), StorageError> {
        let node = self.connection.text(&self.node);
        let recorded = "EXISTS (SELECT 1 FROM callpark_records WHERE callpark_records.uuid = callpark_calls.uuid AND \
                        callpark_records.parked_at = callpark_calls.parked_at)";
        let left = self.own_rows(&format!("AND NOT {recorded}"))?;
        // A call whose outcome is in the history had ended, although its row was not deleted.
        unless_away(
            self.connection.execute(&format!("DELETE FROM callpark_calls WHERE node = {node} AND {recorded}")),
        )?;
        {
            let mut writes = self.storage.writes.lock();
            left.iter().for_each(|remote| writes.remember(remote.uuid.to_string()));
        }
        let window = self.window();
        if !left.is_empty() {
            log::warn!(
                slots = left.len(), window:% = format_args!("{}s", window.as_secs());
                "slots are reserved for callers who were parked when FreeSWITCH died"
            );
            self.service.reserve_for_recovery(&left, window);
        }
        self.storage.writes.lock().loaded_previous = true;
        self.storage.answered.notify_all();
        Ok(())
    }

    /// Corrects this node's rows: deletes those of calls that have ended, and has missing ones written again. A row with this node's name that this
    /// node never wrote comes from another node with the same name, and is kept. Returns the number of such rows.
    pub(super) fn compare(&self, own: &[StoredCall]) -> Result<usize, StorageError> {
        let Differences { vanished, stale, foreign } = differences(&mut self.storage.writes.lock(), own);
        let node = self.connection.text(&self.node);
        for (place, uuid) in stale {
            let row = format!("{} AND uuid = {}", self.at(&place), self.connection.text(&uuid));
            self.connection.execute(&format!("DELETE FROM callpark_calls WHERE node = {node} AND {row}"))?;
        }
        if !vanished.is_empty() {
            log::warn!(calls = vanished.len(); "calls of this node had been given up by another node, they are not lost");
        }
        for row in vanished.iter().filter(|_| self.service.clustered()) {
            history::take_back(&self.connection, &(row.uuid.clone(), row.parked_at))?;
        }
        Ok(foreign)
    }

    /// Ends the calls of a dead node that nobody recovered. The first node that notices does it.
    pub(super) fn reap_dead_node(&self, node: &str, beat: i64, clock: i64) -> Result<(), StorageError> {
        let name = self.connection.text(node);
        let still = format!("COALESCE((SELECT beat FROM callpark_nodes WHERE node = {name}), {beat}) = {beat}");
        let mut lost = Vec::new();
        let sql = format!("DELETE FROM callpark_calls WHERE node = {name} AND {still} RETURNING {SLOT_COLUMNS}");
        self.connection.query(&sql, &mut |row| lost.extend(slot_row::read(row, clock)))?;
        self.connection.execute(&format!("DELETE FROM callpark_nodes WHERE node = {name} AND beat = {beat}"))?;
        if !lost.is_empty() {
            log::warn!(node:% = node, calls = lost.len(); "node is dead, and nobody recovered its callers");
        }
        for remote in &lost {
            self.service.end_lost_remote_call(remote);
        }
        Ok(())
    }

    /// Returns the calls in this node's rows that fulfil the condition `more`.
    fn own_rows(&self, more: &str) -> Result<Vec<StoredCall>, StorageError> {
        self.rows(&format!("WHERE node = {} {more}", self.connection.text(&self.node)), self.clock())
    }

    /// Returns the calls in the rows that fulfil the SQL clause `which`. `clock` is the present time of the clock that all nodes share.
    pub(super) fn rows(&self, which: &str, clock: i64) -> Result<Vec<StoredCall>, StorageError> {
        let mut rows = Vec::new();
        let sql = format!("SELECT {SLOT_COLUMNS} FROM callpark_calls {which}");
        self.connection.query(&sql, &mut |row| rows.extend(slot_row::read(row, clock)))?;
        Ok(rows)
    }
}

/// The rows in which the slot store differs from the calls of this node.
struct Differences {
    /// Rows that this node has written and still needs, and that are gone.
    vanished: Vec<SlotRow>,
    /// Rows of calls of this node that have ended.
    stale: Vec<(SlotKey, String)>,
    /// The number of rows with this node's name that it never wrote.
    foreign: usize,
}

/// Finds the differences, except in slots whose change is still waiting to be written. Missing rows are queued again.
fn differences(writes: &mut PendingWrites, own: &[StoredCall]) -> Differences {
    let stored: HashSet<(&str, &str, &str)> =
        own.iter().map(|remote| (&*remote.lot.domain, remote.slot.key(), &*remote.uuid)).collect();
    let is_written = |wanted: &PendingRow| wanted.state == SyncState::Written;
    let vanished: Vec<(SlotKey, SlotRow)> = writes
        .wanted
        .iter()
        .filter(|(place, wanted)| is_written(wanted) && !writes.is_changed(place))
        .filter(|(place, wanted)| !stored.contains(&(&*place.0, &*place.1, &*wanted.row.uuid)))
        .map(|(place, wanted)| (place.clone(), wanted.row.clone()))
        .collect();
    for (place, row) in &vanished {
        writes.write_again(place, &row.uuid, SyncState::Again);
    }
    let (mut stale, mut foreign) = (Vec::new(), 0);
    for remote in own {
        let place = (remote.lot.domain.to_string(), remote.slot.key().to_owned());
        let known = writes.wanted.get(&place).is_some_and(|wanted| *wanted.row.uuid == *remote.uuid);
        match known || writes.is_changed(&place) {
            true => {}
            false if writes.had_call(&remote.uuid) => stale.push((place, remote.uuid.to_string())),
            false => foreign += 1,
        }
    }
    Differences { vanished: vanished.into_iter().map(|(_, row)| row).collect(), stale, foreign }
}
