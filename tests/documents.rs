//! Checks that everything that the documents name exists: linked files and headings, make targets, source files and functions, the version, the
//! licence. It also checks what they say about make.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folders with files of others, or with built files.
const FOREIGN: &[&str] = &["target", "node_modules", ".git"];
/// The beginnings of paths of this repository in documents.
const FOLDERS: &[&str] = &["src/", "tests/", "docs/", "conf/", "scripts/", "build/", "benches/", "freeswitch-headers/"];

fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() && !FOREIGN.contains(&name.as_str()) {
            found.extend(files(&path, extensions));
        } else if path.extension().is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted)) {
            found.push(path);
        }
    }
    found
}

fn documents() -> Vec<(PathBuf, String)> {
    let read = |path: PathBuf| fs::read_to_string(&path).map(|text| (path, text)).unwrap();
    let found: Vec<_> = files(Path::new("."), &["md"]).into_iter().map(read).collect();
    assert!(found.iter().any(|(path, _)| path.ends_with("CONTRIBUTING.md")), "the test looks in the right place");
    found
}

/// Removes blocks of code, in which brackets and backticks have another meaning.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// The targets of `[text](target)`, except web and mail addresses.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let local = targets.map(|(target, _)| target).filter(|target| !target.contains(':'));
    local.map(str::to_owned).collect()
}

/// The anchors of the headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
    headings.map(|heading| heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")).collect()
}

/// The broken links of a document at `path`.
fn broken(path: &Path, text: &str) -> Vec<String> {
    let is_good = |link: &String| {
        let (file, anchor) = link.split_once('#').map_or((link.as_str(), None), |(file, anchor)| (file, Some(anchor)));
        let target = if file.is_empty() { path.to_owned() } else { path.with_file_name(file) };
        let has = |anchor: &str| fs::read_to_string(&target).is_ok_and(|text| anchors(&text).contains(anchor));
        target.exists() && anchor.is_none_or(has)
    };
    links(&prose(text)).into_iter().filter(|link| !is_good(link)).collect()
}

#[test]
fn links_lead_somewhere() {
    for (path, text) in documents() {
        assert_eq!(broken(&path, &text), Vec::<String>::new(), "{}", path.display());
    }
    let wrong = "[a](nowhere.md) [b](#no-such-heading) [c](README.md) [d](https://example.com)";
    assert_eq!(broken(Path::new("./README.md"), wrong), ["nowhere.md", "#no-such-heading"], "the test can fail");
}

/// The make targets that a document or a workflow names: in backticks, at the beginning of a line of code, or after `run: `.
fn made(text: &str) -> Vec<String> {
    let starts = ["`make ", "\nmake ", "\nsudo make ", "run: make "];
    let commands = starts.iter().flat_map(|start| text.split(start).skip(1));
    let words = commands.flat_map(|rest| {
        let command = rest.split(['`', '\n', '#']).next().unwrap_or_default();
        command.split_whitespace().filter(|word| !word.contains(['=', '<'])).map(str::to_owned).collect::<Vec<_>>()
    });
    words.collect()
}

#[test]
fn make_has_the_targets_that_are_named() {
    let makefile = fs::read_to_string("Makefile").unwrap();
    let has = |target: &String| makefile.lines().any(|line| line.starts_with(&format!("{target}:")));
    let workflows = files(Path::new(".github/workflows"), &["yml"]);
    let texts = documents().into_iter().chain(workflows.into_iter().map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        (path, text)
    }));
    for (path, text) in texts {
        let missing: Vec<_> = made(&text).into_iter().filter(|target| !has(target)).collect();
        assert_eq!(missing, Vec::<String>::new(), "{}", path.display());
    }
    let named = "`make a-b`, `make fuzz SECONDS=600`\nmake run   # runs\nsudo make c\n- run: make d e";
    assert_eq!(made(named), ["a-b", "fuzz", "run", "c", "d", "e"], "the test can fail");
}

/// Whether a target would install packages, by the commands that make prints.
fn installs_packages(target: &str) -> bool {
    let mut make = Command::new("make");
    // The variables of a make that runs this test must not reach this one.
    for name in ["MAKEFLAGS", "MFLAGS", "MAKELEVEL"] {
        make.env_remove(name);
    }
    let output = make.args(["--dry-run", target]).output().expect("make is installed");
    assert!(output.status.success(), "make --dry-run {target}: {}", String::from_utf8_lossy(&output.stderr));
    let commands = String::from_utf8_lossy(&output.stdout).into_owned();
    commands.lines().any(|line| line.contains("apt-get") || ["scripts/deps all", "scripts/deps build"].contains(&line))
}

/// Before: `make build` and `make install` called apt-get with sudo.
#[test]
fn packages_are_installed_by_deps_run_and_test_alone() {
    let makefile = fs::read_to_string("Makefile").unwrap();
    let phony = makefile.lines().find_map(|line| line.strip_prefix(".PHONY:")).unwrap();
    let installing: Vec<_> = phony.split_whitespace().filter(|target| installs_packages(target)).collect();
    assert_eq!(installing, ["test", "run", "deps", "deps-build"]);
}

/// The paths in backticks that do not exist, and the names in the form "`name` in `path`" that are not in that file.
fn absent(text: &str) -> Vec<String> {
    let text = prose(text);
    let pieces: Vec<&str> = text.split('`').collect();
    let mut absent = Vec::new();
    for (index, path) in pieces.iter().enumerate().skip(1).step_by(2) {
        let is_path = FOLDERS.iter().any(|folder| path.starts_with(folder)) && !path.contains(['*', '<', ' ']);
        if !is_path {
            continue;
        }
        if !Path::new(path).exists() {
            absent.push((*path).to_owned());
        } else if Path::new(path).is_file() && pieces[index - 1].split_whitespace().eq(["in"]) {
            let name = pieces[index - 2];
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let known = fs::read_to_string(path).is_ok_and(|text| text.split(|c| !is_word(c)).any(|word| word == name));
            if !known {
                absent.push(format!("{name} in {path}"));
            }
        }
    }
    absent
}

#[test]
fn files_and_functions_that_are_named_exist() {
    for (path, text) in documents() {
        // The changelog may name what no longer exists.
        if !path.ends_with("CHANGELOG.md") && !path.ends_with("upgrading.md") {
            assert_eq!(absent(&text), Vec::<String>::new(), "{}", path.display());
        }
    }
    let wrong = "`src/no.rs`, `prefix` in `scripts/find-freeswitch`, `pre` in `scripts/find-freeswitch`, `tests/*.rs`";
    assert_eq!(absent(wrong), ["src/no.rs", "pre in scripts/find-freeswitch"], "the test can fail");
}

#[test]
fn versions_and_the_licence_are_the_same_everywhere() {
    let manifest = fs::read_to_string("Cargo.toml").unwrap();
    let value = |name: &str| {
        let line = manifest.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_prefix('='));
        line.unwrap_or_else(|| panic!("Cargo.toml has no {name}")).split('"').nth(1).unwrap_or_default().to_owned()
    };
    let version = value("version");
    let changelog = fs::read_to_string("CHANGELOG.md").unwrap();
    assert!(changelog.contains(&format!("\n## [{version}] - ")), "CHANGELOG.md has no section for {version}");
    for path in ["benches/Cargo.toml", "tests/simulator/Cargo.toml", "tests/fuzz/Cargo.toml"] {
        let other = fs::read_to_string(path).unwrap();
        assert!(other.contains(&format!("\nversion = \"{version}\"")), "{path} has another version than {version}");
    }
    let compiler = format!("Rust {} or newer", value("rust-version"));
    assert!(fs::read_to_string("README.md").unwrap().contains(&compiler), "README.md does not say {compiler}");
    assert_eq!(value("license"), "MPL-2.0");
    assert!(fs::read_to_string("LICENSE").unwrap().starts_with("Mozilla Public License Version 2.0"));
}
