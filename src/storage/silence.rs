//! Notices a database that keeps silent. The core's drivers may wait for one much longer than a minute before they report an error.

use std::time::Duration;

use parking_lot::Mutex;

use crate::freeswitch;
use crate::parking::MonotonicTime;

/// After this time without an answer the database counts as away.
const SILENCE: Duration = Duration::from_secs(5);

/// When the cycle that runs has begun, and whether its silence was told.
#[derive(Default)]
pub(super) struct Silence(Mutex<Option<(MonotonicTime, bool)>>);

impl Silence {
    pub(super) fn cycle_begins(&self) {
        *self.0.lock() = Some((freeswitch::now(), false));
    }

    /// Returns whether the silence of the cycle was told.
    pub(super) fn cycle_ends(&self) -> bool {
        self.0.lock().take().is_some_and(|(_, told)| told)
    }

    /// Calls `tell` once for a cycle that takes too long. The cycle cannot end meanwhile.
    pub(super) fn notice(&self, tell: impl FnOnce()) {
        let mut cycle = self.0.lock();
        let Some((began, told @ false)) = &mut *cycle else { return };
        if freeswitch::now().since(*began) >= SILENCE {
            *told = true;
            tell();
        }
    }
}
