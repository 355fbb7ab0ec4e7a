//! FreeSWITCH's C interface as bindgen reads it from the headers: the same declarations as the module's own.
#![allow(non_camel_case_types, non_snake_case, non_upper_case_globals, dead_code, unreachable_pub)]
#![allow(clippy::all, clippy::undocumented_unsafe_blocks)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
