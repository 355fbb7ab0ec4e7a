//! The host's configuration registry.

use std::ptr;

use super::text::{from_c, take_c, to_c};
use crate::ffi;

/// The configuration of that name (`callpark.conf`) as XML text, variables filled in; `None` where there is none.
pub(crate) fn configuration(name: &str) -> Option<String> {
    let name = to_c(name);
    let mut node = ptr::null_mut();
    // SAFETY: the name lives through the call and `node` is ours to be set. The tree is read-locked until it is
    // freed, below; the text made of it is from malloc and ours.
    unsafe {
        let tree = ffi::switch_xml_open_cfg(name.as_ptr(), &mut node, ptr::null_mut());
        if tree.is_null() {
            return None;
        }
        let text = if node.is_null() {
            None
        } else {
            let (no_header, utf8) = (ffi::switch_bool_t::SWITCH_FALSE, ffi::switch_bool_t::SWITCH_TRUE);
            take_c(ffi::switch_xml_toxml_ex(node, no_header, utf8))
        };
        ffi::switch_xml_free(tree);
        text
    }
}

/// Has the core read its XML files again, and tell everybody so. The error is what is wrong with them; then the old ones stay.
pub(crate) fn reread() -> Result<(), String> {
    let mut why = ptr::null();
    // SAFETY: `why` is ours to be set; the text is in a buffer of the core's own that stays (switch_xml.c).
    unsafe {
        match ffi::switch_xml_reload(&mut why) {
            ffi::switch_status_t::SWITCH_STATUS_SUCCESS => Ok(()),
            _ => Err(from_c(why).unwrap_or_default()),
        }
    }
}
