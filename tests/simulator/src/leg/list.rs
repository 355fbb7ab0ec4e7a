//! Simulates the list of all legs.

use std::ffi::CString;
use std::ptr;

use crate::core::enter;
use crate::ffi;
use crate::text::to_c;

/// The list that the module reads, followed by the data to which it points.
#[repr(C)]
struct List {
    seen: ffi::switch_console_callback_match_t,
    nodes: Vec<ffi::switch_console_callback_match_node>,
    words: Vec<CString>,
}

/// The UUIDs of all sessions, or null if there is none.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_core_session_findall() -> *mut ffi::switch_console_callback_match_t {
    let call = enter("switch_core_session_findall");
    let words: Vec<CString> = {
        let state = call.core.state();
        state.legs.all().filter(|(_, leg)| !leg.destroyed).map(|(_, leg)| to_c(&leg.uuid)).collect()
    };
    if words.is_empty() {
        return ptr::null_mut();
    }
    let node = |word: &CString| ffi::switch_console_callback_match_node {
        val: word.as_ptr().cast_mut(),
        ..Default::default()
    };
    let mut list = Box::new(List { seen: Default::default(), nodes: words.iter().map(node).collect(), words });
    let first = list.nodes.as_mut_ptr();
    for at in 1..list.nodes.len() {
        // SAFETY: both are within the list, which is not enlarged any more.
        unsafe { (*first.add(at - 1)).next = first.add(at) };
    }
    list.seen.head = first;
    list.seen.count = i32::try_from(list.words.len()).unwrap_or(i32::MAX);
    Box::into_raw(list).cast()
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_console_free_matches(matches: *mut *mut ffi::switch_console_callback_match_t) {
    enter("switch_console_free_matches");
    // SAFETY: a list that was made above and is given back once.
    unsafe {
        let list = std::mem::replace(&mut *matches, ptr::null_mut());
        if !list.is_null() {
            drop(Box::from_raw(list.cast::<List>()));
        }
    }
}
