//! Threads of the module's own: each is fenced, and joined before the module's code goes.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::guard::fence;

/// A running thread, or one that is over and not yet joined.
#[derive(Debug)]
pub(crate) struct Worker {
    name: &'static str,
    thread: JoinHandle<()>,
    over: Arc<Over>,
}

#[derive(Debug, Default)]
struct Over {
    is: Mutex<bool>,
    bell: Condvar,
}

impl Worker {
    pub(crate) fn start(name: &'static str, body: impl FnOnce() + Send + 'static) -> io::Result<Worker> {
        let over = Arc::new(Over::default());
        let told = Arc::clone(&over);
        let body = move || {
            fence(name, (), body);
            *told.is.lock() = true;
            told.bell.notify_all();
        };
        let thread = std::thread::Builder::new().name(format!("callpark-{name}")).spawn(body)?;
        Ok(Worker { name, thread, over })
    }

    /// False if it still runs after `patience`: then its code must stay.
    pub(crate) fn join_within(self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        {
            let mut over = self.over.is.lock();
            while !*over {
                if self.over.bell.wait_until(&mut over, until).timed_out() && !*over {
                    return false;
                }
            }
        }
        self.join();
        true
    }

    pub(crate) fn join(self) {
        if self.thread.join().is_err() {
            log::error!("the thread {} ended in a panic", self.name);
        }
    }
}
