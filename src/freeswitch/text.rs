//! Text on its way to and from C.

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_char};

/// For the host. A NUL inside would end the text early there, so it becomes U+FFFD: text from callers is data.
pub(super) fn to_c(text: &str) -> CString {
    #[cfg(feature = "planted")]
    super::planted::step();
    match CString::new(text) {
        Ok(text) => text,
        Err(_) => CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default(),
    }
}

/// For the host, of text that people chose: names, numbers, labels, headers. FreeSWITCH never expands any of it.
pub(super) fn inert_to_c(text: &str) -> CString {
    to_c(&inert(text))
}

/// The same text with `%` for each `$`, as in the core's own `profile_dup_clean`. FreeSWITCH expands `${...}` in whatever it reads
/// from a channel, what a variable holds included, and `${system(...)}` is a command (`switch_channel_expand_variables`).
///
/// The core leaves a `$` alone that no `{` follows. That is not enough: `set` expands twice, a backslash or a quote in between is
/// dropped on the way, and `${name:0:20}{` or a text that is put behind another makes a `${` of two halves.
pub(crate) fn inert(text: &str) -> Cow<'_, str> {
    if text.contains('$') { Cow::Owned(text.replace('$', "%")) } else { Cow::Borrowed(text) }
}

/// From the host: `None` for a null pointer; what is not UTF-8 becomes U+FFFD.
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

/// Text that the host allocated with malloc for us: read, then freed.
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
