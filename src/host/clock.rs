//! The host's clocks.

use std::time::Duration;

use crate::ffi;
use crate::parking::Moment;

/// The host's clock begins with the machine; a caller who was recovered may have been parked before that.
const BEFORE: Duration = Duration::from_secs(366 * 86_400);

/// Now, on the clock that never jumps: what waits are measured by.
pub(crate) fn now() -> Moment {
    // SAFETY: takes nothing, reads a clock.
    let micros = unsafe { ffi::switch_mono_micro_time_now() };
    Moment(Duration::from_micros(u64::try_from(micros).unwrap_or(0)) + BEFORE)
}

/// The wall clock in milliseconds since 1970: for people and records.
pub(crate) fn epoch_ms() -> i64 {
    // SAFETY: takes nothing, reads a clock.
    unsafe { ffi::switch_micro_time_now() / 1000 }
}

/// Processor time that this thread has used.
pub(crate) fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is ours to write to; where there is no such clock it stays 0.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    let whole = |part| u64::try_from(part).unwrap_or(0);
    Duration::from_secs(whole(time.tv_sec)) + Duration::from_nanos(whole(time.tv_nsec))
}
