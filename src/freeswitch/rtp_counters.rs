//! What the core counts of a leg's RTP.
//!
//! The core lends its own counters. To ask for them makes it judge the quality of the leg, which the call record tells in the end; who asks often spoils that.
//! So they are asked for once, and read where they are.

use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use super::session::Leg;
use crate::ffi;

/// The counters of one RTP session. They stay where they are as long as the leg, but those of another RTP session are others ([`Leg::rtp_stream`]).
#[derive(Clone, Copy)]
pub(crate) struct RtpCounters<'a> {
    numbers: Option<NonNull<ffi::switch_rtp_stats_t>>,
    leg: PhantomData<&'a ()>,
}

impl RtpCounters<'_> {
    /// The number of bytes that have come from the far end, dropped or not. The result of a read does not show it, because the core returns comfort noise
    /// if nothing came, and also if it has dropped what came.
    pub(crate) fn received(&self) -> usize {
        // SAFETY: the numbers live as long as their leg. Another thread may count meanwhile.
        self.numbers
            .map_or(0, |numbers| unsafe { ptr::read_volatile(&raw const (*numbers.as_ptr()).inbound.raw_bytes) })
    }

    /// The number of packets of audio that were sent.
    pub(super) fn sent(&self) -> usize {
        let of = |numbers: NonNull<ffi::switch_rtp_stats_t>| {
            // SAFETY: as in `received`.
            unsafe { ptr::read_volatile(&raw const (*numbers.as_ptr()).outbound.media_packet_count) }
        };
        self.numbers.map_or(0, of)
    }

    /// The same without the bound of the leg.
    ///
    /// # Safety
    /// They are not read when the session of the leg has ended.
    pub(super) unsafe fn unbound(self) -> RtpCounters<'static> {
        RtpCounters { numbers: self.numbers, leg: PhantomData }
    }
}

impl Leg<'_> {
    pub(crate) fn rtp_counters(&self) -> RtpCounters<'_> {
        let audio = ffi::switch_media_type_t::SWITCH_MEDIA_TYPE_AUDIO;
        // SAFETY: the session is kept; without a pool the core's own numbers are lent, which are in the memory of the session.
        let numbers = unsafe { ffi::switch_core_media_get_stats(self.as_ptr(), audio, ptr::null_mut()) };
        RtpCounters { numbers: NonNull::new(numbers), leg: PhantomData }
    }
}
