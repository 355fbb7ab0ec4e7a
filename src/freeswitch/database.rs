//! The core's database layer: one DSN means SQLite, PostgreSQL, MariaDB or ODBC, as for the core's own tables.

use std::ffi::{c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use thiserror::Error;

use super::guard::fence;
use super::text::{from_c, take_c, to_c};
use crate::ffi::{self, switch_cache_db_handle_type_t as Type, switch_status_t as Status};

/// What is behind a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DatabaseKind {
    /// A SQLite file of the core's.
    Sqlite,
    Odbc,
    /// A module's database: mod_pgsql, mod_mariadb.
    Module,
}

/// What a database did not do. The DSN, which may hold a password, is in no text.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub(crate) enum DatabaseError {
    #[error("the database cannot be reached, or no module for {0}:// is loaded")]
    Unreachable(String),
    #[error("no module for {0}:// is loaded, expected mod_pgsql for pgsql:// or mod_mariadb for mariadb://")]
    NoModule(String),
    #[error("the database file cannot be opened")]
    CannotOpen,
    /// In the words of its driver.
    #[error("{0}")]
    Driver(String),
    #[error("the database refused the statement and gave no reason")]
    Refused,
    #[error("a bug; see the log")]
    Panicked,
}

/// A connection from the core's pool, given back when dropped. Calls wait for the database: never on a call's thread.
pub(crate) struct Database {
    handle: NonNull<ffi::switch_cache_db_handle_t>,
    _of_one_thread: PhantomData<*mut ()>,
}

impl Database {
    pub(crate) fn open(dsn: &str) -> Result<Database, DatabaseError> {
        let text = to_c(dsn);
        let mut handle = ptr::null_mut();
        // SAFETY: the texts live through the call; `handle` is ours to be set.
        unsafe {
            ffi::_switch_cache_db_get_db_handle_dsn(
                &mut handle,
                text.as_ptr(),
                c"mod_callpark".as_ptr(),
                c"open".as_ptr(),
                0,
            );
        }
        let of_a_module =
            dsn.split_once("://").map(|(prefix, _)| prefix).filter(|prefix| !matches!(*prefix, "sqlite" | "odbc"));
        let Some(handle) = NonNull::new(handle) else {
            return Err(match of_a_module {
                Some(prefix) => DatabaseError::Unreachable(prefix.to_owned()),
                None => DatabaseError::CannotOpen,
            });
        };
        let database = Database { handle, _of_one_thread: PhantomData };
        // The core takes a DSN whose module is missing for the name of a SQLite file.
        match of_a_module {
            Some(prefix) if database.kind() != DatabaseKind::Module => Err(DatabaseError::NoModule(prefix.to_owned())),
            _ => Ok(database),
        }
    }

    /// The core's own. `None`: this core keeps none, or it cannot be reached.
    pub(crate) fn of_the_core() -> Option<Database> {
        let mut handle = ptr::null_mut();
        // SAFETY: the texts are static; `handle` is ours to be set.
        unsafe {
            ffi::_switch_core_db_handle(&mut handle, c"mod_callpark".as_ptr(), c"open".as_ptr(), 0);
        }
        Some(Database { handle: NonNull::new(handle)?, _of_one_thread: PhantomData })
    }

    /// Closes the handles that nobody uses at this moment, this one with them: all that are asked for from here on are new. (The core
    /// does so itself with those that nobody has used for 30 s.)
    pub(crate) fn close_idle(self) {
        drop(self);
        // SAFETY: it takes nothing, and locks its own pool.
        unsafe { ffi::switch_cache_db_flush_handles() };
    }

    pub(crate) fn kind(&self) -> DatabaseKind {
        // SAFETY: the handle is ours.
        match unsafe { ffi::switch_cache_db_get_type(self.handle.as_ptr()) } {
            Type::SCDB_TYPE_DATABASE_INTERFACE => DatabaseKind::Module,
            Type::SCDB_TYPE_ODBC => DatabaseKind::Odbc,
            _ => DatabaseKind::Sqlite,
        }
    }

    /// Executes a statement that returns no rows. A module's "execute" reports success for a statement that had no answer in time,
    /// for a lost connection, and for each error whose text has "already exists" (`pgsql_finish_results` in `mod_pgsql.c`); its
    /// query reports them all, and is used instead. ODBC refuses to fetch the rows of a statement that has none.
    pub(crate) fn execute(&self, sql: &str) -> Result<(), DatabaseError> {
        if self.kind() == DatabaseKind::Module {
            return self.query(sql, &mut |_| {});
        }
        // The core's prototype says `char *`; it only reads.
        let sql = to_c(sql);
        let mut error = ptr::null_mut();
        // SAFETY: the handle is ours, the text lives through the call, and an error is text from malloc that becomes ours.
        unsafe {
            let status = ffi::switch_cache_db_execute_sql(self.handle.as_ptr(), sql.as_ptr().cast_mut(), &mut error);
            outcome(status, error)
        }
    }

    /// Each row of the answer is told, as texts; NULL is `None`.
    pub(crate) fn query(&self, sql: &str, row: &mut dyn FnMut(&[Option<String>])) -> Result<(), DatabaseError> {
        let sql = to_c(sql);
        let mut rows = Rows { told: row, bug: false };
        let mut error = ptr::null_mut();
        // SAFETY: as above; the callback is only called from within the call, while `rows` is here.
        let answer = unsafe {
            let status = ffi::switch_cache_db_execute_sql_callback(
                self.handle.as_ptr(),
                sql.as_ptr(),
                Some(on_row),
                ptr::from_mut(&mut rows).cast(),
                &mut error,
            );
            outcome(status, error)
        };
        // Half an answer is none.
        if rows.bug { Err(DatabaseError::Panicked) } else { answer }
    }
}

struct Rows<'a> {
    told: &'a mut dyn FnMut(&[Option<String>]),
    bug: bool,
}

/// # Safety
/// `error` is NULL or a C string from malloc that is the caller's.
unsafe fn outcome(status: Status, error: *mut c_char) -> Result<(), DatabaseError> {
    // SAFETY: by this function's contract.
    let error = unsafe { take_c(error) };
    match error {
        Some(error) if !error.is_empty() => Err(DatabaseError::Driver(error)),
        _ if status == Status::SWITCH_STATUS_SUCCESS => Ok(()),
        _ => Err(DatabaseError::Refused),
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let mut handle = self.handle.as_ptr();
        // SAFETY: taken in `open`, on this thread since the type is not Send, and given back once.
        unsafe { ffi::switch_cache_db_release_db_handle(&mut handle) };
    }
}

unsafe extern "C" fn on_row(
    place: *mut c_void,
    count: c_int,
    values: *mut *mut c_char,
    _names: *mut *mut c_char,
) -> c_int {
    // SAFETY: `place` is what `query` put there.
    let rows = unsafe { &mut *place.cast::<Rows<'_>>() };
    let told = fence("database row", false, || {
        let count = usize::try_from(count).unwrap_or(0);
        // SAFETY: the core hands as many values as it says, each NULL or a C string.
        let values = unsafe { (0..count).map(|at| from_c(*values.add(at))).collect::<Vec<_>>() };
        (rows.told)(&values);
        true
    });
    rows.bug |= !told;
    0
}
