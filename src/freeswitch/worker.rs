//! Threads of the module's own: each is fenced, and joined before the module's code goes.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fs, io};

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
    waker: Condvar,
}

impl Worker {
    pub(crate) fn start(name: &'static str, body: impl FnOnce() + Send + 'static) -> io::Result<Worker> {
        let over = Arc::new(Over::default());
        let told = Arc::clone(&over);
        let body = move || {
            fence(name, (), body);
            *told.is.lock() = true;
            told.waker.notify_all();
        };
        let thread = std::thread::Builder::new().name(format!("callpark-{name}")).spawn(body)?;
        Ok(Worker { name, thread, over })
    }

    /// False if it still runs after `patience`: then its code must stay. That of the libraries that it may be in does.
    pub(crate) fn join_within(self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        {
            let mut over = self.over.is.lock();
            while !*over {
                if self.over.waker.wait_until(&mut over, until).timed_out() && !*over {
                    keep_libraries();
                    return false;
                }
            }
        }
        self.join();
        true
    }

    /// Whether it has ended, and only waits to be joined.
    pub(crate) fn is_over(&self) -> bool {
        *self.over.is.lock()
    }

    pub(crate) fn join(self) {
        if self.thread.join().is_err() {
            log::error!("the thread {} ended in a panic", self.name);
        }
    }
}

/// Nothing that is loaded now is unloaded any more. A database that does not answer holds a thread up in mod_pgsql for longer than
/// anybody waits for FreeSWITCH's end, and the core unloads that module under it (`switch_loadable_module_shutdown`).
pub(crate) fn keep_libraries() {
    let Ok(maps) = fs::read_to_string("/proc/self/maps") else { return };
    let paths = maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..]));
    let libraries: BTreeSet<&str> = paths.filter(|path| path.contains(".so")).collect();
    for path in libraries.into_iter().filter_map(|path| CString::new(path).ok()) {
        // SAFETY: the path is a C string that lives through the call. What it names is loaded already, so none of its code runs;
        // the handle is given up on purpose.
        unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE) };
    }
}
