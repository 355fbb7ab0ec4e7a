//! Counts callbacks for which the core does not wait when they are unregistered, so that the module can wait before its code is unloaded.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// The number of the core's threads in such a callback. It belongs to the process and not to the module's state, because the last thread may leave
/// the callback after the state is dropped.
static IN_PROGRESS: AtomicUsize = AtomicUsize::new(0);

/// Counts a thread as in a callback until this is dropped.
pub(super) struct InProgress(());

impl InProgress {
    pub(super) fn begin() -> InProgress {
        IN_PROGRESS.fetch_add(1, Ordering::AcqRel);
        InProgress(())
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        IN_PROGRESS.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Waits until no thread is in a callback. A thread that is about to enter one gets a moment.
pub(super) fn wait_until_none() {
    loop {
        sleep(Duration::from_millis(20));
        if IN_PROGRESS.load(Ordering::Acquire) == 0 {
            return;
        }
    }
}
