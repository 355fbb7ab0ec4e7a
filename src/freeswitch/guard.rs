//! Catches panics in everything that FreeSWITCH calls, because a panic that reaches C would abort FreeSWITCH and all its calls.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of panics caught. It belongs to the process, because a panic is a bug of the code in whichever load of the module it occurs.
static CAUGHT: AtomicU64 = AtomicU64::new(0);

/// The number of panics caught since the module was loaded. Each is a bug; `callpark status` shows the number.
pub(crate) fn caught() -> u64 {
    CAUGHT.load(Ordering::Relaxed)
}

/// Runs `f`. If it panics, logs the panic with `name` and returns `instead`.
pub(crate) fn fence<T>(name: &str, instead: T, f: impl FnOnce() -> T) -> T {
    let fenced = || {
        #[cfg(feature = "fault-injection")]
        let _fault = super::fault_injection::at(name);
        f()
    };
    match catch_unwind(AssertUnwindSafe(fenced)) {
        Ok(value) => value,
        Err(panic) => {
            log_panic(name, &*panic);
            instead
        }
    }
}

/// Marks a place where a panic is caught by other means than [`fence`]; see [`log_panic`].
pub(crate) fn mark(_name: &str) {
    #[cfg(feature = "fault-injection")]
    drop(super::fault_injection::at(_name));
}

/// Counts and logs a panic that was caught while `name` was running.
pub(crate) fn log_panic(name: &str, panic: &(dyn Any + Send)) {
    CAUGHT.fetch_add(1, Ordering::Relaxed);
    let message = panic_message(panic);
    // Logging may panic too, and no panic may leave this function.
    let _ = catch_unwind(|| log::error!(fence = name, cause = message; "bug in mod_callpark, a panic was caught"));
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "no message",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_value_and_is_counted() {
        let before = caught();
        assert_eq!(fence("test", 1, || 2), 2);
        assert_eq!(fence("test", 1, || panic!("test")), 1);
        assert_eq!(caught(), before + 1);
    }
}
