//! Injects faults, only in builds with the feature `fault-injection`: the fences and the sanitizers must catch them.
//!
//! The variable `callpark_inject_fault` of FreeSWITCH names the fault, the step and the fence: `panic 0 callpark_park`. A step is a text that is
//! passed to C, so `panic 7 listener frame` panics at the seventh. Several faults are separated by semicolons.

use std::cell::{Cell, UnsafeCell};
use std::ffi::CStr;
use std::hint::black_box;

use crate::ffi;

thread_local! {
    /// The steps until this thread panics; 0 if it does not. It is const and has no destructor, as in `bridge.rs`.
    static STEPS_LEFT: Cell<u32> = const { Cell::new(0) };
}

/// A fault that is injected until this is dropped.
pub(super) struct InjectedFault {
    armed: bool,
}

impl Drop for InjectedFault {
    fn drop(&mut self) {
        if self.armed {
            STEPS_LEFT.set(0);
        }
    }
}

/// Injects the fault of a fence, by which this is called with its name.
pub(super) fn at(fence: &str) -> InjectedFault {
    let all = variable();
    let mut fault = InjectedFault { armed: false };
    for one in all.split(';') {
        let words: Vec<&str> = one.splitn(3, ' ').collect();
        match words.as_slice() {
            ["panic", "0", place] if *place == fence => panic!("injected fault"),
            ["panic", step, place] if *place == fence => {
                STEPS_LEFT.set(step.parse().unwrap_or(1));
                fault.armed = true;
            }
            ["read-after-free", _, place] if *place == fence => read_after_free(),
            ["leak", _, place] if *place == fence => leak(),
            ["race", _, place] if *place == fence => race(),
            _ => {}
        }
    }
    fault
}

/// Counts a step, and panics at the last one.
pub(super) fn step() {
    match STEPS_LEFT.get() {
        0 => {}
        left => {
            STEPS_LEFT.set(left - 1);
            assert!(left > 1 || std::thread::panicking(), "injected fault, at a text for C");
        }
    }
}

/// Reads the variable, without a text that goes to C, because each of those is a step.
fn variable() -> String {
    // SAFETY: a static name; the answer is NULL or a C string from malloc that is ours.
    unsafe {
        let value = ffi::switch_core_get_variable_dup(c"callpark_inject_fault".as_ptr());
        let text = value.as_ref().map_or_else(String::new, |text| CStr::from_ptr(text).to_string_lossy().into_owned());
        libc::free(value.cast());
        text
    }
}

fn read_after_free() {
    let place = Box::into_raw(Box::new(7));
    // SAFETY: none, because that is the fault.
    unsafe {
        drop(Box::from_raw(black_box(place)));
        black_box(*black_box(place));
    }
}

fn leak() {
    black_box(Box::into_raw(Box::new([7; 100])));
}

struct Shared(UnsafeCell<u64>);

// SAFETY: none, because that is the fault.
unsafe impl Sync for Shared {}

fn race() {
    static COUNT: Shared = Shared(UnsafeCell::new(0));
    // SAFETY: none, because that is the fault.
    unsafe { *COUNT.0.get() += 1 };
}
