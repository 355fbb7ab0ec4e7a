//! The clocks: the system's monotonic one, and the host's wall clock.

use std::time::Duration;

use crate::ffi;
use crate::parking::MonotonicTime;

/// The monotonic clock begins with the machine; a caller who was recovered may have been parked before that.
const BEFORE: Duration = Duration::from_secs(366 * 86_400);

/// Now, on a clock that no step of the wall clock moves: what waits are measured by. It is asked of the system. The core's
/// function for it answers with the wall clock where `switch.conf.xml` has `enable-monotonic-timing` set to false.
pub(crate) fn now() -> MonotonicTime {
    MonotonicTime(read_clock(libc::CLOCK_MONOTONIC_RAW) + BEFORE)
}

/// The wall clock in milliseconds since 1970: for people and records.
pub(crate) fn epoch_ms() -> i64 {
    // SAFETY: takes nothing, reads a clock.
    unsafe { ffi::switch_micro_time_now() / 1000 }
}

/// Processor time that this thread has used.
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
