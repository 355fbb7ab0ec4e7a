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
