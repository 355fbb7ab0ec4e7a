//! Reads names from the source: those that a function returns, and the string literals of a file.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Returns the strings in the arms of the `match` in the function `name` of `block`, such as `impl State`.
pub(super) fn matched_strings(path: &str, block: &str, name: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(path).unwrap();
    let after = |text: &str, what: &str| match text.split_once(what) {
        Some((_, rest)) => rest.to_owned(),
        None => panic!("{path} has no {what}"),
    };
    let block = after(&text, &format!("\n{block} {{"));
    let function = after(&block, &format!("fn {name}("));
    let body = function.split("\n    }\n").next().unwrap_or_default();
    let given = body.split("=>").skip(1).filter_map(|arm| arm.trim_start().strip_prefix('"')?.split_once('"'));
    given.map(|(word, _)| word.to_owned()).collect()
}

/// Returns the string literals in a file or in a folder that begin with `prefix` and consist of letters, digits, `_` and `-`. C strings are left
/// out, because they name phrases and applications.
pub(super) fn literals(path: &Path, prefix: &str) -> BTreeSet<String> {
    if path.is_dir() {
        let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        return entries.flat_map(|entry| literals(&entry, prefix)).collect();
    }
    let text = fs::read_to_string(path).unwrap();
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let mut found = BTreeSet::new();
    for (at, opening) in text.match_indices(&format!("\"{prefix}")) {
        let rest = &text[at + 1..];
        let word: String = rest.chars().take_while(|c| is_part(*c)).collect();
        if !text[..at].ends_with('c') && rest[word.len()..].starts_with('"') {
            assert!(opening.len() <= word.len() + 1);
            found.insert(word);
        }
    }
    found
}
