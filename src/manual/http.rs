//! The HTTP API and the metrics in the manual, and the OpenAPI description against the routes and the words of the source.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Table, code, words};
use crate::web;

pub(super) fn tables() -> Vec<Table> {
    let paths = web::PATHS.map(|[method, path, right, answers]| {
        vec![
            code(&format!("{method} {path}")),
            if right == "none" { right.into() } else { code(right) },
            answers.into(),
        ]
    });
    let actions = web::ACTIONS.map(|[name, body, does]| vec![code(name), body.into(), does.into()]);
    let metrics =
        web::metrics().into_iter().map(|[name, kind, labels, meaning]| vec![code(&name), kind, labels, meaning]);
    vec![
        Table { name: "http-paths", columns: &["path", "right", "answers"], rows: paths.to_vec() },
        Table { name: "http-actions", columns: &["action", "body", "does"], rows: actions.to_vec() },
        Table { name: "metrics", columns: &["metric", "type", "labels", "meaning"], rows: metrics.collect() },
    ]
}

fn described() -> Value {
    serde_json::from_str(web::OPENAPI).unwrap()
}

/// The words of an `enum` in the description.
fn listed(pointer: &str) -> BTreeSet<String> {
    let described = described();
    let list = described.pointer(pointer).and_then(Value::as_array).unwrap_or_else(|| panic!("no {pointer}"));
    let words: BTreeSet<String> = list.iter().map(|word| word.as_str().unwrap().to_owned()).collect();
    assert_eq!(words.len(), list.len(), "{pointer} lists a word twice");
    words
}

#[test]
fn the_description_has_the_paths_methods_and_rights_of_the_routes() {
    let expanded = |path: &str| -> Vec<String> {
        let of_action = |[name, ..]: [&str; 3]| path.replace("{action}", name);
        if path.contains("{action}") { web::ACTIONS.map(of_action).to_vec() } else { vec![path.to_owned()] }
    };
    let routes: BTreeSet<_> = web::PATHS
        .into_iter()
        .flat_map(|[method, path, right, _]| {
            // A program on the server itself needs no token for the metrics, so the description does not require one.
            let needs_token = right != "none" && path != "/metrics";
            expanded(path).into_iter().map(move |path| (path, method.to_lowercase(), needs_token))
        })
        .collect();
    let described = described();
    let mut paths = BTreeSet::new();
    for (path, methods) in described["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            paths.insert((path.clone(), method.clone(), operation.get("security").is_some()));
        }
    }
    assert_eq!(paths, routes);
}

#[test]
fn the_description_has_the_words_of_the_source() {
    assert_eq!(listed("/components/schemas/Call/properties/state/enum"), words::states());
    assert_eq!(listed("/components/schemas/Record/properties/outcome/enum"), words::outcomes());
    assert_eq!(listed("/components/schemas/Change/properties/action/enum"), words::actions());
}
