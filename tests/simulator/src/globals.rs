//! Simulates global values of FreeSWITCH: clocks, variables and names.

use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::OnceLock;

use crate::core::enter;
use crate::ffi;
use crate::text::{from_c, from_malloc, to_c};

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_micro_time_now() -> ffi::switch_time_t {
    enter("switch_micro_time_now").core.wall()
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_core_get_variable_dup(name: *const c_char) -> *mut c_char {
    let call = enter("switch_core_get_variable_dup");
    // SAFETY: a C string that lives through the call.
    let name = unsafe { from_c(name) }.unwrap_or_default();
    let value = call.core.state().globals.get(&name).cloned();
    value.map_or(ptr::null_mut(), |value| from_malloc(&value))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_core_get_uuid() -> *mut c_char {
    static UUID: OnceLock<CString> = OnceLock::new();
    enter("switch_core_get_uuid");
    UUID.get_or_init(|| to_c("00000000-0000-4000-8000-000000000000")).as_ptr().cast_mut()
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_core_get_switchname() -> *const c_char {
    static NAME: OnceLock<CString> = OnceLock::new();
    enter("switch_core_get_switchname");
    NAME.get_or_init(|| to_c("simulator")).as_ptr()
}
