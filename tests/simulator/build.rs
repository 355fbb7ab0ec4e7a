#[path = "../../build/host_headers.rs"]
mod host_headers;

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    host_headers::generate(&here.join("../.."));
    // The module finds the host's functions in the program that loads it, as it does in FreeSWITCH.
    println!("cargo::rerun-if-changed=exported.list");
    println!("cargo::rustc-link-arg=-Wl,--dynamic-list={}", here.join("exported.list").display());
}
