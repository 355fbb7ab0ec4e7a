//! Entry points for `tests/fuzz`. Each takes text from outside and checks the result. A wrong result is a panic. An injected fault is one too, which
//! shows that the checks work.

mod application;
mod command;
mod configuration;
mod http;
mod rows;
mod tokens;

use std::ffi::c_void;
use std::sync::OnceLock;

pub use application::application;
pub use command::command;
pub use configuration::configuration;
pub use http::http;
pub use rows::rows;
pub use tokens::tokens;

/// Returns the module table, for a simulator that is linked with the module.
#[must_use]
pub fn table() -> *const c_void {
    std::ptr::from_ref(&crate::module::mod_callpark_module_interface).cast()
}

/// Panics if `reached`, in a run with injected faults. No seed reaches these places.
fn inject_fault(reached: bool) {
    static INJECTED: OnceLock<bool> = OnceLock::new();
    let inject = *INJECTED.get_or_init(|| std::env::var_os("CALLPARK_INJECT_FAULT").is_some());
    assert!(!(reached && inject), "injected fault");
}

/// Checks a text that is shown to people: one short line without characters that a terminal obeys.
fn readable(text: &str) {
    assert!(!text.is_empty() && text.len() < 1000, "{} bytes", text.len());
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
