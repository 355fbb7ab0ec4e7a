//! Statistics of the history. The database counts, so that a year of a busy server is never in FreeSWITCH's memory. Each query is for one day of
//! this server's time zone, which limits what the database must sort.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, Local, NaiveDate, TimeZone, Timelike};
use serde::Serialize;
use utoipa::ToSchema;

use super::connection::{Connection, DbRow, StorageError, number_at, text_at, unsigned_at};
use super::history::condition;
use super::record::{HistoryFilter, OUTCOMES};

/// The upper ends, in seconds, of the classes in which waits are counted. The last class has none.
const WAIT_CLASS_ENDS_SECS: [i64; 6] = [10, 30, 60, 120, 300, 600];
/// Local hours begin at multiples of this time in all time zones.
const QUARTER_HOUR_MS: i64 = 900_000;

/// The statistics of one lot on one day of this server's time zone.
#[derive(Clone, PartialEq, Debug, Default, Serialize, ToSchema)]
pub(crate) struct Tally {
    pub(crate) lot: String,
    pub(crate) domain: String,
    /// `2026-11-23`
    pub(crate) day: String,
    pub(crate) parked: u64,
    pub(crate) retrieved: u64,
    pub(crate) returned: u64,
    pub(crate) fallback: u64,
    pub(crate) transferred: u64,
    pub(crate) abandoned: u64,
    pub(crate) full: u64,
    pub(crate) wait_mean_ms: i64,
    pub(crate) wait_median_ms: i64,
    pub(crate) wait_p95_ms: i64,
    pub(crate) wait_longest_ms: i64,
    /// The share of the parked calls that a person answered within `service_level` seconds; null if none was parked.
    #[schema(required)]
    pub(crate) in_time: Option<f64>,
    pub(crate) service_level: u32,
    /// The hour of the day, 0 to 23, in which most calls were parked; the earliest of several.
    #[schema(required)]
    pub(crate) busiest_hour: Option<usize>,
    #[schema(min_items = 24, max_items = 24)]
    pub(crate) by_hour: [u64; 24],
    /// The numbers of calls that waited up to 10, 30, 60, 120, 300 and 600 seconds, and longer.
    #[schema(value_type = Vec<u64>, min_items = 7, max_items = 7)]
    pub(crate) waits: [u64; WAIT_CLASS_ENDS_SECS.len() + 1],
}

/// Returns a tally for each lot and each of the last `days` days, the newest day first.
pub(super) fn tallies(
    connection: &Connection,
    (now, days): (i64, u32),
    filter: &HistoryFilter,
    service_level: u32,
) -> Result<Vec<Tally>, StorageError> {
    let today = local(now).date_naive();
    let since = day_began(today - Days::new(u64::from(days.max(1)) - 1));
    let mut before = day_began(today + Days::new(1));
    let mut found = Vec::new();
    // Days on which no call was parked are left out.
    while let Some(newest) = newest_row(connection, since, before)? {
        let day = local(newest).date_naive();
        found.extend(tallies_of_day(connection, day, filter, service_level)?);
        before = before.min(day_began(day));
    }
    Ok(found)
}

fn newest_row(connection: &Connection, since: i64, before: i64) -> Result<Option<i64>, StorageError> {
    let mut newest = None;
    let sql = format!(
        "SELECT MAX(parked_at) FROM callpark_records WHERE parked_at >= {since} AND parked_at < {before} UNION ALL SELECT \
         MAX(refused_at) FROM callpark_refused WHERE refused_at >= {since} AND refused_at < {before}"
    );
    connection.query(&sql, &mut |row| {
        let at = row.first().and_then(|at| at.as_deref()?.parse::<i64>().ok());
        newest = newest.into_iter().chain(at).max();
    })?;
    Ok(newest)
}

fn tallies_of_day(
    connection: &Connection,
    day: NaiveDate,
    filter: &HistoryFilter,
    service_level: u32,
) -> Result<Vec<Tally>, StorageError> {
    let name = day.format("%Y-%m-%d").to_string();
    let (from, to) = (day_began(day), day_began(day + Days::new(1)));
    let condition_on = |at: &str| format!("{at} >= {from} AND {at} < {to}{}", condition(connection, filter));
    let mut tallies: BTreeMap<(String, String), Tally> = BTreeMap::new();
    connection.query(&counts_sql(&condition_on("parked_at"), service_level), &mut |row| {
        let tally = read(row, &name, service_level);
        tallies.insert((tally.domain.clone(), tally.lot.clone()), tally);
    })?;
    let mut of = |row: &DbRow, count: &mut dyn FnMut(&mut Tally)| {
        let (domain, lot) = (text_at(row, 0), text_at(row, 1));
        let new =
            || Tally { lot: lot.clone(), domain: domain.clone(), day: name.clone(), service_level, ..Tally::default() };
        count(tallies.entry((domain.clone(), lot.clone())).or_insert_with(new));
    };
    let quarter = format!("parked_at - parked_at % {QUARTER_HOUR_MS}");
    let sql = format!(
        "SELECT domain, lot, {quarter}, COUNT(*) FROM callpark_records WHERE {} GROUP BY domain, lot, {quarter}",
        condition_on("parked_at")
    );
    connection.query(&sql, &mut |row| {
        of(row, &mut |tally| {
            if let Some(count) = tally.by_hour.get_mut(local(number_at(row, 2)).hour() as usize) {
                *count += unsigned_at(row, 3);
            }
        });
    })?;
    let sql = format!(
        "SELECT domain, lot, COUNT(*) FROM callpark_refused WHERE {} GROUP BY domain, lot",
        condition_on("refused_at")
    );
    connection.query(&sql, &mut |row| of(row, &mut |tally| tally.full = unsigned_at(row, 2)))?;
    let mut tallies: Vec<Tally> = tallies.into_values().collect();
    for tally in tallies.iter_mut().filter(|tally| tally.parked > 0) {
        let most = tally.by_hour.iter().max().copied().unwrap_or(0);
        tally.busiest_hour = tally.by_hour.iter().position(|count| *count == most);
    }
    Ok(tallies)
}

/// Counts the calls, outcomes and waits of each lot. The median and the 95th percentile are nearest-rank percentiles.
fn counts_sql(meant: &str, service_level: u32) -> String {
    let count = |what: String| format!("SUM(CASE WHEN {what} THEN 1 ELSE 0 END)");
    let outcomes = OUTCOMES.map(|outcome| count(format!("outcome = '{outcome}'"))).join(", ");
    let rank = |percent: i64| {
        format!(
            "MAX(CASE WHEN place * 100 >= many * {percent} AND (place - 1) * 100 < many * {percent} THEN wait_ms END)"
        )
    };
    let in_time =
        count(format!("outcome IN ('retrieved', 'returned') AND wait_ms <= {}", i64::from(service_level) * 1000));
    let classes = WAIT_CLASS_ENDS_SECS.map(|end| count(format!("wait_ms <= {}", end * 1000))).join(", ");
    format!(
        "SELECT domain, lot, COUNT(*), {outcomes}, SUM(wait_ms * 1.0), {}, {}, MAX(wait_ms), {in_time}, {classes} FROM (SELECT domain, \
         lot, outcome, wait_ms, ROW_NUMBER() OVER (PARTITION BY domain, lot ORDER BY wait_ms) AS place, COUNT(*) OVER (PARTITION BY \
         domain, lot) AS many FROM callpark_records WHERE {meant}) ranked GROUP BY domain, lot",
        rank(50),
        rank(95),
    )
}

/// Parses a row of that query.
pub(crate) fn read(row: &DbRow, day: &str, service_level: u32) -> Tally {
    let parked = unsigned_at(row, 2);
    let [retrieved, returned, fallback, transferred, abandoned] = [3, 4, 5, 6, 7].map(|at| unsigned_at(row, at));
    let sum: f64 = text_at(row, 8).parse().unwrap_or(0.0);
    let mut waits = [0; WAIT_CLASS_ENDS_SECS.len() + 1];
    let mut below = 0;
    for (class, wait) in waits.iter_mut().enumerate() {
        // Each count includes those of the previous classes. The last class has the rest.
        let up_to =
            if class < WAIT_CLASS_ENDS_SECS.len() { unsigned_at(row, 13 + class).clamp(below, parked) } else { parked };
        *wait = up_to - below;
        below = up_to;
    }
    let share = |part: u64| (part.min(parked) as f64) / (parked as f64);
    Tally {
        lot: text_at(row, 1),
        domain: text_at(row, 0),
        day: day.to_owned(),
        parked,
        retrieved,
        returned,
        fallback,
        transferred,
        abandoned,
        // `as` saturates at the limits of an i64.
        wait_mean_ms: if parked > 0 { (sum / parked as f64).floor() as i64 } else { 0 },
        wait_median_ms: number_at(row, 9),
        wait_p95_ms: number_at(row, 10),
        wait_longest_ms: number_at(row, 11),
        in_time: (parked > 0).then(|| share(unsigned_at(row, 12))),
        service_level,
        waits,
        ..Tally::default()
    }
}

fn local(ms: i64) -> DateTime<Local> {
    Local.timestamp_millis_opt(ms).single().unwrap_or_default()
}

/// Formats a time in the time zone of the server.
pub(crate) fn local_time(ms: i64) -> String {
    local(ms).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// The first moment of a day, which is later than midnight if the clock is set forward then.
fn day_began(day: NaiveDate) -> i64 {
    let hours = (0..24).filter_map(|hour| Local.from_local_datetime(&day.and_hms_opt(hour, 0, 0)?).earliest());
    hours.map(|at| at.timestamp_millis()).next().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read() {
        let row = "a.b|main|21|20|0|0|0|1|2050000.0|55000|100000|1000000|12|2|6|12|20|20|20";
        let row: Vec<Option<String>> = row.split('|').map(|value| Some(value.to_owned())).collect();
        let tally = read(&row, "2026-11-23", 60);
        assert_eq!((tally.parked, tally.retrieved, tally.abandoned), (21, 20, 1));
        assert_eq!((tally.wait_mean_ms, tally.wait_median_ms, tally.wait_p95_ms), (97_619, 55_000, 100_000));
        assert_eq!((tally.wait_longest_ms, tally.in_time), (1_000_000, Some(12.0 / 21.0)));
        assert_eq!(tally.waits, [2, 4, 6, 8, 0, 0, 1]);
    }

    #[test]
    fn days_follow_each_other() {
        let day = NaiveDate::from_ymd_opt(2026, 3, 29).unwrap();
        assert!(day_began(day) < day_began(day + Days::new(1)));
        assert_eq!(local(day_began(day)).date_naive(), day);
    }
}
