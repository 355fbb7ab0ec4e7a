//! Bugs on purpose, in builds with the feature `planted` only: what the fences and the sanitizers must catch.
//!
//! FreeSWITCH's variable `callpark_planted` says which, how far in, and behind which fence: `panic 0 callpark_park`. A step is a
//! text that is handed to C: `panic 7 listener frame` is at the seventh. Several
//! are parted by semicolons.

use std::cell::{Cell, UnsafeCell};
use std::ffi::CStr;
use std::hint::black_box;

use crate::ffi;

thread_local! {
    /// Steps until this thread panics; 0 = it does not. Const and without a destructor, as in `session.rs`.
    static LEFT: Cell<u32> = const { Cell::new(0) };
}

/// In force until dropped.
pub(super) struct Planted {
    armed: bool,
}

impl Drop for Planted {
    fn drop(&mut self) {
        if self.armed {
            LEFT.set(0);
        }
    }
}

/// Called behind every fence, with its name.
pub(super) fn at(fence: &str) -> Planted {
    let all = variable();
    let mut planted = Planted { armed: false };
    for one in all.split(';') {
        let words: Vec<&str> = one.splitn(3, ' ').collect();
        match words.as_slice() {
            ["panic", "0", place] if *place == fence => panic!("planted"),
            ["panic", step, place] if *place == fence => {
                LEFT.set(step.parse().unwrap_or(1));
                planted.armed = true;
            }
            ["read-after-free", _, place] if *place == fence => read_after_free(),
            ["leak", _, place] if *place == fence => leak(),
            ["race", _, place] if *place == fence => race(),
            _ => {}
        }
    }
    planted
}

/// A step.
pub(super) fn step() {
    match LEFT.get() {
        0 => {}
        left => {
            LEFT.set(left - 1);
            assert!(left > 1 || std::thread::panicking(), "planted, at a text for C");
        }
    }
}

/// The variable. Asked without a text that goes to C: each of those is a step.
fn variable() -> String {
    // SAFETY: a static name; the answer is NULL or a C string from malloc that is ours.
    unsafe {
        let value = ffi::switch_core_get_variable_dup(c"callpark_planted".as_ptr());
        let text = value.as_ref().map_or_else(String::new, |text| CStr::from_ptr(text).to_string_lossy().into_owned());
        libc::free(value.cast());
        text
    }
}

fn read_after_free() {
    let place = Box::into_raw(Box::new(7));
    // SAFETY: none: that is the bug.
    unsafe {
        drop(Box::from_raw(black_box(place)));
        black_box(*black_box(place));
    }
}

fn leak() {
    black_box(Box::into_raw(Box::new([7; 100])));
}

struct Shared(UnsafeCell<u64>);

// SAFETY: none: that is the bug.
unsafe impl Sync for Shared {}

fn race() {
    static COUNT: Shared = Shared(UnsafeCell::new(0));
    // SAFETY: none: that is the bug.
    unsafe { *COUNT.0.get() += 1 };
}
