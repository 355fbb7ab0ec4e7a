//! Reads global values of the core.

use super::text::{from_c, take_c, to_c};
use crate::ffi;

/// A global variable, such as `domain`.
pub(super) fn global(name: &str) -> Option<String> {
    let name = to_c(name);
    // SAFETY: the name lives through the call; the answer is NULL or ours, from malloc.
    unsafe { take_c(ffi::switch_core_get_variable_dup(name.as_ptr())) }.filter(|value| !value.is_empty())
}

/// The domain that is used if nothing names another: the global variable `domain`, or the value that it has in the vanilla configuration.
pub(crate) fn usual_domain() -> Option<String> {
    global("domain").or_else(|| global("local_ip_v4"))
}

/// The language of legs that have none of their own, if one is configured.
pub(crate) fn usual_language() -> Option<String> {
    global("default_language")
}

/// The UUID of this run of FreeSWITCH.
pub(crate) fn run_uuid() -> String {
    // SAFETY: the answer is a string of the core's own that stays as long as it runs.
    unsafe { from_c(ffi::switch_core_get_uuid()) }.unwrap_or_default()
}

/// Queues a statement for the core's own database. A thread of the core executes it later.
pub(crate) fn queue_sql(sql: &str) {
    let sql = to_c(sql);
    // SAFETY: the core copies the text (`switch_sql_queue_manager_push`).
    unsafe { ffi::switch_core_sql_exec(sql.as_ptr()) };
}

/// The name of this FreeSWITCH: `switchname`, or the name of the host.
pub(crate) fn switch_name() -> String {
    // SAFETY: the answer is a string of the core's own that stays as long as it runs.
    unsafe { from_c(ffi::switch_core_get_switchname()) }.unwrap_or_default()
}
