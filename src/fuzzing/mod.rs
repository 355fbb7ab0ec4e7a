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

/// Panics in a run with bugs on purpose, if `reached`: something that no seed has in it.
fn planted(reached: bool) {
    static PLANTED: OnceLock<bool> = OnceLock::new();
    let planted = *PLANTED.get_or_init(|| std::env::var_os("CALLPARK_PLANTED").is_some());
    assert!(!(reached && planted), "planted");
}

/// Checks a text that is shown to people: one short line without characters that a terminal obeys.
fn readable(text: &str) {
    assert!(!text.is_empty() && text.len() < 1000, "{} bytes", text.len());
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
