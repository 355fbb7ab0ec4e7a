//! Plays music on hold to many callers at a time: it is read, encoded and timed once for all of them, while their own threads sleep.
//!
//! A leg that plays a file for itself wakes for each packet, fifty times a second, which is most of what a waiting caller costs. Here one thread sends
//! each packet to all legs that hear the same music in the same format. Music that must start at its beginning, or needs a thread of its own for
//! another reason, is played by the leg itself.

mod far_end;
mod input_watch;
mod sender;
mod stream;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::freeswitch::{Leg, Waker, Wakers};
pub(crate) use far_end::FarEnd;
use input_watch::InputWatch;
use sender::MohSenders;

/// Streams that have no beginning and are read without waiting. Everything else starts from its beginning for each caller, or may block its reader.
const SHARED_SCHEMES: [&str; 3] = ["local_stream://", "tone_stream://", "silence_stream://"];

/// The music on hold of this module.
#[derive(Debug)]
pub(crate) struct SharedMusic {
    wakers: Arc<Wakers>,
    senders: MohSenders,
    /// The number of legs that play for themselves.
    alone: AtomicUsize,
}

/// Controls how long a leg listens to shared music.
pub(crate) trait WaitControl {
    /// Wakes the leg when something happens.
    fn waker(&self) -> &Arc<Waker>;
    /// Sleeps until the waker wakes the thread, and no longer than `time`. Returns whether it was woken.
    fn sleep(&mut self, time: Duration) -> bool;
    /// Whether there is a reason to stop listening.
    fn is_over(&self) -> bool;
    /// Whether keys of the far end have a meaning.
    fn wants_keys(&self) -> bool;
    /// Handles a key. Returns true to stop listening.
    fn key(&mut self, key: char) -> bool;
}

/// The result of [`SharedMusic::listen`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ListenResult {
    /// The leg heard the music, and has a reason to stop.
    Heard,
    /// This music cannot be shared, or not with this leg, which must play for itself.
    NotShareable,
}

/// Whether this music can be shared. Then it has no beginning and no end.
pub(crate) fn can_be_shared(music: &str) -> bool {
    SHARED_SCHEMES.iter().any(|scheme| music.starts_with(scheme))
}

impl SharedMusic {
    pub(crate) fn new(wakers: Arc<Wakers>) -> SharedMusic {
        SharedMusic { wakers, senders: MohSenders::default(), alone: AtomicUsize::new(0) }
    }

    /// Ends all threads that send music, and prevents new ones.
    pub(crate) fn end(&self) {
        self.senders.end();
    }

    /// Plays music to a leg, on its own thread, until `control` has a reason to stop or the channel is not ready any more.
    pub(crate) fn listen(
        &self,
        leg: &Leg<'_>,
        music: &str,
        far_end: &mut FarEnd,
        control: &mut dyn WaitControl,
    ) -> ListenResult {
        let format = leg.format().filter(|_| can_be_shared(music) && !leg.has_media_bug());
        let Some(format) = format else { return ListenResult::NotShareable };
        let waker = Arc::clone(control.waker());
        let stream = leg.rtp_stream();
        let heard = leg.share_media(&self.wakers, &waker, |writer| {
            if !self.senders.subscribe(music, &format, writer) {
                return false;
            }
            let mut watch = InputWatch::new(leg, far_end, control.wants_keys(), format.packet());
            while leg.ready() && writer.is_served() {
                // This is checked before the first sleep, because what happened before the waker was registered does not wake the thread.
                if std::iter::from_fn(|| leg.next_key()).any(|key| control.key(key))
                    || leg.has_pending_work()
                    || leg.has_media_bug()
                {
                    break;
                }
                watch.wait(|time| control.sleep(time));
                if control.is_over() || !watch.read() {
                    break;
                }
            }
            // A leg that is dropped with an unchanged format must play for itself: the music has ended, or the leg was too slow.
            let misfits = leg.format().as_ref() != Some(&format) || leg.rtp_stream() != stream;
            if !writer.is_served() && misfits {
                // The codec changes with the next packet that is read.
                leg.sleep(format.packet());
            }
            writer.is_served() || misfits
        });
        if heard && leg.has_pending_work() {
            leg.sleep(Duration::from_millis(20));
        }
        if heard { ListenResult::Heard } else { ListenResult::NotShareable }
    }

    /// Counts a leg that plays for itself while `play` runs.
    pub(crate) fn play_alone<T>(&self, play: impl FnOnce() -> T) -> T {
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

    pub(crate) fn counts(&self) -> MusicCounters {
        let alone = self.alone.load(Ordering::Relaxed);
        let mut counts = MusicCounters { shared: 0, streams: 0, threads: 0, alone, late: 0 };
        self.senders.count(&mut counts);
        counts
    }
}

/// How music is played at present.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MusicCounters {
    /// The number of legs that share music.
    pub(crate) shared: usize,
    /// The number of streams that they hear.
    pub(crate) streams: usize,
    /// The number of threads that send these streams.
    pub(crate) threads: usize,
    /// The number of legs that play for themselves.
    pub(crate) alone: usize,
    /// The number of packets that were sent later than the duration of a packet, since the module was loaded.
    pub(crate) late: u64,
}
