//! The house rules: imports between rooms point one way, `unsafe` stays in its rooms, every dependency says why it is there.

use std::fs;
use std::path::{Path, PathBuf};

/// Each room and what it may use of ours.
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

/// Rooms of ours that a source names with `crate::`, and may not.
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
