//! Reads configurations from FreeSWITCH's XML registry.

use std::path::Path;
use std::{fs, ptr};

use thiserror::Error;

use super::core::global;
use super::text::{from_c, take_c, to_c};
use crate::ffi;

/// Returns the configuration of that name (`callpark.conf`) as XML text, in which variables are filled in. Returns `None` if there is none.
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

/// Returns the text of the file with the configuration of that name. Returns `None` if the configuration comes from elsewhere.
pub(crate) fn configuration_file(name: &str) -> Option<String> {
    let folder = Path::new(&global("conf_dir")?).join("autoload_configs");
    fs::read_to_string(folder.join(format!("{name}.xml"))).ok()
}

/// Why the core cannot read its XML files.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct XmlError(String);

/// Makes the core read its XML files again and fire the event for that. If they have errors, the core keeps the old ones.
pub(crate) fn reload_xml() -> Result<(), XmlError> {
    let mut why = ptr::null();
    // SAFETY: `why` is ours to be set; the text is in a buffer of the core's own that stays (switch_xml.c).
    unsafe {
        match ffi::switch_xml_reload(&mut why) {
            ffi::switch_status_t::SWITCH_STATUS_SUCCESS => Ok(()),
            _ => Err(XmlError(from_c(why).unwrap_or_default())),
        }
    }
}
