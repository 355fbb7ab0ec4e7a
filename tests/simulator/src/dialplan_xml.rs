//! Provides the dialplan as XML, as FreeSWITCH has it: one extension with the applications that the test's function returns for the leg.

use std::ffi::{CString, c_char, c_int};
use std::ptr;

use crate::core::enter;
use crate::dialplan::{Plan, Route};
use crate::ffi::{self, switch_status_t as Status};
use crate::leg::Session;
use crate::text::{filled_in, from_c, from_malloc, to_c};

/// Elements that point to each other. They keep their addresses until this is dropped.
#[derive(Default)]
pub(crate) struct Tree {
    #[allow(clippy::vec_box, reason = "others point to them, so they must not move")]
    elements: Vec<Box<ffi::switch_xml>>,
    texts: Vec<CString>,
    attributes: Vec<Vec<*mut c_char>>,
}

// SAFETY: it points to itself only.
unsafe impl Send for Tree {}

impl Tree {
    fn text(&mut self, text: &str) -> *mut c_char {
        self.texts.push(to_c(text));
        self.texts.last().map_or(ptr::null_mut(), |text| text.as_ptr().cast_mut())
    }

    fn element(
        &mut self,
        name: &str,
        attributes: &[(&str, &str)],
        children: &[ffi::switch_xml_t],
    ) -> ffi::switch_xml_t {
        let mut pointers: Vec<*mut c_char> =
            attributes.iter().flat_map(|(name, value)| [name, value]).map(|text| self.text(text)).collect();
        pointers.push(ptr::null_mut());
        let (name, txt) = (self.text(name), self.text(""));
        for pair in children.windows(2) {
            // SAFETY: elements of this tree, which has no other owner yet.
            unsafe { (*pair[0]).ordered = pair[1] };
        }
        let child = children.first().copied().unwrap_or(ptr::null_mut());
        self.attributes.push(pointers);
        let attr = self.attributes.last_mut().map_or(ptr::null_mut(), |pointers| pointers.as_mut_ptr());
        self.elements.push(Box::new(ffi::switch_xml { name, attr, txt, child, ..Default::default() }));
        self.elements.last_mut().map_or(ptr::null_mut(), |element| ptr::from_mut(&mut **element))
    }

    fn of_dialplan(context: &str, plan: Option<Plan>) -> (Tree, ffi::switch_xml_t) {
        let mut tree = Tree::default();
        let extensions: Vec<ffi::switch_xml_t> = plan
            .map(|plan| {
                let actions: Vec<_> = plan
                    .iter()
                    .map(|(name, data)| tree.element("action", &[("application", name), ("data", data)], &[]))
                    .collect();
                let condition = tree.element("condition", &[], &actions);
                tree.element("extension", &[("name", "the rules")], &[condition])
            })
            .into_iter()
            .collect();
        let context = tree.element("context", &[("name", context)], &extensions);
        let section = tree.element("section", &[("name", "dialplan")], &[context]);
        (tree, section)
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_xml_locate(
    section: *const c_char,
    _tag: *const c_char,
    _key: *const c_char,
    _value: *const c_char,
    root: *mut ffi::switch_xml_t,
    node: *mut ffi::switch_xml_t,
    params: *mut ffi::switch_event_t,
    _clone: ffi::switch_bool_t,
) -> Status {
    let call = enter("switch_xml_locate");
    // SAFETY: a C string that lives through the call.
    let section = unsafe { from_c(section) }.unwrap_or_default();
    let headers = call.core.headers_of(params);
    let header = |name: &str| {
        headers.iter().find(|(known, _)| known == name).map_or_else(String::new, |(_, value)| value.clone())
    };
    let rules = call.core.state().dialplan.rules.clone();
    let (Some(rules), "dialplan", false) = (rules, section.as_str(), call.fails) else {
        return Status::SWITCH_STATUS_FALSE;
    };
    let context = header("Hunt-Context");
    let plan = rules(&Route {
        extension: header("Hunt-Destination-Number"),
        context: context.clone(),
        caller_number: header("Hunt-Caller-ID-Number"),
        leg: header("Hunt-Unique-ID"),
    });
    let (tree, top) = Tree::of_dialplan(&context, plan);
    call.core.state().configurations.trees.push((top as usize, tree));
    // SAFETY: the module's places for the two.
    unsafe {
        *root = top;
        *node = top;
    }
    Status::SWITCH_STATUS_SUCCESS
}

/// No condition here has a time.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_xml_std_datetime_check(
    _element: ffi::switch_xml_t,
    _offset: *mut c_int,
    _zone: *const c_char,
) -> c_int {
    enter("switch_xml_std_datetime_check");
    -1
}

/// Expands variables of the leg. API functions in the text are not simulated.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_channel_expand_variables_check(
    channel: *mut ffi::switch_channel_t,
    text: *const c_char,
    _variables: *mut ffi::switch_event_t,
    _functions: *mut ffi::switch_event_t,
    _depth: u32,
) -> *mut c_char {
    let call = enter("switch_channel_expand_variables_check");
    // SAFETY: the module's handles are sessions of ours; a C string that lives through the call.
    let (session, given) = unsafe { (Session::of_channel(channel, &call), from_c(text).unwrap_or_default()) };
    let filled = filled_in(&given, "${", |name| call.core.look_up(session.id, name));
    if filled == given { text.cast_mut() } else { from_malloc(&filled) }
}
