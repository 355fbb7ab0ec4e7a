//! Collects the log lines of the module.

use std::ffi::{c_char, c_int, c_void};
use std::time::Duration;

use crate::core::enter;
use crate::ffi;
use crate::leg::Session;
use crate::text::from_c;

/// A line that the module logged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogLine {
    /// The virtual time since the start.
    pub at: Duration,
    /// The level of FreeSWITCH: 3 error, 4 warning, 5 notice, 6 info, 7 debug.
    pub level: u32,
    /// The UUID of the channel on which it was logged.
    pub uuid: Option<String>,
    pub text: String,
}

/// FreeSWITCH logs every level here.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_core_session_ctl(command: ffi::switch_session_ctl_t, value: *mut c_void) -> i32 {
    let call = enter("switch_core_session_ctl");
    // SAFETY: this command takes an int, which lives through the call.
    match unsafe { value.cast::<c_int>().as_mut() } {
        Some(level) if command == ffi::switch_session_ctl_t::SCSC_LOGLEVEL && *level < -1 => {
            *level = ffi::switch_log_level_t::SWITCH_LOG_DEBUG.0;
        }
        value => call.core.misuse(format!("the core was to set {value:?} by the command {}", command.0)),
    }
    0
}

/// FreeSWITCH's function is variadic. The module only uses the format `%s` with one text, and in the C calling conventions of Linux on x86-64 and
/// AArch64 such a call passes its arguments as to this function.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_log_printf(
    channel: ffi::switch_text_channel_t,
    _file: *const c_char,
    _function: *const c_char,
    _line: c_int,
    userdata: *const c_char,
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
    let uuid = if channel == ffi::switch_text_channel_t::SWITCH_CHANNEL_ID_SESSION {
        // SAFETY: on this channel the data is a session that the module holds.
        let session = unsafe { Session::of(userdata.cast_mut().cast(), &call) };
        Some(session.uuid.to_string_lossy().into_owned())
    } else {
        // SAFETY: on all others it is NULL or a C string that lives through the call.
        unsafe { from_c(userdata) }
    };
    let at = call.core.since_start();
    let text = text.unwrap_or_default().trim_end().to_owned();
    call.core.state().log.push(LogLine { at, level: level.0 as u32, uuid, text });
}
