//! Sees the DTMF digits of legs before the core queues them for whoever reads them: the other leg of a bridge, or an application.
//!
//! The core asks the hooks of a leg for each digit, however it was sent, while it holds the lock of the leg's digits (`switch_channel_queue_dtmf`). The
//! same thread may queue digits meanwhile, because the lock is recursive. A digit that a hook has taken can be queued later; then it goes through the
//! other hooks too (`bind_meta_app`), but not through this one again.

use std::cell::Cell;
use std::sync::Arc;

use super::guard::fence;
use super::in_progress::{self, InProgress};
use super::session::{Leg, SessionGuard, all_legs};
use super::state_lookup::StateLookup;
use crate::ffi::{self, switch_channel_flag_t as Flag, switch_status_t as HostStatus};

/// A DTMF digit with its duration.
#[derive(Clone, Copy)]
pub(crate) struct Digit(ffi::switch_dtmf_t);

impl Digit {
    pub(crate) fn key(&self) -> char {
        char::from(self.0.digit.to_ne_bytes()[0])
    }
}

impl std::fmt::Debug for Digit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.key(), self.0.duration)
    }
}

/// What becomes of a digit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DigitAction {
    /// The core queues it.
    Pass,
    /// The core drops it.
    Take,
}

/// Handles the digits of legs. It runs on the thread that receives the media or the SIP messages of the leg, so it must not wait.
pub(crate) trait OnDigit {
    type Context;
    fn on_digit(context: &Arc<Self::Context>, leg: &Leg<'_>, digit: Digit) -> DigitAction;
}

type RecvDtmfHook = unsafe extern "C" fn(
    *mut ffi::switch_core_session_t,
    *const ffi::switch_dtmf_t,
    ffi::switch_dtmf_direction_t,
) -> HostStatus;

/// The hook for digits. Its address identifies it, so there is one value for each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DigitHook(RecvDtmfHook);

impl DigitHook {
    pub(crate) fn new<H: OnDigit, W: StateLookup<H::Context>>() -> DigitHook {
        DigitHook(on_digit::<H, W>)
    }

    /// Adds the hook to a leg that does not have it.
    pub(crate) fn add_to(self, leg: &Leg<'_>) {
        leg.with_digits_locked(|| {
            // SAFETY: the session is kept; the hook is code of this module, which is removed before the code goes. Nobody walks the list of
            // hooks meanwhile, because the lock is held.
            unsafe { ffi::switch_core_event_hook_add_recv_dtmf(leg.as_ptr(), Some(self.0)) };
        });
    }
}

/// The hook on all legs. Dropping it removes the hook from them; from then on no leg may get it.
#[derive(Debug)]
pub(crate) struct DigitHooks(DigitHook);

impl DigitHooks {
    /// Adds the hook to all legs that exist. New legs get it by [`DigitHook::add_to`].
    pub(crate) fn add(hook: DigitHook) -> DigitHooks {
        all_legs().iter().filter_map(|uuid| SessionGuard::find(uuid)).for_each(|leg| hook.add_to(&leg));
        DigitHooks(hook)
    }
}

impl Drop for DigitHooks {
    fn drop(&mut self) {
        for leg in all_legs().iter().filter_map(|uuid| SessionGuard::find(uuid)) {
            leg.with_digits_locked(|| {
                // SAFETY: as in `add_to`.
                unsafe { ffi::switch_core_event_hook_remove_recv_dtmf(leg.as_ptr(), Some(self.0.0)) };
            });
        }
        // A leg that is ending was not found. It gets no digit any more (`switch_core_session_recv_dtmf`), but may be handling its last one.
        in_progress::wait_until_none();
    }
}

impl Leg<'_> {
    /// Runs `f` while the leg gets no digit from another thread.
    pub(crate) fn with_digits_locked<T>(&self, f: impl FnOnce() -> T) -> T {
        // SAFETY: the session is kept.
        unsafe { ffi::switch_channel_dtmf_lock(self.channel()) };
        let _unlock = Unlock(self);
        f()
    }

    /// Queues digits for whoever reads the digits of the leg.
    pub(crate) fn queue_digits(&self, digits: impl IntoIterator<Item = Digit>) {
        let before = QUEUES.replace(true);
        for digit in digits {
            // SAFETY: the session is kept; the digit lives through the call and is copied.
            unsafe { ffi::switch_channel_queue_dtmf(self.channel(), &digit.0) };
        }
        QUEUES.set(before);
    }

    /// Whether the dialplan has bound digits on this leg (`bind_digit_action`). Then the core gives each digit to the binding, never queues it
    /// itself, and the binding passes on what it does not know.
    pub(crate) fn has_bound_digits(&self) -> bool {
        let own = ffi::switch_digit_action_target_t::DIGIT_TARGET_SELF;
        // SAFETY: the session is kept.
        unsafe { !ffi::switch_core_session_get_dmachine(self.as_ptr(), own).is_null() }
    }

    /// Whether a command or a key has started an application on this leg during its conversation. It reads the digits of the leg.
    pub(crate) fn runs_application_in_bridge(&self) -> bool {
        self.flag(Flag::CF_BROADCAST)
    }
}

struct Unlock<'a>(&'a Leg<'a>);

impl Drop for Unlock<'_> {
    fn drop(&mut self) {
        // SAFETY: the session is kept, and this thread has the lock.
        unsafe { ffi::switch_channel_dtmf_unlock(self.0.channel()) };
    }
}

thread_local! {
    /// Whether this thread queues digits that went through the hook already. It is const and has no destructor, because a destructor would keep
    /// the module's image mapped after the unload.
    static QUEUES: Cell<bool> = const { Cell::new(false) };
}

unsafe extern "C" fn on_digit<H: OnDigit, W: StateLookup<H::Context>>(
    session: *mut ffi::switch_core_session_t,
    digit: *const ffi::switch_dtmf_t,
    _direction: ffi::switch_dtmf_direction_t,
) -> HostStatus {
    let _in_progress = InProgress::begin();
    if QUEUES.get() {
        return HostStatus::SWITCH_STATUS_SUCCESS;
    }
    let action = fence("digit", DigitAction::Pass, || {
        // SAFETY: whoever queues a digit keeps the session; the digit lives through the call.
        let (leg, digit) = unsafe { (Leg::running(session), digit.as_ref()) };
        match (leg, digit, W::find()) {
            (Some(leg), Some(digit), Some(context)) => H::on_digit(&context, &leg, Digit(*digit)),
            _ => DigitAction::Pass,
        }
    });
    match action {
        DigitAction::Pass => HostStatus::SWITCH_STATUS_SUCCESS,
        // A false status keeps the digit from the other hooks and from the queue.
        DigitAction::Take => HostStatus::SWITCH_STATUS_FALSE,
    }
}
