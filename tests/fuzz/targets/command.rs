#![no_main]

mod parked_calls;

use std::sync::OnceLock;

use parked_calls::ParkedCalls;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    static WORLD: OnceLock<ParkedCalls> = OnceLock::new();
    let calls = WORLD.get_or_init(ParkedCalls::open);
    calls.fill();
    // A letter stands for the UUID of a leg, which the fuzzer could not guess.
    let mut text = String::from_utf8_lossy(data).into_owned();
    for (uuid, letter) in calls.uuids().iter().zip(["$A", "$B", "$C"]) {
        text = text.replace(letter, uuid);
    }
    calls.visit(|| mod_callpark::fuzzing::command(&text));
});
