//! The verb `report`: figures of a range of time.

use super::listing::{ListingRow, clock, printable, table, xml};
use super::parse::{Arguments, OutputFormat};
use super::report::{check_lot, filter};
use super::{CommandContext, CommandError};
use crate::applications::{parse_lot_name, quote_argument};
use crate::freeswitch;
use crate::parking::LotName;
use crate::storage::{MAX_REPORT_GROUPS, REPORT_FIELDS, Report, ReportGroup, ReportQuery, ReportWords};

/// The grouping without `by`.
const DEFAULT_GROUPING: &str = "day";

pub(super) fn report(handles: &CommandContext, words: Arguments<'_>) -> Result<String, CommandError> {
    let (format, words) = words.format()?;
    let (words, lot) = parse(words.rest())?;
    let query = ReportQuery::parse(words, filter(lot.as_ref()), freeswitch::epoch_ms(), quote_argument)?;
    let report = handles.storage.report(query)?;
    check_lot(&handles.service, lot.as_ref(), report.total.parked == 0)?;
    match format {
        OutputFormat::Table => Ok(text(&report)),
        OutputFormat::Json => Ok(serde_json::to_string(&report).map_err(Box::from)? + "\n"),
        OutputFormat::Xml => as_xml(&report),
        OutputFormat::Csv => Ok(report.csv()?),
    }
}

/// Parses `<from> <to> [by <grouping>] [tz <zone>] [<lot>]`; what follows the times may be in any order.
fn parse<'a>(words: &[&'a str]) -> Result<(ReportWords<'a>, Option<LotName>), CommandError> {
    let [from, to, rest @ ..] = words else { return Err(CommandError::Usage) };
    let (mut by, mut tz, mut lot) = (None, None, None);
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        let (option, value) = match *word {
            "by" => (&mut by, rest.next()),
            "tz" => (&mut tz, rest.next()),
            _ => (&mut lot, Some(word)),
        };
        if option.is_some() || value.is_none() {
            return Err(CommandError::Usage);
        }
        *option = value.copied();
    }
    let lot = lot.map(parse_lot_name).transpose()?;
    Ok((ReportWords { from, to, by: by.unwrap_or(DEFAULT_GROUPING), tz: tz.unwrap_or_default() }, lot))
}

impl ListingRow for ReportGroup {
    const ELEMENTS: (&'static str, &'static str) = ("group", "groups");
    const FIELDS: &'static [&'static str] = &REPORT_FIELDS;
    const COLUMNS: &'static [&'static str] = &[
        "group",
        "parked",
        "retrieved",
        "returned",
        "fallback",
        "transferred",
        "abandoned",
        "long waits",
        "in time",
        "mean",
        "median",
        "95th",
        "longest",
    ];

    fn cells(&self) -> Vec<String> {
        let figures = &self.figures;
        let counts = [
            figures.parked,
            figures.retrieved,
            figures.returned,
            figures.fallback,
            figures.transferred,
            figures.abandoned,
            figures.long_waits,
        ];
        let waits = [figures.wait_mean_ms, figures.wait_median_ms, figures.wait_p95_ms, figures.wait_longest_ms];
        let mut cells = vec![if self.group.is_empty() { "-".into() } else { self.group.clone() }];
        cells.extend(counts.map(|count| count.to_string()));
        cells.push(figures.in_time.map(|share| format!("{:.0} %", share * 100.0)).unwrap_or_default());
        cells.extend(waits.map(|wait| clock(wait.unsigned_abs())));
        cells
    }
}

/// The report for people: its range, a table, and what stands out.
fn text(report: &Report) -> String {
    let row = |name: &str, figures: &_| ReportGroup { group: name.into(), figures: Clone::clone(figures) };
    let mut rows = report.groups.clone();
    rows.push(row("total", &report.total));
    rows.push(row("before", &report.before.figures));
    let range = |from, to| format!("{} to {}", report.local_time(from), report.local_time(to));
    let mut text = format!(
        "calls parked from {}, by {}, time zone {}; before: {}\n{}",
        range(report.from, report.to),
        report.by,
        report.tz,
        range(report.before.from, report.before.to),
        table(&rows)
    );
    if report.truncated {
        text += &format!("there are more groups; these are the {MAX_REPORT_GROUPS} with most calls\n");
    }
    for finding in &report.findings {
        text += &format!("{}\n", printable(&finding.text));
    }
    text
}

fn as_xml(report: &Report) -> Result<String, CommandError> {
    let Report { from, to, service_level, long_wait_seconds, truncated, .. } = report;
    let mut pieces = vec![
        format!("<from>{from}</from><to>{to}</to>"),
        xml("tz", &report.tz)?,
        xml("by", &report.by)?,
        format!(
            "<service_level>{service_level}</service_level><long_wait_seconds>{long_wait_seconds}</long_wait_seconds>"
        ),
        xml("total", &report.total)?,
        xml("before", &report.before)?,
        "<groups>".into(),
    ];
    for group in &report.groups {
        pieces.push(xml("group", group)?);
    }
    pieces.push(format!("</groups><truncated>{truncated}</truncated><findings>"));
    for finding in &report.findings {
        pieces.push(xml("finding", finding)?);
    }
    pieces.push("</findings>".into());
    Ok(format!("<report>{}</report>\n", pieces.concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_after_the_times_are_in_any_order() {
        let parsed = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            parse(&words).map(|(words, lot)| {
                let lot = lot.map(|lot| lot.name).unwrap_or_default();
                format!("{} {} {} {} {lot}", words.from, words.to, words.by, words.tz)
            })
        };
        assert_eq!(parsed("7d today").unwrap(), "7d today day  ");
        assert_eq!(parsed("7d today by hour main@a.b").unwrap(), "7d today hour  main");
        assert_eq!(parsed("7d today main tz Europe/Berlin by lot").unwrap(), "7d today lot Europe/Berlin main");
        for wrong in ["7d", "7d today by", "7d today by hour by day", "7d today main other", "7d today tz"] {
            assert!(matches!(parsed(wrong), Err(CommandError::Usage)), "{wrong}");
        }
    }
}
