//! Simulates caller profiles: the caller, the callee, and the position in the dialplan.

use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::sync::Arc;

use super::Session;
use crate::core::enter;
use crate::ffi;
use crate::text::{from_c, to_c};

const FIELDS: &[&str] = &[
    "dialplan",
    "username",
    "caller_id_name",
    "caller_id_number",
    "callee_id_name",
    "callee_id_number",
    "ani",
    "aniii",
    "network_addr",
    "rdnis",
    "destination_number",
    "uuid",
    "source",
    "transfer_source",
    "context",
    "chan_name",
    "profile_index",
];

#[derive(Clone, Default)]
pub(crate) struct Profile(Vec<(&'static str, String)>);

impl Profile {
    /// The field with this name, which is case-insensitive.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn field(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_owned()
    }

    /// Sets a field. Returns false if a profile has no such field.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> bool {
        let Some(field) = FIELDS.iter().find(|field| field.eq_ignore_ascii_case(name)) else { return false };
        self.0.retain(|(known, _)| known != field);
        self.0.push((field, value.to_owned()));
        true
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(field, value)| (*field, value.as_str()))
    }

    /// # Safety
    /// `pointer` is null or points to a profile that the session still keeps.
    pub(crate) unsafe fn of(pointer: *const ffi::switch_caller_profile_t) -> Option<Profile> {
        // SAFETY: by this function's contract.
        unsafe { pointer.cast::<Profile>().as_ref() }.cloned()
    }
}

impl Session {
    fn keep_profile(&self, profile: Profile) -> *mut ffi::switch_caller_profile_t {
        let profile = Arc::new(profile);
        let pointer = Arc::as_ptr(&profile).cast_mut().cast();
        self.keep(Box::new(profile));
        pointer
    }
}

/// Returns a copy of the present profile, which the module only clones.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_channel_get_caller_profile(
    channel: *mut ffi::switch_channel_t,
) -> *mut ffi::switch_caller_profile_t {
    let call = enter("switch_channel_get_caller_profile");
    // SAFETY: the module's handles are sessions of ours.
    let session = unsafe { Session::of_channel(channel, &call) };
    let profile = call.core.leg(session.id, |leg| leg.profile.clone());
    session.keep_profile(profile)
}

thread_local! {
    static ANSWER: RefCell<CString> = RefCell::default();
}

/// The returned text is valid until the thread's next call; the module copies it at once.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_caller_get_field_by_name(
    profile: *mut ffi::switch_caller_profile_t,
    name: *const c_char,
) -> *const c_char {
    enter("switch_caller_get_field_by_name");
    // SAFETY: the module's handles are profiles of the simulator, and a C string that lives through the call.
    let (profile, name) = unsafe { (Profile::of(profile), from_c(name)) };
    match profile.zip(name).and_then(|(profile, name)| profile.get(&name).map(to_c)) {
        Some(value) => ANSWER.with_borrow_mut(|answer| {
            *answer = value;
            answer.as_ptr()
        }),
        None => std::ptr::null(),
    }
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_caller_profile_clone(
    session: *mut ffi::switch_core_session_t,
    original: *mut ffi::switch_caller_profile_t,
) -> *mut ffi::switch_caller_profile_t {
    let call = enter("switch_caller_profile_clone");
    // SAFETY: the module's handles are sessions and profiles of the simulator.
    let (session, profile) = unsafe { (Session::of(session, &call), Profile::of(original)) };
    profile.map_or(std::ptr::null_mut(), |profile| session.keep_profile(profile))
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_channel_set_originatee_caller_profile(
    channel: *mut ffi::switch_channel_t,
    profile: *mut ffi::switch_caller_profile_t,
) {
    let call = enter("switch_channel_set_originatee_caller_profile");
    // SAFETY: as above.
    let (session, profile) = unsafe { (Session::of_channel(channel, &call), Profile::of(profile)) };
    call.core.leg(session.id, |leg| leg.originatee = profile);
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_channel_set_originator_caller_profile(
    channel: *mut ffi::switch_channel_t,
    profile: *mut ffi::switch_caller_profile_t,
) {
    let call = enter("switch_channel_set_originator_caller_profile");
    // SAFETY: as above.
    let (session, profile) = unsafe { (Session::of_channel(channel, &call), Profile::of(profile)) };
    call.core.leg(session.id, |leg| leg.originator = profile);
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_channel_step_caller_profile(channel: *mut ffi::switch_channel_t) {
    let call = enter("switch_channel_step_caller_profile");
    // SAFETY: as above.
    let session = unsafe { Session::of_channel(channel, &call) };
    call.core.leg(session.id, |leg| {
        let index = leg.profile.get("profile_index").and_then(|index| index.parse::<u32>().ok()).unwrap_or(1);
        leg.profile.set("profile_index", &(index + 1).to_string());
    });
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_channel_set_profile_var(
    channel: *mut ffi::switch_channel_t,
    name: *const c_char,
    value: *const c_char,
) -> ffi::switch_status_t {
    let call = enter("switch_channel_set_profile_var");
    // SAFETY: a session of the simulator, and C strings that live through the call.
    let (session, name, value) = unsafe { (Session::of_channel(channel, &call), from_c(name), from_c(value)) };
    let name = name.unwrap_or_default();
    if !call.core.leg(session.id, |leg| leg.profile.set(&name, &value.unwrap_or_default())) {
        call.core.misuse(format!("set the unknown profile field {name}"));
    }
    ffi::switch_status_t::SWITCH_STATUS_SUCCESS
}
