//! Wakes the sleeping threads of legs. The core interrupts a thread that reads from its leg when the leg is hung up, transferred, or sent a message
//! or an event (`switch_core_session_kill_channel`). A thread that does not read is woken here.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::event::{Binding, CoreEvent, EventRef, OnEvent};
use super::guard::fence;
use super::session::Leg;
use super::state_lookup::StateLookup;
use super::text::from_c;
use crate::ffi::{self, switch_status_t as HostStatus};

/// Wakes one sleeping thread.
#[derive(Debug, Default)]
pub(crate) struct Waker {
    woken: Mutex<bool>,
    sleeper: Condvar,
}

impl Waker {
    pub(crate) fn wake(&self) {
        *self.woken.lock() = true;
        self.sleeper.notify_one();
    }

    /// Sleeps until it is woken, and no longer than `time`; not at all if it was woken since the last sleep. Returns whether it was woken.
    pub(crate) fn sleep(&self, time: Duration) -> bool {
        let mut woken = self.woken.lock();
        if !*woken && !time.is_zero() {
            self.sleeper.wait_for(&mut woken, time);
        }
        mem::take(&mut woken)
    }
}

/// The callback that the core calls when something is done to a leg.
type Hook = unsafe extern "C" fn(*mut ffi::switch_core_session_t, c_int) -> HostStatus;

/// The wakers of legs whose threads may sleep, by UUID.
#[derive(Debug)]
pub(crate) struct Wakers {
    by_uuid: Mutex<BTreeMap<String, Arc<Waker>>>,
    hook: Hook,
}

impl Wakers {
    /// `W` finds the wakers that this returns.
    pub(crate) fn new<W: StateLookup<Wakers>>() -> Wakers {
        Wakers { by_uuid: Mutex::default(), hook: on_signal::<W> }
    }

    fn wake(&self, uuid: &str) {
        let waker = self.by_uuid.lock().get(uuid).cloned();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Wakes the thread of a leg when something is done to the leg, until this is dropped.
pub(super) struct WakeGuard<'a> {
    wakers: &'a Wakers,
    leg: &'a Leg<'a>,
    uuid: String,
}

impl<'a> WakeGuard<'a> {
    /// Registers the waker. It is called on the thread of the leg.
    pub(super) fn with(wakers: &'a Wakers, leg: &'a Leg<'a>, waker: &Arc<Waker>) -> WakeGuard<'a> {
        let uuid = leg.uuid();
        wakers.by_uuid.lock().insert(uuid.clone(), Arc::clone(waker));
        // SAFETY: the session is kept; the hook is code of this module, taken out again before the leg leaves it. Another thread
        // may be walking the core's list of hooks meanwhile: the core never frees one before its session.
        unsafe { ffi::switch_core_event_hook_add_kill_channel(leg.as_ptr(), Some(wakers.hook)) };
        WakeGuard { wakers, leg, uuid }
    }
}

impl Drop for WakeGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: as in `with`.
        unsafe { ffi::switch_core_event_hook_remove_kill_channel(self.leg.as_ptr(), Some(self.wakers.hook)) };
        self.wakers.by_uuid.lock().remove(&self.uuid);
    }
}

/// Runs on the thread that does something to the leg.
unsafe extern "C" fn on_signal<W: StateLookup<Wakers>>(
    session: *mut ffi::switch_core_session_t,
    _signal: c_int,
) -> HostStatus {
    fence("signal", (), || {
        // SAFETY: whoever signals a session keeps it, and with it its UUID.
        let uuid = unsafe { from_c(ffi::switch_core_session_get_uuid(session)) };
        if let (Some(wakers), Some(uuid)) = (W::find(), uuid) {
            wakers.wake(&uuid);
        }
    });
    HostStatus::SWITCH_STATUS_SUCCESS
}

/// Wakes a leg when a media bug is added to it, which the core does not signal.
pub(crate) fn on_media_bug<W: StateLookup<Wakers>>() -> Option<Binding> {
    Binding::bind::<OnMediaBug, W>()
}

struct OnMediaBug;

impl OnEvent for OnMediaBug {
    type Context = Wakers;
    const EVENT: CoreEvent = CoreEvent::MediaBug;

    fn on_event(wakers: &Arc<Wakers>, event: &EventRef<'_>) {
        if let Some(uuid) = event.get("Unique-ID") {
            wakers.wake(&uuid);
        }
    }
}
