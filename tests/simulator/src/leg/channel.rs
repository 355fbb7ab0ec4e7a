//! Simulates the functions for channels.

use std::ffi::{c_char, c_int};
use std::ptr;

use super::{LegId, LegState, Profile, Session};
use crate::cause::Cause;
use crate::core::{Call, Core, enter};
use crate::ffi::{self, switch_channel_flag_t as Flag, switch_status_t as Status};
use crate::text::{filled_in, from_c};

impl Core {
    /// A variable, a field of the caller profile, or a global variable, in this order, as in FreeSWITCH.
    pub(crate) fn look_up(&self, id: LegId, name: &str) -> Option<String> {
        let mut state = self.state();
        let leg = state.legs.get_mut(id);
        let other = |profile: &Option<Profile>, field: &str| profile.as_ref()?.get(field).map(str::to_owned);
        let of_leg = leg.variable(name).map(str::to_owned).or_else(|| {
            match (name.strip_prefix("aleg_"), name.strip_prefix("bleg_")) {
                (Some(field), _) => other(&leg.originator, field),
                (_, Some(field)) => other(&leg.originatee, field),
                _ => leg.profile.get(name).map(str::to_owned),
            }
        });
        of_leg.or_else(|| state.globals.get(name).cloned())
    }

    pub(crate) fn expand(&self, id: LegId, text: &str) -> String {
        filled_in(text, "${", |name| self.look_up(id, name))
    }

    /// Answers a leg. Returns false if the far end refused, or if the leg is down.
    pub(crate) fn answer(&self, id: LegId) -> bool {
        let (outbound, down, answered, refuses) =
            self.leg(id, |leg| (leg.outbound, leg.is_down(), leg.answered, leg.refuses_answer));
        if outbound {
            return true;
        }
        if down {
            return false;
        }
        if !answered && refuses {
            self.hang_up(id, Cause::INCOMPATIBLE_DESTINATION);
            return false;
        }
        if !answered {
            self.mark_answered(id);
        }
        true
    }
}

pub(crate) fn status(good: bool) -> Status {
    if good { Status::SWITCH_STATUS_SUCCESS } else { Status::SWITCH_STATUS_FALSE }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_channel_direction(
    channel: *mut ffi::switch_channel_t,
) -> ffi::switch_call_direction_t {
    let call = enter("switch_channel_direction");
    // SAFETY: the module's handles are sessions of ours.
    let session = unsafe { Session::of_channel(channel, &call) };
    if call.core.leg(session.id, |leg| leg.outbound) {
        ffi::switch_call_direction_t::SWITCH_CALL_DIRECTION_OUTBOUND
    } else {
        ffi::switch_call_direction_t::SWITCH_CALL_DIRECTION_INBOUND
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_channel_get_cause(
    channel: *mut ffi::switch_channel_t,
) -> ffi::switch_call_cause_t {
    let call = enter("switch_channel_get_cause");
    // SAFETY: as above.
    let session = unsafe { Session::of_channel(channel, &call) };
    call.core.leg(session.id, |leg| leg.cause).to_host()
}

/// Recovery is not simulated. The function only counts as a call.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_core_recovery_track(_session: *mut ffi::switch_core_session_t) {
    enter("switch_core_recovery_track");
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_core_register_secondary_recover_callback(
    _key: *const c_char,
    _callback: ffi::switch_core_recover_callback_t,
) -> ffi::switch_status_t {
    enter("switch_core_register_secondary_recover_callback");
    ffi::switch_status_t::SWITCH_STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_core_unregister_secondary_recover_callback(_key: *const c_char) {
    enter("switch_core_unregister_secondary_recover_callback");
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_channel_get_hold_music(channel: *mut ffi::switch_channel_t) -> *const c_char {
    let call = enter("switch_channel_get_hold_music");
    // SAFETY: as above.
    let session = unsafe { Session::of_channel(channel, &call) };
    let music = ["temp_hold_music", "hold_music"].iter().find_map(|name| call.core.look_up(session.id, name));
    music.map_or(ptr::null(), |music| session.strdup(&call.core.expand(session.id, &music)))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_channel_get_partner_uuid_copy(
    channel: *mut ffi::switch_channel_t,
    buffer: *mut c_char,
    length: ffi::switch_size_t,
) -> *const c_char {
    let call = enter("switch_channel_get_partner_uuid_copy");
    // SAFETY: as above.
    let session = unsafe { Session::of_channel(channel, &call) };
    let Some(uuid) = call.core.leg(session.id, |leg| leg.variable("signal_bond").map(str::to_owned)) else {
        return ptr::null();
    };
    let uuid = session.strdup(&uuid);
    // SAFETY: the buffer has the length that the module gives; strncpy fills the rest with NULs.
    unsafe { libc::strncpy(buffer, uuid, length) };
    buffer
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_channel_get_state(
    channel: *mut ffi::switch_channel_t,
) -> ffi::switch_channel_state_t {
    let call = enter("switch_channel_get_state");
    // SAFETY: as above.
    let session = unsafe { Session::of_channel(channel, &call) };
    ffi::switch_channel_state_t(call.core.leg(session.id, |leg| leg.state) as _)
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_channel_get_running_state(
    channel: *mut ffi::switch_channel_t,
) -> ffi::switch_channel_state_t {
    let call = enter("switch_channel_get_running_state");
    // SAFETY: as above.
    let session = unsafe { Session::of_channel(channel, &call) };
    ffi::switch_channel_state_t(call.core.leg(session.id, |leg| leg.running) as _)
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_channel_get_variable_dup(
    channel: *mut ffi::switch_channel_t,
    name: *const c_char,
    duplicate: ffi::switch_bool_t,
    _index: c_int,
) -> *const c_char {
    let call = enter("switch_channel_get_variable_dup");
    // SAFETY: as above, and a C string that lives through the call.
    let (session, name) = unsafe { (Session::of_channel(channel, &call), from_c(name)) };
    let name = name.unwrap_or_default();
    if duplicate != ffi::switch_bool_t::SWITCH_TRUE {
        call.core.misuse(format!("reads {name} without a copy, which another thread may free"));
    }
    call.core.look_up(session.id, &name).map_or(ptr::null(), |value| session.strdup(&value))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_channel_set_variable_var_check(
    channel: *mut ffi::switch_channel_t,
    name: *const c_char,
    value: *const c_char,
    check: ffi::switch_bool_t,
) -> Status {
    let call = enter("switch_channel_set_variable_var_check");
    // SAFETY: as above.
    let (session, name, value) = unsafe { (Session::of_channel(channel, &call), from_c(name), from_c(value)) };
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Status::SWITCH_STATUS_FALSE };
    // With the check on, FreeSWITCH refuses a value that would be expanded.
    let expands = value.as_deref().is_some_and(|value| value.contains("${"));
    if expands && check == ffi::switch_bool_t::SWITCH_TRUE {
        return Status::SWITCH_STATUS_FALSE;
    }
    call.core.leg(session.id, |leg| leg.set_variable(&name, value.as_deref()));
    Status::SWITCH_STATUS_SUCCESS
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_channel_perform_answer(
    channel: *mut ffi::switch_channel_t,
    _file: *const c_char,
    _function: *const c_char,
    _line: c_int,
) -> Status {
    let call = enter("switch_channel_perform_answer");
    // SAFETY: as above.
    let session = unsafe { Session::of_channel(channel, &call) };
    if call.fails {
        call.core.leg(session.id, |leg| leg.refuses_answer = true);
    }
    status(call.core.answer(session.id))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_channel_perform_hangup(
    channel: *mut ffi::switch_channel_t,
    _file: *const c_char,
    _function: *const c_char,
    _line: c_int,
    cause: ffi::switch_call_cause_t,
) -> ffi::switch_channel_state_t {
    let call = enter("switch_channel_perform_hangup");
    // SAFETY: as above.
    let session = unsafe { Session::of_channel(channel, &call) };
    call.core.hang_up(session.id, Cause(cause.0));
    ffi::switch_channel_state_t::CS_HANGUP
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_channel_test_flag(channel: *mut ffi::switch_channel_t, flag: Flag) -> u32 {
    let call = enter("switch_channel_test_flag");
    // SAFETY: as above.
    let session = unsafe { Session::of_channel(channel, &call) };
    let test: fn(&mut LegState) -> bool = match flag {
        Flag::CF_ANSWERED => |leg| leg.answered,
        Flag::CF_BRIDGED => |leg| leg.bridged,
        Flag::CF_BROADCAST => |leg| leg.runs_aside,
        Flag::CF_LEG_HOLDING => |leg| leg.holding,
        Flag::CF_PROXY_MODE => |leg| leg.bypassed,
        Flag::CF_TRANSFER => |leg| leg.transferred,
        // FreeSWITCH itself never holds a leg here; only the far end does.
        Flag::CF_PROTO_HOLD => |leg| leg.holding,
        Flag::CF_HOLD | Flag::CF_PROXY_MEDIA => |_| false,
        _ => {
            call.core.misuse(format!("tests the channel flag {}, which is not simulated", flag.0));
            return 0;
        }
    };
    call.core.leg(session.id, test).into()
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_channel_set_flag_value(
    channel: *mut ffi::switch_channel_t,
    flag: Flag,
    value: u32,
) {
    let call = enter("switch_channel_set_flag_value");
    // SAFETY: as above.
    unsafe { interrupt(channel, flag, value != 0, &call) };
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_channel_clear_flag(channel: *mut ffi::switch_channel_t, flag: Flag) {
    let call = enter("switch_channel_clear_flag");
    // SAFETY: as above.
    unsafe { interrupt(channel, flag, false, &call) };
}

/// # Safety
/// `channel` is one of the module's.
unsafe fn interrupt(channel: *mut ffi::switch_channel_t, flag: Flag, value: bool, call: &Call) {
    if flag != Flag::CF_NOT_READY {
        return call.core.misuse(format!("changes the channel flag {}, which is not simulated", flag.0));
    }
    // SAFETY: by this function's contract.
    let session = unsafe { Session::of_channel(channel, call) };
    call.core.leg(session.id, |leg| leg.interrupted = value);
    call.core.changed(session.id);
}

/// Broadcasts are not simulated: only a transfer runs an application on a leg.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_core_session_flush_private_events(_: *mut ffi::switch_core_session_t) -> u32 {
    drop(enter("switch_core_session_flush_private_events"));
    0
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_ivr_unhold(_: *mut ffi::switch_core_session_t) -> Status {
    let call = enter("switch_ivr_unhold");
    call.core.misuse("ends a hold of the host's own, which is not simulated");
    Status::SWITCH_STATUS_FALSE
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_channel_test_ready(
    channel: *mut ffi::switch_channel_t,
    check_ready: ffi::switch_bool_t,
    check_media: ffi::switch_bool_t,
) -> c_int {
    let call = enter("switch_channel_test_ready");
    // SAFETY: as above.
    let session = unsafe { Session::of_channel(channel, &call) };
    let yes = ffi::switch_bool_t::SWITCH_TRUE;
    let ready = call
        .core
        .leg(session.id, |leg| (check_media != yes || leg.media_ready()) && (check_ready != yes || leg.is_ready()));
    ready.into()
}

/// Recordings are not simulated, so there is nothing to transfer.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_ivr_transfer_recordings(
    _from: *mut ffi::switch_core_session_t,
    _to: *mut ffi::switch_core_session_t,
) -> Status {
    enter("switch_ivr_transfer_recordings");
    Status::SWITCH_STATUS_FALSE
}

/// Sets the user of a leg. The directory has no variables for its users.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_ivr_set_user(
    session: *mut ffi::switch_core_session_t,
    data: *const c_char,
) -> Status {
    let call = enter("switch_ivr_set_user");
    // SAFETY: the session is the module's, and a C string that lives through the call.
    let (session, data) = unsafe { (Session::of(session, &call), from_c(data)) };
    let data = data.unwrap_or_default();
    let Some((user, domain)) = data.split_once('@') else { return Status::SWITCH_STATUS_FALSE };
    call.core.leg(session.id, |leg| {
        leg.set_variable("user_name", Some(user));
        leg.set_variable("domain_name", Some(domain));
    });
    Status::SWITCH_STATUS_SUCCESS
}

/// Brings the audio of a leg in bypass media back to FreeSWITCH.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_ivr_media(uuid: *const c_char, _flags: ffi::switch_media_flag_t) -> Status {
    let call = enter("switch_ivr_media");
    // SAFETY: a C string that lives through the call.
    let Some(id) = unsafe { from_c(uuid) }.and_then(|uuid| call.core.locate(&uuid)) else {
        return Status::SWITCH_STATUS_GENERR;
    };
    if !call.fails {
        call.core.leg(id, |leg| leg.bypassed = false);
    }
    call.core.unlock(id);
    status(!call.fails)
}

/// Adds those headers that FreeSWITCH adds to every event about a channel and that the module or a test reads.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_channel_event_set_data(
    channel: *mut ffi::switch_channel_t,
    event: *mut ffi::switch_event_t,
) {
    let call = enter("switch_channel_event_set_data");
    // SAFETY: as above.
    let session = unsafe { Session::of_channel(channel, &call) };
    let headers = call.core.leg(session.id, |leg| describe(leg));
    for (name, value) in headers {
        call.core.add_header(event, &name, &value);
    }
}

fn describe(leg: &LegState) -> Vec<(String, String)> {
    let state = if leg.is_down() {
        "hangup"
    } else if leg.answered {
        "answered"
    } else if leg.early_media {
        "early"
    } else {
        "ringing"
    };
    let direction = if leg.outbound { "outbound" } else { "inbound" };
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: &str| headers.push((name.to_owned(), value.to_owned()));
    add("Unique-ID", &leg.uuid);
    add("Call-Direction", direction);
    add("Presence-Call-Direction", direction);
    add("Answer-State", state);
    if leg.is_down() {
        add("Hangup-Cause", leg.cause.name());
    }
    for (profile, prefix) in [(Some(&leg.profile), "Caller"), (leg.originator.as_ref(), "Other-Leg")] {
        for (field, value) in profile.iter().flat_map(|profile| profile.all()).filter(|(_, value)| !value.is_empty()) {
            add(&format!("{prefix}-{}", header_of(field)), value);
        }
    }
    for (name, value) in &leg.variables {
        add(&format!("variable_{name}"), value);
    }
    headers
}

/// Converts the name of a profile field to that of a header: `caller_id_name` to `Caller-ID-Name`.
fn header_of(field: &str) -> String {
    let word = |word: &str| match word {
        "id" | "ani" | "rdnis" => word.to_uppercase(),
        "aniii" => "ANI-II".into(),
        "uuid" => "Unique-ID".into(),
        "chan" => "Channel".into(),
        _ => word[..1].to_uppercase() + &word[1..],
    };
    field.split('_').map(word).collect::<Vec<_>>().join("-")
}
