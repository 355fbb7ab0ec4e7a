//! Collects what FreeSWITCH writes to a stream.

use super::text::take_c;
use crate::ffi;

/// Returns the text that `write` makes FreeSWITCH write; empty if there is no memory. `usual` is its usual length.
pub(super) fn collect(usual: usize, write: impl FnOnce(&mut ffi::switch_stream_handle_t)) -> String {
    // As the core's macro does it (SWITCH_STANDARD_STREAM in `switch_console.h`): its functions enlarge the text with realloc and end it with a
    // NUL.
    const CHUNK: usize = 1024;
    // SAFETY: plain allocation; NULL is looked at.
    let text = unsafe { libc::calloc(1, usual) };
    if text.is_null() {
        return String::new();
    }
    let mut stream = ffi::switch_stream_handle_t {
        data: text,
        end: text,
        data_size: usual,
        write_function: Some(ffi::switch_console_stream_write),
        raw_write_function: Some(ffi::switch_console_stream_raw_write),
        alloc_len: usual,
        alloc_chunk: CHUNK,
        ..Default::default()
    };
    write(&mut stream);
    // SAFETY: what the stream holds then is a C string from malloc that is ours.
    unsafe { take_c(stream.data.cast()) }.unwrap_or_default()
}
