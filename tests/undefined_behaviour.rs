//! Contains deliberate undefined behaviour: `make sanitize` checks that Miri finds it, if Miri is installed.

#[test]
#[ignore = "undefined behaviour, for scripts/sanitize"]
fn undefined_behaviour() {
    let bytes = vec![1_u8; 3];
    // SAFETY: none, because this is the bug.
    let beyond = unsafe { *std::hint::black_box(&bytes).as_ptr().add(3) };
    std::hint::black_box(beyond);
}
