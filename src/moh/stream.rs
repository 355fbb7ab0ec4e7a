//! One music in one format, and everybody who hears it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::freeswitch::{Encoder, Format, RtpWriter, Sent, Source};

/// A send takes microseconds. Whoever holds the others up for longer, time and again, plays for itself.
const SLOW: Duration = Duration::from_millis(5);
const SLOW_TIMES: u32 = 5;

/// What a programme is known by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct StreamKey {
    pub(super) music: String,
    pub(super) format: Format,
}

struct Listener {
    seat: Arc<RtpWriter>,
    slow: u32,
}

pub(super) struct MohStream {
    pub(super) title: StreamKey,
    source: Source,
    encoder: Encoder,
    timestamp: u32,
    listeners: Vec<Listener>,
}

impl MohStream {
    /// `None` if there is no such music, or it cannot be had in this format.
    pub(super) fn open(title: &StreamKey) -> Option<MohStream> {
        let source = Source::open(&title.music, &title.format)?;
        let encoder = Encoder::new(&title.format)?;
        Some(MohStream { title: title.clone(), source, encoder, timestamp: title.format.step(), listeners: Vec::new() })
    }

    pub(super) fn seat(&mut self, seat: Arc<RtpWriter>) {
        self.listeners.push(Listener { seat, slow: 0 });
    }

    pub(super) fn listeners(&self) -> usize {
        self.listeners.len()
    }

    /// RTP time passes although nothing was sent.
    pub(super) fn skip(&mut self, packets: u32) {
        self.timestamp = self.timestamp.wrapping_add(self.title.format.step().wrapping_mul(packets));
    }

    /// Sends the next packet to everybody. False if the music cannot be played any more.
    pub(super) fn send(&mut self) -> bool {
        if !self.encoder.encode(&mut self.source) && !self.rewind() {
            return false;
        }
        self.skip(1);
        let (encoder, timestamp) = (&mut self.encoder, self.timestamp);
        let mut began = Instant::now();
        self.listeners.retain_mut(|listener| {
            let sent = listener.seat.send(encoder, timestamp);
            let ended = Instant::now();
            listener.slow = if ended - began > SLOW { listener.slow + 1 } else { 0 };
            began = ended;
            let stays = sent == Sent::Yes && listener.slow < SLOW_TIMES;
            if !stays {
                listener.seat.forget();
            }
            stays
        });
        true
    }

    /// Begins again at the end.
    fn rewind(&mut self) -> bool {
        let again = Source::open(&self.title.music, &self.title.format);
        again.is_some_and(|source| {
            self.source = source;
            self.encoder.encode(&mut self.source)
        })
    }
}

/// However a programme ends: whoever still listens is told, and finds another way to hear something.
impl Drop for MohStream {
    fn drop(&mut self) {
        for listener in &self.listeners {
            listener.seat.forget();
        }
    }
}
