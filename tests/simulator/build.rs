#[path = "../../build/host_headers.rs"]
mod host_headers;

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let here = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"); // read at run time, because a checkout may be moved
    let here = Path::new(&here);
    host_headers::generate(&here.join("../.."));
    // The module finds FreeSWITCH's functions in the program that loads it.
    println!("cargo::rerun-if-changed=exported.list");
    println!("cargo::rustc-link-arg=-Wl,--dynamic-list={}", here.join("exported.list").display());
}
