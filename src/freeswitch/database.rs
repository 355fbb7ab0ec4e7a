//! Wraps the core's database layer, whose DSN selects SQLite, PostgreSQL, MariaDB or ODBC.

use std::ffi::{c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use thiserror::Error;

use super::guard::fence;
use super::text::{from_c, take_c, to_c};
use crate::ffi::{self, switch_cache_db_handle_type_t as Type, switch_status_t as Status};

/// The kind of a database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DatabaseKind {
    /// A SQLite file.
    Sqlite,
    Odbc,
    /// A database of a module: mod_pgsql or mod_mariadb.
    Module,
}

/// Why an operation of a database failed. No text contains the DSN, which may have a password.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub(crate) enum DatabaseError {
    #[error("the database cannot be reached, or no module for {0}:// is loaded")]
    Unreachable(String),
    #[error("no module for {0}:// is loaded, expected mod_pgsql for pgsql:// or mod_mariadb for mariadb://")]
    NoModule(String),
    #[error("the database file cannot be opened")]
    CannotOpen,
    /// The error text of the driver.
    #[error("{0}")]
    Driver(String),
    #[error("the database refused the statement and gave no reason")]
    Refused,
    #[error("a bug; see the log")]
    Panicked,
}

/// A connection from the core's pool, which is returned when this is dropped. Its functions wait for the database, so no thread of a call uses it.
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
        // If the module of a DSN is missing, the core opens a SQLite file whose name is the DSN.
        match of_a_module {
            Some(prefix) if database.kind() != DatabaseKind::Module => Err(DatabaseError::NoModule(prefix.to_owned())),
            _ => Ok(database),
        }
    }

    /// Opens the core's own database. Returns `None` if this core has none, or it cannot be reached.
    pub(crate) fn of_the_core() -> Option<Database> {
        let mut handle = ptr::null_mut();
        // SAFETY: the texts are static; `handle` is ours to be set.
        unsafe {
            ffi::_switch_core_db_handle(&mut handle, c"mod_callpark".as_ptr(), c"open".as_ptr(), 0);
        }
        Some(Database { handle: NonNull::new(handle)?, _of_one_thread: PhantomData })
    }

    /// Closes this handle and all others that are not in use, so that new ones are opened. (The core itself closes handles that were not used for
    /// 30 s.)
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

    /// Executes a statement that returns no rows. The execute function of a module reports success for a statement without an answer in time, for a
    /// lost connection, and for each error whose text has "already exists" (`pgsql_finish_results` in `mod_pgsql.c`). Its query function reports these
    /// errors and is used instead. ODBC refuses to fetch the rows of a statement that has none.
    pub(crate) fn execute(&self, sql: &str) -> Result<(), DatabaseError> {
        if self.kind() == DatabaseKind::Module {
            return self.query(sql, &mut |_| {});
        }
        // The core only reads the text, although its prototype says `char *`.
        let sql = to_c(sql);
        let mut error = ptr::null_mut();
        // SAFETY: the handle is ours, the text lives through the call, and an error is text from malloc that becomes ours.
        unsafe {
            let status = ffi::switch_cache_db_execute_sql(self.handle.as_ptr(), sql.as_ptr().cast_mut(), &mut error);
            outcome(status, error)
        }
    }

    /// Calls `row` for each row of the answer, with its values as texts; NULL is `None`.
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
        // An incomplete answer counts as none.
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
