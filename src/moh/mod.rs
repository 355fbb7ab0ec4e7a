//! Hold music for many callers at once: what they hear is read, encoded and timed once for all, and their own threads sleep.
//!
//! A leg that plays a file for itself wakes for each packet, fifty times a second: most of what a waiting caller costs. Here a
//! transmitter's thread sends each packet to all who hear the same music in the same format. What must begin at its beginning,
//! or needs a thread of its own for another reason, is left to the leg itself.

mod sender;
mod stream;

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::freeswitch::{Leg, Waker, Wakers};
use sender::MohSenders;

/// How often a leg looks up although nothing rang for it, to take in what its far end has sent: before the kernel has no more room
/// for that.
const NAP: Duration = Duration::from_secs(1);
/// Streams without a beginning, read without waiting. Everything else starts anew for each caller, or may keep its reader waiting.
const SHARED: [&str; 3] = ["local_stream://", "tone_stream://", "silence_stream://"];

/// All the music that this module plays.
#[derive(Debug)]
pub(crate) struct SharedMusic {
    wakers: Arc<Wakers>,
    senders: MohSenders,
    /// Legs that play for themselves.
    alone: AtomicUsize,
}

/// Whoever waits while music plays.
pub(crate) trait WaitControl {
    /// Rings when there is a reason to look up.
    fn waker(&self) -> &Arc<Waker>;
    /// Sleeps until the bell rings, and no longer than `time`. True if there is a reason to stop.
    fn nap(&mut self, time: Duration) -> bool;
    /// Whether keys mean something.
    fn wants_keys(&self) -> bool;
    /// True to stop.
    fn key(&mut self, key: char) -> bool;
}

/// What came of [`listen`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Listened {
    /// The leg heard the music, and something wants its attention.
    Heard,
    /// This music cannot be shared, or not with this leg: it has to play for itself.
    Cannot,
}

/// Whether this music can be shared: then it has no beginning and no end.
pub(crate) fn can_be_shared(music: &str) -> bool {
    SHARED.iter().any(|scheme| music.starts_with(scheme))
}

impl SharedMusic {
    pub(crate) fn new(wakers: Arc<Wakers>) -> SharedMusic {
        SharedMusic { wakers, senders: MohSenders::default(), alone: AtomicUsize::new(0) }
    }

    /// Unload. When this comes back, no thread sends any more, and none begins to.
    pub(crate) fn end(&self) {
        self.senders.end();
    }

    /// Lets the leg, whose thread this is, hear the music until `ear` has a reason to stop, or the leg is wanted elsewhere.
    pub(crate) fn listen(&self, leg: &Leg<'_>, music: &str, ear: &mut dyn WaitControl) -> Listened {
        let format = leg.format().filter(|_| can_be_shared(music) && !leg.is_tapped());
        let Some(format) = format else { return Listened::Cannot };
        let waker = Arc::clone(ear.waker());
        let heard = leg.share_media(&self.wakers, &waker, |seat| {
            if !self.senders.subscribe(music, &format, seat) {
                return false;
            }
            let always = ear.wants_keys() || leg.listens_closely();
            // Who sends nothing may have gone without a word: what is missing is counted packet by packet. So is what comes from an address
            // that is not known yet.
            let (mut closely, mut received) = (always, leg.received());
            while leg.ready() && seat.is_served() {
                // Looked at once before the first nap: what was done before the bell was hung up did not ring.
                if std::iter::from_fn(|| leg.next_key()).any(|key| ear.key(key)) || leg.has_errand() || leg.is_tapped()
                {
                    break;
                }
                closely |= leg.seeks_address() || leg.has_jitter_buffer();
                if ear.nap(if closely { Duration::ZERO } else { NAP }) {
                    break;
                }
                closely |= leg.seeks_address();
                if !closely {
                    leg.drop_input();
                }
                if !leg.drop_packet() {
                    break;
                }
                let before = mem::replace(&mut received, leg.received());
                closely = always || received == before;
            }
            // Dropped although it still speaks the same format: the music ended, or this leg held the others up.
            seat.is_served() || leg.format().as_ref() != Some(&format)
        });
        if heard && leg.has_errand() {
            leg.sleep(Duration::from_millis(20));
        }
        if heard { Listened::Heard } else { Listened::Cannot }
    }

    /// Counts a leg that plays for itself while `play` runs.
    pub(crate) fn alone<T>(&self, play: impl FnOnce() -> T) -> T {
        struct One<'a>(&'a AtomicUsize);
        impl Drop for One<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.alone.fetch_add(1, Ordering::Relaxed);
        let _one = One(&self.alone);
        play()
    }

    pub(crate) fn counts(&self) -> Counts {
        let alone = self.alone.load(Ordering::Relaxed);
        let mut counts = Counts { shared: 0, programmes: 0, threads: 0, alone, late: 0 };
        self.senders.count(&mut counts);
        counts
    }
}

/// How music is played at this moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    /// Legs that share music, the programmes they hear, and the threads that send these.
    pub(crate) shared: usize,
    pub(crate) programmes: usize,
    pub(crate) threads: usize,
    /// Legs that play for themselves.
    pub(crate) alone: usize,
    /// Packets that went out more than one packet's time late, since load.
    pub(crate) late: u64,
}
