//! Provides configurations, as FreeSWITCH's XML registry does.

use std::collections::HashMap;
use std::ffi::c_char;
use std::ptr;

use quick_xml::events::Event as Piece;
use quick_xml::{Reader, Writer};

use crate::core::enter;
use crate::dialplan_xml::Tree;
use crate::ffi;
use crate::text::{filled_in, from_c, from_malloc};

#[derive(Default)]
pub(crate) struct Configurations {
    pub(crate) texts: HashMap<String, String>,
    /// The addresses of trees that are not freed yet, each with its text.
    open: Vec<(usize, String)>,
    /// The same for trees that have elements.
    pub(crate) trees: Vec<(usize, Tree)>,
}

impl Configurations {
    pub(crate) fn leaks(&self) -> Vec<String> {
        let count = self.open.len() + self.trees.len();
        if count == 0 { Vec::new() } else { vec![format!("{count} XML trees are not freed")] }
    }
}

/// Writes the text as FreeSWITCH does, without comments and declarations. Returns `None` if it is not XML, which FreeSWITCH does not read.
fn written_anew(text: &str) -> Option<String> {
    let (mut reader, mut writer) = (Reader::from_str(text), Writer::new(Vec::new()));
    reader.config_mut().check_end_names = true;
    let mut depth = 0_i32;
    loop {
        let piece = reader.read_event().ok()?;
        match &piece {
            Piece::Start(_) => depth += 1,
            Piece::End(_) => depth -= 1,
            Piece::Eof if depth == 0 => break,
            Piece::Eof => return None,
            _ => {}
        }
        if !matches!(piece, Piece::Comment(_) | Piece::Decl(_) | Piece::DocType(_) | Piece::PI(_)) {
            writer.write_event(piece).ok()?;
        }
    }
    String::from_utf8(writer.into_inner()).ok()
}

/// A tree and its node are only handles, because the module asks for the text.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_xml_open_cfg(
    name: *const c_char,
    node: *mut ffi::switch_xml_t,
    _params: *mut ffi::switch_event_t,
) -> ffi::switch_xml_t {
    let call = enter("switch_xml_open_cfg");
    // SAFETY: a C string that lives through the call.
    let name = unsafe { from_c(name) }.unwrap_or_default();
    let state = &mut *call.core.state();
    let text = state.configurations.texts.get(&name).filter(|_| !call.fails);
    let text = text.map(|text| filled_in(text, "$${", |name| state.globals.get(name).cloned()));
    let handle = match text.as_deref().and_then(written_anew) {
        None => ptr::null_mut(),
        Some(text) => {
            let handle = Box::into_raw(Box::new(0_u8));
            state.configurations.open.push((handle as usize, text));
            handle.cast()
        }
    };
    // SAFETY: the module's place for the node.
    unsafe { *node = handle };
    handle
}

/// There are no files to read, because the world has the configuration. The event is fired as in FreeSWITCH.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_xml_reload(why: *mut *const c_char) -> ffi::switch_status_t {
    let call = enter("switch_xml_reload");
    if call.fails {
        // SAFETY: the module's place for the text, which is static.
        unsafe { *why = c"[error near line 7]: unclosed <include>".as_ptr() };
        return ffi::switch_status_t::SWITCH_STATUS_GENERR;
    }
    call.core.announce(ffi::switch_event_types_t::SWITCH_EVENT_RELOADXML, "", &[]);
    ffi::switch_status_t::SWITCH_STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_xml_toxml_ex(
    xml: ffi::switch_xml_t,
    header: ffi::switch_bool_t,
    _utf8: ffi::switch_bool_t,
) -> *mut c_char {
    let call = enter("switch_xml_toxml_ex");
    let found = {
        let open = &call.core.state().configurations.open;
        open.iter().find(|(handle, _)| *handle == xml as usize).map(|(_, text)| text.clone())
    };
    let Some(text) = found else {
        call.core.misuse("reads an XML tree that is not open");
        return ptr::null_mut();
    };
    let header = if header == ffi::switch_bool_t::SWITCH_TRUE { "<?xml version=\"1.0\"?>\n" } else { "" };
    from_malloc(&format!("{header}{text}"))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_xml_free(xml: ffi::switch_xml_t) {
    let call = enter("switch_xml_free");
    let is_tree = {
        let trees = &mut call.core.state().configurations.trees;
        let at = trees.iter().position(|(top, _)| *top == xml as usize);
        at.map(|at| drop(trees.remove(at))).is_some()
    };
    if is_tree {
        return;
    }
    let found = {
        let open = &mut call.core.state().configurations.open;
        let at = open.iter().position(|(handle, _)| *handle == xml as usize);
        at.map(|at| open.remove(at))
    };
    match found {
        // SAFETY: from `switch_xml_open_cfg`, and just removed from the list of open trees.
        Some((handle, _)) => drop(unsafe { Box::from_raw(ptr::with_exposed_provenance_mut::<u8>(handle)) }),
        None => call.core.misuse("frees an XML tree that is not open"),
    }
}

#[cfg(test)]
mod tests {
    use super::written_anew;

    #[test]
    fn a_configuration_loses_its_comments_and_nothing_else() {
        let text = "<?xml version=\"1.0\"?><!-- x --><a><!-- <b/> --><c d=\"1 &amp; 2\"/>e</a>";
        assert_eq!(written_anew(text).as_deref(), Some("<a><c d=\"1 &amp; 2\"/>e</a>"));
    }

    #[test]
    fn what_is_no_xml_is_not_read() {
        for text in ["<a>", "<a></b>", "<a", "<a><b></a></b>"] {
            assert_eq!(written_anew(text), None, "{text}");
        }
    }
}
