//! What is counted from the rows: pure, so that it can be counted again by hand.

use std::collections::BTreeMap;

use chrono::{DateTime, Local, TimeZone, Timelike};
use serde::Serialize;

use super::record::{Record, Refused};

/// Upper ends, in seconds, of the classes in which waits are counted; the last class has none.
const CLASSES: [i64; 6] = [10, 30, 60, 120, 300, 600];

/// One lot on one day of this server's time.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
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
    /// Of all that were parked, the share that a person took within `service_level` seconds; nothing where none was parked.
    pub(crate) in_time: Option<f64>,
    pub(crate) service_level: u32,
    /// The hour of day, 0 to 23, in which most were parked; the earliest of several.
    pub(crate) busiest_hour: Option<usize>,
    pub(crate) by_hour: [u64; 24],
    pub(crate) waits: [u64; CLASSES.len() + 1],
}

/// One tally for each lot and day, the newest day first.
pub(crate) fn tally(records: &[Record], refused: &[Refused], service_level: u32) -> Vec<Tally> {
    let mut groups: BTreeMap<(String, String, String), (Vec<&Record>, u64)> = BTreeMap::new();
    let key = |at: i64, domain: &str, lot: &str| (day_of(at), domain.to_owned(), lot.to_owned());
    for record in records {
        groups.entry(key(record.parked_at, &record.domain, &record.lot)).or_default().0.push(record);
    }
    for refused in refused {
        groups.entry(key(refused.at, &refused.domain, &refused.lot)).or_default().1 += 1;
    }
    let mut tallies: Vec<Tally> = groups
        .into_iter()
        .map(|((day, domain, lot), (records, full))| Tally { lot, domain, day, full, ..count(&records, service_level) })
        .collect();
    tallies.sort_by(|a, b| b.day.cmp(&a.day));
    tallies
}

fn count(records: &[&Record], service_level: u32) -> Tally {
    let mut tally = Tally { service_level, parked: records.len() as u64, ..Tally::default() };
    let mut in_time = 0;
    let mut waits: Vec<i64> = records.iter().map(|record| record.wait_ms).collect();
    waits.sort_unstable();
    for record in records {
        let taken = match record.outcome.as_str() {
            "retrieved" => Some(&mut tally.retrieved),
            "returned" => Some(&mut tally.returned),
            "fallback" => Some(&mut tally.fallback),
            "transferred" => Some(&mut tally.transferred),
            "abandoned" => Some(&mut tally.abandoned),
            _ => None,
        };
        if let Some(count) = taken {
            *count += 1;
        }
        let by_a_person = matches!(record.outcome.as_str(), "retrieved" | "returned");
        if by_a_person && record.wait_ms <= i64::from(service_level) * 1000 {
            in_time += 1;
        }
        if let Some(count) = tally.by_hour.get_mut(hour_of(record.parked_at)) {
            *count += 1;
        }
        let class = CLASSES.iter().position(|end| record.wait_ms <= end * 1000).unwrap_or(CLASSES.len());
        tally.waits[class] += 1;
    }
    if !waits.is_empty() {
        // Rows are whatever the database has.
        let sum: i128 = waits.iter().map(|wait| i128::from(*wait)).sum();
        tally.wait_mean_ms = i64::try_from(sum / waits.len() as i128).unwrap_or(i64::MAX);
        tally.wait_median_ms = rank(&waits, 50);
        tally.wait_p95_ms = rank(&waits, 95);
        tally.wait_longest_ms = rank(&waits, 100);
        tally.in_time = Some(f64::from(in_time) / waits.len() as f64);
        let most = tally.by_hour.iter().max().copied().unwrap_or(0);
        tally.busiest_hour = tally.by_hour.iter().position(|count| *count == most);
    }
    tally
}

/// The smallest of `sorted` that is not less than `percent` of them (nearest rank).
fn rank(sorted: &[i64], percent: usize) -> i64 {
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or(0)
}

fn local(ms: i64) -> DateTime<Local> {
    Local.timestamp_millis_opt(ms).single().unwrap_or_default()
}

/// As the server's own clock on the wall shows it.
pub(crate) fn local_time(ms: i64) -> String {
    local(ms).format("%Y-%m-%d %H:%M:%S").to_string()
}

fn day_of(ms: i64) -> String {
    local(ms).format("%Y-%m-%d").to_string()
}

fn hour_of(ms: i64) -> usize {
    local(ms).hour() as usize
}

/// When the day began that is `days` before the one of `now`; 1 = today.
pub(super) fn start_of(now: i64, days: u32) -> i64 {
    let day = local(now).date_naive() - chrono::Days::new(u64::from(days.max(1)) - 1);
    let midnight = day.and_hms_opt(0, 0, 0).unwrap_or_default();
    Local.from_local_datetime(&midnight).earliest().map_or(now, |at| at.timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(wait_ms: i64, outcome: &str, parked_at: i64) -> Record {
        Record {
            lot: "main".into(),
            domain: "a.b".into(),
            slot: "701".into(),
            caller_name: String::new(),
            caller_number: String::new(),
            parker: String::new(),
            retriever: String::new(),
            label: String::new(),
            parked_at,
            wait_ms,
            outcome: outcome.into(),
            attempts: 0,
            node: String::new(),
            uuid: format!("{wait_ms}"),
        }
    }

    #[test]
    fn a_day_is_counted() {
        let noon = start_of(1_700_000_000_000, 1) + 12 * 3_600_000;
        let mut records: Vec<Record> = (1..=20).map(|n| record(n * 5_000, "retrieved", noon)).collect();
        records.push(record(1_000_000, "abandoned", noon + 3_600_000));
        let refused = [Refused { at: noon, lot: "main".into(), domain: "a.b".into() }];
        let tallies = tally(&records, &refused, 60);
        let [day] = tallies.as_slice() else { panic!("{tallies:?}") };
        assert_eq!((day.parked, day.retrieved, day.abandoned, day.full), (21, 20, 1, 1));
        assert_eq!((day.wait_median_ms, day.wait_p95_ms, day.wait_longest_ms), (55_000, 100_000, 1_000_000));
        assert_eq!(day.wait_mean_ms, (210 * 5_000 + 1_000_000) / 21);
        assert_eq!(day.in_time, Some(12.0 / 21.0));
        assert_eq!((day.busiest_hour, day.by_hour[12], day.by_hour[13]), (Some(12), 20, 1));
        assert_eq!(day.waits, [2, 4, 6, 8, 0, 0, 1]);
    }

    #[test]
    fn rows_that_nobody_can_have_written_are_counted_all_the_same() {
        let tallies = tally(&[record(i64::MAX, "retrieved", i64::MIN), record(i64::MAX, "x", i64::MAX)], &[], 60);
        let [day] = tallies.as_slice() else { panic!("{tallies:?}") };
        assert_eq!((day.parked, day.wait_mean_ms, day.in_time), (2, i64::MAX, Some(0.0)));
    }

    #[test]
    fn lots_and_days_are_apart() {
        let today = start_of(1_700_000_000_000, 1);
        let records = [record(1, "retrieved", today), record(1, "retrieved", today - 1)];
        let days: Vec<Tally> = tally(&records, &[], 60);
        assert_eq!(days.len(), 2);
        assert!(days[0].day > days[1].day);
        assert_eq!(start_of(today, 2), start_of(today - 1, 1));
        assert!(tally(&[], &[], 60).is_empty());
    }

    #[test]
    fn the_rank_of_few_is_one_of_them() {
        assert_eq!((rank(&[7], 50), rank(&[7], 95), rank(&[1, 2], 50), rank(&[1, 2], 95)), (7, 7, 1, 2));
    }
}
