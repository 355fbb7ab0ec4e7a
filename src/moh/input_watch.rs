//! Reads what the far end of a listening leg sends, no more often than necessary: each read is a wake-up of the leg's thread.

use std::time::{Duration, Instant};

use super::far_end::FarEnd;
use crate::freeswitch::{Leg, RtpCounters};

/// How often a leg wakes to read what its far end has sent, before the kernel's buffer is full.
const READ_INTERVAL: Duration = Duration::from_secs(1);
/// As [`READ_INTERVAL`], for a leg whose packets may be STUN or keys, which may wait for so long.
const BURST_INTERVAL: Duration = Duration::from_millis(200);
/// For how long each packet of a leg with ICE is read when it comes, so that its media can begin at once.
const ICE_BEGINNING: Duration = Duration::from_secs(3);

/// How the packets of a leg are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ReadPlan {
    /// All are dropped at once, and nothing but keys is found in them.
    Dropped,
    /// Each is looked at by the core, several at a time.
    InBursts,
    /// Each when it comes.
    OneByOne,
}

/// How closely a leg is read.
pub(super) struct InputWatch<'a> {
    leg: &'a Leg<'a>,
    counters: RtpCounters<'a>,
    far_end: &'a mut FarEnd,
    /// The duration of a packet.
    packet: Duration,
    wants_keys: bool,
    uses_ice: bool,
    has_heartbeat: bool,
    began: Instant,
    /// Whether the last read found something.
    hears: bool,
    /// When the leg was last read in a way that waits for a packet, if not all reads do.
    waited_at: Instant,
}

impl<'a> InputWatch<'a> {
    pub(super) fn new(leg: &'a Leg<'a>, far_end: &'a mut FarEnd, wants_keys: bool, packet: Duration) -> InputWatch<'a> {
        let (began, counters) = (Instant::now(), leg.rtp_counters());
        far_end.look_again(&counters);
        leg.forget_missed_packets();
        InputWatch {
            leg,
            counters,
            far_end,
            packet,
            wants_keys,
            uses_ice: leg.uses_ice(),
            has_heartbeat: leg.has_heartbeat(),
            began,
            hears: true,
            waited_at: began,
        }
    }

    fn plan(&self) -> ReadPlan {
        let begins = self.uses_ice && self.began.elapsed() < ICE_BEGINNING;
        if begins || self.has_heartbeat || self.leg.has_jitter_buffer() {
            ReadPlan::OneByOne
        } else if self.uses_ice || self.wants_keys {
            // The core takes the duration of a packet for each read of a leg that holds.
            if self.leg.holding() { ReadPlan::OneByOne } else { ReadPlan::InBursts }
        } else {
            ReadPlan::Dropped
        }
    }

    /// Lets the thread sleep by `sleep`, which returns whether somebody has woken it, until the leg is to be read again.
    pub(super) fn wait(&mut self, sleep: impl FnOnce(Duration) -> bool) {
        if sleep(self.interval()) {
            self.far_end.attend();
        }
    }

    /// How long the leg may sleep before it reads again. The core learns the address of the far end from ten packets that it reads in a row; the first of
    /// them wakes the leg ([`crate::freeswitch::RtpWriter`]).
    fn interval(&self) -> Duration {
        match self.plan() {
            _ if self.far_end.is_attended() => Duration::ZERO,
            ReadPlan::OneByOne => Duration::ZERO,
            ReadPlan::InBursts => BURST_INTERVAL,
            ReadPlan::Dropped if self.hears && self.leg.is_learning_address() => Duration::ZERO,
            ReadPlan::Dropped => READ_INTERVAL,
        }
    }

    /// Reads what has come. Returns false if no packet can come.
    pub(super) fn read(&mut self) -> bool {
        let plan = self.plan();
        let one_by_one = plan == ReadPlan::OneByOne || self.far_end.is_attended();
        if !one_by_one && (plan == ReadPlan::InBursts || !self.leg.is_learning_address()) {
            if plan == ReadPlan::Dropped {
                self.leg.drop_input();
            }
            let can_come = self.leg.read_burst();
            self.hears = self.far_end.notice(&self.counters);
            if !can_come || self.hears || self.waited_at.elapsed() < READ_INTERVAL {
                return can_come;
            }
        }
        // The core counts packets that are missing, which is a time only if each is waited for.
        let counted_by_core = self.hears || (plan == ReadPlan::OneByOne && self.leg.has_rtp_timer());
        let timeout = if counted_by_core { None } else { self.far_end.due_timeout(self.leg) };
        if !one_by_one {
            self.waited_at = Instant::now();
        }
        if !one_by_one || timeout.is_some() {
            self.leg.forget_missed_packets();
        }
        // The core does more than read, such as sending RTCP, also when no packet comes.
        let can_come = match timeout {
            Some(timeout) => self.time_out(timeout),
            None => self.leg.drop_packet(),
        };
        self.hears = self.far_end.notice(&self.counters);
        if timeout.is_some() {
            self.far_end.restart();
        }
        can_come
    }

    /// Has the core end the leg, or execute what it is to execute instead, unless a packet has come in the last moment.
    fn time_out(&self, timeout: Duration) -> bool {
        if !self.far_end.is_still_silent(&self.counters) {
            return self.leg.ready();
        }
        self.leg.let_rtp_time_out();
        let goes_on = self.leg.drop_packet();
        self.leg.let_rtp_continue(timeout, self.packet);
        goes_on
    }
}
