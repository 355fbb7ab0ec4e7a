//! Originates calls: dial strings, ringing phones, and answers.

use std::ffi::c_char;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::cause::Cause;
use crate::core::{Core, enter, micros, own_world};
use crate::ffi::{self, switch_call_cause_t as HostCause, switch_status_t as Status};
use crate::kernel::Micros;
use crate::leg::{LegId, Profile};
use crate::text::from_c;

/// What a phone does with an incoming call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phone {
    /// Answers after this time.
    Answers(Duration),
    /// Rings without an end.
    Silent,
    Busy,
    Rejects,
    /// Rings for this time, and then rejects the call.
    RejectsAfter(Duration),
    /// The user exists, but no phone is registered.
    Unregistered,
}

pub(crate) struct User {
    pub(crate) phone: Phone,
    pub(crate) variables: Vec<(String, String)>,
}

/// The default time for which `user/` rings, whatever the timeout of the outer call is (mod_dptools).
const DEFAULT_USER_RING_TIME: Duration = Duration::from_secs(60);
/// The time between two checks whether the call was cancelled.
const CANCEL_CHECK_INTERVAL: Micros = 20_000;

/// An originated call.
pub(crate) struct OutgoingCall {
    pub(crate) to: String,
    pub(crate) ring_timeout: Duration,
    pub(crate) caller_name: String,
    pub(crate) caller_number: String,
    pub(crate) variables: Vec<(String, String)>,
    /// The calling leg, if there is one. Its hangup ends the call.
    pub(crate) by: Option<LegId>,
    /// Another thread ends the call by setting this to a cause.
    pub(crate) cancel: *mut HostCause,
}

struct Ringing {
    leg: LegId,
    /// The planned actions of the phones, with their times.
    then: Option<(Micros, Result<(), Cause>)>,
    until: Micros,
}

impl Core {
    pub(crate) fn bridging_call(&self, by: LegId, to: &str) -> OutgoingCall {
        let field = |name: &str| self.look_up(by, name).unwrap_or_default();
        let ring_timeout = field("call_timeout").parse().map(Duration::from_secs).unwrap_or(DEFAULT_USER_RING_TIME);
        OutgoingCall {
            to: to.to_owned(),
            ring_timeout,
            caller_name: field("caller_id_name"),
            caller_number: field("caller_id_number"),
            variables: Vec::new(),
            by: Some(by),
            cancel: ptr::null_mut(),
        }
    }

    /// Rings until a phone answers. The answered leg is read-locked for the caller of this function.
    pub(crate) fn originate(&self, call: &OutgoingCall) -> Result<LegId, Cause> {
        let (variables, rest) = leading_variables(&call.to, '{', '}');
        let variables: Vec<(String, String)> = call.variables.iter().cloned().chain(variables).collect();
        let mut last = Cause::DESTINATION_OUT_OF_ORDER;
        for together in rest.split('|') {
            match self.ring_together(call, &variables, together) {
                Ok(leg) => return Ok(leg),
                Err(OriginateFailure { cause, final_ }) => {
                    last = cause;
                    if final_ {
                        break;
                    }
                }
            }
        }
        Err(last)
    }

    fn ring_together(
        &self,
        call: &OutgoingCall,
        variables: &[(String, String)],
        to: &str,
    ) -> Result<LegId, OriginateFailure> {
        let mut ringing = Vec::new();
        let mut cause = Cause::DESTINATION_OUT_OF_ORDER;
        for destination in to.split(',') {
            match self.begin_ringing(call, variables, destination.trim()) {
                Ok(one) => ringing.push(one),
                Err(why) => cause = why,
            }
        }
        let outcome = self.until_answered(call, &mut ringing, cause);
        let (answered, why) = match &outcome {
            Ok(leg) => (Some(*leg), Cause::LOSE_RACE),
            Err(failed) => (None, failed.cause),
        };
        for other in ringing.iter().map(|one| one.leg).filter(|leg| Some(*leg) != answered) {
            self.hang_up(other, why);
            self.unlock(other);
        }
        outcome
    }

    fn until_answered(
        &self,
        call: &OutgoingCall,
        ringing: &mut Vec<Ringing>,
        mut cause: Cause,
    ) -> Result<LegId, OriginateFailure> {
        loop {
            let now = self.kernel.now();
            // SAFETY: null, or the module's, which waits for this call; another thread of the module may write it at any time.
            let cancelled = (!call.cancel.is_null()).then(|| unsafe { AtomicU32::from_ptr(call.cancel.cast()) });
            let cancelled = cancelled.map_or(0, |cause| cause.load(Ordering::Acquire));
            if cancelled != 0 {
                return Err(OriginateFailure { cause: Cause(cancelled), final_: true });
            }
            if call.by.is_some_and(|by| self.leg(by, |leg| !leg.is_ready())) {
                return Err(OriginateFailure { cause: Cause::ORIGINATOR_CANCEL, final_: true });
            }
            let mut at = 0;
            while let Some(one) = ringing.get(at) {
                let leg = one.leg;
                let happens = one.then.filter(|(when, _)| *when <= now).map(|(_, what)| what);
                if self.leg(leg, |leg| leg.is_down()) {
                    cause = self.leg(leg, |leg| leg.cause);
                } else if happens == Some(Ok(())) || self.leg(leg, |leg| leg.answered) {
                    self.mark_answered(leg);
                    return Ok(leg);
                } else if let Some(Err(why)) = happens {
                    self.hang_up(leg, why);
                    cause = why;
                } else if now >= one.until {
                    cause = Cause::NO_ANSWER;
                    self.hang_up(leg, cause);
                } else {
                    at += 1;
                    continue;
                }
                self.unlock(leg);
                ringing.remove(at);
            }
            if ringing.is_empty() {
                return Err(OriginateFailure { cause, final_: false });
            }
            self.wait(Some(now + CANCEL_CHECK_INTERVAL), "rings");
        }
    }

    fn begin_ringing(&self, call: &OutgoingCall, variables: &[(String, String)], to: &str) -> Result<Ringing, Cause> {
        let (own, to) = leading_variables(to, '[', ']');
        let variables: Vec<&(String, String)> = variables.iter().chain(&own).collect();
        let variable =
            |name: &str| variables.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        if let Some(cause) = to.strip_prefix("error/") {
            return Err(Cause::named(&cause.to_uppercase()).unwrap_or(Cause::NORMAL_TEMPORARY_FAILURE));
        }
        let (address, is_user) = match to.strip_prefix("user/") {
            Some(user) => (user, true),
            None => (to, false),
        };
        let domain = self.state().globals.get("domain").cloned().unwrap_or_default();
        let address =
            if is_user && !address.contains('@') { format!("{address}@{domain}") } else { address.to_owned() };
        let (phone, of_user) = match self.state().users.get(&address) {
            Some(user) => (user.phone, user.variables.clone()),
            None => return Err(if is_user { Cause::SUBSCRIBER_ABSENT } else { Cause::DESTINATION_OUT_OF_ORDER }),
        };
        let now = self.kernel.now();
        let then = match phone {
            Phone::Unregistered => return Err(Cause::USER_NOT_REGISTERED),
            Phone::Busy => return Err(Cause::USER_BUSY),
            Phone::Rejects => return Err(Cause::CALL_REJECTED),
            Phone::Answers(after) => Some((now + micros(after), Ok(()))),
            Phone::RejectsAfter(after) => Some((now + micros(after), Err(Cause::CALL_REJECTED))),
            Phone::Silent => None,
        };
        let (user, user_domain) = address.split_once('@').unwrap_or((&address, &domain));
        let mut profile = Profile::default();
        let name = variable("origination_caller_id_name").unwrap_or(&call.caller_name);
        let number = variable("origination_caller_id_number").unwrap_or(&call.caller_number);
        for (field, value) in [
            ("caller_id_name", name),
            ("caller_id_number", number),
            ("callee_id_name", "Outbound Call"),
            ("callee_id_number", user),
            ("destination_number", user),
            ("context", "default"),
            ("source", "simulator"),
        ] {
            profile.set(field, value);
        }
        let leg = self.new_leg(true, profile);
        self.leg(leg, |state| {
            for (name, value) in variables.iter().copied().chain(&of_user) {
                state.set_variable(name, Some(value));
            }
            if is_user {
                state.set_variable("dialed_user", Some(user));
                state.set_variable("dialed_domain", Some(user_domain));
            }
        });
        let ring_timeout = match ["call_timeout", "leg_timeout"].iter().find_map(|name| variable(name)?.parse().ok()) {
            Some(seconds) => Duration::from_secs(seconds),
            None if is_user => DEFAULT_USER_RING_TIME,
            None => call.ring_timeout,
        };
        let core = own_world().expect("a simulated thread calls");
        core.begin_leg(leg);
        self.leg(leg, |leg| leg.locks.push(crate::core::me()));
        Ok(Ringing { leg, then, until: now + micros(ring_timeout) })
    }
}

struct OriginateFailure {
    cause: Cause,
    /// The alternatives after `|` are not tried.
    final_: bool,
}

/// Splits `{a=b,c=d}rest` into the variables and the rest.
fn leading_variables(text: &str, open: char, close: char) -> (Vec<(String, String)>, &str) {
    let Some((inside, rest)) = text.strip_prefix(open).and_then(|text| text.split_once(close)) else {
        return (Vec::new(), text);
    };
    let pairs = inside.split(',').filter_map(|pair| pair.split_once('='));
    (pairs.map(|(name, value)| (name.trim().to_owned(), value.trim_matches('\'').to_owned())).collect(), rest)
}

#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)] // as in FreeSWITCH
pub(crate) unsafe extern "C" fn switch_ivr_originate(
    session: *mut ffi::switch_core_session_t,
    answered: *mut *mut ffi::switch_core_session_t,
    cause: *mut HostCause,
    to: *const c_char,
    seconds: u32,
    _handlers: *const ffi::switch_state_handler_table_t,
    caller_name: *const c_char,
    caller_number: *const c_char,
    _profile: *mut ffi::switch_caller_profile_t,
    variables: *mut ffi::switch_event_t,
    _flags: ffi::switch_originate_flag_t,
    cancel: *mut HostCause,
    _handle: *mut ffi::switch_dial_handle_t,
) -> Status {
    let call = enter("switch_ivr_originate");
    let core = Arc::clone(&call.core);
    if !session.is_null() {
        core.misuse("calls somebody for a session: the module never does, and it is not simulated");
    }
    // SAFETY: null or C strings, and an event that was made here, that live through the call.
    let outgoing = unsafe {
        OutgoingCall {
            to: from_c(to).unwrap_or_default(),
            ring_timeout: Duration::from_secs(seconds.into()),
            caller_name: from_c(caller_name).unwrap_or_default(),
            caller_number: from_c(caller_number).unwrap_or_default(),
            variables: core.headers_of(variables),
            by: None,
            cancel,
        }
    };
    let outcome = if call.fails { Err(Cause::DESTINATION_OUT_OF_ORDER) } else { core.originate(&outgoing) };
    // SAFETY: the module's places for the answers.
    unsafe {
        match outcome {
            Ok(leg) => {
                *answered = core.leg(leg, |leg| leg.session.as_ptr());
                Status::SWITCH_STATUS_SUCCESS
            }
            Err(why) => {
                *answered = ptr::null_mut();
                *cause = why.to_host();
                Status::SWITCH_STATUS_FALSE
            }
        }
    }
}
