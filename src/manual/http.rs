//! Makes the tables of the HTTP API and of the metrics, and compares the OpenAPI description with the routes and names in the source.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{DocTable, code, wire_names};
use crate::web::{self, ActionRow, PathRow};

pub(super) fn tables() -> Vec<DocTable> {
    let paths = web::PATH_ROWS.map(|row| {
        let right = if row.right == "none" { row.right.into() } else { code(row.right) };
        vec![code(&format!("{} {}", row.method, row.path)), right, row.answers.into()]
    });
    let actions = web::ACTION_ROWS.map(|row| {
        let body = row.request.map_or_else(|| "empty".into(), |(_, example)| code(example));
        vec![code(row.name), body, row.does.into()]
    });
    let metrics =
        web::metrics().into_iter().map(|[name, kind, labels, meaning]| vec![code(&name), kind, labels, meaning]);
    vec![
        DocTable { name: "http-paths", columns: &["path", "right", "answers"], rows: paths.to_vec() },
        DocTable { name: "http-actions", columns: &["action", "body", "does"], rows: actions.to_vec() },
        DocTable { name: "metrics", columns: &["metric", "type", "labels", "meaning"], rows: metrics.collect() },
    ]
}

/// Returns the values of an `enum` in the description.
fn listed(pointer: &str) -> BTreeSet<String> {
    let described = web::description();
    let list = described.pointer(pointer).and_then(Value::as_array).unwrap_or_else(|| panic!("no {pointer}"));
    let words: BTreeSet<String> = list.iter().map(|word| word.as_str().unwrap().to_owned()).collect();
    assert_eq!(words.len(), list.len(), "{pointer} lists a word twice");
    words
}

#[test]
fn the_description_has_the_paths_methods_and_rights_of_the_routes() {
    let expanded = |path: &str| -> Vec<String> {
        let of_action = |row: ActionRow| path.replace("{action}", row.name);
        if path.contains("{action}") { web::ACTION_ROWS.map(of_action).to_vec() } else { vec![path.to_owned()] }
    };
    let routes: BTreeSet<_> = web::PATH_ROWS
        .into_iter()
        .flat_map(|PathRow { method, path, right, .. }| {
            // A program on the server itself needs no token for the metrics, so the description does not require one.
            let needs_token = right != "none" && path != "/metrics";
            expanded(path).into_iter().map(move |path| (path, method.to_lowercase(), needs_token))
        })
        .collect();
    let described = web::description();
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
    assert_eq!(listed("/components/schemas/Call/properties/state/enum"), wire_names::states());
    assert_eq!(listed("/components/schemas/Record/properties/outcome/enum"), wire_names::outcomes());
    assert_eq!(listed("/components/schemas/Change/properties/action/enum"), wire_names::actions());
}

/// Collects each `$ref` in a value.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn each_schema_that_the_description_names_is_in_it() {
    let described = web::description();
    let mut named = BTreeSet::new();
    references(&described, &mut named);
    assert!(named.len() > 8, "{named:?}");
    for name in named {
        assert!(described.pointer(name.trim_start_matches('#')).is_some(), "{name}");
    }
}

#[test]
fn the_description_tells_how_to_ask_and_what_is_wrong() {
    let described = web::description();
    let label = &described["paths"]["/api/v1/calls/{domain}/{slot}/label"]["post"];
    let events = described["paths"]["/api/v1/events"]["get"]["summary"].as_str().unwrap();
    assert!(events.starts_with("Server-sent events: an event `change` for each action, until"), "{events}");
    assert_eq!(label.pointer("/requestBody/content/application~1json/example").unwrap()["text"], "Mr Chen");
    assert_eq!(described["components"]["schemas"]["Label"]["properties"]["text"]["maxLength"], 200);
    assert_eq!(described["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    for status in ["400", "401", "403", "404", "409", "413", "415", "422", "503"] {
        let schema = label.pointer(&format!("/responses/{status}/content/application~1json/schema/$ref"));
        assert_eq!(schema.unwrap(), "#/components/schemas/Error", "{status}");
    }
}
