#![no_main]

mod parked_calls;

use std::sync::OnceLock;

use parked_calls::ParkedCalls;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    static WORLD: OnceLock<ParkedCalls> = OnceLock::new();
    let calls = WORLD.get_or_init(ParkedCalls::open);
    calls.fill();
    calls.visit(|| mod_callpark::fuzzing::http(data));
});
