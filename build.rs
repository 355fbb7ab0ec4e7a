#[path = "build/host_headers.rs"]
mod host_headers;

use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // This is read at run time, because the checkout may have been moved since this script was compiled.
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let headers = host_headers::generate(Path::new(&root));
    // The scenarios load the module, which finds the functions of the simulated FreeSWITCH in the test program.
    println!("cargo::rustc-link-arg-tests=-Wl,--dynamic-list={root}/tests/simulator/exported.list");
    println!("cargo::rustc-env=CALLPARK_HEADERS={headers}");
    println!("cargo::rustc-env=CALLPARK_REVISION={}", git_revision());
}

/// The commit that was built, or `unknown` outside a checkout.
fn git_revision() -> String {
    let Ok(head) = fs::read_to_string(".git/HEAD") else { return "unknown".into() };
    println!("cargo::rerun-if-changed=.git/HEAD");
    let commit = match head.trim().strip_prefix("ref: ") {
        Some(reference) => {
            println!("cargo::rerun-if-changed=.git/{reference}");
            fs::read_to_string(format!(".git/{reference}")).unwrap_or_default()
        }
        None => head,
    };
    match commit.trim().get(..12) {
        Some(short) => short.into(),
        None => "unknown".into(),
    }
}
