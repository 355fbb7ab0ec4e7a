//! A report as CSV: a line for each group, and none for the total, so that a spreadsheet that adds the lines counts no call twice.

use std::error::Error;

use super::figures::{Report, ReportFigures, ReportGroup};

pub(crate) const REPORT_FIELDS: [&str; 13] = [
    "group",
    "parked",
    "retrieved",
    "returned",
    "fallback",
    "transferred",
    "abandoned",
    "long_waits",
    "in_time",
    "wait_mean_ms",
    "wait_median_ms",
    "wait_p95_ms",
    "wait_longest_ms",
];

impl Report {
    /// Writes the report as CSV.
    pub(crate) fn csv(&self) -> Result<String, Box<dyn Error>> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(REPORT_FIELDS)?;
        for ReportGroup { group, figures } in &self.groups {
            csv.write_record(record(group, figures))?;
        }
        Ok(String::from_utf8(csv.into_inner()?)?)
    }
}

fn record(group: &str, figures: &ReportFigures) -> [String; REPORT_FIELDS.len()] {
    let ReportFigures { parked, retrieved, returned, fallback, transferred, abandoned, long_waits, .. } = figures;
    let counts = [parked, retrieved, returned, fallback, transferred, abandoned, long_waits].map(u64::to_string);
    let waits = [figures.wait_mean_ms, figures.wait_median_ms, figures.wait_p95_ms, figures.wait_longest_ms];
    let share = figures.in_time.map(|share| share.to_string()).unwrap_or_default();
    let [parked, retrieved, returned, fallback, transferred, abandoned, long_waits] = counts;
    let [mean, median, p95, longest] = waits.map(|wait| wait.to_string());
    [
        for_spreadsheet(group),
        parked,
        retrieved,
        returned,
        fallback,
        transferred,
        abandoned,
        long_waits,
        share,
        mean,
        median,
        p95,
        longest,
    ]
}

/// Marks a name that a spreadsheet would take for a formula as text. A stranger may have chosen it.
fn for_spreadsheet(name: &str) -> String {
    let mark = if name.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    format!("{mark}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_of_a_group() {
        let group = ReportGroup { group: "a, \"b\"".into(), figures: ReportFigures::default() };
        let json = serde_json::to_value(&group).unwrap();
        let mut fields: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let mut listed = REPORT_FIELDS.to_vec();
        fields.sort_unstable();
        listed.sort_unstable();
        assert_eq!(fields, listed);
        let figures =
            ReportFigures { parked: 1, long_waits: 2, in_time: Some(0.5), wait_longest_ms: 7, ..group.figures };
        assert!(record("=1+1@a.b", &figures)[0] == "'=1+1@a.b" && record("O'Neil", &figures)[0] == "O'Neil");
        assert_eq!(record("x", &figures).join(","), "x,1,0,0,0,0,0,2,0.5,0,0,0,7");
    }
}
