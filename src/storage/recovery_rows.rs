//! The core's own recovery rows of parked legs, kept while it recovers them.
//!
//! `sofia recover` deletes the rows that it has read, and each leg is written again only when its caller has answered
//! (`switch_core_recovery_recover` in `switch_core_sqldb.c`). A FreeSWITCH that died in between would know nobody any more. So at load
//! they are copied into a table beside the core's, and those that the core has lost meanwhile are put back at the next start.

use std::time::Duration;

use parking_lot::Mutex;

use super::connection::{Connection, Quoting, StorageError, number};
use crate::freeswitch;
use crate::parking::{MonotonicTime, Outcome};
use crate::service::{EventKind, ParkEvent};

const CREATE: &str = "CREATE TABLE IF NOT EXISTS callpark_recovery (kept_by VARCHAR(255) NOT NULL, runtime_uuid VARCHAR(255), \
                      technology VARCHAR(255), profile_name VARCHAR(255), hostname VARCHAR(255), uuid VARCHAR(255), metadata TEXT)";
/// Of the core's table `recovery`.
const COLUMNS: &str = "runtime_uuid, technology, profile_name, hostname, uuid, metadata";

/// Copies that this run has made.
#[derive(Clone, Copy)]
pub(super) struct RecoveryCopies {
    /// Until when they may be needed.
    until: MonotonicTime,
    /// How the core's database reads texts.
    quoting: Quoting,
}

/// Load: puts back what the run before was recovering when it died, and copies what this one may recover.
/// `window`: for how long they are kept.
pub(super) fn keep(copies: &Mutex<Option<RecoveryCopies>>, window: Duration) {
    let Some(connection) = Connection::of_the_core() else { return };
    match connection.and_then(|connection| keep_in(&connection, window)) {
        Ok(made) => *copies.lock() = made,
        Err(why) => {
            log::error!(
                "the core's recovery rows of parked calls: {why}; who is being recovered is lost if FreeSWITCH dies then"
            );
        }
    }
}

fn keep_in(connection: &Connection, window: Duration) -> Result<Option<RecoveryCopies>, StorageError> {
    let (run, host) = (connection.text(&freeswitch::run_uuid()), connection.text(&freeswitch::switch_name()));
    connection.execute(CREATE)?;
    connection.execute(&format!(
        "INSERT INTO recovery ({COLUMNS}) SELECT {COLUMNS} FROM callpark_recovery WHERE hostname = {host} AND kept_by <> {run} AND NOT \
         EXISTS (SELECT 1 FROM recovery WHERE recovery.uuid = callpark_recovery.uuid)"
    ))?;
    connection.execute(&format!("DELETE FROM callpark_recovery WHERE hostname = {host} AND kept_by <> {run}"))?;
    connection.execute(&format!(
        "INSERT INTO callpark_recovery (kept_by, {COLUMNS}) SELECT {run}, {COLUMNS} FROM recovery WHERE hostname = {host} AND \
         runtime_uuid <> {run} AND metadata LIKE '%callpark_stay%' AND NOT EXISTS (SELECT 1 FROM callpark_recovery WHERE \
         callpark_recovery.uuid = recovery.uuid)"
    ))?;
    let mut count = 0;
    let kept = format!("SELECT COUNT(*) FROM callpark_recovery WHERE kept_by = {run}");
    connection.query(&kept, &mut |row| count = number(row, 0))?;
    let copies = || RecoveryCopies { until: freeswitch::now().after(window), quoting: connection.quoting() };
    Ok((count > 0).then(copies))
}

/// Once a second: drops the copies of legs that the core has noted anew, and in the end, of those that nobody recovers.
pub(super) fn on_tick(copies: &Mutex<Option<RecoveryCopies>>) {
    let Some(RecoveryCopies { until, quoting }) = *copies.lock() else { return };
    let run = quoting.text(&freeswitch::run_uuid());
    if freeswitch::now() < until {
        freeswitch::queue_sql(&format!(
            "DELETE FROM callpark_recovery WHERE kept_by = {run} AND uuid IN (SELECT uuid FROM recovery WHERE runtime_uuid = {run})"
        ));
    } else {
        freeswitch::queue_sql(&format!("DELETE FROM callpark_recovery WHERE kept_by = {run}"));
        *copies.lock() = None;
    }
}

/// Drops the copy of a leg that came back, and is gone before the core's new note of it was seen: it is to be recovered no more.
/// Who went on to a fallback or a transfer is still waiting for somebody: their copy goes with the core's new note.
pub(super) fn on_event(copies: &Mutex<Option<RecoveryCopies>>, event: &ParkEvent<'_>) {
    let EventKind::Ended(Outcome::Abandoned | Outcome::Retrieved | Outcome::Returned) = event.what else { return };
    let copies = *copies.lock();
    if let (Some(RecoveryCopies { quoting, .. }), Some(call)) = (copies, event.call) {
        let uuid = quoting.text(&call.info.uuid);
        freeswitch::queue_sql(&format!("DELETE FROM callpark_recovery WHERE uuid = {uuid}"));
    }
}
