//! Simulates sessions, which the module knows as `switch_core_session_t *`.

use std::any::Any;
use std::ffi::{CString, c_char, c_int};
use std::ptr;

use parking_lot::Mutex;

use super::LegId;
use crate::core::{Call, Core, enter, me};
use crate::ffi;
use crate::text::{from_c, to_c};

const MAGIC: u64 = 0x5e55_1015_1e65_0001;

/// The same address is the session, the channel and the memory pool, which the module knows as pointers only. It is kept as long as the world, so
/// that the simulator can report a use after the end of the leg.
pub(crate) struct Session {
    magic: u64,
    pub(crate) id: LegId,
    pub(crate) uuid: CString,
    /// The memory that was allocated in the session's pool.
    kept: Mutex<Vec<Box<dyn Any + Send>>>,
}

impl Session {
    pub(super) fn new(id: LegId, uuid: &str) -> Box<Session> {
        Box::new(Session { magic: MAGIC, id, uuid: to_c(uuid), kept: Mutex::new(Vec::new()) })
    }

    /// # Safety
    /// `session` was returned by the simulator.
    pub(crate) unsafe fn of<'a>(session: *mut ffi::switch_core_session_t, call: &Call) -> &'a Session {
        // SAFETY: by this function's contract; sessions are kept until the world ends.
        let session = unsafe { session.cast::<Session>().as_ref() }.filter(|session| session.magic == MAGIC);
        let Some(session) = session else {
            eprintln!("the module passed what is no session");
            std::process::abort();
        };
        if call.core.leg(session.id, |leg| leg.destroyed) {
            call.core.misuse(format!("used the session {} after it was destroyed", session.uuid.to_string_lossy()));
        }
        session
    }

    /// # Safety
    /// `channel` was returned by the simulator.
    pub(crate) unsafe fn of_channel<'a>(channel: *mut ffi::switch_channel_t, call: &Call) -> &'a Session {
        // SAFETY: by this function's contract; both are the same here.
        unsafe { Session::of(channel.cast(), call) }
    }

    pub(crate) fn keep(&self, thing: Box<dyn Any + Send>) {
        self.kept.lock().push(thing);
    }

    /// Copies text into the session's pool.
    pub(crate) fn strdup(&self, text: &str) -> *mut c_char {
        let text = to_c(text);
        let pointer = text.as_ptr().cast_mut();
        self.keep(Box::new(text));
        pointer
    }

    pub(super) fn free_pool(&self) {
        self.kept.lock().clear();
    }

    pub(crate) fn as_ptr(&self) -> *mut ffi::switch_core_session_t {
        ptr::from_ref(self).cast_mut().cast()
    }
}

impl Core {
    /// Gets a read lock for the calling thread. Returns `None` if there is no such leg or if it is ending.
    pub(crate) fn locate(&self, uuid: &str) -> Option<LegId> {
        let holder = me();
        let mut state = self.state();
        let id = state.legs.find(uuid)?;
        let leg = state.legs.get_mut(id);
        if leg.is_down() {
            return None;
        }
        leg.locks.push(holder);
        Some(id)
    }

    pub(crate) fn unlock(&self, id: LegId) {
        let holder = me();
        let fault = self.leg(id, |leg| {
            if let Some(at) = leg.locks.iter().rposition(|by| *by == holder) {
                leg.locks.remove(at);
                None
            } else if leg.locks.pop().is_some() {
                Some("unlocked by another thread than locked it")
            } else {
                Some("unlocked, and was not locked")
            }
        });
        if let Some(fault) = fault {
            let uuid = self.leg(id, |leg| leg.uuid.clone());
            self.misuse(format!("session {uuid} {fault}"));
        }
        self.changed(id);
    }
}

/// The applications that ran on a leg are not recorded. So to the module each transfer of a leg looks like one from outside.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_core_session_get_app_log(
    _session: *mut ffi::switch_core_session_t,
) -> *mut ffi::switch_app_log_t {
    enter("switch_core_session_get_app_log");
    std::ptr::null_mut()
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_core_session_perform_locate(
    uuid: *const c_char,
    _file: *const c_char,
    _function: *const c_char,
    _line: c_int,
) -> *mut ffi::switch_core_session_t {
    let call = enter("switch_core_session_perform_locate");
    // SAFETY: null or a C string that lives through the call.
    let uuid = unsafe { from_c(uuid) };
    let found = uuid.filter(|_| !call.fails).and_then(|uuid| call.core.locate(&uuid));
    found.map_or(ptr::null_mut(), |id| call.core.leg(id, |leg| leg.session.as_ptr()))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_core_session_rwunlock(session: *mut ffi::switch_core_session_t) {
    let call = enter("switch_core_session_rwunlock");
    // SAFETY: the module's handles are sessions of ours.
    let session = unsafe { Session::of(session, &call) };
    call.core.unlock(session.id);
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_core_session_get_uuid(session: *mut ffi::switch_core_session_t) -> *mut c_char {
    let call = enter("switch_core_session_get_uuid");
    // SAFETY: as above.
    unsafe { Session::of(session, &call) }.uuid.as_ptr().cast_mut()
}

/// A leg has no log level of its own.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_core_session_get_loglevel(
    session: *mut ffi::switch_core_session_t,
) -> ffi::switch_log_level_t {
    let call = enter("switch_core_session_get_loglevel");
    // SAFETY: as above.
    unsafe { Session::of(session, &call) };
    ffi::switch_log_level_t::SWITCH_LOG_DISABLE
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_core_session_get_channel(
    session: *mut ffi::switch_core_session_t,
) -> *mut ffi::switch_channel_t {
    let call = enter("switch_core_session_get_channel");
    // SAFETY: as above.
    unsafe { Session::of(session, &call) }.as_ptr().cast()
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_core_event_hook_add_receive_message(
    session: *mut ffi::switch_core_session_t,
    hook: ffi::switch_receive_message_hook_t,
) -> ffi::switch_status_t {
    let call = enter("switch_core_event_hook_add_receive_message");
    // SAFETY: as above.
    let session = unsafe { Session::of(session, &call) };
    call.core.leg(session.id, |leg| leg.hooks.push(hook));
    ffi::switch_status_t::SWITCH_STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_core_event_hook_remove_receive_message(
    session: *mut ffi::switch_core_session_t,
    hook: ffi::switch_receive_message_hook_t,
) -> ffi::switch_status_t {
    let call = enter("switch_core_event_hook_remove_receive_message");
    // SAFETY: as above.
    let session = unsafe { Session::of(session, &call) };
    let address = |hook: ffi::switch_receive_message_hook_t| hook.map_or(0, |hook| hook as usize);
    let found = call.core.leg(session.id, |leg| {
        let at = leg.hooks.iter().position(|known| address(*known) == address(hook));
        at.map(|at| leg.hooks.remove(at)).is_some()
    });
    if found { ffi::switch_status_t::SWITCH_STATUS_SUCCESS } else { ffi::switch_status_t::SWITCH_STATUS_FALSE }
}
