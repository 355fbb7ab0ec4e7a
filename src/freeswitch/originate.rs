//! Originates calls.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use thiserror::Error;

use super::clock::now;
use super::event::Event;
use super::scheduler::TICK_TOLERANCE;
use super::session::{HangupCause, SessionGuard};
use super::text::{from_c, inert_to_c, to_c};
use crate::ffi::{self, switch_call_cause_t as Cause};
use crate::parking::MonotonicTime;

/// Added to the core's own limit, which follows the wall clock, so that no usual step of that clock ends a call early.
const CORE_TIMEOUT_MARGIN: Duration = Duration::from_secs(86_400);

/// The variable with the UUID of the ringing leg whose place a leg has taken (`pickup`).
pub(crate) const PICKED_UP: &str = "picked_up_uuid";

/// Ends a call that still rings, from another thread. The core checks it while the call rings (`cancel_cause`).
#[derive(Clone, Debug, Default)]
pub(crate) struct CancelToken(Arc<AtomicU32>);

impl CancelToken {
    pub(crate) fn cancel(&self) {
        self.0.store(Cause::SWITCH_CAUSE_LOSE_RACE.0, Ordering::Release);
    }

    pub(crate) fn cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire) == Cause::SWITCH_CAUSE_LOSE_RACE.0
    }

    /// Ends the call as unanswered, unless it was cancelled.
    fn time_out(&self) {
        let (none, no_answer) = (Cause::SWITCH_CAUSE_NONE.0, Cause::SWITCH_CAUSE_NO_ANSWER.0);
        let _ = self.0.compare_exchange(none, no_answer, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// The calls that ring, and until when each may.
#[derive(Debug, Default)]
pub(crate) struct OutgoingCalls(Mutex<Vec<(MonotonicTime, CancelToken)>>);

impl OutgoingCalls {
    /// Ends the calls that have rung for long enough. It is called once a second.
    pub(crate) fn end_overdue(&self) {
        let soon = now().after(TICK_TOLERANCE);
        for (_, cancel) in self.0.lock().iter().filter(|(until, _)| *until <= soon) {
            cancel.time_out();
        }
    }

    fn begin<'a>(&'a self, ring_timeout: Duration, cancel: &'a CancelToken) -> Ringing<'a> {
        self.0.lock().push((now().after(ring_timeout), cancel.clone()));
        Ringing { all: self, cancel }
    }
}

/// Keeps a call in the list of those that ring, until this is dropped.
struct Ringing<'a> {
    all: &'a OutgoingCalls,
    cancel: &'a CancelToken,
}

impl Drop for Ringing<'_> {
    fn drop(&mut self) {
        self.all.0.lock().retain(|(_, cancel)| !Arc::ptr_eq(&cancel.0, &self.cancel.0));
    }
}

/// A call to originate.
#[derive(Debug)]
pub(crate) struct Dial<'a> {
    /// A dial string, such as `user/1001@example.com`.
    pub(crate) to: &'a str,
    pub(crate) caller_name: &'a str,
    pub(crate) caller_number: &'a str,
    /// The channel variables of the new leg. They are passed as an event and never written into the dial string.
    pub(crate) variables: &'a [(&'a str, &'a str)],
    /// How long it rings.
    pub(crate) ring_timeout: Duration,
}

/// Why nobody answered. The text names the hangup cause, as that of FreeSWITCH's own `originate` does.
#[derive(Debug, Error)]
pub(crate) enum OriginateError {
    #[error("NO_MEMORY")]
    NoMemory,
    #[error("{0}")]
    NotAnswered(String),
    /// Who was called is in another call (`USER_BUSY`, for the SIP responses 486 and 600).
    #[error("{0}")]
    Busy(String),
    /// Somebody else has taken the place of the leg that rang.
    #[error("{0}")]
    PickedUp(String),
}

impl OriginateError {
    fn of(cause: Cause) -> OriginateError {
        // SAFETY: takes a number, answers with a static string.
        let name = unsafe { from_c(ffi::switch_channel_cause2str(cause)) }.unwrap_or_default();
        match cause {
            Cause::SWITCH_CAUSE_ATTENDED_TRANSFER | Cause::SWITCH_CAUSE_PICKED_OFF => OriginateError::PickedUp(name),
            Cause::SWITCH_CAUSE_USER_BUSY => OriginateError::Busy(name),
            _ => OriginateError::NotAnswered(name),
        }
    }
}

impl OutgoingCalls {
    /// Calls, and waits until the call is answered, refused, timed out or cancelled.
    pub(crate) fn originate(&self, dial: &Dial<'_>, cancel: &CancelToken) -> Result<SessionGuard, OriginateError> {
        let (to, name, number) = (to_c(dial.to), inert_to_c(dial.caller_name), inert_to_c(dial.caller_number));
        let mut variables = Event::plain().ok_or(OriginateError::NoMemory)?;
        for (name, value) in dial.variables {
            variables.set(name, value);
        }
        let ring_timeout = dial.ring_timeout.max(Duration::from_secs(1));
        let limit = u32::try_from((ring_timeout + CORE_TIMEOUT_MARGIN).as_secs()).unwrap_or(u32::MAX);
        // `user/` obeys this variable and ignores the time-out of the call (mod_dptools).
        variables.set("leg_timeout", &limit.to_string());
        // The core takes early media, such as an announcement of a provider, for an answer.
        variables.set("ignore_early_media", "true");
        let _ringing = self.begin(ring_timeout, cancel);
        let mut answered = ptr::null_mut();
        let mut cause = Cause::SWITCH_CAUSE_NONE;
        // SAFETY: the texts and the event live through the call, which is synchronous and copies what it keeps. The cancel
        // cause is a C enum, four bytes like the atomic it is in here, and lives as long. The leg that answers is read-locked
        // for us.
        let leg = unsafe {
            let status = ffi::switch_ivr_originate(
                ptr::null_mut(),
                &mut answered,
                &mut cause,
                to.as_ptr(),
                limit,
                ptr::null(),
                name.as_ptr(),
                number.as_ptr(),
                ptr::null_mut(),
                variables.as_ptr(),
                ffi::switch_originate_flag_enum_t::SOF_NONE.0,
                cancel.0.as_ptr().cast::<Cause>(),
                ptr::null_mut(),
            );
            if status == ffi::switch_status_t::SWITCH_STATUS_SUCCESS { SessionGuard::locked(answered) } else { None }
        };
        let leg = leg.ok_or_else(|| OriginateError::of(cause))?;
        // The dial string may ask for early media.
        if leg.still_rings() {
            leg.hang_up(HangupCause::NormalClearing);
            return Err(OriginateError::of(Cause::SWITCH_CAUSE_NO_ANSWER));
        }
        // A leg that answers at once may still be in the state CS_ROUTING, which a transfer sets too. The thread of the leg does not notice a state
        // that is set again, so the leg must have reached its next state before it is transferred.
        for _ in 0..200 {
            // A leg that has picked up the call runs an application, and never reaches that state.
            if leg.is_consuming_media() || leg.hung_up() || leg.var(PICKED_UP).is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(leg)
    }
}
