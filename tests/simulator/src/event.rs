//! Simulates events: creates, fills, fires and destroys them, and calls the bound functions.

use std::collections::VecDeque;
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use crate::core::{Core, enter};
use crate::ffi::{self, switch_event_types_t as Kind, switch_status_t as Status};
use crate::text::{from_c, to_c};

/// An event that was fired.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// The virtual time since the start.
    pub at: Duration,
    /// The subclass of a CUSTOM event, such as `callpark::info`. It is empty for other events.
    pub subclass: String,
    /// The names and values of the headers, in the order in which they were added.
    pub headers: Vec<(String, String)>,
}

impl Event {
    /// The header with this name, which is case-insensitive.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

type Headers = Vec<(String, String)>;

/// What the module's `switch_event_t *` points to.
struct EventData {
    kind: Kind,
    subclass: String,
    headers: Vec<(String, String)>,
    /// The values that were returned as C strings, which are kept as long as the event.
    handed: Vec<CString>,
}

struct Binding {
    /// The address to which the module's node points.
    node: usize,
    kind: Kind,
    subclass: Option<String>,
    callback: ffi::switch_event_callback_t,
    /// Whether it was unbound. Its node must not be used again then.
    gone: bool,
}

#[derive(Default)]
pub(crate) struct Events {
    pub(crate) fired: Vec<Event>,
    /// The addresses of events that are neither fired nor destroyed.
    live: Vec<usize>,
    subclasses: Vec<String>,
    bindings: Vec<Binding>,
    queue: VecDeque<(Kind, String, Headers)>,
    /// Whether a callback is running.
    delivering: bool,
    thread: Option<crate::kernel::TaskId>,
    over: bool,
}

impl Events {
    pub(crate) fn leaks(&self) -> Vec<String> {
        let mut leaks = Vec::new();
        if !self.live.is_empty() {
            leaks.push(format!("{} events are neither fired nor destroyed", self.live.len()));
        }
        leaks.extend(self.subclasses.iter().map(|name| format!("the event subclass {name} is still reserved")));
        let bound = self.bindings.iter().filter(|binding| !binding.gone).count();
        if bound > 0 {
            leaks.push(format!("{bound} event bindings are left"));
        }
        leaks
    }
}

impl Core {
    /// The thread on which bound functions are called.
    pub(crate) fn begin_events(self: &Arc<Core>) {
        let thread = self.spawn("events", |core| {
            loop {
                let (over, next) = {
                    let events = &mut core.state().events;
                    (events.over, events.queue.pop_front())
                };
                match next {
                    Some((kind, subclass, headers)) => core.deliver(kind, &subclass, &headers),
                    None if over => return,
                    None => {
                        core.wait(None, "for events");
                    }
                }
            }
        });
        self.state().events.thread = Some(thread);
    }

    pub(crate) fn end_events(&self) {
        let thread = {
            let events = &mut self.state().events;
            events.over = true;
            events.thread
        };
        thread.inspect(|thread| self.kernel.poke(*thread));
    }

    /// Fires an event of FreeSWITCH itself.
    pub(crate) fn announce(&self, kind: Kind, subclass: &str, headers: &[(String, String)]) {
        let thread = {
            let events = &mut self.state().events;
            events.queue.push_back((kind, subclass.to_owned(), headers.to_vec()));
            events.thread
        };
        thread.inspect(|thread| self.kernel.poke(*thread));
    }

    fn deliver(&self, kind: Kind, subclass: &str, headers: &[(String, String)]) {
        let bound = |binding: &Binding| {
            let named = binding.subclass.as_ref().is_none_or(|name| name == subclass);
            !binding.gone && binding.kind == kind && named
        };
        let callbacks: Vec<_> = {
            let events = &mut self.state().events;
            events.delivering = true;
            events.bindings.iter().filter(|binding| bound(binding)).filter_map(|binding| binding.callback).collect()
        };
        for callback in callbacks {
            let event = self.new_event(kind, subclass);
            self.with_event(event, |event| event.headers = headers.to_vec());
            // SAFETY: the module's function, which it unbinds before it is unloaded; the event lives through the call.
            unsafe { callback(event) };
            self.drop_event(event);
        }
        self.state().events.delivering = false;
    }

    fn new_event(&self, kind: Kind, subclass: &str) -> *mut ffi::switch_event_t {
        let event = Box::into_raw(Box::new(EventData {
            kind,
            subclass: subclass.to_owned(),
            headers: Vec::new(),
            handed: Vec::new(),
        }));
        self.state().events.live.push(event as usize);
        event.cast()
    }

    /// Takes the content of an event. Returns `None` if the address is not, or no longer, that of an event.
    fn drop_event(&self, event: *mut ffi::switch_event_t) -> Option<EventData> {
        let events = &mut self.state().events;
        let at = events.live.iter().position(|live| *live == event as usize)?;
        events.live.remove(at);
        // SAFETY: it was in the list of live events, so it is a box that was made here and not taken back.
        Some(*unsafe { Box::from_raw(event.cast::<EventData>()) })
    }

    fn with_event<R>(&self, event: *mut ffi::switch_event_t, what: impl FnOnce(&mut EventData) -> R) -> Option<R> {
        if !self.state().events.live.contains(&(event as usize)) {
            if !event.is_null() {
                self.misuse("used an event that was fired or destroyed");
            }
            return None;
        }
        // SAFETY: it is in the list of live events, and only its owner uses it.
        Some(what(unsafe { &mut *event.cast::<EventData>() }))
    }

    pub(crate) fn add_header(&self, event: *mut ffi::switch_event_t, name: &str, value: &str) {
        self.with_event(event, |event| event.headers.push((name.to_owned(), value.to_owned())));
    }

    pub(crate) fn headers_of(&self, event: *mut ffi::switch_event_t) -> Vec<(String, String)> {
        self.with_event(event, |event| event.headers.clone()).unwrap_or_default()
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_event_create_subclass_detailed(
    _file: *const c_char,
    _function: *const c_char,
    _line: c_int,
    event: *mut *mut ffi::switch_event_t,
    kind: Kind,
    subclass: *const c_char,
) -> Status {
    let call = enter("switch_event_create_subclass_detailed");
    // SAFETY: null or a C string, and the module's place for the event.
    unsafe {
        let subclass = from_c(subclass);
        *event = ptr::null_mut();
        if call.fails || subclass.is_some() && kind != Kind::SWITCH_EVENT_CUSTOM {
            return Status::SWITCH_STATUS_GENERR;
        }
        *event = call.core.new_event(kind, subclass.as_deref().unwrap_or(""));
    }
    Status::SWITCH_STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_event_add_header_string(
    event: *mut ffi::switch_event_t,
    _stack: ffi::switch_stack_t,
    name: *const c_char,
    value: *const c_char,
) -> Status {
    let call = enter("switch_event_add_header_string");
    // SAFETY: null or C strings that live through the call.
    let (Some(name), Some(value)) = (unsafe { from_c(name) }, unsafe { from_c(value) }) else {
        return Status::SWITCH_STATUS_GENERR;
    };
    call.core.add_header(event, &name, &value);
    Status::SWITCH_STATUS_SUCCESS
}

/// The first value of a header, whose name is case-insensitive.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_event_get_header_idx(
    event: *mut ffi::switch_event_t,
    name: *const c_char,
    _index: c_int,
) -> *mut c_char {
    let call = enter("switch_event_get_header_idx");
    // SAFETY: a C string that lives through the call.
    let name = unsafe { from_c(name) }.unwrap_or_default();
    let found = call.core.with_event(event, |event| {
        let (_, value) = event.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name))?;
        event.handed.push(to_c(value));
        event.handed.last().map(|value| value.as_ptr().cast_mut())
    });
    found.flatten().unwrap_or(ptr::null_mut())
}

/// Removes each value of a header. One value alone is never removed.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_event_del_header_val(
    event: *mut ffi::switch_event_t,
    name: *const c_char,
    _value: *const c_char,
) -> Status {
    let call = enter("switch_event_del_header_val");
    // SAFETY: a C string that lives through the call.
    let name = unsafe { from_c(name) }.unwrap_or_default();
    call.core.with_event(event, |event| event.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&name)));
    Status::SWITCH_STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_event_destroy(event: *mut *mut ffi::switch_event_t) {
    let call = enter("switch_event_destroy");
    // SAFETY: the module's place of the event.
    unsafe {
        if !(*event).is_null() && call.core.drop_event(*event).is_none() {
            call.core.misuse("destroyed an event twice");
        }
        *event = ptr::null_mut();
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_event_fire_detailed(
    _file: *const c_char,
    _function: *const c_char,
    _line: c_int,
    event: *mut *mut ffi::switch_event_t,
    _user_data: *mut c_void,
) -> Status {
    let call = enter("switch_event_fire_detailed");
    // SAFETY: as above.
    let filled = unsafe {
        let filled = call.core.drop_event(*event);
        *event = ptr::null_mut();
        filled
    };
    let Some(EventData { kind, subclass, headers, .. }) = filled else {
        call.core.misuse("fired what is no event, or not any more");
        return Status::SWITCH_STATUS_FALSE;
    };
    let at = call.core.since_start();
    call.core.announce(kind, &subclass, &headers);
    call.core.state().events.fired.push(Event { at, subclass, headers });
    Status::SWITCH_STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_event_bind_removable(
    _id: *const c_char,
    kind: Kind,
    subclass: *const c_char,
    callback: ffi::switch_event_callback_t,
    _user_data: *mut c_void,
    node: *mut *mut ffi::switch_event_node_t,
) -> Status {
    let call = enter("switch_event_bind_removable");
    // SAFETY: null or a C string, and the module's place for the node.
    unsafe {
        *node = ptr::null_mut();
        if call.fails {
            return Status::SWITCH_STATUS_FALSE;
        }
        let events = &mut call.core.state().events;
        let number = events.bindings.len() + 1;
        events.bindings.push(Binding { node: number, kind, subclass: from_c(subclass), callback, gone: false });
        *node = ptr::without_provenance_mut(number);
    }
    Status::SWITCH_STATUS_SUCCESS
}

/// Returns when no bound function is running any more.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_event_unbind(node: *mut *mut ffi::switch_event_node_t) -> Status {
    let call = enter("switch_event_unbind");
    // SAFETY: the module's place of the node.
    let number = unsafe { std::mem::replace(&mut *node, ptr::null_mut()) } as usize;
    let found = {
        let events = &mut call.core.state().events;
        let binding = events.bindings.iter_mut().find(|binding| binding.node == number && !binding.gone);
        binding.map(|binding| binding.gone = true).is_some()
    };
    while call.core.state().events.delivering {
        call.core.wait(Some(call.core.kernel.now() + 1000), "for a bound function to end");
    }
    if found { Status::SWITCH_STATUS_SUCCESS } else { Status::SWITCH_STATUS_FALSE }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_event_reserve_subclass_detailed(
    _owner: *const c_char,
    subclass: *const c_char,
) -> Status {
    let call = enter("switch_event_reserve_subclass_detailed");
    // SAFETY: a C string that lives through the call.
    let subclass = unsafe { from_c(subclass) }.unwrap_or_default();
    let events = &mut call.core.state().events;
    if call.fails || events.subclasses.contains(&subclass) {
        return Status::SWITCH_STATUS_FALSE;
    }
    events.subclasses.push(subclass);
    Status::SWITCH_STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_event_free_subclass_detailed(
    _owner: *const c_char,
    subclass: *const c_char,
) -> Status {
    let call = enter("switch_event_free_subclass_detailed");
    // SAFETY: as above.
    let subclass = unsafe { from_c(subclass) }.unwrap_or_default();
    let events = &mut call.core.state().events;
    let before = events.subclasses.len();
    events.subclasses.retain(|known| *known != subclass);
    if events.subclasses.len() < before { Status::SWITCH_STATUS_SUCCESS } else { Status::SWITCH_STATUS_FALSE }
}
