//! Tab completion of the console.

use std::ffi::c_char;
use std::ptr;

use crate::core::{Core, enter};
use crate::ffi::{self, switch_status_t as Status};
use crate::text::{from_c, to_c};

#[derive(Default)]
pub(crate) struct Console {
    functions: Vec<(String, ffi::switch_console_complete_callback_t)>,
    lines: Vec<Vec<String>>,
}

impl Console {
    pub(crate) fn leaks(&self) -> Vec<String> {
        let functions = self.functions.iter().map(|(name, _)| format!("the completion function {name} is left"));
        functions.chain(self.lines.iter().map(|words| format!("the completion line {words:?} is left"))).collect()
    }
}

impl Core {
    /// The completions of `line`, as `switch_console_complete` finds them.
    pub(crate) fn complete(&self, line: &str) -> Vec<String> {
        let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let (before, begun) = if line.ends_with(' ') || words.is_empty() {
            (words.as_slice(), "")
        } else {
            (&words[..words.len() - 1], words[words.len() - 1])
        };
        let offers: Vec<String> = {
            let lines = &self.state().console.lines;
            let fits = |known: &&Vec<String>| {
                before.iter().enumerate().all(|(at, word)| {
                    known.get(at).is_some_and(|known| known == word || known.starts_with("::") || known == "_any_")
                })
            };
            lines.iter().filter(fits).filter_map(|words| words.get(before.len()).cloned()).collect()
        };
        let mut found = Vec::new();
        for offer in offers {
            if offer.starts_with("::") {
                found.extend(self.offered_by(&offer, line, begun));
            } else {
                found.push(offer);
            }
        }
        found.retain(|word| word.starts_with(begun));
        found.sort();
        found.dedup();
        found
    }

    fn offered_by(&self, name: &str, line: &str, begun: &str) -> Vec<String> {
        let function = {
            let functions = &self.state().console.functions;
            functions.iter().find(|(known, _)| known == name).and_then(|(_, function)| *function)
        };
        let Some(function) = function else { return Vec::new() };
        let (line, begun) = (to_c(line), to_c(begun));
        // FreeSWITCH does not set it before the call, so a function that reads it reads uninitialized memory.
        let mut matches = unset();
        // SAFETY: the module's function, called as it was registered; its result is a list that was made below.
        unsafe {
            let status = function(line.as_ptr(), begun.as_ptr(), &mut matches);
            if status != Status::SWITCH_STATUS_SUCCESS || matches.is_null() {
                return Vec::new();
            }
            if matches == unset() {
                self.misuse(format!("{name} says that it found something, and gives no list"));
                return Vec::new();
            }
            *Box::from_raw(matches.cast::<Vec<String>>())
        }
    }
}

/// The value of memory that FreeSWITCH has not set.
fn unset() -> *mut ffi::switch_console_callback_match_t {
    ptr::without_provenance_mut(usize::MAX)
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_console_push_match(
    matches: *mut *mut ffi::switch_console_callback_match_t,
    word: *const c_char,
) {
    let call = enter("switch_console_push_match");
    // SAFETY: the module's list, made here; a C string that lives through the call.
    unsafe {
        if *matches == unset() {
            return call.core.misuse("adds to a completion list that the host has not set");
        }
        if (*matches).is_null() {
            *matches = Box::into_raw(Box::<Vec<String>>::default()).cast();
        }
        let list = &mut *(*matches).cast::<Vec<String>>();
        list.extend(from_c(word));
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_console_add_complete_func(
    name: *const c_char,
    function: ffi::switch_console_complete_callback_t,
) -> Status {
    let call = enter("switch_console_add_complete_func");
    // SAFETY: a C string that lives through the call.
    let name = unsafe { from_c(name) }.unwrap_or_default();
    let functions = &mut call.core.state().console.functions;
    functions.retain(|(known, _)| *known != name);
    functions.push((name, function));
    Status::SWITCH_STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_console_del_complete_func(name: *const c_char) -> Status {
    let call = enter("switch_console_del_complete_func");
    // SAFETY: as above.
    let name = unsafe { from_c(name) }.unwrap_or_default();
    call.core.state().console.functions.retain(|(known, _)| *known != name);
    Status::SWITCH_STATUS_SUCCESS
}

/// Executes `add <words>` or `del <first words>`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_console_set_complete(line: *const c_char) -> Status {
    let call = enter("switch_console_set_complete");
    // SAFETY: as above.
    let line = unsafe { from_c(line) }.unwrap_or_default();
    let mut words = line.split_whitespace().map(str::to_owned);
    let verb = words.next().unwrap_or_default();
    let words: Vec<String> = words.collect();
    let mut state = call.core.state();
    match verb.as_str() {
        "add" | "stickyadd" => state.console.lines.push(words),
        "del" if !words.is_empty() => state.console.lines.retain(|known| !known.starts_with(&words)),
        _ => {
            state.misuse.push(format!("completion line {line:?} is none"));
            return Status::SWITCH_STATUS_FALSE;
        }
    }
    Status::SWITCH_STATUS_SUCCESS
}
