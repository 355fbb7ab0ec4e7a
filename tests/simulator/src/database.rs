//! The database layer of a host whose database is not there. What the module wants to keep, it keeps waiting.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use crate::core::enter;
use crate::ffi::{self, switch_status_t as Status};

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn _switch_cache_db_get_db_handle_dsn(
    handle: *mut *mut ffi::switch_cache_db_handle_t,
    _dsn: *const c_char,
    _file: *const c_char,
    _function: *const c_char,
    _line: c_int,
) -> Status {
    enter("_switch_cache_db_get_db_handle_dsn");
    // SAFETY: the module's place for the handle.
    unsafe { *handle = ptr::null_mut() };
    Status::SWITCH_STATUS_FALSE
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_cache_db_execute_sql(
    _handle: *mut ffi::switch_cache_db_handle_t,
    _sql: *mut c_char,
    _error: *mut *mut c_char,
) -> Status {
    used_without_one("switch_cache_db_execute_sql")
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_cache_db_execute_sql_callback(
    _handle: *mut ffi::switch_cache_db_handle_t,
    _sql: *const c_char,
    _callback: ffi::switch_core_db_callback_func_t,
    _data: *mut c_void,
    _error: *mut *mut c_char,
) -> Status {
    used_without_one("switch_cache_db_execute_sql_callback")
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_cache_db_get_type(
    _handle: *mut ffi::switch_cache_db_handle_t,
) -> ffi::switch_cache_db_handle_type_t {
    used_without_one("switch_cache_db_get_type");
    ffi::switch_cache_db_handle_type_t::SCDB_TYPE_CORE_DB
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_cache_db_release_db_handle(_handle: *mut *mut ffi::switch_cache_db_handle_t) {
    used_without_one("switch_cache_db_release_db_handle");
}

fn used_without_one(function: &'static str) -> Status {
    enter(function).core.misuse(format!("{function} was called without a connection"));
    Status::SWITCH_STATUS_FALSE
}
