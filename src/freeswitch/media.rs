//! Answers legs, brings their media to this server, and ends holds.

use std::ffi::CStr;

use super::session::{FILE, Leg};
use super::text::to_c;
use crate::ffi::{self, switch_channel_flag_t as Flag};

impl Leg<'_> {
    /// Answers the leg and makes its media flow through this server in both directions. Returns false if the leg is gone or the far end refused.
    pub(crate) fn answer_and_anchor_media(&self) -> bool {
        if !self.answered() {
            // SAFETY: the session is kept; the texts are static.
            unsafe { ffi::switch_channel_perform_answer(self.channel(), FILE.as_ptr(), c"answer".as_ptr(), 0) };
        }
        if self.flag(Flag::CF_PROXY_MEDIA) {
            self.stop_proxying_media();
        }
        if self.flag(Flag::CF_PROXY_MODE) {
            self.anchor_bypassed_media();
        }
        self.take_off_hold();
        self.ready()
    }

    /// Brings bypassed media back to this server, by a re-INVITE.
    fn anchor_bypassed_media(&self) {
        let uuid = to_c(&self.uuid());
        // SAFETY: the UUID lives through the call.
        unsafe { ffi::switch_ivr_media(uuid.as_ptr(), ffi::switch_media_flag_enum_t::SMF_NONE.0) };
    }

    /// Turns proxied media (`proxy_media`) into bypassed media, because the core can bring only the latter back during a call.
    fn stop_proxying_media(&self) {
        let (audio, flag) =
            (ffi::switch_media_type_t::SWITCH_MEDIA_TYPE_AUDIO, ffi::switch_rtp_flag_t::SWITCH_RTP_FLAG_PROXY_MEDIA);
        // SAFETY: the session is kept.
        unsafe {
            ffi::switch_channel_clear_flag(self.channel(), Flag::CF_PROXY_MEDIA);
            ffi::switch_core_media_clear_rtp_flag(self.as_ptr(), audio, flag);
            ffi::switch_channel_set_flag_value(self.channel(), Flag::CF_PROXY_MODE, 1);
        }
    }

    /// Ends a hold that this server has put on the leg, by `uuid_hold` or by forwarding the hold of the other party (`proxy-hold`). Otherwise the
    /// core forwards no audio of the leg, or the far end sends none. A hold by the far end is not changed.
    fn take_off_hold(&self) {
        if self.flag(Flag::CF_HOLD) {
            // SAFETY: the session is kept.
            unsafe { ffi::switch_ivr_unhold(self.as_ptr()) };
        } else if self.remote_sends_nothing() {
            self.send_indication(ffi::switch_core_session_message_types_t::SWITCH_MESSAGE_INDICATE_UNHOLD);
        }
    }

    /// Whether the far end has agreed to send nothing: all that remains of a forwarded hold after the bridge.
    fn remote_sends_nothing(&self) -> bool {
        let flow = self.var("remote_audio_media_flow");
        !self.flag(Flag::CF_PROTO_HOLD) && matches!(flow.as_deref(), Some("recvonly" | "inactive"))
    }

    /// Whether something can be played to the leg now.
    pub(crate) fn has_media(&self) -> bool {
        let audio = ffi::switch_media_type_t::SWITCH_MEDIA_TYPE_AUDIO;
        // SAFETY: the session is kept.
        let (without_rtp, ready) = unsafe {
            let without_rtp = ffi::switch_core_session_get_media_handle(self.as_ptr()).is_null();
            (without_rtp, without_rtp || ffi::switch_core_media_ready(self.as_ptr(), audio) != 0)
        };
        !self.flag(Flag::CF_PROXY_MODE) && (without_rtp || ready)
    }

    /// Ends the application that runs on the leg, and prevents others from running, until [`Leg::resume`]. They see a channel that is not ready.
    pub(crate) fn interrupt(&self) {
        // SAFETY: the session is kept.
        unsafe { ffi::switch_channel_set_flag_value(self.channel(), Flag::CF_NOT_READY, 1) };
    }

    pub(crate) fn resume(&self) {
        // SAFETY: the session is kept.
        unsafe { ffi::switch_channel_clear_flag(self.channel(), Flag::CF_NOT_READY) };
    }

    /// Drops the applications that were queued for the leg and have not started.
    pub(crate) fn drop_queued_applications(&self) {
        // SAFETY: the session is kept.
        unsafe { ffi::switch_core_session_flush_private_events(self.as_ptr()) };
    }

    /// Whether the leg was transferred and has not started the new extension.
    pub(crate) fn transferred(&self) -> bool {
        self.flag(Flag::CF_TRANSFER)
    }

    /// Whether the leg is on the way to an extension that its thread has not looked up yet.
    pub(crate) fn is_being_routed(&self) -> bool {
        // SAFETY: the session is kept.
        unsafe { ffi::switch_channel_get_state(self.channel()) == ffi::switch_channel_state_t::CS_ROUTING }
    }

    /// Whether RTP still learns the address from which the far end sends (`rtp-auto-adjust`).
    pub(crate) fn is_learning_address(&self) -> bool {
        // SAFETY: an RTP session lives as long as its leg.
        self.rtp_session().is_some_and(|rtp| unsafe { is_learning_address(rtp.as_ptr()) })
    }

    /// Plays `music` to this leg while the other leg of its bridge holds. The core ends it when the other leg resumes.
    pub(crate) fn hear_hold_music(&self, music: &str) {
        use ffi::switch_media_flag_enum_t as Flags;
        let (uuid, music) = (to_c(&self.uuid()), to_c(music));
        let how = Flags::SMF_ECHO_ALEG.0 | Flags::SMF_LOOP.0 | Flags::SMF_PRIORITY.0;
        // SAFETY: both texts live through the call and are copied.
        unsafe { ffi::switch_ivr_broadcast(uuid.as_ptr(), music.as_ptr(), how) };
    }

    /// Has the thread of this leg run an application during its conversation. Media that bypasses this server comes back, which may take a while.
    pub(crate) fn start_application(&self, name: &CStr) {
        let (uuid, run) = (to_c(&self.uuid()), to_c(&format!("{}::", name.to_string_lossy())));
        let how = ffi::switch_media_flag_enum_t::SMF_ECHO_ALEG.0;
        // SAFETY: both texts live through the call and are copied.
        unsafe { ffi::switch_ivr_broadcast(uuid.as_ptr(), run.as_ptr(), how) };
    }

    /// Ends what is broadcast to the leg. Returns false if nothing is.
    pub(crate) fn stop_broadcast(&self) -> bool {
        let plays = self.flag(Flag::CF_BROADCAST);
        for flag in [Flag::CF_STOP_BROADCAST, Flag::CF_BREAK].into_iter().filter(|_| plays) {
            // SAFETY: the session is kept.
            unsafe { ffi::switch_channel_set_flag_value(self.channel(), flag, 1) };
        }
        plays
    }
}

/// Does what [`Leg::is_learning_address`] does, for a thread that has no [`Leg`]. The core counts only packets that are read.
///
/// # Safety
/// `rtp` is an RTP session whose session is kept.
pub(super) unsafe fn is_learning_address(rtp: *mut ffi::switch_rtp_t) -> bool {
    // SAFETY: by this function's contract; what is read is one number.
    unsafe { ffi::switch_rtp_test_flag(rtp, ffi::switch_rtp_flag_t::SWITCH_RTP_FLAG_AUTOADJ) != 0 }
}
