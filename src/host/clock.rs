//! The host's clocks.

use std::time::Duration;

use crate::ffi;
use crate::parking::Moment;

/// Now, on the clock that never jumps: what waits are measured by.
pub(crate) fn now() -> Moment {
    // SAFETY: takes nothing, reads a clock.
    let micros = unsafe { ffi::switch_mono_micro_time_now() };
    Moment(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}

/// The wall clock in milliseconds since 1970: for people and records.
pub(crate) fn epoch_ms() -> i64 {
    // SAFETY: takes nothing, reads a clock.
    unsafe { ffi::switch_micro_time_now() / 1000 }
}
