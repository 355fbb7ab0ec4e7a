//! Determines whether a thread sleeps.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

/// Whether the thread sleeps, and does not only wait for a processor.
pub(crate) fn is_asleep(thread: libc::pid_t) -> bool {
    let stat = of(thread, "stat").unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('S'))
}

pub(crate) fn is_gone(thread: libc::pid_t) -> bool {
    !fs::exists(format!("/proc/self/task/{thread}")).unwrap_or(true)
}

/// The number of times that the thread has fallen asleep, if it now sleeps until another thread of its own world wakes it: it waits for a lock or a
/// condition variable of `parking_lot`, for a message in a channel, or for the end of a thread. Returns `None` if it is awake, if it will wake up by
/// itself soon, if the network may wake it, if it waits for a lock of the whole program (for example the allocator's, which a thread of another world
/// may hold), or if the system does not report the state.
pub(crate) fn sleeps_deeply(thread: libc::pid_t) -> Option<u64> {
    // The file has the number of the system call and its six arguments if the thread sleeps in a system call.
    let call = of(thread, "syscall")?;
    let mut numbers = call.split_whitespace();
    if numbers.next()?.parse::<libc::c_long>().ok()? != libc::SYS_futex {
        return None;
    }
    let arguments: Vec<u64> =
        numbers.map_while(|number| u64::from_str_radix(number.trim_start_matches("0x"), 16).ok()).collect();
    let &[_, operation, expected, timeout, ..] = arguments.as_slice() else { return None };
    let (operation, expected) = (operation as i32, expected as u32);
    const WAIT: i32 = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    const WAIT_UNTIL: i32 = libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG;
    const JOIN: i32 = libc::FUTEX_WAIT_BITSET | libc::FUTEX_CLOCK_REALTIME;
    let from_now = match (operation, expected) {
        (WAIT, 1) => true,               // parking_lot's parker
        (WAIT_UNTIL, u32::MAX) => false, // the standard library's, for channels
        (JOIN, _) if timeout == 0 => false,
        _ => return None,
    };
    if timeout != 0 && !is_long(timeout, from_now)? {
        return None;
    }
    let status = of(thread, "status")?;
    status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse().ok()
}

/// Whether a thread with this timeout will sleep for a while. The timeout is on the stack of that thread, which may have ended meanwhile, so the
/// system reads it.
fn is_long(timeout: u64, from_now: bool) -> Option<bool> {
    const LONG: i64 = 1; // seconds: the module's waits are much shorter, or longer than this
    let mut bytes = [0; size_of::<[i64; 2]>()];
    File::open("/proc/self/mem").ok()?.read_exact_at(&mut bytes, timeout).ok()?;
    let seconds = i64::from_ne_bytes(bytes[..8].try_into().ok()?);
    if from_now {
        return Some(seconds >= LONG);
    }
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it only writes into the given buffer.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    Some(seconds - now.tv_sec > LONG)
}

fn of(thread: libc::pid_t, what: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/self/task/{thread}/{what}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;
    use std::time::{Duration, Instant};

    use parking_lot::{Condvar, Mutex};

    /// The maximum time until a thread sleeps, on a busy machine.
    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(500);

    /// Whether a thread that runs `what` is detected in deep sleep within this time. `what` ends with a message from the receiver or with the
    /// condition variable.
    fn seen_deep(before: Duration, what: impl FnOnce(mpsc::Receiver<()>, &(Mutex<bool>, Condvar)) + Send) -> bool {
        let (end, over) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let bell = (Mutex::new(false), Condvar::new());
        thread::scope(|scope| {
            let bell = &bell;
            scope.spawn(move || {
                // SAFETY: it takes no argument and returns a number.
                tell.send(unsafe { libc::gettid() }).expect("the test receives");
                what(over, bell);
            });
            let thread = told.recv().expect("the thread sends its ID");
            let until = Instant::now() + before;
            let mut deep = false;
            while !deep && Instant::now() < until {
                thread::sleep(Duration::from_millis(1));
                deep = sleeps_deeply(thread).is_some();
            }
            let _ = end.send(());
            *bell.0.lock() = true;
            bell.1.notify_all();
            deep
        })
    }

    #[test]
    fn who_waits_for_another_thread_sleeps_deeply() {
        assert!(seen_deep(LONG, |over, _| _ = over.recv()), "a message");
        assert!(seen_deep(LONG, |over, _| _ = over.recv_timeout(Duration::from_secs(60))), "a message, for long");
        assert!(seen_deep(LONG, |_, (over, bell)| bell.wait_while(&mut over.lock(), |over| !*over)), "a signal");
        let inner = |over: mpsc::Receiver<()>| thread::spawn(move || _ = over.recv()).join().expect("it ends");
        assert!(seen_deep(LONG, |over, _| inner(over)), "a thread's end");
    }

    #[test]
    fn who_wakes_up_by_itself_or_does_something_does_not() {
        fn briefly(over: &mpsc::Receiver<()>, what: impl Fn()) {
            while over.try_recv() == Err(mpsc::TryRecvError::Empty) {
                what();
            }
        }
        let moment = Duration::from_millis(20);
        assert!(!seen_deep(SHORT, |over, _| briefly(&over, || thread::sleep(moment))), "a short sleep");
        assert!(!seen_deep(SHORT, |over, _| briefly(&over, std::hint::spin_loop)), "work");
        assert!(
            !seen_deep(SHORT, |over, (lock, bell)| briefly(&over, || _ = bell.wait_for(&mut lock.lock(), moment))),
            "a short wait"
        );
    }
}
