//! Registers API commands, which fs_cli, the event socket and scripts call.

use std::ffi::{CStr, c_char};
use std::sync::Arc;

use super::guard::fence;
use super::module_table::Interfaces;
use super::state_lookup::StateLookup;
use super::text::from_c;
use crate::ffi;

/// An API command of the core.
pub(crate) trait Command {
    /// What it works with.
    type Context;
    const NAME: &'static CStr;
    const DESCRIPTION: &'static CStr;
    const SYNTAX: &'static CStr;

    /// Runs a command line, which does not contain the name of the command. `context` is `None` while the module is being unloaded.
    fn run(context: Option<Arc<Self::Context>>, line: &str) -> CommandOutput;
}

/// The complete output of a command.
pub(crate) struct CommandOutput(pub(crate) String);

pub(crate) fn add_command<C: Command, W: StateLookup<C::Context>>(interfaces: &mut Interfaces<'_>) -> bool {
    let kind = ffi::switch_module_interface_name_t::SWITCH_API_INTERFACE;
    let Some(entry) = interfaces.add::<ffi::switch_api_interface_t>(kind) else { return false };
    entry.interface_name = C::NAME.as_ptr();
    entry.desc = C::DESCRIPTION.as_ptr();
    entry.function = Some(trampoline::<C, W>);
    entry.syntax = C::SYNTAX.as_ptr();
    true
}

unsafe extern "C" fn trampoline<C: Command, W: StateLookup<C::Context>>(
    line: *const c_char,
    _session: *mut ffi::switch_core_session_t,
    stream: *mut ffi::switch_stream_handle_t,
) -> ffi::switch_status_t {
    let broken = || CommandOutput("-ERR internal error, see the log\n".into());
    let CommandOutput(text) = fence(C::NAME.to_str().unwrap_or("command"), None, || {
        // SAFETY: NULL or a C string that lives through the call (switch_api_execute).
        let line = unsafe { from_c(line) };
        Some(C::run(W::find(), line.as_deref().unwrap_or("").trim()))
    })
    .unwrap_or_else(broken);
    // SAFETY: the core hands a stream that lives through the call. Its raw writer takes bytes, so nothing in the
    // text can be read as a format, and the bytes live through the call.
    unsafe {
        if let Some(write) = stream.as_ref().and_then(|stream| stream.raw_write_function) {
            let mut bytes = text.into_bytes();
            write(stream, bytes.as_mut_ptr(), bytes.len());
        }
    }
    ffi::switch_status_t::SWITCH_STATUS_SUCCESS
}
