//! Reports about a range of time. The database counts, so that a million rows are never in FreeSWITCH's memory: a report has at most
//! [`query::MAX_REPORT_DAYS`] days and [`MAX_REPORT_GROUPS`] groups, and its queries return a number of rows that depends on these alone.

mod counts;
mod figures;
mod findings;
mod query;
mod zone;

pub(crate) use counts::MAX_REPORT_GROUPS;
pub(crate) use figures::{REPORT_FIELDS, Report, ReportGroup};
pub(crate) use query::{ReportQuery, ReportQueryError, ReportWords};

use std::collections::BTreeMap;

use chrono::DateTime;

use super::connection::{Connection, Dialect, StorageError, number_at, unsigned_at};
use super::history::condition;
use counts::{Counting, GroupKey, KeySql, quotient};
use figures::PeriodBefore;
use findings::{HOURS_OF_A_WEEK, WeekHour};
use query::Grouping;
use zone::{DAY_MS, HOUR_MS};

/// A wait is long after so many times the service level.
const LONG_WAIT_FACTOR: u32 = 2;

/// Makes a report at the time `now`.
pub(super) fn report(
    connection: &Connection,
    query: &ReportQuery,
    now: i64,
    service_level: u32,
) -> Result<Report, StorageError> {
    let make = || make(connection, query, now, service_level);
    match connection.with_grouping_settings(make) {
        // SQLite may have no folder for temporary files. The core's settings use none.
        Err(StorageError::Refused(_)) if connection.dialect() == Dialect::Sqlite => make(),
        made => made,
    }
}

fn make(connection: &Connection, query: &ReportQuery, now: i64, service_level: u32) -> Result<Report, StorageError> {
    let long_wait_seconds = service_level.saturating_mul(LONG_WAIT_FACTOR);
    let counting = |from: i64, to: i64| Counting {
        connection,
        rows: format!("parked_at >= {from} AND parked_at < {to}{}", condition(connection, &query.filter)),
        in_time_ms: i64::from(service_level) * 1000,
        long_wait_ms: i64::from(long_wait_seconds) * 1000,
    };
    let counting_now = counting(query.from, query.to);
    let counted = counting_now.count(&key_sql(connection, query))?;
    let (from, to) = query.period_before(now);
    let before = counting(from, to).total()?;
    let week = week_hours(&counting_now, query)?;
    let group = |(key, figures)| ReportGroup { group: group_name(query.by, &key), figures };
    let mut groups: Vec<ReportGroup> = counted.groups.into_iter().map(group).collect();
    if !matches!(query.by, Grouping::Hour | Grouping::Day) {
        groups.sort_by_key(|group| std::cmp::Reverse(group.figures.parked));
    }
    let mut report = Report {
        from: query.from,
        to: query.to,
        tz: query.zone.name().into(),
        zone: query.zone,
        by: query.by.name().into(),
        service_level,
        long_wait_seconds,
        total: counted.total,
        before: PeriodBefore { from, to, figures: before },
        groups,
        truncated: counted.truncated,
        findings: Vec::new(),
    };
    let several_weeks = query.to - query.from > 7 * DAY_MS + HOUR_MS;
    report.findings = findings::find(&report, &week, several_weeks);
    Ok(report)
}

/// The expression by which a report groups its rows.
fn key_sql(connection: &Connection, query: &ReportQuery) -> KeySql {
    let local = query.zone.local_sql(query.from, query.to);
    match query.by {
        Grouping::Hour => KeySql::Number(quotient(connection, &format!("{local} % {DAY_MS}"), HOUR_MS)),
        Grouping::Day => KeySql::Number(quotient(connection, &local, DAY_MS)),
        Grouping::Lot if connection.dialect() == Dialect::Other => KeySql::Text("CONCAT(lot, '@', domain)".into()),
        Grouping::Lot => KeySql::Text("(lot || '@' || domain)".into()),
        Grouping::Parker => KeySql::Text("parker".into()),
        Grouping::Retriever => KeySql::Text("retriever".into()),
    }
}

fn group_name(by: Grouping, key: &GroupKey) -> String {
    match key {
        GroupKey::Text(text) => text.clone(),
        GroupKey::Number(hour) if by == Grouping::Hour => format!("{hour:02}:00"),
        GroupKey::Number(day) => {
            DateTime::from_timestamp_millis(day * DAY_MS).unwrap_or_default().format("%Y-%m-%d").to_string()
        }
    }
}

/// Counts the calls of each hour of the week.
fn week_hours(counting: &Counting<'_>, query: &ReportQuery) -> Result<Vec<WeekHour>, StorageError> {
    let local = query.zone.local_sql(query.from, query.to);
    let week = HOURS_OF_A_WEEK * HOUR_MS;
    let hour = quotient(counting.connection, &format!("{local} % {week}"), HOUR_MS);
    let sql = format!(
        "SELECT ({hour}) * 2 + CASE WHEN wait_ms > {} THEN 1 ELSE 0 END, COUNT(*) FROM callpark_records WHERE {} GROUP BY 1",
        counting.long_wait_ms, counting.rows
    );
    let mut hours: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
    counting.connection.query(&sql, &mut |row| {
        let (code, count) = (number_at(row, 0), unsigned_at(row, 1));
        let (parked, long_waits) = hours.entry(code.div_euclid(2)).or_default();
        *parked += count;
        *long_waits += if code.rem_euclid(2) == 1 { count } else { 0 };
    })?;
    Ok(hours.into_iter().map(|(hour, (parked, long_waits))| WeekHour::new(hour, parked, long_waits)).collect())
}
