//! Text on its way to and from C.

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
