//! Writes the slot store: which call is in which slot.
//!
//! A single node writes it in the background, and reads it after a crash. In a cluster a slot belongs to this node when its row is in the database:
//! an allocation inserts it as the first row of the slot, which the primary key allows once. A change counts as written when a query has returned its key.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use super::connection::{StorageError, text_at, unless_away};
use super::cycle::Cycle;
use super::pending_slots::{AllocationAnswer, MAX_REFUSALS, PendingRow, SlotChange, SyncState};
use super::schema::SLOT_COLUMNS;
use super::slot_row::{SlotKey, SlotRow};
use crate::parking::StoredCall;

/// The number of changes that are written together.
const MAX_SLOT_BATCH: usize = 100;
/// How long the changes of a failed batch are tried one by one before the rest waits for the next cycle, so that the heartbeat is not late.
const MAX_SINGLE_WRITES: Duration = Duration::from_secs(1);

/// Whether the slot store has shown that this node does not know all calls of the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Conflict {
    #[default]
    None,
    /// A slot that was free as far as this node knew belongs to another node.
    SlotTaken,
}

/// The results of the changes so far.
#[derive(Default)]
struct WriteProgress {
    found: Conflict,
    written: usize,
    /// The changes that must be tried again.
    later: Vec<SlotKey>,
    /// The reason, if the database accepts no rows.
    obstacle: Option<StorageError>,
}

impl Cycle<'_> {
    /// Writes what has changed. The error is that of a row that must be tried again.
    pub(super) fn write_changes(&self) -> Result<Conflict, StorageError> {
        let mut progress = WriteProgress::default();
        let done = loop {
            // Allocations come first, because callers wait for them.
            if let Err(why) = self.answer_allocations(&mut progress) {
                break Err(why);
            }
            let changes = self.storage.writes.lock().take_changes(MAX_SLOT_BATCH);
            if changes.is_empty() {
                break Ok(());
            }
            let before = progress.written;
            if let Err(why) = self.write_batch(&changes.iter().collect::<Vec<_>>(), &mut progress) {
                self.storage.writes.lock().put_back(changes.into_iter().map(|change| change.place));
                break Err(why);
            }
            if progress.obstacle.is_some() && progress.written == before {
                break Ok(());
            }
        };
        // The obstacle, such as a lock, may be gone in the next cycle.
        self.storage.writes.lock().put_back(progress.later);
        done.and(progress.obstacle.map_or(Ok(progress.found), Err))
    }

    /// Asks the database which node has the slots that callers wait for.
    fn answer_allocations(&self, progress: &mut WriteProgress) -> Result<(), StorageError> {
        loop {
            let allocation = self.storage.writes.lock().next_allocation();
            let Some((row, left)) = allocation else { return Ok(()) };
            let answer = self.allocate(&row, &left)?;
            if answer.is_err() {
                progress.found = Conflict::SlotTaken;
            }
            let mut writes = self.storage.writes.lock();
            writes.forget_left_calls(&row.key(), &left);
            writes.answer_allocation(row, answer);
            drop(writes);
            self.storage.answered.notify_all();
        }
    }

    /// Writes all changes together. If that fails, it writes them one by one, so that a refused row does not delay the others.
    fn write_batch(&self, changes: &[&SlotChange], progress: &mut WriteProgress) -> Result<(), StorageError> {
        let statements: Vec<String> = changes.iter().flat_map(|change| self.statements(change)).collect();
        let failed = unless_away(self.connection.execute_together(&statements))?;
        let missing = self.unwritten(changes, failed.is_some())?;
        for change in changes.iter().filter(|change| !missing.iter().any(|one| one.place == change.place)) {
            self.on_written(change, progress)?;
        }
        let until = Instant::now() + MAX_SINGLE_WRITES;
        for change in missing {
            match Instant::now() < until {
                true => self.write_alone(change, progress)?,
                false => progress.later.push(change.place.clone()),
            }
        }
        Ok(())
    }

    fn write_alone(&self, change: &SlotChange, progress: &mut WriteProgress) -> Result<(), StorageError> {
        let failed = unless_away(self.connection.execute_together(&self.statements(change)))?;
        if self.unwritten(&[change], failed.is_some())?.is_empty() {
            return self.on_written(change, progress);
        }
        let why = failed.unwrap_or(StorageError::RowsNotKept);
        let takes_others = match &change.wanted {
            Some(PendingRow { row, .. }) => self.accepts_probe_row(row)?,
            None => self.connection.can_write(),
        };
        if takes_others {
            self.on_refused(change, &why, progress);
        } else {
            progress.later.push(change.place.clone());
            progress.obstacle = Some(why);
        }
        Ok(())
    }

    /// See [`super::probe_row`].
    fn accepts_probe_row(&self, row: &SlotRow) -> Result<bool, StorageError> {
        let probe = row.probe_row();
        let here = self.at(&(probe.domain.clone(), probe.slot.clone()));
        let delete =
            format!("DELETE FROM callpark_calls WHERE {here} AND uuid = {}", self.connection.text(&probe.uuid));
        let statements = [self.insert(&probe, &here, ""), delete];
        Ok(unless_away(self.connection.execute_together(&statements))?.is_none())
    }

    /// Returns the changes that the database does not have. With `failed`, their transaction failed, so a row that exists is unchanged.
    fn unwritten<'c>(&self, changes: &[&'c SlotChange], failed: bool) -> Result<Vec<&'c SlotChange>, StorageError> {
        let there = self.own_rows_at(changes)?;
        let is_there =
            |place: &SlotKey, uuid: &str| there.contains(&(place.0.clone(), place.1.clone(), uuid.to_owned()));
        let written = |change: &&&SlotChange| {
            let wanted = change.wanted.as_ref();
            let is_update = |wanted: &PendingRow| wanted.state == SyncState::Written;
            let is_kept =
                |wanted: &PendingRow| is_there(&change.place, &wanted.row.uuid) && !(failed && is_update(wanted));
            let row_is_there = wanted.is_none_or(is_kept);
            row_is_there && !change.left.iter().any(|uuid| is_there(&change.place, uuid))
        };
        Ok(changes.iter().filter(|change| !written(change)).copied().collect())
    }

    /// Reads domain, slot and UUID of this node's rows in these slots.
    fn own_rows_at(&self, changes: &[&SlotChange]) -> Result<HashSet<(String, String, String)>, StorageError> {
        let mut slots: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for SlotChange { place: (domain, slot), .. } in changes {
            slots.entry(domain).or_default().push(self.connection.text(slot));
        }
        let mut found = HashSet::new();
        for (domain, slots) in slots {
            let (node, domain) = (self.connection.text(&self.node), self.connection.text(domain));
            let sql = format!(
                "SELECT domain, slot, uuid FROM callpark_calls WHERE node = {node} AND domain = {domain} AND slot IN ({})",
                slots.join(", ")
            );
            self.connection
                .query(&sql, &mut |row| found.extend([(text_at(row, 0), text_at(row, 1), text_at(row, 2))]))?;
        }
        Ok(found)
    }

    /// Counts a change as written, and notes it in the queue.
    fn on_written(&self, change: &SlotChange, progress: &mut WriteProgress) -> Result<(), StorageError> {
        progress.written += 1;
        if let Some(PendingRow { row, state: SyncState::New | SyncState::Again, .. }) = &change.wanted {
            if self.service.clustered() {
                self.report_double(&change.place, &row.uuid)?;
            }
        }
        let mut writes = self.storage.writes.lock();
        writes.forget_left_calls(&change.place, &change.left);
        if let Some(PendingRow { row, state: SyncState::New | SyncState::Again, .. }) = &change.wanted {
            writes.set_state(&change.place, &row.uuid, SyncState::Written);
        }
        drop(writes);
        self.storage.answered.notify_all();
        Ok(())
    }

    /// Counts that the database refused a row. After some tries the row is set aside.
    fn on_refused(&self, change: &SlotChange, why: &StorageError, progress: &mut WriteProgress) {
        let Some(PendingRow { row, .. }) = &change.wanted else {
            // The comparison finds the row and deletes it later.
            return;
        };
        match self.storage.writes.lock().count_refusal(&change.place, &row.uuid) {
            too_few if too_few < MAX_REFUSALS => return progress.later.push(change.place.clone()),
            MAX_REFUSALS => {}
            // It was reported before.
            _ => return,
        }
        self.storage.count_refused_row();
        log::error!(
            uuid:% = row.uuid, slot:% = row.slot, lot:% = row.lot(), caller:% = row.caller_number(), cause:% = why;
            "slot store refuses the row of a call; the call waits on, but its slot is lost if FreeSWITCH dies"
        );
    }

    /// Makes the statements that write the row of a slot of this node. They may be executed twice.
    fn statements(&self, SlotChange { place, wanted, left }: &SlotChange) -> Vec<String> {
        let (here, node) = (self.at(place), self.connection.text(&self.node));
        let left: Vec<String> = left.iter().map(|uuid| self.connection.text(uuid)).collect();
        let mut statements = Vec::new();
        if !left.is_empty() {
            let left = left.join(", ");
            statements.push(format!("DELETE FROM callpark_calls WHERE {here} AND node = {node} AND uuid IN ({left})"));
        }
        let Some(PendingRow { row, state, .. }) = wanted else { return statements };
        let uuid = self.connection.text(&row.uuid);
        let same_leg = match state {
            SyncState::SetAside => return statements,
            SyncState::Written => {
                let changes = row.changes(&self.connection, self.ahead);
                statements.push(format!("UPDATE callpark_calls SET {changes} WHERE uuid = {uuid} AND node = {node}"));
                return statements;
            }
            SyncState::New => format!("uuid = {uuid}"),
            SyncState::Again => format!("uuid = {uuid} AND node = {node}"),
        };
        let nobody = format!("WHERE NOT EXISTS (SELECT 1 FROM callpark_calls WHERE uuid = {uuid})");
        statements.push(format!("DELETE FROM callpark_calls WHERE {same_leg}"));
        statements.push(self.insert(row, &here, &nobody));
        statements
    }

    /// Inserts a row beside what is in its slot.
    fn insert(&self, row: &SlotRow, here: &str, condition: &str) -> String {
        let turn = format!("(SELECT COALESCE(MAX(turn), -1) + 1 FROM callpark_calls WHERE {here})");
        let values = row.values(&self.connection, &self.node, self.ahead);
        format!("INSERT INTO callpark_calls (turn, {SLOT_COLUMNS}) SELECT {turn}, {values} {condition}")
    }

    /// Writes the row of a call if no row has its slot, and reads back which node has the slot.
    fn allocate(&self, row: &SlotRow, left: &[String]) -> Result<AllocationAnswer, StorageError> {
        let (here, node, uuid) =
            (self.at(&row.key()), self.connection.text(&self.node), self.connection.text(&row.uuid));
        let free = format!("WHERE NOT EXISTS (SELECT 1 FROM callpark_calls WHERE {here})");
        let changes = row.changes(&self.connection, self.ahead);
        let values = row.values(&self.connection, &self.node, self.ahead);
        let mut statements = self.statements(&SlotChange { place: row.key(), wanted: None, left: left.to_vec() });
        // A caller who was recovered from another node keeps the slot.
        statements.push(format!("UPDATE callpark_calls SET node = {node}, {changes} WHERE uuid = {uuid}"));
        statements.push(format!("INSERT INTO callpark_calls (turn, {SLOT_COLUMNS}) SELECT 0, {values} {free}"));
        let refused = unless_away(self.connection.execute_together(&statements))?;
        let there = self.rows(&format!("WHERE {here} ORDER BY turn"), self.clock())?;
        let ours = |remote: &StoredCall| *remote.node == *self.node && *remote.uuid == *row.uuid;
        let is_ours = there.iter().any(ours);
        match (is_ours, there.into_iter().next(), refused) {
            (true, ..) => Ok(Ok(SyncState::Written)),
            (false, Some(other), _) => Ok(Err(Box::new(other))),
            (false, None, Some(why)) if !self.accepts_probe_row(row)? => Err(why),
            // No node has the slot, or a row that no node wrote is in it. The row is written beside that one.
            (false, None, _) => Ok(Ok(SyncState::New)),
        }
    }

    /// Logs that two nodes assigned one slot while they could not reach each other. Both callers wait on.
    fn report_double(&self, place: &SlotKey, uuid: &str) -> Result<(), StorageError> {
        for other in self.rows(&format!("WHERE {}", self.at(place)), 0)?.iter().filter(|other| *other.uuid != *uuid) {
            log::error!(
                uuid:% = uuid, slot:% = other.slot, lot:% = other.lot, node:% = self.node, other_node:% = other.node, other_uuid:% = other.uuid;
                "slot was assigned twice, both callers wait on"
            );
        }
        Ok(())
    }

    pub(super) fn at(&self, (domain, slot): &SlotKey) -> String {
        format!("domain = {} AND slot = {}", self.connection.text(domain), self.connection.text(slot))
    }
}
