//! Events: fired ones, and the core's word that the XML was read again.

use std::ffi::CStr;
use std::ptr::{self, NonNull};

use super::guard::fence;
use super::text::to_c;
use crate::ffi;

/// An event being filled. Fired, or destroyed when dropped.
pub(crate) struct Event(NonNull<ffi::switch_event_t>);

impl Event {
    /// A CUSTOM event of that subclass; `None` if the core has no memory.
    pub(crate) fn custom(subclass: &CStr) -> Option<Event> {
        let mut event = ptr::null_mut();
        // SAFETY: the subclass is static and `event` is ours to be set.
        unsafe {
            ffi::switch_event_create_subclass_detailed(
                c"mod_callpark".as_ptr(),
                c"event".as_ptr(),
                0,
                &mut event,
                ffi::switch_event_types_t::SWITCH_EVENT_CUSTOM,
                subclass.as_ptr(),
            );
        }
        NonNull::new(event).map(Event)
    }

    /// One that is never fired: a set of names and values for the core.
    pub(super) fn plain() -> Option<Event> {
        let mut event = ptr::null_mut();
        // SAFETY: as in `custom`; without a subclass.
        unsafe {
            ffi::switch_event_create_subclass_detailed(
                c"mod_callpark".as_ptr(),
                c"event".as_ptr(),
                0,
                &mut event,
                ffi::switch_event_types_t::SWITCH_EVENT_REQUEST_PARAMS,
                ptr::null(),
            );
        }
        NonNull::new(event).map(Event)
    }

    pub(crate) fn set(&mut self, header: &str, value: &str) {
        let (header, value) = (to_c(header), to_c(value));
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

/// A subclass that this module owns, until dropped.
pub(crate) struct Subclass(&'static CStr);

impl Subclass {
    /// `None` if another module has it.
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

/// Calls a function whenever `reloadxml` was done, until dropped.
pub(crate) struct ReloadBinding(*mut ffi::switch_event_node_t);

// SAFETY: the node is only ever passed to switch_event_unbind, which takes the core's own lock.
unsafe impl Send for ReloadBinding {}
// SAFETY: as above; nothing is read through the pointer.
unsafe impl Sync for ReloadBinding {}

/// What is done on `reloadxml`.
pub(crate) trait OnReload {
    fn reloaded();
}

impl ReloadBinding {
    pub(crate) fn bind<R: OnReload>() -> Option<ReloadBinding> {
        let mut node = ptr::null_mut();
        // SAFETY: the callback is code of this module, unbound before it goes; `node` is ours to be set.
        unsafe {
            ffi::switch_event_bind_removable(
                OWNER.as_ptr(),
                ffi::switch_event_types_t::SWITCH_EVENT_RELOADXML,
                ptr::null(),
                Some(on_reload::<R>),
                ptr::null_mut(),
                &mut node,
            );
        }
        (!node.is_null()).then_some(ReloadBinding(node))
    }
}

impl Drop for ReloadBinding {
    fn drop(&mut self) {
        // SAFETY: the node of a binding that was made and not yet undone. Unbinding waits for a running callback.
        unsafe { ffi::switch_event_unbind(&mut self.0) };
    }
}

unsafe extern "C" fn on_reload<R: OnReload>(_event: *mut ffi::switch_event_t) {
    fence("reloadxml", (), R::reloaded);
}
