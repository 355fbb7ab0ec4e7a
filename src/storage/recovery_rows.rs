//! Keeps copies of the core's recovery rows of parked legs while it recovers them.
//!
//! `sofia recover` deletes the rows that it has read, and each leg is written again only when its caller has answered
//! (`switch_core_recovery_recover` in `switch_core_sqldb.c`). A FreeSWITCH that died in between would have lost them. So at load they are copied to
//! another table of the core's database, and those that the core has lost are restored at the next start.

use std::time::Duration;

use parking_lot::Mutex;

use super::connection::{Connection, Quoting, StorageError, number_at};
use crate::freeswitch;
use crate::parking::MonotonicTime;

const CREATE_COPIES: &str = "CREATE TABLE IF NOT EXISTS callpark_recovery (kept_by VARCHAR(255) NOT NULL, runtime_uuid VARCHAR(255), \
                      technology VARCHAR(255), profile_name VARCHAR(255), hostname VARCHAR(255), uuid VARCHAR(255), metadata TEXT)";
/// The columns of the core's table `recovery`.
const RECOVERY_COLUMNS: &str = "runtime_uuid, technology, profile_name, hostname, uuid, metadata";

/// The copies that this run has made.
#[derive(Clone, Copy)]
pub(super) struct RecoveryCopies {
    /// Until when they may be needed.
    until: MonotonicTime,
    /// How texts are quoted for the core's database.
    quoting: Quoting,
}

/// Restores the rows that the previous run was recovering when it died, and copies those that this run may recover. They are kept for `window`.
pub(super) fn keep(copies: &Mutex<Option<RecoveryCopies>>, window: Duration) {
    let Some(connection) = Connection::of_the_core() else { return };
    match connection.and_then(|connection| keep_in(&connection, window)) {
        Ok(made) => *copies.lock() = made,
        Err(why) => {
            log::error!(
                cause:% = why;
                "recovery rows of the core cannot be copied; a caller is lost if FreeSWITCH dies during the recovery"
            );
        }
    }
}

fn keep_in(connection: &Connection, window: Duration) -> Result<Option<RecoveryCopies>, StorageError> {
    let (run, host) = (connection.text(&freeswitch::run_uuid()), connection.text(&freeswitch::switch_name()));
    connection.execute(CREATE_COPIES)?;
    connection.execute(&format!(
        "INSERT INTO recovery ({RECOVERY_COLUMNS}) SELECT {RECOVERY_COLUMNS} FROM callpark_recovery WHERE hostname = {host} AND kept_by <> {run} AND NOT \
         EXISTS (SELECT 1 FROM recovery WHERE recovery.uuid = callpark_recovery.uuid)"
    ))?;
    connection.execute(&format!("DELETE FROM callpark_recovery WHERE hostname = {host} AND kept_by <> {run}"))?;
    connection.execute(&format!(
        "INSERT INTO callpark_recovery (kept_by, {RECOVERY_COLUMNS}) SELECT {run}, {RECOVERY_COLUMNS} FROM recovery WHERE hostname = {host} AND \
         runtime_uuid <> {run} AND metadata LIKE '%callpark_stay%' AND NOT EXISTS (SELECT 1 FROM callpark_recovery WHERE \
         callpark_recovery.uuid = recovery.uuid)"
    ))?;
    let mut count = 0;
    let kept = format!("SELECT COUNT(*) FROM callpark_recovery WHERE kept_by = {run}");
    connection.query(&kept, &mut |row| count = number_at(row, 0))?;
    let copies = || RecoveryCopies { until: freeswitch::now().after(window), quoting: connection.quoting() };
    Ok((count > 0).then(copies))
}

/// Deletes the copies of legs that the core has saved again, and at the end those of legs that nobody recovers. It is called once a second.
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

/// Deletes the copy of a leg whose call has ended, so that the leg is not recovered again. [`on_tick`] would miss a leg that comes back and ends
/// between two ticks, because it never sees the new row that the core saves for that leg.
pub(super) fn forget(copies: &Mutex<Option<RecoveryCopies>>, uuid: &str) {
    let copies = *copies.lock();
    if let Some(RecoveryCopies { quoting, .. }) = copies {
        freeswitch::queue_sql(&format!("DELETE FROM callpark_recovery WHERE uuid = {}", quoting.text(uuid)));
    }
}
