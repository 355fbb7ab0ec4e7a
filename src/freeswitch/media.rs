//! A leg's media: whether there is any, and what keeps it from flowing.

use super::session::{FILE, Leg};
use super::text::to_c;
use crate::ffi::{self, switch_channel_flag_t as Flag};

impl Leg<'_> {
    /// Answers, and sees to it that the far end hears this server and is heard. False if the leg is gone or the far end refused.
    pub(crate) fn answer_and_anchor_media(&self) -> bool {
        if !self.answered() {
            // SAFETY: the session is kept; the texts are static.
            unsafe { ffi::switch_channel_perform_answer(self.channel(), FILE.as_ptr(), c"answer".as_ptr(), 0) };
        }
        if self.flag(Flag::CF_PROXY_MEDIA) {
            self.leave_proxied_media();
        }
        if self.flag(Flag::CF_PROXY_MODE) {
            self.fetch_media();
        }
        self.take_off_hold();
        self.ready()
    }

    /// Brings audio back to this server, by a re-INVITE, if the legs sent it to each other directly.
    fn fetch_media(&self) {
        let uuid = to_c(&self.uuid());
        // SAFETY: the UUID lives through the call.
        unsafe { ffi::switch_ivr_media(uuid.as_ptr(), ffi::switch_media_flag_enum_t::SMF_NONE.0) };
    }

    /// With `proxy_media` this server hands on packets that it does not understand. The core has no way out of that while a call is up,
    /// but from media that goes past this server it has: the leg becomes one of those.
    fn leave_proxied_media(&self) {
        let (audio, flag) =
            (ffi::switch_media_type_t::SWITCH_MEDIA_TYPE_AUDIO, ffi::switch_rtp_flag_t::SWITCH_RTP_FLAG_PROXY_MEDIA);
        // SAFETY: the session is kept.
        unsafe {
            ffi::switch_channel_clear_flag(self.channel(), Flag::CF_PROXY_MEDIA);
            ffi::switch_core_media_clear_rtp_flag(self.as_ptr(), audio, flag);
            ffi::switch_channel_set_flag_value(self.channel(), Flag::CF_PROXY_MODE, 1);
        }
    }

    /// Ends a hold that this server has put on the leg: by `uuid_hold`, or by passing on the hold of the party it talked to
    /// (`proxy-hold`). The core forwards no audio from or to such a leg, or the far end sends none. A hold by the far end is the far
    /// end's to end.
    fn take_off_hold(&self) {
        if self.flag(Flag::CF_HOLD) {
            // SAFETY: the session is kept.
            unsafe { ffi::switch_ivr_unhold(self.as_ptr()) };
        } else if self.was_told_to_listen() {
            self.tell(ffi::switch_core_session_message_types_t::SWITCH_MESSAGE_INDICATE_UNHOLD);
        }
    }

    /// Of a hold that was passed on only this is left when the bridge has ended: the far end has agreed to send nothing.
    fn was_told_to_listen(&self) -> bool {
        let flow = self.var("remote_audio_media_flow");
        !self.flag(Flag::CF_PROTO_HOLD) && matches!(flow.as_deref(), Some("recvonly" | "inactive"))
    }

    /// Whether something can be played to the leg at this moment.
    pub(crate) fn has_media(&self) -> bool {
        let audio = ffi::switch_media_type_t::SWITCH_MEDIA_TYPE_AUDIO;
        // SAFETY: the session is kept.
        let (without_rtp, ready) = unsafe {
            let without_rtp = ffi::switch_core_session_get_media_handle(self.as_ptr()).is_null();
            (without_rtp, without_rtp || ffi::switch_core_media_ready(self.as_ptr(), audio) != 0)
        };
        !self.flag(Flag::CF_PROXY_MODE) && (without_rtp || ready)
    }

    /// Ends whatever application runs on the leg, and keeps others from running, until [`Leg::resume`]: to all of them the leg
    /// seems to be wanted elsewhere.
    pub(crate) fn interrupt(&self) {
        // SAFETY: the session is kept.
        unsafe { ffi::switch_channel_set_flag_value(self.channel(), Flag::CF_NOT_READY, 1) };
    }

    pub(crate) fn resume(&self) {
        // SAFETY: the session is kept.
        unsafe { ffi::switch_channel_clear_flag(self.channel(), Flag::CF_NOT_READY) };
    }

    /// Drops what others have asked the leg to run and what has not begun.
    pub(crate) fn drop_errands(&self) {
        // SAFETY: the session is kept.
        unsafe { ffi::switch_core_session_flush_private_events(self.as_ptr()) };
    }

    /// Sent elsewhere by a transfer that it has not taken up yet.
    pub(crate) fn transferred(&self) -> bool {
        self.flag(Flag::CF_TRANSFER)
    }

    /// On its way to an extension, which its own thread has not looked up yet.
    pub(crate) fn is_being_routed(&self) -> bool {
        // SAFETY: the session is kept.
        unsafe { ffi::switch_channel_get_state(self.channel()) == ffi::switch_channel_state_t::CS_ROUTING }
    }

    /// Whether RTP still looks for the address that the far end really sends from.
    pub(crate) fn seeks_address(&self) -> bool {
        // SAFETY: the session is kept.
        unsafe { seeks_address(self.as_ptr()) }
    }

    /// Plays `music` to this leg while the leg that it is in a bridge with holds. The core ends that when the other resumes.
    pub(crate) fn hear_hold_music(&self, music: &str) {
        use ffi::switch_media_flag_enum_t as Flags;
        let (uuid, music) = (to_c(&self.uuid()), to_c(music));
        let how = Flags::SMF_ECHO_ALEG.0 | Flags::SMF_LOOP.0 | Flags::SMF_PRIORITY.0;
        // SAFETY: both texts live through the call and are copied.
        unsafe { ffi::switch_ivr_broadcast(uuid.as_ptr(), music.as_ptr(), how) };
    }

    /// Ends what is broadcast to the leg. False if nothing is.
    pub(crate) fn stop_broadcast(&self) -> bool {
        let plays = self.flag(Flag::CF_BROADCAST);
        for flag in [Flag::CF_STOP_BROADCAST, Flag::CF_BREAK].into_iter().filter(|_| plays) {
            // SAFETY: the session is kept.
            unsafe { ffi::switch_channel_set_flag_value(self.channel(), flag, 1) };
        }
        plays
    }
}

/// As [`Leg::seeks_address`], for a thread that has no leg: `rtp-auto-adjust`. The core counts the packets that are read, and not those
/// that are dropped unread.
///
/// # Safety
/// `session` is kept.
pub(super) unsafe fn seeks_address(session: *mut ffi::switch_core_session_t) -> bool {
    let (audio, flag) =
        (ffi::switch_media_type_t::SWITCH_MEDIA_TYPE_AUDIO, ffi::switch_rtp_flag_t::SWITCH_RTP_FLAG_AUTOADJ);
    // SAFETY: by this function's contract. An RTP session lives in the memory of the session, also after it has ended; what is read is
    // one number.
    unsafe {
        let rtp = ffi::switch_core_media_get_rtp_session(session, audio);
        !rtp.is_null() && ffi::switch_rtp_test_flag(rtp, flag) != 0
    }
}
