//! Writes and checks the tables of the manual. Each table is made from the rows that the module itself uses, so a document cannot differ from them.
//!
//! In a document a table stands between `<!-- table: NAME -->` and `<!-- end -->`. The test fails where a document differs from the rows;
//! `UPDATE_DOCS=1 cargo test --lib manual` writes the tables.

mod http;
mod source;
mod wire_names;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::{env, fs};

use crate::{commands, config, hooks};

const BEGIN: &str = "<!-- table: ";
const BEGIN_CLOSE: &str = " -->\n";
const END: &str = "<!-- end -->";

/// A table in Markdown.
struct DocTable {
    name: &'static str,
    columns: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl DocTable {
    fn text(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let columns: Vec<String> = self.columns.iter().map(ToString::to_string).collect();
        let escaped = |row: &Vec<String>| row.iter().map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>();
        let rows = self.rows.iter().map(|row| line(&escaped(row)));
        line(&columns) + &format!("|{}\n", "---|".repeat(columns.len())) + &rows.collect::<String>()
    }
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn settings() -> DocTable {
    let rows = config::SETTINGS.iter().map(|row| vec![code(row.name), row.default.into(), row.meaning.into()]);
    DocTable { name: "settings", columns: &["setting", "default", "meaning"], rows: rows.collect() }
}

fn lot_parameters() -> DocTable {
    let slots = vec![code("slots"), "required".into(), config::SLOTS_MEANING.into()];
    let others = config::LOT_PARAMS.iter().map(|row| vec![code(row.name), row.default.into(), row.meaning.into()]);
    let rows = std::iter::once(slots).chain(others).collect();
    DocTable { name: "lot-parameters", columns: &["parameter", "default", "meaning"], rows }
}

fn hook_attributes() -> DocTable {
    let row = |(name, default, meaning): (&str, &str, &str)| vec![code(name), default.into(), meaning.into()];
    let columns = &["attribute", "default", "meaning"];
    DocTable { name: "hook-attributes", columns, rows: config::HOOK_ATTRIBUTES.map(row).to_vec() }
}

fn hook_fields() -> DocTable {
    let row = |(name, meaning): (&str, &str)| vec![code(name), meaning.into()];
    DocTable { name: "hook-fields", columns: &["field", "meaning"], rows: hooks::OWN_FIELDS.map(row).to_vec() }
}

fn commands() -> DocTable {
    let row = |[name, syntax, does, answers]: [&str; 4]| {
        vec![code(format!("callpark {name} {syntax}").trim()), does.into(), answers.into()]
    };
    let rows = commands::MANUAL.map(row).to_vec();
    DocTable { name: "commands", columns: &["command", "does", "answers if it succeeds"], rows }
}

fn tables() -> Vec<DocTable> {
    let mut tables = vec![settings(), lot_parameters(), hook_attributes(), hook_fields(), commands()];
    tables.extend(wire_names::tables());
    tables.extend(http::tables());
    tables
}

/// Returns the document with its tables rewritten, and the names of these tables.
fn rewritten(document: &str, tables: &[DocTable]) -> Result<(String, Vec<String>), String> {
    let mut pieces = document.split(BEGIN);
    let mut text = pieces.next().unwrap_or_default().to_owned();
    let mut names = Vec::new();
    for piece in pieces {
        let (name, rest) = piece.split_once(BEGIN_CLOSE).ok_or_else(|| format!("{BEGIN}... is not closed"))?;
        let (_, rest) = rest.split_once(END).ok_or_else(|| format!("table {name} has no {END}"))?;
        let table =
            tables.iter().find(|table| table.name == name).ok_or_else(|| format!("there is no table {name}"))?;
        text.push_str(&format!("{BEGIN}{name}{BEGIN_CLOSE}\n{}\n{END}{rest}", table.text()));
        names.push(name.to_owned());
    }
    Ok((text, names))
}

fn documents() -> Vec<PathBuf> {
    let paths = fs::read_dir("docs").unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

#[test]
fn the_documents_have_the_tables_of_the_source() {
    let tables = tables();
    let mut placed = BTreeSet::new();
    for path in documents() {
        let before = fs::read_to_string(&path).unwrap();
        let (after, names) = rewritten(&before, &tables).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        placed.extend(names);
        if env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, after).unwrap();
        } else if before != after {
            let differs = before.lines().zip(after.lines()).find(|(has, should)| has != should);
            let hint = "UPDATE_DOCS=1 cargo test --lib manual writes the tables";
            panic!("{}: has, and should have: {differs:#?}\n{hint}", path.display());
        }
    }
    let expected: BTreeSet<String> = tables.iter().map(|table| table.name.to_owned()).collect();
    assert_eq!(placed, expected, "tables that stand in a document, and tables that there are");
}

#[test]
fn a_table_that_differs_is_rewritten_and_the_prose_stays() {
    let row = vec![vec!["`a`".to_owned(), "x|y".to_owned()]];
    let tables = [DocTable { name: "t", columns: &["name", "is"], rows: row }];
    let (text, names) = rewritten("Before.\n\n<!-- table: t -->\nold\n<!-- end -->\n\nAfter.\n", &tables).unwrap();
    let table = "| name | is |\n|---|---|\n| `a` | x\\|y |\n";
    assert_eq!(text, format!("Before.\n\n<!-- table: t -->\n\n{table}\n<!-- end -->\n\nAfter.\n"));
    assert_eq!(names, ["t"]);
    assert_eq!(rewritten(&text, &tables).unwrap().0, text);
    assert!(rewritten("<!-- table: u -->\n<!-- end -->", &tables).is_err(), "a name that no table has");
    assert!(rewritten("<!-- table: t -->\n", &tables).is_err(), "a table that does not end");
}

/// Checks that each row has a name, and a meaning that is a sentence.
#[test]
fn no_cell_of_a_table_is_missing() {
    for table in tables() {
        assert!(!table.rows.is_empty(), "{}", table.name);
        for row in &table.rows {
            assert_eq!(row.len(), table.columns.len(), "{}: {row:?}", table.name);
            assert!(!row[0].is_empty() && row.iter().any(|text| text.ends_with('.')), "{}: {row:?}", table.name);
        }
    }
}
