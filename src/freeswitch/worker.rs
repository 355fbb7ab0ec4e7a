//! The threads of the module. A panic in one is caught, and each is joined before the module is unloaded.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fs, io};

use parking_lot::{Condvar, Mutex};

use super::guard::fence;

/// A thread that runs, or that has ended and is not joined yet.
#[derive(Debug)]
pub(crate) struct Worker {
    name: &'static str,
    thread: JoinHandle<()>,
    over: Arc<ThreadEnd>,
}

#[derive(Debug, Default)]
struct ThreadEnd {
    is: Mutex<bool>,
    waker: Condvar,
}

impl Worker {
    pub(crate) fn start(name: &'static str, body: impl FnOnce() + Send + 'static) -> io::Result<Worker> {
        let over = Arc::new(ThreadEnd::default());
        let end = Arc::clone(&over);
        let body = move || {
            fence(name, (), body);
            *end.is.lock() = true;
            end.waker.notify_all();
        };
        let thread = std::thread::Builder::new().name(format!("callpark-{name}")).spawn(body)?;
        Ok(Worker { name, thread, over })
    }

    /// Joins the thread if it ends within `timeout`. Otherwise returns false: the code of the module must stay loaded, and all
    /// libraries are kept.
    pub(crate) fn join_within(self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
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

    /// Whether the thread has ended.
    pub(crate) fn is_over(&self) -> bool {
        *self.over.is.lock()
    }

    pub(crate) fn join(self) {
        if self.thread.join().is_err() {
            log::error!(thread = self.name; "thread ended in a panic");
        }
    }
}

/// Keeps all libraries that are loaded now. If a database does not answer, a thread may wait in mod_pgsql for longer than the shutdown of
/// FreeSWITCH takes, and the core would unload that module while it does (`switch_loadable_module_shutdown`).
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
