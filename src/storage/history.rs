//! Writes and reads the history: a row for each call that has ended, and one for each call for which there was no slot.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::caller_number::CallerNumber;
use super::connection::{Connection, DbRow, StorageError, number_at, text_at, truncated, unless_away};
use super::record::{HistoryFilter, Record, RecordKey, RefusedCall};
use super::schema::{RECORD_COLUMNS, width};

/// The number of rows of a failed batch that find no room before the database counts as one that cannot be written.
const MAX_ROWS_WITHOUT_ROOM: usize = 3;
/// How long the rows of such a batch are tried one by one, so that the heartbeat is not late.
const MAX_SINGLE_WRITES_TIME: Duration = Duration::from_secs(1);

/// The result of writing a batch of rows.
#[derive(Debug, Default)]
pub(super) struct BatchResult {
    /// The rows in the database: a query has returned their keys.
    pub(super) written: HashSet<RecordKey>,
    /// The rows that the database refused, although it accepted a probe row for each, and why.
    pub(super) refused: HashMap<RecordKey, String>,
    /// Why the other rows are not in the database.
    pub(super) why: String,
}

impl BatchResult {
    pub(super) fn is_settled(&self, key: &RecordKey) -> bool {
        self.written.contains(key) || self.refused.contains_key(key)
    }
}

/// Writes a batch and reads its keys back. Rows that are neither written nor refused must be tried again. `attempt` counts the tries, each of which
/// starts with other rows if none can be written.
pub(super) fn write(connection: &Connection, records: &[Record], attempt: usize) -> Result<BatchResult, StorageError> {
    let together = unless_away(insert(connection, records))?;
    let mut outcome = BatchResult { written: keys(connection, records)?, ..BatchResult::default() };
    let missing: Vec<&Record> = records.iter().filter(|record| !outcome.written.contains(&record.key())).collect();
    if missing.is_empty() {
        return Ok(outcome);
    }
    outcome.why = reason(together);
    let until = Instant::now() + MAX_SINGLE_WRITES_TIME;
    let from = attempt.saturating_mul(MAX_ROWS_WITHOUT_ROOM) % missing.len();
    let mut without_room = 0;
    for record in missing.iter().cycle().skip(from).take(missing.len()) {
        match write_alone(connection, record)? {
            SingleWrite::Written => drop(outcome.written.insert(record.key())),
            SingleWrite::Refused(why) => drop(outcome.refused.insert(record.key(), why)),
            SingleWrite::NoRoom(why) => {
                outcome.why = why;
                without_room += 1;
            }
        }
        if without_room == MAX_ROWS_WITHOUT_ROOM || Instant::now() >= until {
            break;
        }
    }
    Ok(outcome)
}

enum SingleWrite {
    Written,
    /// The database accepts no row of this size now.
    NoRoom(String),
    /// The database accepts a probe row, but not the row.
    Refused(String),
}

/// Tries a row twice, with a probe row after each try, because space may have been freed or used in between.
fn write_alone(connection: &Connection, record: &Record) -> Result<SingleWrite, StorageError> {
    let row = std::slice::from_ref(record);
    let mut why = String::new();
    for _ in 0..2 {
        let refused = unless_away(insert(connection, row))?;
        if !keys(connection, row)?.is_empty() {
            return Ok(SingleWrite::Written);
        }
        why = reason(refused);
        if !accepts_probe_row(connection, record)? {
            return Ok(SingleWrite::NoRoom(why));
        }
    }
    Ok(SingleWrite::Refused(why))
}

/// See [`super::probe_row`].
fn accepts_probe_row(connection: &Connection, record: &Record) -> Result<bool, StorageError> {
    let probe = record.probe_row();
    let (uuid, parked_at) = (connection.text(&probe.uuid), probe.parked_at);
    let insert = insert_sql(connection, &[probe]);
    let delete = format!("DELETE FROM callpark_records WHERE uuid = {uuid} AND parked_at = {parked_at}");
    Ok(unless_away(connection.execute_together(&[insert, delete]))?.is_none())
}

fn reason(refused: Option<StorageError>) -> String {
    refused.map_or_else(|| "the database does not keep it".into(), |why| why.to_string())
}

fn insert(connection: &Connection, records: &[Record]) -> Result<(), StorageError> {
    connection.execute(&insert_sql(connection, records))
}

fn insert_sql(connection: &Connection, records: &[Record]) -> String {
    let rows: Vec<String> = records.iter().map(|record| values(connection, record)).collect();
    format!("INSERT INTO callpark_records ({RECORD_COLUMNS}) VALUES {}", rows.join(", "))
}

/// Returns which of these rows are in the database.
fn keys(connection: &Connection, records: &[Record]) -> Result<HashSet<RecordKey>, StorageError> {
    let uuids: Vec<String> = records.iter().map(|record| connection.text(&record.uuid)).collect();
    let mut found = HashSet::new();
    let sql = format!("SELECT uuid, parked_at FROM callpark_records WHERE uuid IN ({})", uuids.join(", "));
    connection.query(&sql, &mut |row| found.extend([(text_at(row, 0), number_at(row, 1))]))?;
    found.retain(|key| records.iter().any(|record| record.uuid == key.0 && record.parked_at == key.1));
    Ok(found)
}

/// Deletes the outcome of a call that has not ended. Returns true when it is not in the database any more.
pub(super) fn take_back(connection: &Connection, (uuid, parked_at): &RecordKey) -> Result<bool, StorageError> {
    let this = format!("uuid = {} AND parked_at = {parked_at}", connection.text(uuid));
    unless_away(connection.execute(&format!("DELETE FROM callpark_records WHERE {this}")))?;
    let mut count = 0;
    let sql = format!("SELECT COUNT(*) FROM callpark_records WHERE {this}");
    connection.query(&sql, &mut |row| count = number_at(row, 0))?;
    Ok(count == 0)
}

/// Writes calls for which there was no slot, and reads them back. Returns true when all are in the database. No two of this node have the same
/// millisecond, so with `again` those that an earlier try wrote are left out.
pub(super) fn write_refused(
    connection: &Connection,
    refused: &[RefusedCall],
    again: bool,
) -> Result<bool, StorageError> {
    let there = if again { refused_there(connection, refused)? } else { HashSet::new() };
    let rows: Vec<String> = refused
        .iter()
        .filter(|row| !there.contains(*row))
        .map(|row| format!("({}, {}, {})", row.at, connection.text(&row.lot), connection.text(&row.domain)))
        .collect();
    if !rows.is_empty() {
        let sql = format!("INSERT INTO callpark_refused (refused_at, lot, domain) VALUES {}", rows.join(", "));
        unless_away(connection.execute(&sql))?;
    }
    Ok(refused_there(connection, refused)?.len() == refused.len())
}

fn refused_there(connection: &Connection, refused: &[RefusedCall]) -> Result<HashSet<RefusedCall>, StorageError> {
    let times: Vec<String> = refused.iter().map(|row| row.at.to_string()).collect();
    let sql =
        format!("SELECT refused_at, lot, domain FROM callpark_refused WHERE refused_at IN ({})", times.join(", "));
    let mut found = HashSet::new();
    connection.query(&sql, &mut |row| {
        found.insert(RefusedCall { at: number_at(row, 0), lot: text_at(row, 1), domain: text_at(row, 2) });
    })?;
    found.retain(|row| refused.contains(row));
    Ok(found)
}

/// Returns at most `most` records of calls parked at or after `since`, the newest first.
pub(super) fn records(
    connection: &Connection,
    since: i64,
    filter: &HistoryFilter,
    most: usize,
) -> Result<Vec<Record>, StorageError> {
    let meant = condition(connection, filter);
    let sql = format!(
        "SELECT {RECORD_COLUMNS} FROM callpark_records WHERE parked_at >= {since}{meant} ORDER BY parked_at DESC, uuid LIMIT {most}"
    );
    let mut records = Vec::new();
    connection.query(&sql, &mut |row| records.push(read(row)))?;
    Ok(records)
}

/// Returns ` AND ...` for a filter, or an empty text.
pub(super) fn condition(connection: &Connection, filter: &HistoryFilter) -> String {
    let columns = [("domain", &filter.domain), ("lot", &filter.lot)];
    let meant = columns.iter().filter_map(|(column, value)| Some((column, value.as_ref()?)));
    let meant = meant.map(|(column, value)| format!(" AND {column} = {}", connection.text(value)));
    meant.chain(filter.caller.iter().map(|caller| format!(" AND {}", caller.condition(connection)))).collect()
}

/// Deletes the rows of one caller. Returns their number, when they are not in the database any more.
pub(super) fn erase(connection: &Connection, caller: &CallerNumber) -> Result<u64, StorageError> {
    let of_caller = caller.condition(connection);
    let count = || {
        let mut count = 0;
        let sql = format!("SELECT COUNT(*) FROM callpark_records WHERE {of_caller}");
        connection.query(&sql, &mut |row| count = number_at(row, 0)).map(|()| u64::try_from(count).unwrap_or(0))
    };
    let before = count()?;
    if before == 0 {
        return Ok(0);
    }
    unless_away(connection.execute(&format!("DELETE FROM callpark_records WHERE {of_caller}")))?;
    if count()? == 0 { Ok(before) } else { Err(StorageError::RowNotDeleted) }
}

/// Deletes rows that are older than `before`.
pub(super) fn forget(connection: &Connection, before: i64) -> Result<(), StorageError> {
    connection.execute(&format!("DELETE FROM callpark_records WHERE parked_at < {before}"))?;
    connection.execute(&format!("DELETE FROM callpark_refused WHERE refused_at < {before}"))
}

fn values(connection: &Connection, record: &Record) -> String {
    let Record { parked_at, wait_ms, .. } = record;
    let text = |value: &str| connection.text(value);
    format!(
        "({}, {parked_at}, {wait_ms}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})",
        text(&record.uuid),
        text(truncated(&record.lot, width::KEY)),
        text(truncated(&record.domain, width::KEY)),
        text(&record.slot),
        text(truncated(&record.caller_name, width::NAME)),
        text(truncated(&record.caller_number, width::NUMBER)),
        text(truncated(&record.parker, width::USER)),
        text(truncated(&record.retriever, width::USER)),
        text(truncated(&record.label, width::LABEL)),
        text(&record.outcome),
        record.attempts.min(i64::from(i32::MAX)),
        text(truncated(&record.node, width::KEY)),
        text(truncated(&record.actor, width::USER)),
    )
}

/// Parses a row, which somebody else may have changed.
pub(crate) fn read(row: &DbRow) -> Record {
    Record {
        uuid: text_at(row, 0),
        parked_at: number_at(row, 1),
        wait_ms: number_at(row, 2),
        lot: text_at(row, 3),
        domain: text_at(row, 4),
        slot: text_at(row, 5),
        caller_name: text_at(row, 6),
        caller_number: text_at(row, 7),
        parker: text_at(row, 8),
        retriever: text_at(row, 9),
        label: text_at(row, 10),
        outcome: text_at(row, 11),
        attempts: number_at(row, 12),
        node: text_at(row, 13),
        actor: text_at(row, 14),
    }
}
