//! What other modules can do: their API commands, and messages to phones.

use std::ptr;

use super::text::{take_c, to_c};
use crate::ffi::{self, switch_bool_t as Bool};

/// Runs an API command on this thread; its answer. `argument` is data as far as FreeSWITCH goes: it is handed over as it is.
pub(crate) fn api(command: &str, argument: &str) -> String {
    let (command, argument) = (to_c(command), to_c(argument));
    // As the core's own macro begins a stream (SWITCH_STANDARD_STREAM in `switch_console.h`): its functions enlarge the
    // text with realloc and keep it ended with a NUL.
    const CHUNK: usize = 1024;
    // SAFETY: plain allocation; NULL is looked at.
    let text = unsafe { libc::calloc(1, CHUNK) };
    if text.is_null() {
        return String::new();
    }
    let mut stream = ffi::switch_stream_handle_t {
        data: text,
        end: text,
        data_size: CHUNK,
        write_function: Some(ffi::switch_console_stream_write),
        raw_write_function: Some(ffi::switch_console_stream_raw_write),
        alloc_len: CHUNK,
        alloc_chunk: CHUNK,
        ..Default::default()
    };
    // SAFETY: the texts and the stream live through the call, which is synchronous; what the stream holds then is a C string
    // from malloc that is ours.
    unsafe {
        ffi::switch_api_execute(command.as_ptr(), argument.as_ptr(), ptr::null_mut(), &mut stream);
        take_c(stream.data.cast())
    }
    .unwrap_or_default()
}

/// Whether FreeSWITCH has a module loaded.
pub(crate) fn module_loaded(name: &str) -> bool {
    api("module_exists", name).trim() == "true"
}

/// Puts a text for a SIP user on its way. The core's own thread sends it: nothing is waited for, and nobody is told if it
/// cannot be delivered.
pub(crate) fn send_message(from: &str, to: &str, text: &str) -> bool {
    let (from, to, text) = (to_c(from), to_c(to), to_c(text));
    // SAFETY: static and local C strings, copied by the core before this returns.
    let status = unsafe {
        ffi::switch_core_chat_send_args(
            c"sip".as_ptr(),
            // Of a message that is said to come from SIP, mod_sofia drops the sender (sofia_presence_chat_send).
            c"global".as_ptr(),
            from.as_ptr(),
            to.as_ptr(),
            c"".as_ptr(),
            text.as_ptr(),
            c"text/plain".as_ptr(),
            ptr::null(),
            Bool::SWITCH_FALSE,
        )
    };
    status == ffi::switch_status_t::SWITCH_STATUS_SUCCESS
}
