//! Checks the structure: imports between rooms point one way, `unsafe` is used only in its rooms, and each dependency has a reason.

use std::fs;
use std::path::{Path, PathBuf};

/// Every static of the module, by file and name. One holds what is made at load and ended at unload; the others belong to the code, the
/// process or the thread, and say so where they stand.
const STATICS: &[(&str, &str)] = &[
    ("src/module.rs", "mod_callpark_module_interface"),
    ("src/module.rs", "APP"),
    ("src/freeswitch/guard.rs", "CAUGHT"),
    ("src/freeswitch/in_progress.rs", "IN_PROGRESS"),
    ("src/freeswitch/memory.rs", "IN_USE"),
    ("src/freeswitch/memory.rs", "ALLOCATOR"),
    ("src/freeswitch/session.rs", "PENDING"),
    // These exist only in builds for tests.
    ("src/freeswitch/planted.rs", "LEFT"),
    ("src/freeswitch/planted.rs", "COUNT"),
    ("src/fuzzing/mod.rs", "PLANTED"),
    ("src/fuzzing/http.rs", "RUNTIME"),
];

/// The rooms, and the rooms that each may use.
const ROOMS: &[(&str, &[&str])] = &[
    ("parking", &[]),
    ("config", &["parking"]),
    ("freeswitch", &["ffi", "parking"]),
    ("moh", &["freeswitch"]),
    ("service", &["parking", "config", "freeswitch", "moh"]),
    ("applications", &["parking", "service", "freeswitch"]),
    ("commands", &["parking", "config", "service", "freeswitch", "moh", "applications", "storage", "web"]),
    ("events", &["parking", "service", "freeswitch"]),
    ("presence", &["parking", "service", "freeswitch"]),
    ("storage", &["parking", "config", "service", "freeswitch"]),
    ("web", &["parking", "config", "service", "freeswitch", "moh", "storage"]),
];

fn sources(room: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(room).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(sources(&entry));
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push(entry);
        }
    }
    found
}

fn code_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.starts_with("//"))
}

/// Returns the rooms that a source names with `crate::` and may not use.
fn strangers(room: &str, allowed: &[&str], text: &str) -> Vec<String> {
    let named = |line: &str| -> Vec<String> {
        let after = line.split("crate::").skip(1);
        after.map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()).collect()
    };
    let known =
        |name: &String| ["ffi", "module"].contains(&name.as_str()) || ROOMS.iter().any(|(room, _)| room == name);
    code_lines(text)
        .flat_map(named)
        .filter(|name: &String| known(name) && name != room && !allowed.contains(&name.as_str()))
        .collect()
}

#[test]
fn imports_point_one_way() {
    for (room, allowed) in ROOMS {
        for path in sources(&Path::new("src").join(room)) {
            let found = strangers(room, allowed, &fs::read_to_string(&path).unwrap());
            assert!(found.is_empty(), "{}: uses {found:?}", path.display());
        }
    }
    assert_eq!(strangers("parking", &[], "use crate::freeswitch::Leg;"), ["freeswitch"], "the test can fail");
}

#[test]
fn unsafe_stays_in_its_rooms() {
    for path in sources(Path::new("src")) {
        let text = fs::read_to_string(&path).unwrap();
        let count = code_lines(&text).filter(|line| line.contains("unsafe") && !line.contains("unsafe_code")).count();
        let home = path.starts_with("src/freeswitch") || path.ends_with("src/ffi.rs");
        let allowed = if path.ends_with("src/module.rs") { 1 } else { 0 };
        assert!(home || count == allowed, "{}: {count} lines of unsafe", path.display());
    }
}

/// The names of the statics in a source.
fn statics(text: &str) -> Vec<String> {
    let declared = |line: &str| -> Option<String> {
        let (before, after) = line.split_once("static ")?;
        let is_declaration =
            before.is_empty() || before.ends_with("pub ") || before.ends_with(") ") || before.ends_with("{ ");
        let after = after.strip_prefix("mut ").unwrap_or(after);
        let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        (is_declaration && after[name.len()..].starts_with(':')).then_some(name)
    };
    code_lines(text).filter_map(declared).collect()
}

#[test]
fn one_static_holds_what_is_loaded() {
    let mut found = Vec::new();
    for path in sources(Path::new("src")) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("lazy_static!"), "{}", path.display());
        found.extend(statics(&text).into_iter().map(|name| (path.to_str().unwrap().to_owned(), name)));
    }
    let mut known: Vec<_> = STATICS.iter().map(|(path, name)| ((*path).to_owned(), (*name).to_owned())).collect();
    found.sort();
    known.sort();
    assert_eq!(found, known);
    let text = "    pub(crate) static A: u8 = 0;\nfn f(x: &'static str) {\n  static mut B: u8 = 0;\n}";
    assert_eq!(statics(text), ["A", "B"], "the test can fail");
}

/// What is loaded is found at the entry points alone, by way of `freeswitch::WayIn`, and only `module.rs` knows where.
#[test]
fn nobody_else_looks_for_what_is_loaded() {
    for path in sources(Path::new("src")) {
        let text = fs::read_to_string(&path).unwrap();
        let of_tests = path.starts_with("src/fuzzing");
        let looks = |line: &str| {
            line.contains("::current()") || line.contains("Loaded::find()") || line.contains("module::Loaded")
        };
        let count = code_lines(&text).filter(|line| looks(line)).count();
        assert!(of_tests || count == 0, "{}: looks for what is loaded", path.display());
    }
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let manifest = fs::read_to_string("Cargo.toml").unwrap();
    let mut in_dependencies = false;
    for line in manifest.lines().filter(|line| !line.trim().is_empty()) {
        if line.starts_with('[') {
            in_dependencies = line.contains("dependencies");
        } else if in_dependencies && !line.starts_with('#') {
            assert!(line.contains('#'), "no reason given: {line}");
        }
    }
}

#[test]
fn files_stay_small() {
    for path in sources(Path::new("src")) {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 600, "{}: {lines} lines", path.display());
    }
}
