//! A music stream in one format, and its listeners.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::freeswitch::{AudioFormat, AudioSource, Encoder, RtpWriter, SendResult};

/// Sending a packet takes microseconds. A leg that takes longer, several times in a row, is dropped and plays for itself.
const SLOW_SEND: Duration = Duration::from_millis(5);
const MAX_SLOW_SENDS: u32 = 5;

/// Identifies a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct StreamKey {
    pub(super) music: String,
    pub(super) format: AudioFormat,
}

struct Listener {
    writer: Arc<RtpWriter>,
    slow: u32,
}

pub(super) struct MohStream {
    pub(super) key: StreamKey,
    source: AudioSource,
    encoder: Encoder,
    timestamp: u32,
    listeners: Vec<Listener>,
}

impl MohStream {
    /// Opens a stream. Returns `None` if there is no such music, or not in this format.
    pub(super) fn open(key: &StreamKey) -> Option<MohStream> {
        let source = AudioSource::open(&key.music, &key.format)?;
        let encoder = Encoder::new(&key.format)?;
        Some(MohStream { key: key.clone(), source, encoder, timestamp: key.format.step(), listeners: Vec::new() })
    }

    pub(super) fn add_listener(&mut self, writer: Arc<RtpWriter>) {
        self.listeners.push(Listener { writer, slow: 0 });
    }

    pub(super) fn listeners(&self) -> usize {
        self.listeners.len()
    }

    /// Advances the RTP time by packets that were not sent.
    pub(super) fn skip(&mut self, packets: u32) {
        self.timestamp = self.timestamp.wrapping_add(self.key.format.step().wrapping_mul(packets));
    }

    /// Sends the next packet to all listeners. Returns false if the music cannot be played any more.
    pub(super) fn send(&mut self) -> bool {
        if !self.encoder.encode(&mut self.source) && !self.rewind() {
            return false;
        }
        self.skip(1);
        let mut packet = self.encoder.packet(self.timestamp);
        let mut began = Instant::now();
        self.listeners.retain_mut(|listener| {
            let sent = listener.writer.send(&mut packet);
            let ended = Instant::now();
            listener.slow = if ended - began > SLOW_SEND { listener.slow + 1 } else { 0 };
            began = ended;
            let stays = sent == SendResult::Yes && listener.slow < MAX_SLOW_SENDS;
            if !stays {
                listener.writer.forget();
            }
            stays
        });
        true
    }

    /// Starts the music again at its end.
    fn rewind(&mut self) -> bool {
        let again = AudioSource::open(&self.key.music, &self.key.format);
        again.is_some_and(|source| {
            self.source = source;
            self.encoder.encode(&mut self.source)
        })
    }
}

/// Tells the listeners that the stream has ended, so that they play something else.
impl Drop for MohStream {
    fn drop(&mut self) {
        for listener in &self.listeners {
            listener.writer.forget();
        }
    }
}
