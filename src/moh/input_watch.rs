//! Reads what the far end of a listening leg sends, no more often than necessary: each read is a wake-up of the leg's thread.

use std::mem;
use std::time::{Duration, Instant};

use crate::freeswitch::Leg;

/// How often a leg wakes to read what its far end has sent, before the kernel's buffer is full.
const READ_INTERVAL: Duration = Duration::from_secs(1);
/// As [`READ_INTERVAL`], while the address of a far end that sends nothing is still to be learned. Its first packets say where the music must go.
const LEARN_INTERVAL: Duration = Duration::from_millis(200);

/// How closely a leg is read, and since when its far end has sent nothing.
pub(super) struct InputWatch<'a> {
    leg: &'a Leg<'a>,
    /// The duration of a packet.
    packet: Duration,
    /// Whether each packet must be read when it comes.
    each_packet: bool,
    received: usize,
    /// Whether the last read found something.
    hears: bool,
    silent_since: Instant,
}

impl<'a> InputWatch<'a> {
    pub(super) fn new(leg: &'a Leg<'a>, wants_keys: bool, packet: Duration) -> InputWatch<'a> {
        let each_packet = wants_keys || leg.needs_each_packet();
        InputWatch { leg, packet, each_packet, received: leg.received(), hears: true, silent_since: Instant::now() }
    }

    /// How long the leg may sleep before it reads again. The core learns the address of the far end from ten packets that it reads in a row.
    pub(super) fn interval(&self) -> Duration {
        match self.leg.is_learning_address() {
            _ if self.reads_each_packet() => Duration::ZERO,
            true if self.hears => Duration::ZERO,
            true => LEARN_INTERVAL,
            false => READ_INTERVAL,
        }
    }

    fn reads_each_packet(&self) -> bool {
        self.each_packet || self.leg.has_jitter_buffer()
    }

    /// Reads a packet, and drops those that are waiting behind it if nothing is learned from them. Returns false if no packet can come.
    pub(super) fn read(&mut self) -> bool {
        let counted_by_core = self.reads_each_packet();
        if !counted_by_core && !self.leg.is_learning_address() {
            self.leg.drop_input();
        }
        let timeout =
            if self.hears || counted_by_core { None } else { self.leg.due_rtp_timeout(self.silent_since.elapsed()) };
        let can_come = match timeout {
            Some(timeout) => self.time_out(timeout),
            None => self.leg.drop_packet(),
        };
        let before = mem::replace(&mut self.received, self.leg.received());
        self.hears = self.received != before;
        if self.hears || timeout.is_some() {
            self.silent_since = Instant::now();
        }
        can_come
    }

    /// Has the core end the leg, or execute what it is to execute instead, unless a packet has come in the last moment.
    fn time_out(&self, timeout: Duration) -> bool {
        self.leg.forget_missed_packets();
        if self.leg.received() != self.received {
            return self.leg.ready();
        }
        self.leg.let_rtp_time_out();
        let goes_on = self.leg.drop_packet();
        self.leg.let_rtp_continue(timeout, self.packet);
        goes_on
    }
}
