//! Callbacks that the core does not wait for when it forgets them: the module waits itself, before its code goes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// Threads of the core's that are in such a callback. Of the process, not of the module's state: it is about the code, and the last
/// thread leaves it when the state is gone already.
static IN_PROGRESS: AtomicUsize = AtomicUsize::new(0);

/// A thread is in a callback, until dropped.
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

/// Waits until no thread is in a callback. One that the core had picked already, and that was not yet in it, is given a moment.
pub(super) fn wait_until_none() {
    loop {
        sleep(Duration::from_millis(20));
        if IN_PROGRESS.load(Ordering::Acquire) == 0 {
            return;
        }
    }
}
