//! Simulates the threads that the module starts itself, and their clocks.
//!
//! The simulator must know these threads before their first call, or the time could advance before. So the module's `pthread_create` is the one
//! here, because the program's symbols precede those of the C library. Its `clock_nanosleep` is here too, because a sleep would otherwise take
//! real time and no virtual time, and so is its `clock_gettime`, one of whose clocks shows the virtual time.

use std::ffi::{c_int, c_void};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::core::{Core, become_task, me, micros, own_world};
use crate::kernel::TaskId;

type Start = extern "C" fn(*mut c_void) -> *mut c_void;
type Create = unsafe extern "C" fn(*mut libc::pthread_t, *const libc::pthread_attr_t, Start, *mut c_void) -> c_int;

/// The address of the function below. Because of this reference it is linked also into a program with another function of this name, such as a
/// sanitizer's.
#[inline(never)]
pub(crate) fn own_create() -> usize {
    pthread_create as *const () as usize
}

/// See [`own_create`].
#[inline(never)]
pub(crate) fn own_sleep() -> usize {
    clock_nanosleep as *const () as usize
}

/// See [`own_create`].
#[inline(never)]
pub(crate) fn own_clock() -> usize {
    clock_gettime as *const () as usize
}

/// For a simulated thread, the raw monotonic clock, with which the module measures waits, shows the virtual time. All other clocks are the
/// system's, because the standard library needs them to wait for other threads.
///
/// # Safety
/// The same as for the C library's function.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    // SAFETY: by this function's contract.
    unsafe {
        let Some(core) = (clock == libc::CLOCK_MONOTONIC_RAW).then(own_world).flatten() else {
            // A direct system call, because the C library's function has the same name as this one. It sets `errno` as that does.
            return libc::syscall(libc::SYS_clock_gettime, clock, time) as c_int;
        };
        if !core.kernel.is_real_time() {
            core.kernel.enter(me(), "clock_gettime");
        }
        let now = core.kernel.now();
        *time = libc::timespec { tv_sec: (now / 1_000_000) as i64, tv_nsec: (now % 1_000_000 * 1000) as i64 };
    }
    0
}

/// `std::thread::sleep` calls this. A simulated thread sleeps in virtual time; any other thread, and any in real-time mode, in real time.
///
/// # Safety
/// The same as for the C library's function.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn clock_nanosleep(
    clock: libc::clockid_t,
    flags: c_int,
    time: *const libc::timespec,
    left: *mut libc::timespec,
) -> c_int {
    let core = own_world().filter(|core| !core.kernel.is_real_time() && flags == 0);
    // SAFETY: by this function's contract.
    unsafe {
        let Some(core) = core else {
            // A direct system call, because the C library's function has the same name as this one.
            let slept = libc::syscall(libc::SYS_clock_nanosleep, clock, flags, time, left);
            return if slept == 0 { 0 } else { *libc::__errno_location() };
        };
        let time = Duration::new((*time).tv_sec as u64, (*time).tv_nsec as u32);
        core.kernel.enter(me(), "sleep");
        core.kernel.sleep(me(), core.kernel.now() + micros(time));
    }
    0
}

struct ThreadStart {
    core: Arc<Core>,
    id: TaskId,
    start: Start,
    argument: *mut c_void,
}

/// # Safety
/// The same as for the C library's function.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    start: Start,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: by this function's contract; `ThreadStart` is taken back by `begin`, or below if there is no thread.
    unsafe {
        let Some(core) = own_world() else { return real()(thread, attributes, start, argument) };
        let id = core.kernel.register("a thread of the module's");
        let place = Box::into_raw(Box::new(ThreadStart { core, id, start, argument }));
        let result = real()(thread, attributes, begin, place.cast());
        if result != 0 {
            let begin = Box::from_raw(place);
            begin.core.kernel.finish(begin.id);
        }
        result
    }
}

extern "C" fn begin(place: *mut c_void) -> *mut c_void {
    // SAFETY: from `pthread_create` above, which has released it.
    let ThreadStart { core, id, start, argument } = *unsafe { Box::from_raw(place.cast::<ThreadStart>()) };
    become_task(&core, id);
    core.kernel.begin(id);
    let result = start(argument);
    core.kernel.finish(id);
    result
}

fn real() -> Create {
    static REAL: OnceLock<Create> = OnceLock::new();
    *REAL.get_or_init(|| {
        // SAFETY: the C library has this function with this type, and so does a sanitizer, which must know every thread.
        unsafe {
            let of_sanitizer = libc::dlsym(libc::RTLD_DEFAULT, c"__interceptor_pthread_create".as_ptr());
            let of_library = libc::dlsym(libc::RTLD_NEXT, c"pthread_create".as_ptr());
            let found = if of_sanitizer.is_null() { of_library } else { of_sanitizer };
            assert!(!found.is_null(), "the C library has pthread_create");
            std::mem::transmute::<*mut c_void, Create>(found)
        }
    })
}
