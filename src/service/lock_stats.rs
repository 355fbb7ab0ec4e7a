//! Measures how long the lock of the slot table is held, for `callpark status` and the metrics.
//!
//! A thread may lose the processor while it holds the lock. So the longest hold is measured twice: by the clock, for how long
//! other threads may have waited, and by processor time, for how long the module itself worked.

use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use crate::freeswitch;

/// The upper ends of the buckets of the histogram, in microseconds. One more bucket is for longer times.
const BUCKET_ENDS_US: [u64; 6] = [1, 4, 16, 64, 256, 1000];

/// A mutex that measures how long it is held.
#[derive(Debug)]
pub(super) struct TimedMutex<T> {
    inner: Mutex<T>,
    buckets: [AtomicU64; BUCKET_ENDS_US.len() + 1],
    total_ns: AtomicU64,
    longest_ns: AtomicU64,
    longest_work_ns: AtomicU64,
    /// The line that held the lock for that time.
    longest_at: Mutex<Option<&'static Location<'static>>>,
}

/// The guard of a held lock. The fields are dropped from top to bottom: the lock is released before the time is noted.
pub(super) struct TimedGuard<'a, T> {
    guard: MutexGuard<'a, T>,
    note: TimingNote<'a, T>,
}

struct TimingNote<'a, T> {
    mutex: &'a TimedMutex<T>,
    work_before: Duration,
    since: Instant,
    held: Duration,
    place: &'static Location<'static>,
}

/// The measured times since load.
#[derive(Clone, Debug, Default)]
pub(crate) struct LockTimes {
    /// The upper ends of the buckets, and the number of holds in each. The last bucket has no end.
    pub(crate) buckets: Vec<(Option<Duration>, u64)>,
    pub(crate) total: Duration,
    pub(crate) longest: Duration,
    /// The most processor time that one hold took.
    pub(crate) longest_work: Duration,
    pub(crate) longest_at: Option<&'static Location<'static>>,
}

impl<T> TimedMutex<T> {
    pub(super) fn new(inner: T) -> TimedMutex<T> {
        TimedMutex {
            inner: Mutex::new(inner),
            buckets: Default::default(),
            total_ns: AtomicU64::new(0),
            longest_ns: AtomicU64::new(0),
            longest_work_ns: AtomicU64::new(0),
            longest_at: Mutex::new(None),
        }
    }

    #[track_caller]
    pub(super) fn lock(&self) -> TimedGuard<'_, T> {
        let place = Location::caller();
        // This is a system call, so it is made before the lock is taken.
        let work_before = freeswitch::cpu_time();
        let guard = self.inner.lock();
        let note = TimingNote { mutex: self, work_before, since: Instant::now(), held: Duration::ZERO, place };
        TimedGuard { guard, note }
    }

    pub(super) fn times(&self) -> LockTimes {
        let ends = BUCKET_ENDS_US.iter().map(|end| Some(Duration::from_micros(*end))).chain([None]);
        let counts = self.buckets.iter().map(|count| count.load(Ordering::Relaxed));
        let read = |ns: &AtomicU64| Duration::from_nanos(ns.load(Ordering::Relaxed));
        LockTimes {
            buckets: ends.zip(counts).collect(),
            total: read(&self.total_ns),
            longest: read(&self.longest_ns),
            longest_work: read(&self.longest_work_ns),
            longest_at: *self.longest_at.lock(),
        }
    }

    /// Notes a hold. `work` is called only if the hold is long enough to be the longest.
    fn note(&self, held: Duration, place: &'static Location<'static>, work: impl FnOnce() -> Duration) {
        let ns = nanos(held);
        let bucket = BUCKET_ENDS_US.iter().position(|end| ns < end * 1000).unwrap_or(BUCKET_ENDS_US.len());
        if let Some(count) = self.buckets.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.total_ns.fetch_add(ns, Ordering::Relaxed);
        self.longest_ns.fetch_max(ns, Ordering::Relaxed);
        if ns > self.longest_work_ns.load(Ordering::Relaxed) {
            let work = ns.min(nanos(work()));
            if work > self.longest_work_ns.fetch_max(work, Ordering::Relaxed) {
                *self.longest_at.lock() = Some(place);
            }
        }
    }
}

impl<T> Deref for TimedGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for TimedGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

impl<T> Drop for TimedGuard<'_, T> {
    fn drop(&mut self) {
        self.note.held = self.note.since.elapsed();
    }
}

impl<T> Drop for TimingNote<'_, T> {
    fn drop(&mut self) {
        // The measured time includes the wait for the lock and its release, so it is rather too long than too short.
        self.mutex.note(self.held, self.place, || freeswitch::cpu_time().saturating_sub(self.work_before));
    }
}

impl LockTimes {
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }

    /// Returns a time within which a `share` (0 to 1) of all holds ended. Returns `None` if it is beyond the last end, or if there was no hold.
    pub(crate) fn within(&self, share: f64) -> Option<Duration> {
        let mut before = 0;
        let wanted = share * self.count() as f64;
        let bucket = self.buckets.iter().find(|(_, count)| {
            before += count;
            before > 0 && before as f64 >= wanted
        });
        bucket.and_then(|(end, _)| *end)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hold_is_in_its_bucket_and_a_long_wait_is_not_work() {
        let lock = TimedMutex::new(());
        let us = Duration::from_micros;
        for (held, work) in [(0, 0), (0, 0), (3, 3), (200, 150), (90_000, 300)] {
            lock.note(us(held), Location::caller(), || us(work));
        }
        let times = lock.times();
        assert_eq!(times.buckets.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [2, 1, 0, 0, 1, 0, 1]);
        assert_eq!((times.count(), times.total), (5, us(90_203)));
        assert_eq!((times.longest, times.longest_work), (us(90_000), us(300)));
        assert_eq!(
            (times.within(0.4), times.within(0.5), times.within(0.8)),
            (Some(us(1)), Some(us(4)), Some(us(256)))
        );
        assert_eq!((times.within(0.99), TimedMutex::new(()).times().within(0.5)), (None, None));
    }

    #[test]
    fn a_holder_that_sleeps_did_no_work() {
        let lock = TimedMutex::new(1);
        let mut held = lock.lock();
        *held += 1;
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(*held, 2);
        drop(held);
        let times = lock.times();
        assert!(times.longest >= Duration::from_millis(20), "{times:?}");
        assert!(times.longest_work < Duration::from_millis(10), "{times:?}");
        assert!(times.longest_work > Duration::ZERO, "{times:?}");
        assert!(times.longest_at.is_some_and(|at| at.file().ends_with("lock_stats.rs")), "{times:?}");
    }
}
