//! Simulates DTMF: the hooks for a digit that a leg receives, the queue of digits, and the bridge, which sends them to the other leg.

use std::ffi::c_char;
use std::ptr;
use std::sync::Arc;

use crate::core::{Core, enter, me};
use crate::ffi::{self, switch_status_t as Status};
use crate::kernel::TaskId;
use crate::leg::{LegId, Session};
use crate::text::from_c;

type RecvHook = ffi::switch_recv_dtmf_hook_t;

/// The DTMF of one leg.
#[derive(Default)]
pub(crate) struct Dtmf {
    hooks: Vec<RecvHook>,
    /// The thread that has the lock, and how often.
    lock: Option<(TaskId, usize)>,
    /// The digits that were sent to the far end.
    pub(crate) sent: String,
}

/// Whether a digit is shown to the hooks (`DTMF_FLAG_SKIP_PROCESS`).
const SKIP_PROCESS: i32 = 1;

impl Core {
    /// The far end sends digits. The hooks run on a thread of their own, as that of mod_sofia.
    pub(crate) fn receive_digits(self: &Arc<Core>, id: LegId, keys: &str) {
        let keys = keys.to_owned();
        self.spawn("digits", move |core| {
            for key in keys.chars() {
                let digit = ffi::switch_dtmf_t { digit: key as u8 as c_char, duration: 1280, ..Default::default() };
                core.queue_digit(id, &digit);
            }
        });
        self.settle();
    }

    /// Does what `switch_channel_queue_dtmf` does.
    fn queue_digit(&self, id: LegId, digit: &ffi::switch_dtmf_t) {
        self.lock_digits(id);
        if self.ask_hooks(id, digit) {
            self.leg(id, |leg| leg.keys.push_back(char::from(digit.digit.to_ne_bytes()[0])));
        }
        self.unlock_digits(id);
        self.changed(id);
    }

    fn ask_hooks(&self, id: LegId, digit: &ffi::switch_dtmf_t) -> bool {
        if self.leg(id, |leg| leg.is_down()) {
            return false;
        }
        let (hooks, session) = self.leg(id, |leg| (leg.dtmf.hooks.clone(), leg.session.as_ptr()));
        let shown = digit.flags & SKIP_PROCESS == 0;
        hooks.into_iter().flatten().filter(|_| shown).all(|hook| {
            // SAFETY: the module removes its hook before its code goes; the digit lives through the call.
            let status = unsafe { hook(session, digit, ffi::switch_dtmf_direction_t::SWITCH_DTMF_RECV) };
            status == Status::SWITCH_STATUS_SUCCESS
        })
    }

    fn lock_digits(&self, id: LegId) {
        self.watching(id, || {
            while !self.leg(id, |leg| leg.dtmf.try_lock(me())) {
                self.wait(None, "for the lock of the digits");
            }
        });
    }

    fn unlock_digits(&self, id: LegId) {
        if !self.leg(id, |leg| leg.dtmf.unlock(me())) {
            self.misuse("unlocked the digits of a leg without the lock");
        }
        self.changed(id);
    }

    /// Sends the digits that a leg has received to the other leg of the bridge.
    pub(crate) fn pass_digits(&self, me: LegId, other: LegId) {
        let keys: String = self.leg(me, |leg| leg.keys.drain(..).collect());
        self.leg(other, |leg| leg.dtmf.sent.push_str(&keys));
    }
}

impl Dtmf {
    fn try_lock(&mut self, task: TaskId) -> bool {
        let (holder, times) = self.lock.unwrap_or((task, 0));
        if holder == task {
            self.lock = Some((task, times + 1));
        }
        holder == task
    }

    fn unlock(&mut self, task: TaskId) -> bool {
        let Some((_, times)) = self.lock.filter(|(holder, _)| *holder == task) else { return false };
        self.lock = (times > 1).then_some((task, times - 1));
        true
    }
}

fn address(hook: RecvHook) -> usize {
    hook.map_or(0, |hook| hook as usize)
}

fn status(good: bool) -> Status {
    if good { Status::SWITCH_STATUS_SUCCESS } else { Status::SWITCH_STATUS_FALSE }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_core_event_hook_add_recv_dtmf(
    session: *mut ffi::switch_core_session_t,
    hook: RecvHook,
) -> Status {
    let call = enter("switch_core_event_hook_add_recv_dtmf");
    // SAFETY: the module's handles are sessions of the simulator.
    let id = unsafe { Session::of(session, &call) }.id;
    call.core.leg(id, |leg| {
        let new = leg.dtmf.hooks.iter().all(|known| address(*known) != address(hook));
        if new {
            leg.dtmf.hooks.push(hook);
        }
        status(new)
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_core_event_hook_remove_recv_dtmf(
    session: *mut ffi::switch_core_session_t,
    hook: RecvHook,
) -> Status {
    let call = enter("switch_core_event_hook_remove_recv_dtmf");
    // SAFETY: as above.
    let id = unsafe { Session::of(session, &call) }.id;
    call.core.leg(id, |leg| {
        let before = leg.dtmf.hooks.len();
        leg.dtmf.hooks.retain(|known| address(*known) != address(hook));
        status(leg.dtmf.hooks.len() < before)
    })
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_channel_queue_dtmf(
    channel: *mut ffi::switch_channel_t,
    digit: *const ffi::switch_dtmf_t,
) -> Status {
    let call = enter("switch_channel_queue_dtmf");
    // SAFETY: as above; the digit lives through the call.
    let (session, digit) = unsafe { (Session::of_channel(channel, &call), &*digit) };
    call.core.queue_digit(session.id, digit);
    Status::SWITCH_STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_channel_dtmf_lock(channel: *mut ffi::switch_channel_t) -> Status {
    let call = enter("switch_channel_dtmf_lock");
    // SAFETY: as above.
    let id = unsafe { Session::of_channel(channel, &call) }.id;
    call.core.lock_digits(id);
    Status::SWITCH_STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_channel_dtmf_unlock(channel: *mut ffi::switch_channel_t) -> Status {
    let call = enter("switch_channel_dtmf_unlock");
    // SAFETY: as above.
    let id = unsafe { Session::of_channel(channel, &call) }.id;
    call.core.unlock_digits(id);
    Status::SWITCH_STATUS_SUCCESS
}

/// The dialplans of the simulator bind no digits.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_core_session_get_dmachine(
    session: *mut ffi::switch_core_session_t,
    _target: ffi::switch_digit_action_target_t,
) -> *mut ffi::switch_ivr_dmachine_t {
    let call = enter("switch_core_session_get_dmachine");
    // SAFETY: as above.
    unsafe { Session::of(session, &call) };
    ptr::null_mut()
}

/// Runs an application during a conversation. The music of a leg whose partner holds is not simulated.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_ivr_broadcast(
    uuid: *const c_char,
    path: *const c_char,
    _flags: ffi::switch_media_flag_t,
) -> Status {
    let call = enter("switch_ivr_broadcast");
    // SAFETY: both are C strings that live through the call.
    let (uuid, path) = unsafe { (from_c(uuid).unwrap_or_default(), from_c(path).unwrap_or_default()) };
    let Some(id) = call.core.state().legs.find(&uuid) else { return Status::SWITCH_STATUS_FALSE };
    if let Some((application, data)) = path.split_once("::") {
        call.core.leg(id, |leg| leg.asides.push_back((application.to_owned(), data.to_owned())));
        call.core.changed(id);
    }
    Status::SWITCH_STATUS_SUCCESS
}
