#[path = "../../build/host_headers.rs"]
mod host_headers;

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let here = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"); // when it runs: a checkout may move
    let here = Path::new(&here);
    host_headers::generate(&here.join("../.."));
    // The module finds the host's functions in the program that loads it, as it does in FreeSWITCH.
    println!("cargo::rerun-if-changed=exported.list");
    println!("cargo::rustc-link-arg=-Wl,--dynamic-list={}", here.join("exported.list").display());
}
