//! Threads of the module's own: each is fenced, and joined before the module's code goes.

use std::ffi::{CStr, CString, c_int, c_void};
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

    /// False if it still runs after `patience`: then its code must stay. That of the libraries that it may be in does.
    pub(crate) fn join_within(self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        {
            let mut over = self.over.is.lock();
            while !*over {
                if self.over.bell.wait_until(&mut over, until).timed_out() && !*over {
                    keep_libraries();
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

/// Nothing that is loaded now is unloaded any more. A database that does not answer holds a thread up in mod_pgsql for longer than
/// anybody waits for FreeSWITCH's end, and the core unloads that module under it (`switch_loadable_module_shutdown`).
fn keep_libraries() {
    let mut paths: Vec<CString> = Vec::new();
    // SAFETY: the callback is only called from within the call, while `paths` is here. Each library is loaded already, so none of
    // its code runs; the handle is given up on purpose.
    unsafe {
        libc::dl_iterate_phdr(Some(note), std::ptr::from_mut(&mut paths).cast());
        for path in &paths {
            libc::dlopen(path.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE);
        }
    }
}

unsafe extern "C" fn note(info: *mut libc::dl_phdr_info, _size: usize, paths: *mut c_void) -> c_int {
    fence("library", (), || {
        // SAFETY: the loader hands its own description of a library, whose name is a C string; `paths` is what
        // `keep_libraries` put there.
        unsafe {
            let name = CStr::from_ptr((*info).dlpi_name);
            if !name.is_empty() {
                (*paths.cast::<Vec<CString>>()).push(name.to_owned());
            }
        }
    });
    0
}
