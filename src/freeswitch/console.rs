//! Registers tab completions.

use std::ffi::{CStr, c_char};
use std::ptr;
use std::sync::Arc;

use super::guard::fence;
use super::state_lookup::StateLookup;
use super::text::to_c;
use crate::ffi;

/// Completes a word with present values, such as the occupied slots.
pub(crate) trait Completer {
    /// What it works with.
    type Context;
    /// The name in completion lines: `::callpark::slots`.
    const NAME: &'static CStr;

    fn candidates(context: &Arc<Self::Context>) -> Vec<String>;
}

/// The completion lines of the module. Dropping this removes them.
pub(crate) struct Completions {
    /// The first word of each line, by which all of them are removed.
    command: &'static str,
    functions: Vec<&'static CStr>,
}

impl Completions {
    pub(crate) fn new(command: &'static str) -> Completions {
        Completions { command, functions: Vec::new() }
    }

    pub(crate) fn add_completer<C: Completer, W: StateLookup<C::Context>>(&mut self) {
        // SAFETY: the name is static; the function is code of this module, which is unregistered before it goes.
        unsafe { ffi::switch_console_add_complete_func(C::NAME.as_ptr(), Some(trampoline::<C, W>)) };
        self.functions.push(C::NAME);
    }

    /// Adds a line: the words after the command, such as `list as json` or `show ::callpark::slots`.
    pub(crate) fn add_line(&self, words: &str) {
        set_complete(&format!("add {} {words}", self.command));
    }
}

impl Drop for Completions {
    fn drop(&mut self) {
        set_complete(&format!("del {}", self.command));
        for name in &self.functions {
            // SAFETY: a static C string.
            unsafe { ffi::switch_console_del_complete_func(name.as_ptr()) };
        }
    }
}

fn set_complete(line: &str) {
    let line = to_c(line);
    // SAFETY: a C string that lives through the call; the core copies it.
    unsafe { ffi::switch_console_set_complete(line.as_ptr()) };
}

unsafe extern "C" fn trampoline<C: Completer, W: StateLookup<C::Context>>(
    _line: *const c_char,
    _word: *const c_char,
    matches: *mut *mut ffi::switch_console_callback_match_t,
) -> ffi::switch_status_t {
    let found = fence("completion", Vec::new(), || W::find().map_or_else(Vec::new, |of| C::candidates(&of)));
    if found.is_empty() {
        return ffi::switch_status_t::SWITCH_STATUS_FALSE;
    }
    // The list is begun here, because the core does not initialise the pointer that it passes (switch_console.c).
    let mut list = ptr::null_mut();
    for word in &found {
        let word = to_c(word);
        // SAFETY: the list is ours until it is handed over; the word is copied into it.
        unsafe { ffi::switch_console_push_match(&mut list, word.as_ptr()) };
    }
    // SAFETY: the core hands a place for the list, which is the core's to free from here on.
    unsafe { *matches = list };
    ffi::switch_status_t::SWITCH_STATUS_SUCCESS
}
