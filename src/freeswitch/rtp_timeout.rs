//! The time-out of a leg that sends nothing (`rtp-timeout-sec`), for a leg of which not every packet is waited for.
//!
//! The core counts each read that finds no packet, so its count is a time only if a thread waits for every packet. Here the time is measured by the clock,
//! and the core's own time-out is made to follow. `media_timeout`, which is newer, is measured by the clock in the core itself.

use std::time::Duration;

use super::session::Leg;
use crate::ffi::{self, switch_channel_flag_t as Flag};

/// For how long the far end of a leg may be silent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RtpTimeout {
    pub(crate) after: Duration,
    /// Whether the far end holds. A hold has a time-out of its own (`rtp-hold-timeout-sec`).
    holds: bool,
}

impl Leg<'_> {
    /// The time-out that applies to the leg now. `None` if it is not to end, because nothing is set or the far end has said that it only listens.
    pub(crate) fn rtp_timeout(&self) -> Option<RtpTimeout> {
        // SAFETY: the session is kept, and its media handle with it, which has parameters from its beginning on.
        let (usual, in_hold) = unsafe {
            let media = ffi::switch_core_session_get_media_handle(self.as_ptr());
            let params = if media.is_null() { return None } else { ffi::switch_core_media_get_mparams(media) };
            params.as_ref().map(|params| (params.rtp_timeout_sec, params.rtp_hold_timeout_sec))?
        };
        let holds = self.flag(Flag::CF_PROTO_HOLD);
        let seconds = if in_hold > 0 && holds { in_hold } else { usual };
        let only_listens = || self.var("remote_audio_media_flow").as_deref() == Some("recvonly");
        let after = Duration::from_secs(seconds.into());
        (seconds > 0 && !only_listens()).then_some(RtpTimeout { after, holds })
    }

    /// Whether the core itself measures the time by the clock.
    pub(crate) fn has_media_timeout(&self) -> bool {
        self.var("media_timeout").or_else(|| self.var("media_timeout_audio")).is_some()
    }

    /// Makes the next read that finds no packet end the leg, in the way in which the core does that (`execute_on_media_timeout`). The core warns if it has
    /// missed more packets already ([`Leg::forget_missed_packets`]).
    pub(crate) fn let_rtp_time_out(&self) {
        self.set_max_missed_packets(1);
    }

    /// Undoes [`Leg::let_rtp_time_out`] for a leg that did not end. `timeout` is that of the leg, and `packet` the duration of one.
    pub(crate) fn let_rtp_continue(&self, timeout: Duration, packet: Duration) {
        let packets = timeout.as_millis() / packet.as_millis().max(1);
        self.set_max_missed_packets(u32::try_from(packets).unwrap_or(u32::MAX));
    }

    fn set_max_missed_packets(&self, packets: u32) {
        if let Some(rtp) = self.rtp_session() {
            // SAFETY: an RTP session lives as long as its leg; the core checks whether it is ready.
            unsafe { ffi::switch_rtp_set_max_missed_packets(rtp.as_ptr(), packets) };
        }
    }
}
