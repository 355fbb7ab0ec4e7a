//! Connects two legs.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;

use super::event::Event;
use super::guard::fence;
use super::session::Leg;
use crate::ffi::{self, switch_status_t as HostStatus};

/// The result of [`Leg::bridge`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bridged {
    /// Both heard each other, and the conversation is over.
    Talked,
    /// They were never connected.
    Never,
}

impl Leg<'_> {
    /// Connects this leg, whose application is running, with another one, and returns when the bridge ends. The core takes the
    /// other leg out of its own application. `connected` is called once, when both can hear each other; it returns whether the
    /// conversation counts.
    pub(crate) fn bridge(&self, other: &Leg<'_>, connected: &mut dyn FnMut() -> bool) -> Bridged {
        let mut connected = || {
            self.tell_bridge(other);
            connected()
        };
        let mut pending = Pending { connected: &mut connected, asked: false, talked: false };
        let previous = PENDING.replace(ptr::from_mut(&mut pending).cast::<c_void>());
        // SAFETY: both sessions are kept through the calls. The hook runs on this thread only, inside the bridge
        // (switch_ivr_bridge.c sends INDICATE_BRIDGE to the session it was called for), while `pending` is alive.
        unsafe {
            self.cross_profiles(other);
            ffi::switch_core_event_hook_add_receive_message(self.as_ptr(), Some(on_message));
            ffi::switch_ivr_multi_threaded_bridge(
                self.as_ptr(),
                other.as_ptr(),
                None,
                ptr::null_mut(),
                ptr::null_mut(),
            );
            ffi::switch_core_event_hook_remove_receive_message(self.as_ptr(), Some(on_message));
        }
        PENDING.set(previous);
        if pending.talked { Bridged::Talked } else { Bridged::Never }
    }

    /// Tells what both legs do from now on, as the core does for `uuid_bridge`. Otherwise `show channels` names the application that parked or retrieved
    /// them, and programs that look for it there, such as FusionPBX's operator panel, take a conversation for a parked call.
    fn tell_bridge(&self, other: &Leg<'_>) {
        for (leg, peer) in [(self, other), (other, self)] {
            let Some(mut event) = Event::executes() else { return };
            leg.describe(&mut event);
            event.set("Application", "uuid_bridge");
            event.set("Application-Data", &peer.uuid());
            event.fire();
        }
    }

    /// Sets the other party in the caller profiles of both legs, for their records, as an ordinary bridge does.
    ///
    /// # Safety
    /// Both sessions are kept.
    unsafe fn cross_profiles(&self, other: &Leg<'_>) {
        // SAFETY: by this function's contract; a clone lives in the memory of the session it is for.
        unsafe {
            let (own, theirs) = (
                ffi::switch_channel_get_caller_profile(self.channel()),
                ffi::switch_channel_get_caller_profile(other.channel()),
            );
            if !own.is_null() && !theirs.is_null() {
                let for_us = ffi::switch_caller_profile_clone(self.as_ptr(), theirs);
                let for_them = ffi::switch_caller_profile_clone(other.as_ptr(), own);
                ffi::switch_channel_set_originatee_caller_profile(self.channel(), for_us);
                ffi::switch_channel_set_originator_caller_profile(other.channel(), for_them);
            }
        }
    }
}

struct Pending<'a> {
    connected: &'a mut dyn FnMut() -> bool,
    asked: bool,
    talked: bool,
}

thread_local! {
    /// The bridge that this thread is making. It is const and has no destructor, because a destructor would keep the module's
    /// image mapped after the unload.
    static PENDING: Cell<*mut c_void> = const { Cell::new(ptr::null_mut()) };
}

unsafe extern "C" fn on_message(
    _session: *mut ffi::switch_core_session_t,
    message: *mut ffi::switch_core_session_message_t,
) -> HostStatus {
    // SAFETY: the core hands a message that lives through the call.
    let kind = unsafe { message.as_ref() }.map(|message| message.message_id);
    if kind == Some(ffi::switch_core_session_message_types_t::SWITCH_MESSAGE_INDICATE_BRIDGE) {
        // SAFETY: not null only while `bridge` on this very thread waits, which keeps what it points to.
        if let Some(pending) = unsafe { PENDING.get().cast::<Pending<'_>>().as_mut() }.filter(|pending| !pending.asked)
        {
            pending.asked = true;
            // They hear each other, even if `connected` panics.
            pending.talked = fence("bridge message", true, || (pending.connected)());
        }
    }
    HostStatus::SWITCH_STATUS_SUCCESS
}
