#![no_main]

mod office;

use std::sync::OnceLock;

use office::Office;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    static OFFICE: OnceLock<Office> = OnceLock::new();
    let office = OFFICE.get_or_init(Office::open);
    office.fill();
    // A leg by a letter: no fuzzer guesses a UUID.
    let mut text = String::from_utf8_lossy(data).into_owned();
    for (uuid, letter) in office.uuids().iter().zip(["$A", "$B", "$C"]) {
        text = text.replace(letter, uuid);
    }
    office.visit(|| mod_callpark::fuzzing::command(&text));
});
