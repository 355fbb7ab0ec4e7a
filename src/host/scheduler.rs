//! The core's scheduler: one task of the module, about once a second.

use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::clock::epoch_ms;
use super::guard::fence;
use crate::ffi;

/// What is done on every tick. It runs on the scheduler's own thread, which all modules share: it must not wait.
pub(crate) trait OnTick {
    fn tick();
}

/// The task, until dropped.
pub(crate) struct Ticker(u32);

/// Callbacks in progress: deleting a task does not wait for one that runs (`switch_scheduler.c`).
static RUNNING: AtomicUsize = AtomicUsize::new(0);

impl Ticker {
    pub(crate) fn start<T: OnTick>() -> Ticker {
        let (at, no_flags) = (next_second(), 0);
        // SAFETY: the names are static and copied; the callback is code of this module, which deletes the task and waits for
        // the callback before it goes. It is given nothing to hold.
        let id = unsafe {
            ffi::switch_scheduler_add_task(
                at,
                Some(on_tick::<T>),
                c"callpark".as_ptr(),
                c"callpark".as_ptr(),
                0,
                ptr::null_mut(),
                no_flags,
            )
        };
        Ticker(id)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        // SAFETY: only numbers.
        unsafe { ffi::switch_scheduler_del_task_id(self.0) };
        // The scheduler may have picked the task and not yet be in the callback: give it a moment, then wait for it.
        loop {
            std::thread::sleep(Duration::from_millis(20));
            if RUNNING.load(Ordering::Acquire) == 0 {
                return;
            }
        }
    }
}

/// A run time that is past would be taken for a repeat interval, so it is always the second to come.
fn next_second() -> i64 {
    epoch_ms() / 1000 + 1
}

unsafe extern "C" fn on_tick<T: OnTick>(task: *mut ffi::switch_scheduler_task_t) {
    RUNNING.fetch_add(1, Ordering::AcqRel);
    fence("scheduler task", (), T::tick);
    // SAFETY: the scheduler hands its task, which lives through the call; a later run time arms it again.
    if let Some(task) = unsafe { task.as_mut() } {
        task.runtime = next_second();
    }
    RUNNING.fetch_sub(1, Ordering::AcqRel);
}
