//! What a report is asked for: parses its range, its grouping and its time zone.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, TimeDelta};
use thiserror::Error;

use super::zone::{DAY_MS, HOUR_MS, Zone};
use crate::storage::record::HistoryFilter;

/// The maximum range of a report, in days.
pub(crate) const MAX_REPORT_DAYS: i64 = 400;
/// The last moment that a range may name: the end of the year 9999.
const MAX_TIME_MS: i64 = 253_402_300_799_999;

/// What the rows of a report are grouped by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Grouping {
    /// The hour of the day.
    Hour,
    Day,
    Lot,
    Parker,
    Retriever,
}

impl Grouping {
    pub(crate) const ALL: [Grouping; 5] =
        [Grouping::Hour, Grouping::Day, Grouping::Lot, Grouping::Parker, Grouping::Retriever];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Grouping::Hour => "hour",
            Grouping::Day => "day",
            Grouping::Lot => "lot",
            Grouping::Parker => "parker",
            Grouping::Retriever => "retriever",
        }
    }
}

/// Why no report can be made for what was asked. Each names the value and what is expected; the value is quoted by the caller.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub(crate) enum ReportQueryError {
    #[error(
        "{field} {value} is not a time, expected a date such as 2026-11-01, a time such as 2026-11-01T08:00:00+01:00, today, \
         yesterday, now, or 7d for the last 7 days (at most {MAX_REPORT_DAYS}d)"
    )]
    Time { field: &'static str, value: String },
    #[error("from {from} is not before to {to}")]
    Reversed { from: String, to: String },
    #[error("from {from} to {to} is {days} days, expected at most {MAX_REPORT_DAYS}")]
    TooLong { from: String, to: String, days: i64 },
    #[error("tz {0} is not a time zone, expected a name such as Europe/Berlin")]
    Zone(String),
    #[error("by {0} is unknown, expected hour, day, lot, parker or retriever")]
    Grouping(String),
}

/// The words of a request, as they were written. `tz` is empty for the server's own time zone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReportWords<'a> {
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) by: &'a str,
    pub(crate) tz: &'a str,
}

/// A checked request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ReportQuery {
    /// Calls that were parked at or after this moment, in milliseconds since 1970.
    pub(super) from: i64,
    /// And before this moment.
    pub(super) to: i64,
    pub(super) by: Grouping,
    pub(super) zone: Zone,
    pub(super) filter: HistoryFilter,
}

impl ReportQuery {
    /// Parses a request at the time `now`. `quote` makes a value safe to be shown.
    pub(crate) fn parse(
        words: ReportWords<'_>,
        filter: HistoryFilter,
        now: i64,
        quote: impl Fn(&str) -> String,
    ) -> Result<ReportQuery, ReportQueryError> {
        let zone = Zone::parse(words.tz).ok_or_else(|| ReportQueryError::Zone(quote(words.tz)))?;
        let by = Grouping::ALL.into_iter().find(|by| by.name() == words.by);
        let by = by.ok_or_else(|| ReportQueryError::Grouping(quote(words.by)))?;
        let time = |field, text: &str, end| {
            let at = moment(text, zone, now, end).filter(|at| (0..=MAX_TIME_MS).contains(at));
            at.ok_or_else(|| ReportQueryError::Time { field, value: quote(text) })
        };
        let (from, to) = (time("from", words.from, false)?, time("to", words.to, true)?);
        let (quoted_from, quoted_to) = (quote(words.from), quote(words.to));
        if from >= to {
            return Err(ReportQueryError::Reversed { from: quoted_from, to: quoted_to });
        }
        let days = days_begun(to - from);
        if days > MAX_REPORT_DAYS {
            return Err(ReportQueryError::TooLong { from: quoted_from, to: quoted_to, days });
        }
        Ok(ReportQuery { from, to, by, zone, filter })
    }

    /// The period before: the same days and hours, as many days earlier as the range has. If the range has not ended yet, the period before ends as
    /// early, so that a morning is not compared with a whole day.
    pub(super) fn period_before(&self, now: i64) -> (i64, i64) {
        let days = days_begun((self.zone.local(self.to) - self.zone.local(self.from)).num_milliseconds());
        let earlier = |at: i64| {
            let local = self.zone.local(at) - TimeDelta::milliseconds(days * DAY_MS);
            self.zone.earliest(local).unwrap_or(at - days * DAY_MS)
        };
        let from = earlier(self.from);
        (from, earlier(self.to.min(now)).clamp(from, self.from))
    }
}

/// The number of days in a range of this length, a begun one included. A day may have an hour more than 24.
fn days_begun(length_ms: i64) -> i64 {
    (length_ms - HOUR_MS - 1).div_euclid(DAY_MS).max(0) + 1
}

/// Parses a time. The name of a day is its beginning or, with `end`, its end.
fn moment(text: &str, zone: Zone, now: i64, end: bool) -> Option<i64> {
    let of_day = |day| if end { zone.day_ended(day) } else { zone.day_began(day) };
    if text == "now" {
        return Some(now);
    }
    let days_ago = match text {
        "today" => Some(0),
        "yesterday" => Some(1),
        _ => text.strip_suffix('d').and_then(|days| days.parse::<u16>().ok()?.checked_sub(1)),
    };
    if let Some(days_ago) = days_ago {
        let known = i64::from(days_ago) < MAX_REPORT_DAYS;
        return zone.day_of(now).checked_sub_days(Days::new(days_ago.into())).filter(|_| known).map(of_day);
    }
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(of_day(day));
    }
    // A plus sign that a client did not encode arrives as a space.
    if let Ok(at) = DateTime::parse_from_rfc3339(&text.replace(' ', "+")) {
        return Some(at.timestamp_millis());
    }
    let local = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"];
    local.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok()).and_then(|at| zone.earliest(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sunday, 2026-11-29 14:00 in Berlin.
    const NOW: i64 = 1_795_957_200_000;

    fn parse(from: &str, to: &str) -> Result<ReportQuery, String> {
        let words = ReportWords { from, to, by: "day", tz: "Europe/Berlin" };
        let quote = |text: &str| format!("{text:?}");
        ReportQuery::parse(words, HistoryFilter::default(), NOW, quote).map_err(|why| why.to_string())
    }

    fn range(from: &str, to: &str) -> (String, String) {
        let query = parse(from, to).unwrap();
        (utc(query.from), utc(query.to))
    }

    fn utc(at: i64) -> String {
        DateTime::from_timestamp_millis(at).unwrap().format("%Y-%m-%d %H:%M").to_string()
    }

    fn before(from: &str, to: &str) -> (String, String) {
        let (from, to) = parse(from, to).unwrap().period_before(NOW);
        (utc(from), utc(to))
    }

    fn pair(from: &str, to: &str) -> (String, String) {
        (from.into(), to.into())
    }

    #[test]
    fn days_are_those_of_the_zone_and_the_last_one_is_included() {
        assert_eq!(range("2026-11-01", "2026-11-01"), pair("2026-10-31 23:00", "2026-11-01 23:00"));
        assert_eq!(range("2026-10-25", "2026-10-25"), pair("2026-10-24 22:00", "2026-10-25 23:00"));
        assert_eq!(range("today", "today"), pair("2026-11-28 23:00", "2026-11-29 23:00"));
        assert_eq!(range("yesterday", "yesterday"), pair("2026-11-27 23:00", "2026-11-28 23:00"));
        assert_eq!(range("7d", "today"), pair("2026-11-22 23:00", "2026-11-29 23:00"));
        assert_eq!(
            range("2026-11-01T08:00:00Z", "2026-11-01T10:00:00+01:00"),
            pair("2026-11-01 08:00", "2026-11-01 09:00")
        );
        assert_eq!(
            range("2026-11-01T08:00:00 01:00", "2026-11-01T09:30"),
            pair("2026-11-01 07:00", "2026-11-01 08:30")
        );
        assert_eq!(range("today", "now"), pair("2026-11-28 23:00", "2026-11-29 13:00"));
        assert_eq!(range("400d", "today").1, "2026-11-29 23:00");
    }

    #[test]
    fn the_period_before_is_as_long_and_ends_as_early() {
        assert_eq!(before("2026-11-01", "2026-11-07"), pair("2026-10-24 22:00", "2026-10-31 23:00"));
        assert_eq!(before("2026-11-02T08:00", "2026-11-02T12:00"), pair("2026-11-01 07:00", "2026-11-01 11:00"));
        assert_eq!(before("2026-10-25", "2026-10-26"), pair("2026-10-22 22:00", "2026-10-24 22:00"));
        assert_eq!(before("today", "now"), pair("2026-11-27 23:00", "2026-11-28 13:00"));
        assert_eq!(before("today", "today"), pair("2026-11-27 23:00", "2026-11-28 13:00"));
        assert_eq!(
            before("2026-11-30", "2026-11-30"),
            pair("2026-11-28 23:00", "2026-11-28 23:00"),
            "the future has no before"
        );
    }

    #[test]
    fn what_cannot_be_reported_is_named() {
        for (from, to, why) in [
            ("tomorrow", "today", "from \"tomorrow\" is not a time, expected a date"),
            ("today", "2026-02-30", "to \"2026-02-30\" is not a time"),
            ("0d", "today", "from \"0d\" is not a time"),
            ("401d", "today", "from \"401d\" is not a time"),
            ("1969-01-01", "today", "from \"1969-01-01\" is not a time"),
            ("+262142-01-01", "today", "from \"+262142-01-01\" is not a time"),
            ("2026-03-29T02:30", "today", "from \"2026-03-29T02:30\" is not a time"),
            ("", "today", "from \"\" is not a time"),
            ("today", "yesterday", "from \"today\" is not before to \"yesterday\""),
            ("now", "now", "from \"now\" is not before to \"now\""),
            ("2025-01-01", "2026-11-01", "from \"2025-01-01\" to \"2026-11-01\" is 670 days, expected at most 400"),
        ] {
            let error = parse(from, to).unwrap_err();
            assert!(error.starts_with(why), "{error}");
        }
        let with = |by, tz| {
            let words = ReportWords { from: "today", to: "today", by, tz };
            ReportQuery::parse(words, HistoryFilter::default(), NOW, str::to_owned).unwrap_err().to_string()
        };
        assert_eq!(with("week", ""), "by week is unknown, expected hour, day, lot, parker or retriever");
        assert_eq!(with("day", "Mars"), "tz Mars is not a time zone, expected a name such as Europe/Berlin");
    }
}
