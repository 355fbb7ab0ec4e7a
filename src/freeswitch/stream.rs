//! What the host writes, for us to read.

use super::text::take_c;
use crate::ffi;

/// The text that the host writes to a stream meanwhile; empty where there is no memory for it. `usual`: its length as it mostly
/// is.
pub(super) fn collect(usual: usize, write: impl FnOnce(&mut ffi::switch_stream_handle_t)) -> String {
    // As the core's own macro begins a stream (SWITCH_STANDARD_STREAM in `switch_console.h`): its functions enlarge the
    // text with realloc and keep it ended with a NUL.
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
