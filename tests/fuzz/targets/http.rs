#![no_main]

mod office;

use std::sync::OnceLock;

use office::Office;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    static OFFICE: OnceLock<Office> = OnceLock::new();
    let office = OFFICE.get_or_init(Office::open);
    office.fill();
    office.visit(|| mod_callpark::fuzzing::http(data));
});
