//! A door for `tests/fuzz`: text goes in as it would from outside, and what must hold of the answer is looked at here. A promise
//! that is broken is a panic, and so is a bug on purpose, which says whether anybody would notice.

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

/// The module's table, for a host that has it linked in.
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

/// What is shown to people of what somebody sent: one line, short, without anything that acts on a terminal.
fn readable(text: &str) {
    assert!(!text.is_empty() && text.len() < 1000, "{} bytes", text.len());
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
