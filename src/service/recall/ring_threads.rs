//! The threads that ring phones. A call to a phone takes as long as it rings, so each has a thread of its own; there are at most
//! [`MAX_RINGING`], and further calls are queued. Shutdown ends and joins them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;

use crate::freeswitch::{CancelToken, guard};
use crate::service::call_log::{About, log_call};

/// The maximum number of calls that ring at the same time, each with a thread of its own.
const MAX_RINGING: usize = 200;

#[derive(Debug, Default)]
pub(in crate::service) struct Rings {
    /// The calls that ring or are queued, by the UUID of the waiting leg. A page has the key `page <dial string>`, because it is not for one leg.
    ringing: Mutex<HashMap<String, Arc<CancelToken>>>,
    work: Arc<Mutex<RingQueue>>,
}

#[derive(Default)]
struct RingQueue {
    running: usize,
    waiting: VecDeque<RingJob>,
    threads: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for RingQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} running, {} waiting", self.running, self.waiting.len())
    }
}

/// The result of starting a job.
enum StartResult {
    Runs,
    /// The maximum number of calls rings already.
    Waits,
    /// The system cannot start a thread. A running one does the job later.
    WaitsForThread(std::io::Error),
    /// The system cannot start a thread, and none runs.
    Never(std::io::Error),
}

impl RingQueue {
    fn start(&mut self, all: &Arc<Mutex<RingQueue>>, job: RingJob) -> StartResult {
        self.waiting.push_back(job);
        if self.running >= MAX_RINGING {
            return StartResult::Waits;
        }
        let all = Arc::clone(all);
        match std::thread::Builder::new().name("callpark-ring".to_owned()).spawn(move || run_all(&all)) {
            Ok(thread) => {
                self.running += 1;
                self.threads.retain(|thread| !thread.is_finished());
                self.threads.push(thread);
                StartResult::Runs
            }
            Err(error) if self.running > 0 => StartResult::WaitsForThread(error),
            Err(error) => {
                self.waiting.pop_back();
                StartResult::Never(error)
            }
        }
    }
}

struct RingJob {
    cancel: Arc<CancelToken>,
    ring: Box<dyn FnOnce(&CancelToken) + Send>,
    failed: Box<dyn FnOnce() + Send>,
}

impl RingJob {
    fn run(self) {
        // The call was cancelled before it began. The code that cancelled it does the rest.
        if self.cancel.cancelled() {
            return;
        }
        let done = guard::fence("recall", false, || {
            (self.ring)(&self.cancel);
            true
        });
        if !done {
            guard::fence("failed recall", (), self.failed);
        }
    }
}

impl Rings {
    /// Begins a call for a leg, and cancels one that rings for it already.
    pub(in crate::service) fn begin(&self, uuid: &str) -> Arc<CancelToken> {
        let cancel = Arc::new(CancelToken::default());
        if let Some(before) = self.ringing.lock().insert(uuid.to_owned(), Arc::clone(&cancel)) {
            before.cancel();
        }
        cancel
    }

    /// Runs `ring` on another thread, and `failed` if it panics. Returns false if the system cannot start a thread.
    pub(in crate::service) fn spawn(
        &self,
        uuid: &str,
        ring: impl FnOnce(&CancelToken) + Send + 'static,
        failed: impl FnOnce() + Send + 'static,
    ) -> bool {
        let job = RingJob { cancel: self.begin(uuid), ring: Box::new(ring), failed: Box::new(failed) };
        let started = self.start(uuid, job);
        if !started {
            self.ringing.lock().remove(uuid);
        }
        started
    }

    fn start(&self, uuid: &str, job: RingJob) -> bool {
        let about = About::channel(uuid);
        // Nothing is logged while the lock is held.
        let start = self.work.lock().start(&self.work, job);
        match start {
            StartResult::Runs => true,
            StartResult::Waits => {
                log_call!(Warning, about, ringing = MAX_RINGING; "call to a phone waits for its turn");
                true
            }
            StartResult::WaitsForThread(error) => {
                log_call!(Warning, about, cause = error; "call to a phone waits for its turn, there is no thread");
                true
            }
            StartResult::Never(error) => {
                log_call!(Error, about, cause = error; "phone cannot be called, there is no thread");
                false
            }
        }
    }

    /// Cancels the call that rings for this leg, if there is one.
    pub(in crate::service) fn cancel(&self, uuid: &str) {
        if let Some(cancel) = self.ringing.lock().remove(uuid) {
            cancel.cancel();
        }
    }

    pub(in crate::service) fn finish(&self, uuid: &str, cancel: &CancelToken) {
        let mut ringing = self.ringing.lock();
        if ringing.get(uuid).is_some_and(|current| std::ptr::eq(&**current, cancel)) {
            ringing.remove(uuid);
        }
    }

    /// Ends all calls at shutdown. When this returns, no phone rings and no thread of this file runs.
    pub(in crate::service) fn end_all(&self) {
        for cancel in self.ringing.lock().drain().map(|(_, cancel)| cancel) {
            cancel.cancel();
        }
        let threads = std::mem::take(&mut self.work.lock().threads);
        for thread in threads {
            if thread.join().is_err() {
                log::error!(thread = "ring"; "thread ended in a panic");
            }
        }
    }
}

/// Runs queued calls on one thread, one after the other, until none is left.
fn run_all(work: &Mutex<RingQueue>) {
    loop {
        let job = {
            let mut work = work.lock();
            let job = work.waiting.pop_front();
            if job.is_none() {
                work.running -= 1;
            }
            job
        };
        match job {
            Some(job) => job.run(),
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use super::*;

    fn wait_until(what: impl Fn() -> bool) {
        let until = Instant::now() + Duration::from_secs(20);
        while !what() {
            assert!(Instant::now() < until, "it takes too long");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn one_too_many_waits_for_its_turn_and_none_is_left_out() {
        let (rings, gate) = (Rings::default(), Arc::new(Mutex::new(())));
        let (now, most, done) =
            (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let closed = gate.lock();
        for n in 0..MAX_RINGING + 50 {
            let (gate, now, most, done) = (Arc::clone(&gate), Arc::clone(&now), Arc::clone(&most), Arc::clone(&done));
            let ring = move |_: &CancelToken| {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                drop(gate.lock());
                now.fetch_sub(1, Ordering::SeqCst);
                done.fetch_add(1, Ordering::SeqCst);
            };
            assert!(rings.spawn(&n.to_string(), ring, || {}));
        }
        wait_until(|| now.load(Ordering::SeqCst) == MAX_RINGING);
        // One of those that wait is not wanted any more.
        rings.cancel(&(MAX_RINGING + 7).to_string());
        drop(closed);
        wait_until(|| done.load(Ordering::SeqCst) == MAX_RINGING + 49);
        rings.end_all();
        assert_eq!((most.load(Ordering::SeqCst), done.load(Ordering::SeqCst)), (MAX_RINGING, MAX_RINGING + 49));
        assert_eq!(rings.work.lock().running, 0);
    }
}
