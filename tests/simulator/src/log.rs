//! The log.

use std::ffi::{c_char, c_int};
use std::time::Duration;

use crate::core::enter;
use crate::ffi;
use crate::text::from_c;

/// A line that the module logged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogLine {
    /// Since the world began.
    pub at: Duration,
    /// As FreeSWITCH counts: 3 error, 4 warning, 5 notice, 6 info, 7 debug.
    pub level: u32,
    pub text: String,
}

/// The host's is variadic. The module only ever gives the format `%s` and one text, and such a call passes its arguments
/// as this one takes them, in the C calling conventions of Linux on x86-64 and AArch64.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_log_printf(
    _channel: ffi::switch_text_channel_t,
    _file: *const c_char,
    _function: *const c_char,
    _line: c_int,
    _userdata: *const c_char,
    level: ffi::switch_log_level_t,
    format: *const c_char,
    text: *const c_char,
) {
    let call = enter("switch_log_printf");
    // SAFETY: C strings that live through the call.
    let (format, text) = unsafe { (from_c(format), from_c(text)) };
    if format.as_deref() != Some("%s") {
        return call.core.misuse(format!("logged with the format {format:?}: text from outside could be one"));
    }
    let at = call.core.since_start();
    let text = text.unwrap_or_default().trim_end().to_owned();
    call.core.state().log.push(LogLine { at, level: level.0 as u32, text });
}
