//! Reads configurations from FreeSWITCH's XML registry.

use std::path::Path;
use std::{fs, ptr};

use thiserror::Error;

use super::core::global;
use super::event::Event;
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

/// The folder of the sound files of a language, as its configuration says.
pub(crate) fn sound_folder(language: &str) -> Option<String> {
    let mut params = Event::plain()?;
    // The core's own requests for a language have both (switch_ivr_play_say.c), and programs that serve languages, such as FusionPBX's script, expect them.
    params.set("macro_name", "say_app");
    params.set("lang", language);
    let attributes = attributes_of_language(language, &params)?;
    let named = |wanted: &str| attributes.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    // In this order (switch_ivr_play_say.c).
    let folder = ["sound-prefix", "sound-path", "sound_path"].iter().find_map(|name| named(name))?;
    (!folder.is_empty()).then(|| folder.to_owned())
}

fn attributes_of_language(language: &str, params: &Event) -> Option<Vec<(String, String)>> {
    let (mut root, mut section) = (ptr::null_mut(), ptr::null_mut());
    let (name, clone) = (c"languages".as_ptr(), ffi::switch_bool_t::SWITCH_FALSE);
    // SAFETY: the name and the event live through the call, and the places are ours to be set. The tree is read-locked until it is freed, below; of what
    // is read, all is copied. Each `ordered` is NULL or the next element.
    unsafe {
        let none = ptr::null();
        let status = ffi::switch_xml_locate(name, none, none, none, &mut root, &mut section, params.as_ptr(), clone);
        let found = if status == ffi::switch_status_t::SWITCH_STATUS_SUCCESS { section.as_ref() } else { None };
        let mut next = found.and_then(|section| section.child.as_ref());
        let mut attributes = None;
        while let Some(element) = next.filter(|_| attributes.is_none()) {
            let known = self::attributes(element);
            let is_meant = known.iter().any(|(name, value)| name == "name" && value == language);
            attributes = (is_meant && from_c(element.name).as_deref() == Some("language")).then_some(known);
            next = element.ordered.as_ref();
        }
        if !root.is_null() {
            ffi::switch_xml_free(root);
        }
        attributes
    }
}

/// Copies the attributes of an element, as names with their values.
///
/// # Safety
/// The element stays as it is.
pub(super) unsafe fn attributes(element: &ffi::switch_xml) -> Vec<(String, String)> {
    let mut found = Vec::new();
    // SAFETY: by this function's contract: names and values in turn, C strings all, until a NULL.
    unsafe {
        let mut next = element.attr;
        while !next.is_null() && !(*next).is_null() {
            found.push((from_c(*next).unwrap_or_default(), from_c(*next.add(1)).unwrap_or_default()));
            next = next.add(2);
        }
    }
    found
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
