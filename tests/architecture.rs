//! Checks the structure: imports between parts point one way, `unsafe` is used only in its parts, the tables of modules are complete, and each dependency has a
//! reason.

use std::collections::{BTreeMap, BTreeSet};
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
    ("src/freeswitch/bridge.rs", "PENDING"),
    ("src/freeswitch/digits.rs", "QUEUES"),
    // These exist only in builds for tests.
    ("src/freeswitch/fault_injection.rs", "STEPS_LEFT"),
    ("src/freeswitch/fault_injection.rs", "COUNT"),
    ("src/fuzzing/mod.rs", "INJECTED"),
    ("src/fuzzing/http.rs", "RUNTIME"),
];

/// Each part and the parts that it may use, as the table in `src/lib.rs` says: ``| `part` | what is there | `parking`, `config` |``.
fn parts() -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string("src/lib.rs").unwrap();
    let in_ticks = |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let row = |line: &str| {
        let cells: Vec<&str> = line.strip_prefix("//! |")?.split('|').collect();
        let part = in_ticks(cells.first()?).first()?.clone();
        Some((part, in_ticks(cells.get(2)?)))
    };
    text.lines().filter_map(row).collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
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

/// Returns the parts that a source names and may not use.
fn forbidden_parts(parts: &[(String, Vec<String>)], module: &str, text: &str) -> Vec<String> {
    let part = |path: &str| path.split("::").next().unwrap_or_default().to_owned();
    let own = part(module);
    let allowed =
        parts.iter().find(|(name, _)| *name == own).map(|(_, allowed)| allowed.as_slice()).unwrap_or_default();
    let is_part = |name: &String| parts.iter().any(|(part, _)| part == name);
    let named = named_paths(module, text).into_iter().map(|path| part(&path));
    named.filter(|name| is_part(name) && *name != own && !allowed.contains(name)).collect()
}

#[test]
fn imports_point_one_way() {
    let parts = parts();
    let mut found = Vec::new();
    for path in sources(Path::new("src")).iter().filter(|path| !path.ends_with("lib.rs")) {
        let module = module_of(path);
        let forbidden = forbidden_parts(&parts, &module, &fs::read_to_string(path).unwrap());
        assert!(forbidden.is_empty(), "{}: uses {forbidden:?}", path.display());
        found.push(module.split("::").next().unwrap().to_owned());
    }
    found.sort();
    found.dedup();
    let mut known: Vec<_> = parts.iter().map(|(part, _)| part.clone()).collect();
    known.sort();
    assert_eq!(found, known, "the parts of the table in src/lib.rs");
    let no_way_back = |part: &str, allowed: &[String]| {
        allowed
            .iter()
            .find(|other| parts.iter().any(|(name, back)| name == *other && back.contains(&part.to_owned())))
            .cloned()
    };
    for (part, allowed) in &parts {
        assert_eq!(no_way_back(part, allowed), None, "{part} and that one may use each other");
    }
    assert_eq!(
        forbidden_parts(&parts, "parking::call", "use crate::{config, freeswitch::Leg};"),
        ["config", "freeswitch"],
        "the test can fail"
    );
}

/// The modules that a `mod.rs` declares, and those in the first column of the table in its documentation. `None` without a table.
fn module_table(text: &str) -> Option<(Vec<String>, Vec<String>)> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! |")?.split('|').next());
    let mut listed: Vec<String> = rows.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect();
    let declared = |line: &str| {
        let (before, rest) = line.split_once("mod ")?;
        let is_declaration = before.is_empty() || before.starts_with("pub");
        rest.strip_suffix(';').filter(|_| is_declaration).map(str::to_owned)
    };
    let mut declared: Vec<String> = text.lines().filter_map(declared).collect();
    listed.sort();
    declared.sort();
    (!listed.is_empty()).then_some((listed, declared))
}

/// Before: the table of the service named a module that did not exist, and left out nine.
#[test]
fn module_tables_have_each_module() {
    let mut count = 0;
    for path in sources(Path::new("src")).iter().filter(|path| path.ends_with("mod.rs")) {
        if let Some((listed, declared)) = module_table(&fs::read_to_string(path).unwrap()) {
            assert_eq!(listed, declared, "{}: modules in the table, and declared modules", path.display());
            count += 1;
        }
    }
    assert!(count > 0, "no table was found");
    let text =
        "//! | module | what is there |\n//! | `b`, `a` | x of `Y` |\nmod a;\npub(crate) mod c;\n    mod tests {";
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(module_table(text), Some((names(&["a", "b"]), names(&["a", "c"]))), "the test can fail");
}

/// Every path that `tree`, a part of a `use`, stands for: `a::{b, c::d}` for `a::b` and `a::c::d`.
fn expand(tree: &str, before: &str, paths: &mut Vec<String>) {
    let Some((head, rest)) = tree.split_once('{') else {
        let name = tree.split(" as ").next().unwrap_or_default().trim();
        return paths.push(format!("{before}{name}"));
    };
    let (before, mut depth, mut piece) = (format!("{before}{}", head.trim()), 0, String::new());
    for c in rest.chars() {
        match c {
            ',' | '}' if depth == 0 => {
                if !piece.trim().is_empty() {
                    expand(&piece, &before, paths);
                }
                piece.clear();
                continue;
            }
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        piece.push(c);
    }
}

/// Paths from the crate's root of what a source names by `super::` or `crate::`, its unit tests excepted.
fn named_paths(module: &str, text: &str) -> Vec<String> {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let code = code_lines(text).collect::<Vec<_>>().join(" ");
    let mut paths = Vec::new();
    for tree in code.split("use ").skip(1).filter_map(|rest| rest.split(';').next()) {
        expand(tree, "", &mut paths);
    }
    for start in ["super::", "crate::"] {
        for (at, _) in code.match_indices(start) {
            let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            paths.push(code[at..].chars().take_while(|c| is_path(*c)).collect());
        }
    }
    let from_root = |path: String| {
        let (mut path, mut here) = (path.as_str(), module);
        if let Some(path) = path.strip_prefix("crate::") {
            return Some(path.to_owned());
        }
        let relative = path.starts_with("super::");
        while let Some(rest) = path.strip_prefix("super::") {
            (path, here) = (rest, here.rsplit_once("::").map_or("", |(above, _)| above));
        }
        relative.then(|| format!("{here}::{path}").trim_start_matches("::").to_owned())
    };
    paths.into_iter().filter_map(from_root).collect()
}

fn module_of(path: &Path) -> String {
    let names = path.strip_prefix("src").unwrap().with_extension("");
    let names: Vec<&str> = names.iter().map(|name| name.to_str().unwrap()).filter(|name| *name != "mod").collect();
    names.join("::")
}

/// Files that name each other in a circle. A folder's `mod.rs` is a part of each file in it.
fn circle(modules: &BTreeMap<String, String>) -> Option<Vec<String>> {
    let is_of = |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with("::"));
    let file_of = |path: &str| -> Option<&str> {
        let mut path = path;
        loop {
            match modules.get_key_value(path) {
                Some((module, _)) => return Some(module),
                None => path = path.rsplit_once("::")?.0,
            }
        }
    };
    let uses: BTreeMap<&str, BTreeSet<&str>> = modules
        .iter()
        .map(|(module, text)| {
            let paths = named_paths(module, text);
            let files = paths.iter().filter_map(|path| file_of(path));
            let others = files.filter(|other| other != module && !is_of(other, module) && !is_of(module, other));
            (module.as_str(), others.collect())
        })
        .collect();
    // Whoever uses nobody who is left is in no circle.
    let mut left: BTreeSet<&str> = uses.keys().copied().collect();
    loop {
        let free: Vec<&str> = left.iter().copied().filter(|module| uses[module].is_disjoint(&left)).collect();
        if free.is_empty() {
            break;
        }
        left.retain(|module| !free.contains(module));
    }
    let mut way = vec![*left.first()?];
    loop {
        let next = *uses[way[way.len() - 1]].intersection(&left).next()?;
        if let Some(at) = way.iter().position(|module| *module == next) {
            return Some(way[at..].iter().map(|module| (*module).to_owned()).collect());
        }
        way.push(next);
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let source = |path: PathBuf| (module_of(&path), fs::read_to_string(&path).unwrap());
    let of_tests = |path: &PathBuf| path.ends_with("lib.rs") || path.file_name().is_some_and(|name| name == "tests.rs");
    let modules = sources(Path::new("src")).into_iter().filter(|path| !of_tests(path)).map(source).collect();
    assert_eq!(circle(&modules), None);
    let circular =
        [("a::b", "use super::{c::X, d};"), ("a::c", "fn f() { super::d::g() }"), ("a::d", "use crate::a::b;")];
    let circular = circular.map(|(module, text)| (module.to_owned(), text.to_owned())).into();
    assert_eq!(circle(&circular).map(|circle| circle.len()), Some(3), "the test can fail");
}

#[test]
fn unsafe_stays_in_its_parts() {
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

/// What is loaded is found at the entry points alone, by way of `freeswitch::StateLookup`, and only `module.rs` knows where.
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

/// The names of the types that a source declares.
fn type_names(text: &str) -> Vec<String> {
    let name = |line: &str| -> Option<String> {
        let visible = line.trim_start().strip_prefix("pub").unwrap_or(line.trim_start());
        let item = match visible.strip_prefix('(') {
            Some(rest) => rest.split_once(')')?.1.trim_start(),
            None => visible.trim_start(),
        };
        // An indented alias belongs to a trait.
        let keywords = if line.starts_with(' ') {
            &["struct ", "enum ", "trait "][..]
        } else {
            &["struct ", "enum ", "trait ", "type "]
        };
        let rest = keywords.iter().find_map(|keyword| item.strip_prefix(keyword))?;
        Some(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
    };
    text.lines().filter_map(name).collect()
}

/// The names that more than one of the files declares, with these files.
fn shared_names(files: &[(String, Vec<String>)]) -> Vec<String> {
    let mut declared: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (path, names) in files {
        names.iter().for_each(|name| declared.entry(name).or_default().push(path));
    }
    let shared = declared.into_iter().filter(|(_, paths)| paths.len() > 1);
    shared.map(|(name, paths)| format!("{name}: {}", paths.join(", "))).collect()
}

/// Before: the module could not be built where no FreeSWITCH is installed, and nothing noticed it, because tests run where one is.
#[test]
fn the_shipped_headers_have_the_constants_that_the_code_uses() {
    let headers = fs::read_to_string("freeswitch-headers/switch.h").unwrap();
    let words = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.filter(|word| word.starts_with("SWITCH_")).map(str::to_owned).collect()
    };
    let shipped = words(&headers);
    assert!(shipped.contains("SWITCH_EVENT_CUSTOM"), "the test looks in the right place");
    for path in sources(Path::new("src/freeswitch")) {
        let text = fs::read_to_string(&path).unwrap();
        let used: BTreeSet<String> = code_lines(&text).flat_map(words).collect();
        let missing: Vec<_> = used.difference(&shipped).collect();
        assert!(missing.is_empty(), "{}: {missing:?}", path.display());
    }
}

/// A reader who finds a name in two places takes it for one thing. Before: 26 names stood for two to four types each.
#[test]
fn no_two_types_have_one_name() {
    let source = |path: PathBuf| (path.display().to_string(), type_names(&fs::read_to_string(&path).unwrap()));
    let files: Vec<_> = sources(Path::new("src")).into_iter().map(source).collect();
    assert_eq!(shared_names(&files), Vec::<String>::new());
    let text = "pub(in crate::a) struct A<T>;
    enum B {
type C = u8;
impl X for A {
    type Context = B;
// struct D
pub trait E {";
    assert_eq!(type_names(text), ["A", "B", "C", "E"], "the test can fail");
    let two = [("x".to_owned(), vec!["A".to_owned()]), ("y".to_owned(), vec!["A".to_owned(), "B".to_owned()])];
    assert_eq!(shared_names(&two), ["A: x, y"], "the test can fail");
}

#[test]
fn files_stay_small() {
    for path in sources(Path::new("src")) {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        let most = if path.starts_with("src/service") { 300 } else { 400 };
        assert!(lines <= most, "{}: {lines} lines, expected at most {most}", path.display());
    }
}
