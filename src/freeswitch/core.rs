//! What the core as a whole knows.

use super::text::{from_c, take_c, to_c};
use crate::ffi;

/// A global variable, such as `domain`.
pub(super) fn global(name: &str) -> Option<String> {
    let name = to_c(name);
    // SAFETY: the name lives through the call; the answer is NULL or ours, from malloc.
    unsafe { take_c(ffi::switch_core_get_variable_dup(name.as_ptr())) }.filter(|value| !value.is_empty())
}

/// The domain that is meant where nothing tells another: the variable `domain`, or, where the configuration sets none, what it is
/// in the vanilla one.
pub(crate) fn usual_domain() -> Option<String> {
    global("domain").or_else(|| global("local_ip_v4"))
}

/// What sets this run of FreeSWITCH apart from all others.
pub(crate) fn run_uuid() -> String {
    // SAFETY: the answer is a string of the core's own that stays as long as it runs.
    unsafe { from_c(ffi::switch_core_get_uuid()) }.unwrap_or_default()
}

/// A statement for the core's own database, which a thread of the core's carries out by and by.
pub(crate) fn queue_sql(sql: &str) {
    let sql = to_c(sql);
    // SAFETY: the core copies the text (`switch_sql_queue_manager_push`).
    unsafe { ffi::switch_core_sql_exec(sql.as_ptr()) };
}

/// The name of this FreeSWITCH: `switchname`, or the host's name.
pub(crate) fn switch_name() -> String {
    // SAFETY: the answer is a string of the core's own that stays as long as it runs.
    unsafe { from_c(ffi::switch_core_get_switchname()) }.unwrap_or_default()
}
