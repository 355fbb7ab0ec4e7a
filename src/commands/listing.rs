//! Formats rows as a table for people, and as JSON, XML and CSV for programs. Every text is unchanged, except for an apostrophe before a formula in CSV.

use std::error::Error;
use std::iter::repeat_n;

use serde::Serialize;

use super::CommandError;
use super::parse::OutputFormat;
use crate::freeswitch;
use crate::parking::Call;
use crate::service::{CallRow, LotRow};
use crate::storage::{csv_rows, plain_text};

/// A row of a listing.
pub(super) trait ListingRow: Serialize {
    /// The XML elements of one row and of all rows.
    const ELEMENTS: (&'static str, &'static str);
    const FIELDS: &'static [&'static str];
    const COLUMNS: &'static [&'static str];
    fn cells(&self) -> Vec<String>;
}

impl ListingRow for CallRow {
    const ELEMENTS: (&'static str, &'static str) = ("call", "calls");
    const FIELDS: &'static [&'static str] = &[
        "lot",
        "domain",
        "slot",
        "state",
        "wait_ms",
        "parked_at",
        "timeout_at",
        "late",
        "caller_name",
        "caller_number",
        "parker",
        "label",
        "attempt",
        "uuid",
        "node",
    ];
    const COLUMNS: &'static [&'static str] = &["lot", "slot", "state", "wait", "caller", "parker", "label", "uuid"];

    fn cells(&self) -> Vec<String> {
        let caller = format!("{} <{}>", self.caller_name, self.caller_number);
        let lot = format!("{}@{}", self.lot, self.domain);
        let (parker, label) = (self.parker.clone(), self.label.clone());
        vec![lot, self.slot.clone(), self.state.into(), clock(self.wait_ms), caller, parker, label, self.uuid.clone()]
    }
}

impl ListingRow for LotRow {
    const ELEMENTS: (&'static str, &'static str) = ("lot", "lots");
    const FIELDS: &'static [&'static str] = &["lot", "domain", "size", "used", "free", "longest_wait_ms"];
    const COLUMNS: &'static [&'static str] = &["lot", "size", "used", "free", "longest wait"];

    fn cells(&self) -> Vec<String> {
        let lot = format!("{}@{}", self.lot, self.domain);
        vec![lot, self.size.to_string(), self.used.to_string(), self.free.to_string(), clock(self.longest_wait_ms)]
    }
}

/// Neither JSON, XML nor CSV fails for rows of texts and numbers; each has an error of its own all the same.
type FormatResult = Result<String, Box<dyn Error>>;

pub(super) fn format_all<R: ListingRow>(rows: &[R], format: OutputFormat) -> Result<String, CommandError> {
    Ok(format_rows(rows, format)?)
}

fn format_rows<R: ListingRow>(rows: &[R], format: OutputFormat) -> FormatResult {
    match format {
        OutputFormat::Table => Ok(table(rows)),
        OutputFormat::Json => json(rows),
        OutputFormat::Xml => {
            let (one, all) = R::ELEMENTS;
            let rows: FormatResult = rows.iter().map(|row| xml(one, row)).collect();
            Ok(format!("<{all}>{}</{all}>\n", rows?))
        }
        OutputFormat::Csv => csv_rows(R::FIELDS, rows),
    }
}

pub(super) fn format_one<R: ListingRow>(row: &R, format: OutputFormat) -> Result<String, CommandError> {
    match format {
        OutputFormat::Csv => Err(CommandError::Usage),
        OutputFormat::Table => Ok(fields(row)?),
        OutputFormat::Json => Ok(json(row)?),
        OutputFormat::Xml => Ok(xml(R::ELEMENTS.0, row)? + "\n"),
    }
}

fn json<T: Serialize + ?Sized>(value: &T) -> FormatResult {
    Ok(serde_json::to_string(value)? + "\n")
}

/// Each field on a line of its own.
fn fields<R: ListingRow>(row: &R) -> FormatResult {
    let values = serde_json::to_value(row)?;
    let line = |name: &&str| format!("{name:<14} {}\n", printable(&plain_text(&values[*name])));
    Ok(R::FIELDS.iter().map(line).collect())
}

pub(super) fn xml<R: Serialize>(element: &str, row: &R) -> FormatResult {
    let text = quick_xml::se::to_string_with_root(element, row)?;
    // XML cannot represent these characters, not even escaped.
    let unwritable = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    Ok(text.replace(unwritable, "\u{fffd}"))
}

pub(super) fn table<R: ListingRow>(rows: &[R]) -> String {
    let mut lines = vec![R::COLUMNS.iter().map(ToString::to_string).collect::<Vec<_>>()];
    lines.extend(rows.iter().map(|row| row.cells().iter().map(|cell| printable(cell)).collect()));
    let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..R::COLUMNS.len()).map(|column| width(column).unwrap_or(0)).collect();
    let (mut text, mut padded) = (String::new(), String::new());
    for line in &lines {
        padded.clear();
        for (cell, &width) in line.iter().zip(&widths) {
            padded.push_str(cell);
            padded.extend(repeat_n(' ', width.saturating_sub(cell.chars().count()) + 2));
        }
        text.push_str(padded.trim_end());
        text.push('\n');
    }
    text
}

/// Control characters spelled out, so that a caller's name cannot write on the operator's terminal.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// Minutes and seconds, hours where there are any.
pub(super) fn clock(ms: u64) -> String {
    let seconds = ms / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

pub(super) fn call_rows(calls: &[Call], node: &str) -> Vec<CallRow> {
    let (now, epoch_ms) = (freeswitch::now(), freeswitch::epoch_ms());
    calls.iter().map(|call| CallRow::new(call, node, now, epoch_ms)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::parking::{
        LotId, LotPlan, LotSelector, LotSettings, MonotonicTime, ParkRequest, Party, SlotRequest, Table, parse_slots,
    };

    const NAME: &str = "A&T <\"'%s, \n ]]>";

    fn row() -> CallRow {
        let plan = LotPlan {
            id: LotId::new("main", "a.b"),
            slots: parse_slots("701").unwrap().into(),
            labels: Arc::default(),
            settings: Arc::new(LotSettings::default()),
        };
        let request = ParkRequest {
            uuid: "u-1".into(),
            place: LotSelector { lot: None, domains: vec!["a.b".into()], any: false },
            wanted: SlotRequest::Auto,
            caller: Party { name: NAME.into(), number: "0123".into() }.into(),
            parker: "1001@a.b".into(),
            label: "x\u{1b}[2J".into(),
            overrides: crate::parking::CallOverrides::default(),
            parked_at_ms: 5,
            entropy: 0,
        };
        let call = Table::new(&[plan], None).park(&request, false, MonotonicTime::default()).unwrap();
        CallRow::new(&call, "node", MonotonicTime(Duration::from_secs(61)), 1000)
    }

    #[test]
    fn a_name_arrives_exactly_as_it_was_in_every_format() {
        let json: serde_json::Value =
            serde_json::from_str(&format_all(&[row()], OutputFormat::Json).ok().unwrap()).unwrap();
        assert_eq!(json[0]["caller_name"], NAME);
        assert_eq!(json[0]["wait_ms"], 61_000);

        #[derive(serde::Deserialize)]
        struct XmlCalls {
            call: Vec<std::collections::HashMap<String, String>>,
        }
        let xml: XmlCalls = quick_xml::de::from_str(&format_all(&[row()], OutputFormat::Xml).ok().unwrap()).unwrap();
        assert_eq!(xml.call[0]["caller_name"], NAME);
        assert_eq!(xml.call[0]["label"], "x\u{fffd}[2J");

        let csv = format_all(&[row()], OutputFormat::Csv).ok().unwrap();
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        assert_eq!(reader.headers().unwrap(), CallRow::FIELDS.to_vec());
        assert_eq!(&reader.records().next().unwrap().unwrap()[8], NAME);
    }

    /// Before: a spreadsheet that opened `callpark history as csv` calculated what a caller had sent as a name.
    #[test]
    fn csv_has_no_formula() {
        let hostile =
            CallRow { caller_name: "=HYPERLINK(\"http://a.b\")".into(), caller_number: "+4930".into(), ..row() };
        let csv = format_all(&[hostile], OutputFormat::Csv).ok().unwrap();
        let line = csv::Reader::from_reader(csv.as_bytes()).records().next().unwrap().unwrap();
        assert_eq!((&line[8], &line[9]), ("'=HYPERLINK(\"http://a.b\")", "+4930"));
    }

    #[test]
    fn the_field_list_is_the_struct() {
        let json = serde_json::to_value(row()).unwrap();
        let mut fields: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let mut listed = CallRow::FIELDS.to_vec();
        fields.sort_unstable();
        listed.sort_unstable();
        assert_eq!(fields, listed);
    }

    #[test]
    fn a_table_cannot_write_on_the_terminal() {
        let table = format_all(&[row()], OutputFormat::Table).ok().unwrap();
        assert!(!table.contains('\u{1b}') && table.lines().count() == 2, "{table}");
        assert!(table.contains("1:01"));
    }
}
