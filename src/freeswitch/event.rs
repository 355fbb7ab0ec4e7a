//! Fires events, and receives those of FreeSWITCH.

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::guard::fence;
use super::state_lookup::StateLookup;
use super::text::{from_c, inert_to_c, to_c};
use crate::ffi::{self, switch_event_types_t as Type};

/// An event that is not fired yet. Dropping it destroys it.
pub(crate) struct Event(NonNull<ffi::switch_event_t>);

impl Event {
    /// A CUSTOM event of that subclass. Returns `None` if the core has no memory.
    pub(crate) fn custom(subclass: &'static CStr) -> Option<Event> {
        Event::create(Type::SWITCH_EVENT_CUSTOM, subclass.as_ptr())
    }

    /// A PRESENCE_IN event, from which mod_sofia makes the NOTIFYs for lamps.
    pub(crate) fn presence() -> Option<Event> {
        Event::create(Type::SWITCH_EVENT_PRESENCE_IN, ptr::null())
    }

    /// A CHANNEL_EXECUTE event: a leg runs another application.
    pub(super) fn executes() -> Option<Event> {
        Event::create(Type::SWITCH_EVENT_CHANNEL_EXECUTE, ptr::null())
    }

    /// An event that is never fired, as a set of names and values for the core.
    pub(super) fn plain() -> Option<Event> {
        Event::create(Type::SWITCH_EVENT_REQUEST_PARAMS, ptr::null())
    }

    fn create(kind: Type, subclass: *const c_char) -> Option<Event> {
        let mut event = ptr::null_mut();
        // SAFETY: the subclass is NULL or static, and `event` is ours to be set.
        unsafe {
            ffi::switch_event_create_subclass_detailed(
                OWNER.as_ptr(),
                c"event".as_ptr(),
                0,
                &mut event,
                kind,
                subclass,
            );
        }
        NonNull::new(event).map(Event)
    }

    /// Adds a header with a neutralised value, because chatplans, and modules that copy headers into channels, expand it.
    pub(crate) fn set(&mut self, header: &str, value: &str) {
        let (header, value) = (to_c(header), inert_to_c(value));
        // SAFETY: the event is ours until it is fired; both texts are copied by the core.
        unsafe {
            ffi::switch_event_add_header_string(
                self.0.as_ptr(),
                ffi::switch_stack_t::SWITCH_STACK_BOTTOM,
                header.as_ptr(),
                value.as_ptr(),
            );
        }
    }

    /// Replaces a header, of which there may be several.
    pub(super) fn replace(&mut self, header: &str, value: &str) {
        let name = to_c(header);
        // SAFETY: the event is ours until it is fired; NULL stands for each value.
        unsafe { ffi::switch_event_del_header_val(self.0.as_ptr(), name.as_ptr(), ptr::null()) };
        self.set(header, value);
    }

    pub(super) fn as_ptr(&self) -> *mut ffi::switch_event_t {
        self.0.as_ptr()
    }

    pub(crate) fn fire(self) {
        let mut event = self.0.as_ptr();
        std::mem::forget(self);
        // SAFETY: the event was ours and is the core's now, which sets the pointer to NULL.
        unsafe {
            ffi::switch_event_fire_detailed(
                c"mod_callpark".as_ptr(),
                c"event".as_ptr(),
                0,
                &mut event,
                ptr::null_mut(),
            );
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        let mut event = self.0.as_ptr();
        // SAFETY: not fired, so still ours.
        unsafe { ffi::switch_event_destroy(&mut event) };
    }
}

/// An event subclass that this module owns until this is dropped.
pub(crate) struct Subclass(&'static CStr);

impl Subclass {
    /// Reserves a subclass. Returns `None` if another module has it.
    pub(crate) fn reserve(name: &'static CStr) -> Option<Subclass> {
        // SAFETY: static strings.
        let status = unsafe { ffi::switch_event_reserve_subclass_detailed(OWNER.as_ptr(), name.as_ptr()) };
        (status == ffi::switch_status_t::SWITCH_STATUS_SUCCESS).then_some(Subclass(name))
    }
}

impl Drop for Subclass {
    fn drop(&mut self) {
        // SAFETY: static strings, and ours since `reserve`.
        unsafe { ffi::switch_event_free_subclass_detailed(OWNER.as_ptr(), self.0.as_ptr()) };
    }
}

const OWNER: &CStr = c"mod_callpark";

/// The events of FreeSWITCH that the module receives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CoreEvent {
    /// `reloadxml` was executed.
    ReloadXml,
    /// A phone has subscribed and asks for the present state.
    PresenceProbe,
    /// A leg is answered.
    Answer,
    /// Two legs hear each other.
    Bridge,
    /// A leg has hung up.
    Hangup,
    /// A leg begins to run an application.
    Execute,
    /// The core has parked a leg by its own `park`.
    CorePark,
    /// A media bug was added to a leg.
    MediaBug,
    /// A CUSTOM event of another module.
    Custom(&'static CStr),
}

/// A received event, for the duration of the callback.
pub(crate) struct EventRef<'a>(NonNull<ffi::switch_event_t>, PhantomData<&'a ()>);

impl EventRef<'_> {
    pub(crate) fn get(&self, header: &str) -> Option<String> {
        let header = to_c(header);
        // SAFETY: the event lives through the callback; the answer is text of its own, copied at once.
        unsafe { from_c(ffi::switch_event_get_header_idx(self.0.as_ptr(), header.as_ptr(), -1)) }
    }
}

/// Handles an event. It runs on the core's event thread and must not wait.
pub(crate) trait OnEvent {
    /// What it works with.
    type Context;
    const EVENT: CoreEvent;
    fn on_event(context: &Arc<Self::Context>, event: &EventRef<'_>);
}

/// A subscription to one kind of event, until this is dropped.
pub(crate) struct Binding(*mut ffi::switch_event_node_t);

// SAFETY: the node is only ever passed to switch_event_unbind, which takes the core's own lock.
unsafe impl Send for Binding {}
// SAFETY: as above; nothing is read through the pointer.
unsafe impl Sync for Binding {}

impl Binding {
    pub(crate) fn bind<E: OnEvent, W: StateLookup<E::Context>>() -> Option<Binding> {
        let (kind, subclass) = match E::EVENT {
            CoreEvent::ReloadXml => (Type::SWITCH_EVENT_RELOADXML, ptr::null()),
            CoreEvent::PresenceProbe => (Type::SWITCH_EVENT_PRESENCE_PROBE, ptr::null()),
            CoreEvent::Answer => (Type::SWITCH_EVENT_CHANNEL_ANSWER, ptr::null()),
            CoreEvent::Bridge => (Type::SWITCH_EVENT_CHANNEL_BRIDGE, ptr::null()),
            CoreEvent::Hangup => (Type::SWITCH_EVENT_CHANNEL_HANGUP_COMPLETE, ptr::null()),
            CoreEvent::Execute => (Type::SWITCH_EVENT_CHANNEL_EXECUTE, ptr::null()),
            CoreEvent::CorePark => (Type::SWITCH_EVENT_CHANNEL_PARK, ptr::null()),
            CoreEvent::MediaBug => (Type::SWITCH_EVENT_MEDIA_BUG_START, ptr::null()),
            CoreEvent::Custom(subclass) => (Type::SWITCH_EVENT_CUSTOM, subclass.as_ptr()),
        };
        let mut node = ptr::null_mut();
        // SAFETY: the callback is code of this module, unbound before it goes; `node` is ours to be set.
        unsafe {
            ffi::switch_event_bind_removable(
                OWNER.as_ptr(),
                kind,
                subclass,
                Some(on_event::<E, W>),
                ptr::null_mut(),
                &mut node,
            );
        }
        (!node.is_null()).then_some(Binding(node))
    }
}

impl Drop for Binding {
    fn drop(&mut self) {
        // SAFETY: the node of a binding that was made and not yet undone. Unbinding waits for a running callback.
        unsafe { ffi::switch_event_unbind(&mut self.0) };
    }
}

unsafe extern "C" fn on_event<E: OnEvent, W: StateLookup<E::Context>>(event: *mut ffi::switch_event_t) {
    fence("event", (), || {
        if let (Some(event), Some(of)) = (NonNull::new(event), W::find()) {
            E::on_event(&of, &EventRef(event, PhantomData));
        }
    });
}
