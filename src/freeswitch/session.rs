//! Wraps legs: FreeSWITCH's sessions and their channels.

use std::ffi::{CStr, CString, c_char};
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::time::Duration;

use super::event::Event;
use super::text::{from_c, inert, inert_to_c, to_c};
use crate::ffi::{self, switch_channel_flag_t as Flag, switch_status_t as HostStatus};

/// The applications that run other applications, by a program.
const SCRIPTS: [&str; 8] = ["lua", "javascript", "perl", "python", "python3", "socket", "erlang", "park"];

/// A leg of a call. It is valid while an application runs on it, or while a read lock is held.
///
/// It is not `Send`, because a read lock is released on the thread that took it. It is neither `Copy` nor `Clone`, because a copy out of
/// a [`SessionGuard`] would outlast its read lock.
pub(crate) struct Leg<'a> {
    session: NonNull<ffi::switch_core_session_t>,
    _kept: PhantomData<(&'a (), *mut ())>,
}

/// A leg that was found by its UUID. Its session exists until this is dropped.
pub(crate) struct SessionGuard(Leg<'static>);

impl SessionGuard {
    /// Finds a leg by its UUID. Returns `None` if there is no such leg, or if it is ending.
    pub(crate) fn find(uuid: &str) -> Option<SessionGuard> {
        let uuid = to_c(uuid);
        // SAFETY: the name lives through the call; an answer other than NULL is read-locked for us.
        let session =
            unsafe { ffi::switch_core_session_perform_locate(uuid.as_ptr(), FILE.as_ptr(), c"find".as_ptr(), 0) };
        NonNull::new(session).map(|session| SessionGuard(Leg { session, _kept: PhantomData }))
    }
}

impl SessionGuard {
    /// Makes a guard of a session that a function of the core has read-locked for the caller.
    ///
    /// # Safety
    /// `session` is NULL, or read-locked for the caller of this function and not unlocked by anybody else.
    pub(super) unsafe fn locked(session: *mut ffi::switch_core_session_t) -> Option<SessionGuard> {
        NonNull::new(session).map(|session| SessionGuard(Leg { session, _kept: PhantomData }))
    }
}

/// Returns the UUIDs of all legs that exist now.
pub(crate) fn all_legs() -> Vec<String> {
    let mut uuids = Vec::new();
    // SAFETY: the list is ours to read and to free; each node is NULL or the next of it, with a C string of the list's own.
    unsafe {
        let mut list = ffi::switch_core_session_findall();
        let mut next = list.as_ref().and_then(|list| list.head.as_ref());
        while let Some(node) = next {
            uuids.extend(from_c(node.val));
            next = node.next.as_ref();
        }
        if !list.is_null() {
            ffi::switch_console_free_matches(&mut list);
        }
    }
    uuids
}

impl Deref for SessionGuard {
    type Target = Leg<'static>;
    fn deref(&self) -> &Leg<'static> {
        &self.0
    }
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        // SAFETY: locked in `find` or by originate, on this thread since the type is not Send, and unlocked only here.
        unsafe { ffi::switch_core_session_rwunlock(self.0.session.as_ptr()) };
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HangupCause {
    NormalClearing,
    /// Another leg was faster.
    LoseRace,
}

pub(super) const FILE: &CStr = c"mod_callpark";

impl<'a> Leg<'a> {
    /// Makes a leg of the session for which an application was called.
    ///
    /// # Safety
    /// `session` is NULL or stays for `'a`.
    pub(super) unsafe fn running(session: *mut ffi::switch_core_session_t) -> Option<Leg<'a>> {
        NonNull::new(session).map(|session| Leg { session, _kept: PhantomData })
    }

    pub(super) fn as_ptr(&self) -> *mut ffi::switch_core_session_t {
        self.session.as_ptr()
    }

    pub(super) fn channel(&self) -> *mut ffi::switch_channel_t {
        // SAFETY: the session is kept, and a session has its channel for life.
        unsafe { ffi::switch_core_session_get_channel(self.session.as_ptr()) }
    }

    pub(crate) fn uuid(&self) -> String {
        // SAFETY: the session is kept, and so is its own UUID string.
        unsafe { from_c(ffi::switch_core_session_get_uuid(self.session.as_ptr())) }.unwrap_or_default()
    }

    /// The log level of this leg, as `uuid_loglevel` sets it.
    pub(super) fn log_level(&self) -> ffi::switch_log_level_t {
        // SAFETY: the session is kept.
        unsafe { ffi::switch_core_session_get_loglevel(self.session.as_ptr()) }
    }

    /// Returns a channel variable or a field of the caller profile (`caller_id_name`, ...); `None` if it is not set or empty.
    pub(crate) fn var(&self, name: &str) -> Option<String> {
        let name = to_c(name);
        // SAFETY: with dup the core copies the value into the session's own memory, so nobody changes it meanwhile.
        let value = unsafe {
            from_c(ffi::switch_channel_get_variable_dup(
                self.channel(),
                name.as_ptr(),
                ffi::switch_bool_t::SWITCH_TRUE,
                -1,
            ))
        };
        value.filter(|value| !value.is_empty())
    }

    /// Sets a channel variable to a text that FreeSWITCH never expands.
    pub(crate) fn set_var(&self, name: &str, value: &str) {
        let (name, value) = (to_c(name), inert_to_c(value));
        self.put_var(&name, value.as_ptr());
    }

    pub(crate) fn unset_var(&self, name: &str) {
        self.put_var(&to_c(name), ptr::null());
    }

    fn put_var(&self, name: &CStr, value: *const c_char) {
        // It is not checked for `${`, because it contains none, and the check would drop the whole value (switch_channel.c).
        let unchecked = ffi::switch_bool_t::SWITCH_FALSE;
        // SAFETY: the texts live through the call and are copied.
        unsafe { ffi::switch_channel_set_variable_var_check(self.channel(), name.as_ptr(), value, unchecked) };
    }

    /// Whether the leg is up and was not moved away from its application. An application must return when this is false.
    pub(crate) fn ready(&self) -> bool {
        let (check, no_media) = (ffi::switch_bool_t::SWITCH_TRUE, ffi::switch_bool_t::SWITCH_FALSE);
        // SAFETY: the session is kept.
        unsafe { ffi::switch_channel_test_ready(self.channel(), check, no_media) != 0 }
    }

    pub(crate) fn hung_up(&self) -> bool {
        // SAFETY: the session is kept.
        unsafe { ffi::switch_channel_get_state(self.channel()).0 >= ffi::switch_channel_state_t::CS_HANGUP.0 }
    }

    /// Whether the leg was answered and FreeSWITCH has finished with its originate. An earlier transfer would be lost.
    pub(super) fn is_consuming_media(&self) -> bool {
        // SAFETY: the session is kept.
        unsafe {
            ffi::switch_channel_get_running_state(self.channel()) == ffi::switch_channel_state_t::CS_CONSUME_MEDIA
        }
    }

    pub(super) fn flag(&self, flag: Flag) -> bool {
        // SAFETY: the session is kept.
        unsafe { ffi::switch_channel_test_flag(self.channel(), flag) != 0 }
    }

    pub(crate) fn answered(&self) -> bool {
        self.flag(Flag::CF_ANSWERED)
    }

    /// Whether the leg is being recovered after a crash.
    pub(crate) fn is_recovering(&self) -> bool {
        self.flag(Flag::CF_RECOVERING)
    }

    /// Sets the variables that the directory has for a user (`1001@example.com`). The directory may be slow.
    pub(crate) fn set_user(&self, user: &str) {
        let user = to_c(user);
        // SAFETY: the session is kept; the text lives through the call and is copied.
        unsafe { ffi::switch_ivr_set_user(self.as_ptr(), user.as_ptr()) };
    }

    /// Whether the phone at this leg has put it on hold.
    pub(crate) fn holding(&self) -> bool {
        self.flag(Flag::CF_LEG_HOLDING)
    }

    /// Whether the leg ended because an attended transfer replaced it. The phone may hang up first, with an ordinary cause; then the
    /// variables show it (`nua_i_refer` in `sofia.c`).
    pub(crate) fn left_by_attended_transfer(&self) -> bool {
        // SAFETY: the session is kept.
        let cause = unsafe { ffi::switch_channel_get_cause(self.channel()) };
        let announced =
            || self.var("transfer_disposition").as_deref() == Some("replaced") || self.var("refer_uuid").is_some();
        self.hung_up() && (cause == ffi::switch_call_cause_t::SWITCH_CAUSE_ATTENDED_TRANSFER || announced())
    }

    /// Whether this server called the leg, and it has not answered.
    pub(crate) fn still_rings(&self) -> bool {
        self.outbound() && !self.answered()
    }

    pub(crate) fn outbound(&self) -> bool {
        // SAFETY: the session is kept.
        let direction = unsafe { ffi::switch_channel_direction(self.channel()) };
        direction == ffi::switch_call_direction_t::SWITCH_CALL_DIRECTION_OUTBOUND
    }

    /// Returns the UUID of the other leg of the bridge in which this leg is.
    pub(crate) fn partner(&self) -> Option<String> {
        let mut uuid = [0 as c_char; 257];
        // SAFETY: the buffer is as long as said, and the core ends what it writes with a NUL.
        unsafe {
            let found = ffi::switch_channel_get_partner_uuid_copy(self.channel(), uuid.as_mut_ptr(), uuid.len());
            from_c(found)
        }
        .filter(|uuid| !uuid.is_empty() && self.flag(Flag::CF_BRIDGED))
    }

    pub(crate) fn hang_up(&self, cause: HangupCause) {
        let cause = match cause {
            HangupCause::NormalClearing => ffi::switch_call_cause_t::SWITCH_CAUSE_NORMAL_CLEARING,
            HangupCause::LoseRace => ffi::switch_call_cause_t::SWITCH_CAUSE_LOSE_RACE,
        };
        // SAFETY: the session is kept; the texts are static.
        unsafe {
            ffi::switch_channel_perform_hangup(self.channel(), FILE.as_ptr(), c"hang_up".as_ptr(), 0, cause);
        }
    }

    /// Sends a message without contents to the endpoint of the leg.
    pub(super) fn send_indication(&self, what: ffi::switch_core_session_message_types_t) {
        let mut message = ffi::switch_core_session_message_t {
            message_id: what,
            from: FILE.as_ptr().cast_mut(),
            ..Default::default()
        };
        // SAFETY: the session is kept; the message and its static texts live through the call, and none of it is the core's to free.
        unsafe {
            ffi::switch_core_session_perform_receive_message(
                self.as_ptr(),
                &mut message,
                FILE.as_ptr(),
                c"send_indication".as_ptr(),
                0,
            );
        }
    }

    /// The channel's own hold music, in which variables are filled in.
    pub(crate) fn hold_music(&self) -> Option<String> {
        // SAFETY: the answer is in the session's memory or the channel's own.
        unsafe { from_c(ffi::switch_channel_get_hold_music(self.channel())) }.filter(|music| !music.is_empty())
    }

    /// Adds the channel's own data to an event.
    pub(crate) fn describe(&self, event: &mut Event) {
        // SAFETY: the session is kept, the event is ours.
        unsafe { ffi::switch_channel_event_set_data(self.channel(), event.as_ptr()) };
    }

    /// Waits and discards incoming media. Ends early if [`Leg::ready`] becomes false.
    pub(crate) fn sleep(&self, time: Duration) {
        let ms = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        // SAFETY: the session is kept; without args the core calls nothing of ours.
        unsafe {
            ffi::switch_ivr_sleep(self.session.as_ptr(), ms, ffi::switch_bool_t::SWITCH_FALSE, ptr::null_mut());
        }
    }

    /// Whether the dialplan has another application after the one that runs. The core advances before it runs an application
    /// (switch_core_state_machine.c), and hangs up a leg that has none left.
    pub(crate) fn has_next_application(&self) -> bool {
        // SAFETY: the session is kept, and with it what its dialplan told it to do, which only its own thread changes.
        unsafe {
            let extension = ffi::switch_channel_get_caller_extension(self.channel()).as_ref();
            extension.is_some_and(|extension| !extension.current_application.is_null())
        }
    }

    /// Whether a script, a program at the event socket, or somebody who controls a leg in the core's park runs the application that runs now, and
    /// decides what follows.
    pub(crate) fn is_run_by_script(&self) -> bool {
        // SAFETY: the session is kept, and with it what its dialplan told it to do, which only its own thread changes. The strings of an
        // application live as long.
        let running = unsafe {
            let Some(extension) = ffi::switch_channel_get_caller_extension(self.channel()).as_ref() else {
                return false;
            };
            let mut at = extension.applications;
            // The application whose successor is the next one is the one that the dialplan runs.
            while let Some(application) = at.as_ref() {
                if application.next == extension.current_application {
                    break;
                }
                at = application.next;
            }
            at.as_ref().and_then(|application| from_c(application.application_name))
        };
        running.is_some_and(|name| SCRIPTS.contains(&name.as_str()))
    }

    /// Transfers the leg to an extension. The application that runs on it returns, and a bridge ends. Returns
    /// false if FreeSWITCH refused.
    pub(crate) fn transfer(&self, extension: &str, dialplan: Option<&str>, context: Option<&str>) -> bool {
        let extension = to_c(extension);
        let (dialplan, context) = (dialplan.map(to_c), context.map(to_c));
        // SAFETY: the texts live through the call and are copied.
        let status = unsafe {
            ffi::switch_ivr_session_transfer(self.session.as_ptr(), extension.as_ptr(), opt(&dialplan), opt(&context))
        };
        status == HostStatus::SWITCH_STATUS_SUCCESS
    }

    /// Moves the recordings of this leg to the other.
    pub(crate) fn hand_recordings_to(&self, other: &Leg<'_>) {
        // SAFETY: both sessions are kept.
        unsafe { ffi::switch_ivr_transfer_recordings(self.session.as_ptr(), other.session.as_ptr()) };
    }

    /// Sets the party that this leg's far end sees, and the party that the records name. FreeSWITCH shows the profile of a leg to its
    /// partner, so a new profile is made (as `uuid_bridge` does).
    pub(crate) fn set_caller_ids(&self, shown_to_it: (&str, &str), shown_to_partner: (&str, &str)) {
        // SAFETY: the session is kept; the core copies the profile.
        unsafe { ffi::switch_channel_step_caller_profile(self.channel()) };
        for (field, value) in [
            (c"caller_id_name", shown_to_it.0),
            (c"caller_id_number", shown_to_it.1),
            (c"callee_id_name", shown_to_partner.0),
            (c"callee_id_number", shown_to_partner.1),
        ] {
            self.set_profile_field(field, value);
        }
    }

    /// Neutralises the names and numbers in the leg's profile, so that FreeSWITCH expands nothing in them. The core does this itself when a
    /// leg arrives, but not for the text of a later P-Asserted-Identity header (`sofia_update_callee_id`) or for the target of a REFER.
    pub(crate) fn make_profile_inert(&self) {
        for field in
            [c"caller_id_name", c"caller_id_number", c"callee_id_name", c"callee_id_number", c"destination_number"]
        {
            let text = field.to_str().ok().and_then(|field| self.var(field));
            if let Some(text) = text.filter(|text| inert(text) != *text) {
                self.set_profile_field(field, &text);
            }
        }
    }

    fn set_profile_field(&self, field: &CStr, value: &str) {
        let value = inert_to_c(value);
        // SAFETY: the session is kept; the texts live through the call and are copied.
        unsafe { ffi::switch_channel_set_profile_var(self.channel(), field.as_ptr(), value.as_ptr()) };
    }
}

fn opt(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(ptr::null(), |text| text.as_ptr())
}
