//! Converts text to and from C strings.

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_char};

/// Makes a C string. A NUL in the text becomes U+FFFD, because it would end the text.
pub(super) fn to_c(text: &str) -> CString {
    #[cfg(feature = "fault-injection")]
    super::fault_injection::step();
    match CString::new(text) {
        Ok(text) => text,
        Err(_) => CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default(),
    }
}

/// Makes a C string of text that did not come from the configuration: names, numbers, labels, headers. FreeSWITCH expands nothing in it.
pub(super) fn inert_to_c(text: &str) -> CString {
    to_c(&inert(text))
}

/// Replaces each `$` by `%`, as `profile_dup_clean` of the core does. FreeSWITCH expands `${...}` in everything that it reads from a channel,
/// including the values of variables, and `${system(...)}` runs a command (`switch_channel_expand_variables`).
///
/// The core's function keeps a `$` that is not followed by `{`. That is not enough: `set` expands a text twice and removes backslashes and quotes in
/// between, so `$\{` becomes `${`; and two texts in a row, or an expression such as `${name:0:20}{`, can form a `${`.
pub(crate) fn inert(text: &str) -> Cow<'_, str> {
    if text.contains('$') { Cow::Owned(text.replace('$', "%")) } else { Cow::Borrowed(text) }
}

/// Copies a C string. Returns `None` for a null pointer; bytes that are not UTF-8 become U+FFFD.
///
/// # Safety
/// `text` is null or a C string that nobody changes or frees during the call.
pub(super) unsafe fn from_c(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null, and a C string by this function's contract.
    Some(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// Copies a C string that FreeSWITCH allocated with malloc for the caller, and frees it.
///
/// # Safety
/// `text` is null or a C string from malloc that belongs to the caller of this function.
pub(super) unsafe fn take_c(text: *mut c_char) -> Option<String> {
    // SAFETY: both by this function's contract; free(NULL) does nothing.
    unsafe {
        let copy = from_c(text);
        libc::free(text.cast());
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_can_be_expanded() {
        for (text, harmless) in [
            ("${system(touch x)}", "%{system(touch x)}"),
            ("a$${domain}b", "a%%{domain}b"),
            ("$\\'{x}", "%\\'{x}"),
            ("cut off $", "cut off %"),
            ("\u{1f642}${x}\u{fc}", "\u{1f642}%{x}\u{fc}"),
            ("100 % {x}", "100 % {x}"),
        ] {
            assert_eq!(inert(text), harmless);
            assert_eq!(inert_to_c(text).to_str(), Ok(harmless));
        }
    }
}
