//! Simulates the core's database layer with one SQLite database in memory for all DSNs.

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::core::{Call, enter};
use crate::ffi::{self, switch_status_t as Status};
use crate::text::{from_c, from_malloc, to_c};

/// The one of the core's own tables that the module reads.
const RECOVERY: &str = "CREATE TABLE recovery (runtime_uuid TEXT, technology TEXT, profile_name TEXT, hostname TEXT, uuid TEXT, metadata TEXT)";

pub(crate) struct Database {
    connection: Connection,
    /// The number of handles that are in use.
    out: usize,
}

impl Default for Database {
    fn default() -> Database {
        let connection = Connection::open_in_memory().expect("SQLite opens a database in memory");
        connection.execute_batch(RECOVERY).expect("SQLite makes a table");
        Database { connection, out: 0 }
    }
}

impl Database {
    pub(crate) fn leaks(&self) -> Vec<String> {
        if self.out > 0 { vec![format!("{} database connections are not given back", self.out)] } else { Vec::new() }
    }

    pub(crate) fn execute(&self, sql: &str) -> Result<(), String> {
        self.connection.execute_batch(sql).map_err(|why| why.to_string())
    }

    fn rows(&self, sql: &str) -> rusqlite::Result<Vec<Vec<Option<String>>>> {
        let mut statement = self.connection.prepare(sql)?;
        let columns = statement.column_count();
        let mut found = Vec::new();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            found.push((0..columns).map(|at| row.get_ref(at).map(text)).collect::<rusqlite::Result<_>>()?);
        }
        Ok(found)
    }
}

fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn _switch_cache_db_get_db_handle_dsn(
    handle: *mut *mut ffi::switch_cache_db_handle_t,
    _dsn: *const c_char,
    _file: *const c_char,
    _function: *const c_char,
    _line: c_int,
) -> Status {
    // SAFETY: the module's place for the handle.
    unsafe { hand_out(&enter("_switch_cache_db_get_db_handle_dsn"), handle) }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn _switch_core_db_handle(
    handle: *mut *mut ffi::switch_cache_db_handle_t,
    _file: *const c_char,
    _function: *const c_char,
    _line: c_int,
) -> Status {
    // SAFETY: the module's place for the handle.
    unsafe { hand_out(&enter("_switch_core_db_handle"), handle) }
}

/// # Safety
/// `handle` is the module's place for the handle.
unsafe fn hand_out(call: &Call, handle: *mut *mut ffi::switch_cache_db_handle_t) -> Status {
    // SAFETY: by this function's contract.
    unsafe { *handle = if call.fails { ptr::null_mut() } else { ptr::without_provenance_mut(1) } };
    if call.fails {
        return Status::SWITCH_STATUS_FALSE;
    }
    call.core.state().database.out += 1;
    Status::SWITCH_STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_core_sql_exec(sql: *const c_char) {
    let call = enter("switch_core_sql_exec");
    // SAFETY: a C string that lives through the call.
    let sql = unsafe { from_c(sql) }.unwrap_or_default();
    let done = call.core.state().database.connection.execute_batch(&sql);
    done.expect("the statement for the core's thread is valid SQL");
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_cache_db_release_db_handle(handle: *mut *mut ffi::switch_cache_db_handle_t) {
    let call = enter("switch_cache_db_release_db_handle");
    // SAFETY: the module's place of the handle.
    unsafe { *handle = ptr::null_mut() };
    let database = &mut call.core.state().database;
    database.out = database.out.saturating_sub(1);
}

/// All handles are equivalent.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn switch_cache_db_flush_handles() {
    enter("switch_cache_db_flush_handles");
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_cache_db_execute_sql(
    _handle: *mut ffi::switch_cache_db_handle_t,
    sql: *mut c_char,
    error: *mut *mut c_char,
) -> Status {
    let call = enter("switch_cache_db_execute_sql");
    // SAFETY: a C string that lives through the call, and the module's place for an error.
    unsafe {
        let sql = from_c(sql).unwrap_or_default();
        let done = call.core.state().database.connection.execute_batch(&sql);
        outcome(done.map_err(|why| why.to_string()), call.fails, error)
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_cache_db_execute_sql_callback(
    _handle: *mut ffi::switch_cache_db_handle_t,
    sql: *const c_char,
    callback: ffi::switch_core_db_callback_func_t,
    data: *mut c_void,
    error: *mut *mut c_char,
) -> Status {
    let call = enter("switch_cache_db_execute_sql_callback");
    // SAFETY: as above; the module's function is called with the number of values, which live through the call.
    unsafe {
        let sql = from_c(sql).unwrap_or_default();
        let found = call.core.state().database.rows(&sql);
        if let (Ok(rows), Some(callback)) = (&found, callback) {
            for row in rows {
                let values: Vec<Option<CString>> = row.iter().map(|value| value.as_deref().map(to_c)).collect();
                let pointer =
                    |value: &Option<CString>| value.as_ref().map_or(ptr::null_mut(), |text| text.as_ptr().cast_mut());
                let mut pointers: Vec<*mut c_char> = values.iter().map(pointer).collect();
                callback(data, pointers.len() as c_int, pointers.as_mut_ptr(), ptr::null_mut());
            }
        }
        outcome(found.map(drop).map_err(|why| why.to_string()), call.fails, error)
    }
}

/// # Safety
/// `error` is the module's place for an error.
unsafe fn outcome(done: Result<(), String>, fails: bool, error: *mut *mut c_char) -> Status {
    let why = match done {
        Ok(()) if !fails => return Status::SWITCH_STATUS_SUCCESS,
        Ok(()) => "made to fail".to_owned(),
        Err(why) => why,
    };
    // SAFETY: by this function's contract.
    unsafe { *error = from_malloc(&why) };
    Status::SWITCH_STATUS_FALSE
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_cache_db_get_type(
    _handle: *mut ffi::switch_cache_db_handle_t,
) -> ffi::switch_cache_db_handle_type_t {
    enter("switch_cache_db_get_type");
    ffi::switch_cache_db_handle_type_t::SCDB_TYPE_CORE_DB
}
