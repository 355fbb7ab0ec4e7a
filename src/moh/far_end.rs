//! What is known of the far end of a waiting leg: since when it has sent nothing, and whether something is happening to it. It is kept
//! while the music stops for a comfort message or a change of the codec.

use std::mem;
use std::time::{Duration, Instant};

use crate::freeswitch::{Leg, RtpCounters, RtpTimeout};

/// For how long each packet is read when it comes after something has happened to the leg. The core learns the address of the far end, changes the codec and
/// sends digits with each packet that it reads.
const ATTENTION: Duration = Duration::from_secs(1);

pub(crate) struct FarEnd {
    received: usize,
    silent_since: Instant,
    /// When this was looked at last. The time in which nobody looks, because the leg plays something for itself, does not count: the core measures it.
    seen_at: Instant,
    timeout: Option<RtpTimeout>,
    attentive_until: Instant,
}

impl FarEnd {
    pub(crate) fn new() -> FarEnd {
        let now = Instant::now();
        FarEnd { received: 0, silent_since: now, seen_at: now, timeout: None, attentive_until: now }
    }

    /// Begins to look at the leg again.
    pub(super) fn look_again(&mut self, counters: &RtpCounters<'_>) {
        self.silent_since += self.seen_at.elapsed();
        self.notice(counters);
    }

    /// Notices whether something has come since the last time.
    pub(super) fn notice(&mut self, counters: &RtpCounters<'_>) -> bool {
        let before = mem::replace(&mut self.received, counters.received());
        let now = Instant::now();
        self.seen_at = now;
        if self.received != before {
            self.silent_since = now;
        }
        self.received != before
    }

    /// Whether nothing has come since the last time.
    pub(super) fn is_still_silent(&self, counters: &RtpCounters<'_>) -> bool {
        counters.received() == self.received
    }

    /// The time-out of the leg, if its far end has been silent for so long. The begin and the end of a hold restart the time.
    pub(super) fn due_timeout(&mut self, leg: &Leg<'_>) -> Option<Duration> {
        let timeout = leg.rtp_timeout();
        if mem::replace(&mut self.timeout, timeout) != timeout {
            self.silent_since = Instant::now();
        }
        let after = timeout?.after;
        (self.silent_since.elapsed() >= after && !leg.has_media_timeout()).then_some(after)
    }

    /// Restarts the time of silence.
    pub(super) fn restart(&mut self) {
        self.silent_since = Instant::now();
    }

    /// Has each packet be read when it comes, for a while: something is happening to the leg.
    pub(super) fn attend(&mut self) {
        self.attentive_until = Instant::now() + ATTENTION;
    }

    pub(super) fn is_attended(&self) -> bool {
        Instant::now() < self.attentive_until
    }
}
