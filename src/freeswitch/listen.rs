//! What a leg's far end sends while nobody talks with it: heard for its keys, and dropped.

use std::mem::MaybeUninit;
use std::ptr;

use super::session::Leg;
use super::stream::collect;
use crate::ffi::{self, switch_channel_flag_t as Flag, switch_status_t as HostStatus};

impl Leg<'_> {
    /// Has the next read take in all that the far end has sent since the last one, and drop it. The core does that in one go when
    /// its read buffer is to be flushed, keys excepted (`do_flush` in switch_rtp.c).
    pub(crate) fn drop_input(&self) {
        self.tell(ffi::switch_core_session_message_types_t::SWITCH_MESSAGE_INDICATE_AUDIO_SYNC);
    }

    /// Waits for the next packet from the far end, for about as long as one lasts, and drops it. The core counts how many in a row
    /// did not come (`rtp-timeout-sec`). False if none can come.
    pub(crate) fn drop_packet(&self) -> bool {
        let (how, mut frame) = (ffi::switch_io_flag_enum_t::SWITCH_IO_FLAG_NONE, ptr::null_mut());
        // SAFETY: the session is kept, and this is its own thread; the frame is the core's, and not looked at.
        let status = unsafe { ffi::switch_core_session_read_frame(self.as_ptr(), &mut frame, how.0, 0) };
        status == HostStatus::SWITCH_STATUS_SUCCESS || status == HostStatus::SWITCH_STATUS_BREAK
    }

    /// Bytes that have come from the far end, dropped or not. What a read returns does not tell: the core makes comfort noise up
    /// where nothing came, and also where it has dropped what came.
    pub(crate) fn received(&self) -> usize {
        let audio = ffi::switch_media_type_t::SWITCH_MEDIA_TYPE_AUDIO;
        // SAFETY: the session is kept, and this is its own thread, which alone takes in what comes; without a pool the core's own
        // numbers are lent, that live as long as its RTP session, which only this thread ends.
        unsafe {
            let numbers = ffi::switch_core_media_get_stats(self.as_ptr(), audio, ptr::null_mut());
            numbers.as_ref().map_or(0, |numbers| numbers.inbound.raw_bytes)
        }
    }

    /// The next key that the far end has pressed.
    pub(crate) fn next_key(&self) -> Option<char> {
        let mut dtmf = MaybeUninit::<ffi::switch_dtmf_t>::zeroed();
        // SAFETY: the session is kept; where there is a key, the core fills in all of it.
        unsafe {
            if ffi::switch_channel_has_dtmf(self.channel()) == 0 {
                return None;
            }
            let status = ffi::switch_channel_dequeue_dtmf(self.channel(), dtmf.as_mut_ptr());
            (status == HostStatus::SWITCH_STATUS_SUCCESS)
                .then(|| char::from(dtmf.assume_init_ref().digit.to_ne_bytes()[0]))
        }
    }

    /// Hands the leg what others have left for it (display updates and the like), and says whether there is something that its
    /// thread must do itself, for which it must be off the air.
    pub(crate) fn has_errand(&self) -> bool {
        // SAFETY: the session is kept, and this is its own thread.
        unsafe {
            ffi::switch_ivr_parse_all_messages(self.as_ptr());
            ffi::switch_core_session_private_event_count(self.as_ptr()) > 0 || self.flag(Flag::CF_BREAK)
        }
    }

    /// Whether every packet from the far end must be read when it comes: STUN comes among them, and heartbeats are counted in them.
    pub(crate) fn listens_closely(&self) -> bool {
        self.flag(Flag::CF_ICE) || self.var("enable_heartbeat_events").is_some()
    }

    /// Whether there is a jitter buffer: what it is given cannot be dropped in one go (`do_flush` in switch_rtp.c).
    pub(crate) fn has_jitter_buffer(&self) -> bool {
        let audio = ffi::switch_media_type_t::SWITCH_MEDIA_TYPE_AUDIO;
        // SAFETY: the session is kept, and its RTP session, if it has one, with it.
        unsafe {
            let rtp = ffi::switch_core_media_get_rtp_session(self.as_ptr(), audio);
            !rtp.is_null() && !ffi::switch_rtp_get_jitter_buffer(rtp).is_null()
        }
    }

    /// Whether something records, listens in on or changes what the leg hears or says. Such a tap must see every packet.
    pub(crate) fn is_tapped(&self) -> bool {
        // The core has no other way to ask for taps of any kind: it lists them. Every waiting leg asks often, and mostly there are
        // none: 1,024 bytes and more would make glibc tidy up its heap each time.
        collect(200, |stream| {
            // SAFETY: the session is kept; the stream is `collect`'s.
            unsafe { ffi::switch_core_media_bug_enumerate(self.as_ptr(), stream) };
        })
        .contains("<media-bug>")
    }
}
