//! The figures of a report.

use std::error::Error;

use serde::Serialize;
use utoipa::ToSchema;

use super::zone::Zone;
use crate::storage::csv_rows::csv_rows;

/// The fields of a group, in the order of listings.
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

/// How many calls were parked, how they ended, and how long they waited.
#[derive(Clone, PartialEq, Debug, Default, Serialize, ToSchema)]
pub(crate) struct ReportFigures {
    pub(crate) parked: u64,
    pub(crate) retrieved: u64,
    pub(crate) returned: u64,
    pub(crate) fallback: u64,
    pub(crate) transferred: u64,
    pub(crate) abandoned: u64,
    /// The calls that waited longer than `long_wait_seconds` seconds.
    pub(crate) long_waits: u64,
    /// The share of the parked calls that a person answered within `service_level` seconds; null if none was parked.
    #[schema(required)]
    pub(crate) in_time: Option<f64>,
    pub(crate) wait_mean_ms: i64,
    pub(crate) wait_median_ms: i64,
    pub(crate) wait_p95_ms: i64,
    pub(crate) wait_longest_ms: i64,
}

impl ReportFigures {
    /// Adds the counts of another group.
    pub(super) fn add(&mut self, other: &ReportFigures) {
        self.parked += other.parked;
        self.retrieved += other.retrieved;
        self.returned += other.returned;
        self.fallback += other.fallback;
        self.transferred += other.transferred;
        self.abandoned += other.abandoned;
        self.long_waits += other.long_waits;
    }
}

/// The figures of one hour, day, lot, parker or retriever.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
pub(crate) struct ReportGroup {
    /// The hour `09:00`, the day `2026-11-23`, the lot `main@example.com`, or the user; empty if the call has none.
    pub(crate) group: String,
    #[serde(flatten)]
    pub(crate) figures: ReportFigures,
}

/// The figures of the period before.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
pub(crate) struct PeriodBefore {
    /// Milliseconds since 1970.
    pub(crate) from: i64,
    pub(crate) to: i64,
    #[serde(flatten)]
    pub(crate) figures: ReportFigures,
}

/// What a finding is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FindingKind {
    /// Many calls of an hour of the week waited long.
    LongWaitsHour,
    /// Many calls of a group waited long.
    LongWaitsGroup,
    /// More or fewer callers hung up than in the period before.
    Abandoned,
    /// The share of calls answered in time has changed.
    InTime,
    /// The hour of the week in which most calls were parked.
    BusiestHour,
}

/// Something that stands out. The fields that do not apply are null.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(crate) struct Finding {
    pub(crate) kind: FindingKind,
    /// The finding as an English sentence.
    pub(crate) text: String,
    /// The hour of the week: 1 is Monday.
    #[schema(required)]
    pub(crate) weekday: Option<usize>,
    #[schema(required)]
    pub(crate) hour: Option<usize>,
    #[schema(required)]
    pub(crate) group: Option<String>,
    /// So many of ...
    pub(crate) count: u64,
    /// ... so many calls.
    pub(crate) of: u64,
    #[schema(required)]
    pub(crate) count_before: Option<u64>,
    #[schema(required)]
    pub(crate) of_before: Option<u64>,
}

/// A report about the calls that were parked in a range of time and are no longer parked.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
pub(crate) struct Report {
    /// Milliseconds since 1970. Calls parked from this moment on are counted.
    pub(crate) from: i64,
    /// The first moment after the range.
    pub(crate) to: i64,
    /// The time zone of its days and hours; `server` is that of the server.
    pub(crate) tz: String,
    #[serde(skip)]
    pub(super) zone: Zone,
    pub(crate) by: String,
    /// Seconds within which a call should be answered.
    pub(crate) service_level: u32,
    /// Seconds after which a wait counts as long: twice the service level.
    pub(crate) long_wait_seconds: u32,
    pub(crate) total: ReportFigures,
    pub(crate) before: PeriodBefore,
    /// Hours and days in their order, others by their number of calls. There are 500 at most.
    pub(crate) groups: Vec<ReportGroup>,
    /// Whether there are more groups. The total always has all calls.
    pub(crate) truncated: bool,
    /// What stands out.
    pub(crate) findings: Vec<Finding>,
}

impl Report {
    /// Formats a time in the time zone of the report.
    pub(crate) fn local_time(&self, at: i64) -> String {
        self.zone.local_time(at)
    }

    /// Writes the report as CSV: a line for each group, and none for the total, so that a spreadsheet that adds the lines counts no call twice.
    pub(crate) fn csv(&self) -> Result<String, Box<dyn Error>> {
        csv_rows(&REPORT_FIELDS, &self.groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_of_a_group() {
        let group = ReportGroup { group: "main@a.b".into(), figures: ReportFigures::default() };
        let json = serde_json::to_value(&group).unwrap();
        let mut fields: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let mut listed = REPORT_FIELDS.to_vec();
        fields.sort_unstable();
        listed.sort_unstable();
        assert_eq!(fields, listed);
    }
}
