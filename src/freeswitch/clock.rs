//! Reads the system's monotonic clock and FreeSWITCH's wall clock.

use std::time::Duration;

use crate::ffi;
use crate::parking::MonotonicTime;

/// Added to the monotonic clock, which starts with the machine, because a recovered caller may have been parked before that.
const CLOCK_OFFSET: Duration = Duration::from_secs(366 * 86_400);

/// The time on the system's monotonic clock, by which all waits are measured. The core's own function returns the wall clock if
/// `enable-monotonic-timing` in `switch.conf.xml` is false.
pub(crate) fn now() -> MonotonicTime {
    MonotonicTime(read_clock(libc::CLOCK_MONOTONIC_RAW) + CLOCK_OFFSET)
}

/// The wall-clock time in milliseconds since 1970, for people and for the history.
pub(crate) fn epoch_ms() -> i64 {
    // SAFETY: takes nothing, reads a clock.
    unsafe { ffi::switch_micro_time_now() / 1000 }
}

/// The processor time that this thread has used.
pub(crate) fn cpu_time() -> Duration {
    read_clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn read_clock(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is ours to write to; where there is no such clock it stays 0.
    unsafe { libc::clock_gettime(clock, &mut time) };
    let whole = |part| u64::try_from(part).unwrap_or(0);
    Duration::from_secs(whole(time.tv_sec)) + Duration::from_nanos(whole(time.tv_nsec))
}
