//! Writes rows as CSV: those of listings and of reports.

use std::borrow::Cow;
use std::error::Error;

use serde::Serialize;
use serde_json::Value;

/// Writes these fields of each row. Texts that a spreadsheet would calculate are marked; all others are exact.
pub(crate) fn csv_rows<R: Serialize>(fields: &[&str], rows: &[R]) -> Result<String, Box<dyn Error>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(fields)?;
    for row in rows {
        let row = serde_json::to_value(row)?;
        csv.write_record(fields.iter().map(|name| match &row[*name] {
            Value::String(text) => for_spreadsheet(text).into_owned(),
            other => plain_text(other),
        }))?;
    }
    Ok(String::from_utf8(csv.into_inner()?)?)
}

/// Formats a value as text; the values of a list are separated by spaces.
pub(crate) fn plain_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Array(values) => values.iter().map(plain_text).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// Puts an apostrophe before a text that a spreadsheet would take for a formula, because a stranger may have chosen it. A phone number is no formula,
/// whether or not it has a plus sign, so it stays exact.
fn for_spreadsheet(text: &str) -> Cow<'_, str> {
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) && !text.strip_prefix('+').is_some_and(is_number) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_spreadsheet_would_calculate_is_marked() {
        for formula in ["=1+1", "+1+1", "+49 30", "+", "-1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "+SUM(A1)"] {
            assert_eq!(for_spreadsheet(formula), format!("'{formula}"));
        }
        for exact in ["", "Anna", "1001@a.b", "+4930901820", "4930901820", "O'Neil", "a=1", "'=1"] {
            assert_eq!(for_spreadsheet(exact), exact);
        }
    }

    #[test]
    fn a_row_has_its_fields() {
        let row = json!({"b": [1, 2], "a": "x, \"y\"", "none": null, "share": 0.5, "less": -1, "other": "z"});
        let csv = csv_rows(&["a", "b", "none", "share", "less"], &[row]).unwrap();
        assert_eq!(csv, "a,b,none,share,less\n\"x, \"\"y\"\"\",1 2,,0.5,-1\n");
    }
}
