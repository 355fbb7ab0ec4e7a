//! Runs the module's tick about once a second, independently of the wall clock.
//!
//! A thread of the module measures the period by the monotonic clock. The core's scheduler is the second trigger, in case the system cannot
//! start a thread. Its tasks follow the wall clock: after a step back none runs for as long as the step, and a task during which the clock steps back never
//! runs again (`switch_scheduler_execute`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;
use std::{io, ptr};

use parking_lot::Mutex;

use super::clock::{epoch_ms, now};
use super::guard::fence;
use super::in_progress::{self, InProgress};
use super::state_lookup::StateLookup;
use super::worker::Worker;
use crate::ffi;
use crate::parking::MonotonicTime;

/// From one tick to the next.
const TICK_INTERVAL: Duration = Duration::from_secs(1);
/// What is due within half of the interval is done at a tick, so that on average it is neither early nor late.
pub(crate) const TICK_TOLERANCE: Duration = Duration::from_millis(500);
/// A trigger that comes sooner than this after a tick does nothing: the other trigger was first.
const MIN_TICK_INTERVAL: Duration = Duration::from_millis(900);
/// How often the thread checks whether the module is being unloaded.
const UNLOAD_CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// Handles a tick. It may run on the thread of the core's scheduler, which all modules share, so it must not wait.
pub(crate) trait OnTick {
    type Context;
    fn ticks(context: &Self::Context) -> &Ticks;
    fn tick(context: &Self::Context);
}

/// When the last tick began. It is locked while a tick runs, so that there are never two at a time.
#[derive(Debug, Default)]
pub(crate) struct Ticks(Mutex<Option<MonotonicTime>>);

/// Both triggers of the tick, until this is dropped.
pub(crate) struct Ticker {
    task: u32,
    unloading: Arc<AtomicBool>,
    worker: Option<Worker>,
}

impl Ticker {
    pub(crate) fn start<T: OnTick, W: StateLookup<T::Context>>() -> Ticker {
        let unloading = Arc::new(AtomicBool::new(false));
        let worker = start_thread::<T, W>(Arc::clone(&unloading))
            .inspect_err(|error| log::error!(cause:% = error; "timers follow the wall clock, there is no thread"))
            .ok();
        let (at, no_flags) = (next_second(), 0);
        // SAFETY: the names are static and copied; the callback is code of this module, which deletes the task and waits for
        // the callback before it goes. It is given nothing to hold.
        let task = unsafe {
            ffi::switch_scheduler_add_task(
                at,
                Some(on_task::<T, W>),
                c"callpark".as_ptr(),
                c"callpark".as_ptr(),
                0,
                ptr::null_mut(),
                no_flags,
            )
        };
        Ticker { task, unloading, worker }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.unloading.store(true, Ordering::Release);
        // SAFETY: only numbers.
        unsafe { ffi::switch_scheduler_del_task_id(self.task) };
        // Deleting a task does not wait for its callback (`switch_scheduler.c`).
        in_progress::wait_until_none();
        if let Some(worker) = self.worker.take() {
            worker.join();
        }
    }
}

fn start_thread<T: OnTick, W: StateLookup<T::Context>>(unloading: Arc<AtomicBool>) -> io::Result<Worker> {
    Worker::start("timers", move || {
        let mut due = now().after(TICK_INTERVAL);
        while !unloading.load(Ordering::Acquire) {
            let left = due.since(now());
            if !left.is_zero() {
                sleep(left.min(UNLOAD_CHECK_INTERVAL));
                continue;
            }
            fence("tick", (), tick_once::<T, W>);
            // A thread that was late, in a machine that was suspended for example, does not catch up.
            due = due.after(TICK_INTERVAL).max(now());
        }
    })
}

/// Ticks, unless another tick runs or has just run.
fn tick_once<T: OnTick, W: StateLookup<T::Context>>() {
    let Some(of) = W::find() else { return };
    let Some(mut last) = T::ticks(&of).0.try_lock() else { return };
    let now = now();
    if last.is_none_or(|last| now.since(last) >= MIN_TICK_INTERVAL) {
        *last = Some(now);
        T::tick(&of);
    }
}

/// Returns the next second. The scheduler would take a time in the past as a repeat interval.
fn next_second() -> i64 {
    epoch_ms() / 1000 + 1
}

unsafe extern "C" fn on_task<T: OnTick, W: StateLookup<T::Context>>(task: *mut ffi::switch_scheduler_task_t) {
    let _in_progress = InProgress::begin();
    fence("tick", (), tick_once::<T, W>);
    // SAFETY: the scheduler hands its task, which lives through the call; a later run time arms it again.
    if let Some(task) = unsafe { task.as_mut() } {
        task.runtime = next_second();
    }
}
