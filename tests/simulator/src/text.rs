//! Converts text to and from C strings.

use std::ffi::{CStr, CString, c_char};

pub(crate) fn to_c(text: &str) -> CString {
    CString::new(text.replace('\0', "")).unwrap_or_default()
}

/// Converts a C string to a `String`. Returns `None` for a null pointer.
///
/// # Safety
/// `text` is null or a C string that is not changed during the call.
pub(crate) unsafe fn from_c(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: by this function's contract.
    Some(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// Copies text with malloc. The receiver frees it.
pub(crate) fn from_malloc(text: &str) -> *mut c_char {
    let text = to_c(text);
    // SAFETY: a C string that lives through the call.
    unsafe { libc::strdup(text.as_ptr()) }
}

/// Replaces each `${name}` by its value, or by nothing if it has none.
pub(crate) fn filled_in(text: &str, open: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once(open) {
        let Some((name, after)) = after.split_once('}') else { break };
        filled.push_str(before);
        filled.push_str(&value(name).unwrap_or_default());
        rest = after;
    }
    filled + rest
}
