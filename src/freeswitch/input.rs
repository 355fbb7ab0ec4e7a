//! Reads the keys from the far end of a waiting leg, and drops the audio.

use std::mem::MaybeUninit;
use std::ptr;
use std::time::Duration;

use super::output_stream::collect;
use super::session::Leg;
use crate::ffi::{self, switch_channel_flag_t as Flag, switch_io_flag_enum_t as IoFlag, switch_status_t as HostStatus};

/// For how long a leg without an RTP timer is waited for: the duration of most packets.
const UNTIMED_WAIT: Duration = Duration::from_millis(20);

impl Leg<'_> {
    /// Makes the next read drop everything that the far end has sent since the last one, except keys. The core does this at once when its read buffer
    /// is flushed (`do_flush` in switch_rtp.c).
    pub(crate) fn drop_input(&self) {
        self.send_indication(ffi::switch_core_session_message_types_t::SWITCH_MESSAGE_INDICATE_AUDIO_SYNC);
    }

    /// Waits for the next packet from the far end, for about the duration of one, and drops it. Returns false if no packet can come.
    pub(crate) fn drop_packet(&self) -> bool {
        if self.has_rtp_timer() {
            return self.read(IoFlag::SWITCH_IO_FLAG_NONE);
        }
        // The core itself would wait for up to five seconds (`poll_sec` in switch_rtp.c).
        self.await_packet(UNTIMED_WAIT);
        // Such a read fails also when nothing has come.
        self.read(IoFlag::SWITCH_IO_FLAG_NOBLOCK) || self.ready()
    }

    /// Drops a packet if one has come. The core forgets how many it has missed.
    pub(crate) fn forget_missed_packets(&self) {
        self.read(IoFlag::SWITCH_IO_FLAG_NOBLOCK);
    }

    pub(super) fn read(&self, how: IoFlag) -> bool {
        let mut frame = ptr::null_mut();
        // SAFETY: the session is kept, and this is its own thread; the frame is the core's, and not looked at.
        let status = unsafe { ffi::switch_core_session_read_frame(self.as_ptr(), &mut frame, how.0, 0) };
        status == HostStatus::SWITCH_STATUS_SUCCESS || status == HostStatus::SWITCH_STATUS_BREAK
    }

    /// Returns the next key that the far end has pressed.
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

    /// Delivers queued messages to the leg (such as display updates). Returns whether there is something that its thread must do itself, for which
    /// it must leave the shared music.
    pub(crate) fn has_pending_work(&self) -> bool {
        // SAFETY: the session is kept, and this is its own thread.
        unsafe {
            ffi::switch_ivr_parse_all_messages(self.as_ptr());
            ffi::switch_core_session_private_event_count(self.as_ptr()) > 0 || self.flag(Flag::CF_BREAK)
        }
    }

    /// Whether packets from the far end may be STUN, which the core must answer.
    pub(crate) fn uses_ice(&self) -> bool {
        self.flag(Flag::CF_ICE)
    }

    /// Whether the core counts reads, one for each packet, to send heartbeat events.
    pub(crate) fn has_heartbeat(&self) -> bool {
        self.var("enable_heartbeat_events").is_some()
    }

    /// Whether the leg has a jitter buffer, whose packets cannot be dropped at once (`do_flush` in switch_rtp.c).
    pub(crate) fn has_jitter_buffer(&self) -> bool {
        // SAFETY: an RTP session lives as long as its leg.
        self.rtp_session().is_some_and(|rtp| unsafe { !ffi::switch_rtp_get_jitter_buffer(rtp.as_ptr()).is_null() })
    }

    /// Whether the leg has a media bug (a recording or an eavesdropper), which must see each packet.
    pub(crate) fn has_media_bug(&self) -> bool {
        // The core can only list media bugs. Each waiting leg asks often, and mostly there are none; a block of 1,024 bytes or more would make
        // glibc consolidate its heap each time.
        collect(200, |stream| {
            // SAFETY: the session is kept; the stream is `collect`'s.
            unsafe { ffi::switch_core_media_bug_enumerate(self.as_ptr(), stream) };
        })
        .contains("<media-bug>")
    }
}
