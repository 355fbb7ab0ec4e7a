//! Counts calls in the database. One query counts them in cells (group, class of the wait, outcome), which are few however many rows there are.
//! From these follow all figures but the exact median and 95th percentile. The class in which each of them lies is known, and its place there, so
//! a second query asks for the rows at these places.
//!
//! The queries are written for the slowest part of each database. SQLite sorts rows to group them, and compares numbers fastest, so a key that is a
//! number and the code are one column, and the code is compared before a text. PostgreSQL may choose a nested loop for `(a, b) IN (VALUES ...)`, so
//! one text is compared with a list of constants.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::figures::ReportFigures;
use crate::storage::connection::{Connection, Dialect, StorageError, number_at, text_at, unsigned_at};
use crate::storage::record::OUTCOMES;

/// A cell is `wait class * CLASS_STEP + flag + outcome code`, and with a number as its key `key * KEY_STEP` more.
const CLASS_STEP: i64 = 32;
const KEY_STEP: i64 = 8192;
const IN_TIME_FLAG: i64 = 16;
const LONG_WAIT_FLAG: i64 = 8;
/// The classes of waits: up to this end in milliseconds, in steps of this size. The last class has no end.
const WAIT_CLASSES: [(i64, i64); 4] =
    [(60_000, 1000), (600_000, 10_000), (7_200_000, 120_000), (86_400_000, 3_600_000)];
/// The maximum number of groups in a report. Of more groups, those with most calls are in it.
pub(crate) const MAX_REPORT_GROUPS: usize = 500;
/// The number of cells up to which all groups are counted; with more, only the groups that are in the report.
const MAX_CELLS: usize = 100_000;
/// The maximum number of ranges of waits with which each row is compared before its class is calculated.
const MAX_WAIT_RANGES: usize = 6;

/// An SQL expression by which rows are grouped.
pub(super) enum KeySql {
    /// A number from 0 on.
    Number(String),
    Text(String),
}

impl KeySql {
    fn sql(&self) -> &str {
        match self {
            KeySql::Number(sql) | KeySql::Text(sql) => sql,
        }
    }
}

/// The key of a group.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) enum GroupKey {
    Number(i64),
    Text(String),
}

/// Which calls are counted, and how.
pub(super) struct Counting<'a> {
    pub(super) connection: &'a Connection,
    /// A condition for the rows.
    pub(super) rows: String,
    pub(super) in_time_ms: i64,
    pub(super) long_wait_ms: i64,
}

/// The figures of each group and in total.
pub(super) struct GroupFigures {
    pub(super) total: ReportFigures,
    pub(super) groups: BTreeMap<GroupKey, ReportFigures>,
    /// Whether groups were left out of `groups`.
    pub(super) truncated: bool,
}

/// The cells of one group.
#[derive(Clone, Default)]
struct Cells {
    figures: ReportFigures,
    sum_ms: f64,
    longest_ms: Option<i64>,
    answered_in_time: u64,
    by_class: BTreeMap<i64, u64>,
}

impl Cells {
    fn add(&mut self, code: i64, count: u64, sum_ms: f64, longest_ms: i64) {
        let figures = &mut self.figures;
        figures.parked += count;
        match code % LONG_WAIT_FLAG {
            1 => figures.retrieved += count,
            2 => figures.returned += count,
            3 => figures.fallback += count,
            4 => figures.transferred += count,
            5 => figures.abandoned += count,
            _ => {}
        }
        if code % CLASS_STEP >= IN_TIME_FLAG {
            self.answered_in_time += if matches!(code % LONG_WAIT_FLAG, 1 | 2) { count } else { 0 };
        } else if code % CLASS_STEP >= LONG_WAIT_FLAG {
            figures.long_waits += count;
        }
        self.sum_ms += sum_ms;
        self.longest_ms = self.longest_ms.max(Some(longest_ms));
        *self.by_class.entry(code / CLASS_STEP).or_default() += count;
    }

    fn add_all(&mut self, other: &Cells) {
        self.figures.add(&other.figures);
        self.sum_ms += other.sum_ms;
        self.longest_ms = self.longest_ms.max(other.longest_ms);
        self.answered_in_time += other.answered_in_time;
        other.by_class.iter().for_each(|(class, count)| *self.by_class.entry(*class).or_default() += count);
    }

    /// The class and the place in it, from 1 on, of the wait at a nearest-rank percentile.
    fn place(&self, percent: u64) -> Option<(i64, u64)> {
        let rank = (self.figures.parked * percent).div_ceil(100);
        let mut below = 0;
        for (class, count) in &self.by_class {
            if below + count >= rank {
                return Some((*class, rank - below));
            }
            below += count;
        }
        None
    }

    fn finish(mut self, waits: impl Fn(i64, u64) -> i64) -> ReportFigures {
        let at = |percent| self.place(percent).map_or(0, |(class, place)| waits(class, place));
        let (median, p95) = (at(50), at(95));
        let parked = self.figures.parked;
        if parked > 0 {
            self.figures.in_time = Some(self.answered_in_time as f64 / parked as f64);
            // `as` saturates at the limits of an i64.
            self.figures.wait_mean_ms = (self.sum_ms / parked as f64).floor() as i64;
        }
        self.figures.wait_median_ms = median;
        self.figures.wait_p95_ms = p95;
        self.figures.wait_longest_ms = self.longest_ms.unwrap_or(0);
        self.figures
    }
}

impl Counting<'_> {
    /// Counts all rows together.
    pub(super) fn total(&self) -> Result<ReportFigures, StorageError> {
        Ok(self.count(&KeySql::Number("0".into()))?.total)
    }

    /// Counts the rows of each group.
    pub(super) fn count(&self, key: &KeySql) -> Result<GroupFigures, StorageError> {
        let mut cells = self.cells(key, None)?;
        let groups = cells.keys().flatten().count();
        let truncated = groups > MAX_REPORT_GROUPS || cells.contains_key(&None);
        if truncated {
            cells = self.cells(key, Some(&self.largest_groups(key)?))?;
        }
        let mut all = Cells::default();
        cells.values().for_each(|group| all.add_all(group));
        let groups: BTreeMap<GroupKey, Cells> =
            cells.into_iter().filter_map(|(key, cells)| Some((key?, cells))).collect();
        let none = KeySql::Number("0".into());
        let total = BTreeMap::from([(GroupKey::Number(0), all)]);
        let total = self.finish(&none, total)?.into_values().next().unwrap_or_default();
        // A report without groups is its total.
        let groups = if key.sql() == none.sql() { BTreeMap::new() } else { self.finish(key, groups)? };
        Ok(GroupFigures { total, groups, truncated })
    }

    /// Counts the cells of each group. `largest` is a list of texts; then the rows of all others are a group `None`. If there are too many cells of
    /// texts, the rest is left out, and a group `None` says so.
    fn cells(&self, key: &KeySql, largest: Option<&str>) -> Result<BTreeMap<Option<GroupKey>, Cells>, StorageError> {
        let (code, sql) = (self.code_sql(), key.sql());
        let (text, code, limit) = match (key, largest) {
            (KeySql::Number(_), _) => (None, format!("({sql}) * {KEY_STEP} + {code}"), String::new()),
            (KeySql::Text(_), None) => (Some(sql.to_owned()), code, format!(" LIMIT {}", MAX_CELLS + 1)),
            // Drivers do not tell NULL from an empty text, so the code says which rows are of no such group.
            (KeySql::Text(_), Some(largest)) => {
                let among =
                    |then: &str, other: &str| format!("CASE WHEN {sql} IN ({largest}) THEN {then} ELSE {other} END");
                (Some(among(sql, "''")), format!("{} + {code}", among("0", &KEY_STEP.to_string())), String::new())
            }
        };
        let (text, keys) = text.map_or(("0".into(), "2"), |text| (text, "2, 1"));
        let sql = format!(
            "SELECT {text}, {code}, COUNT(*), SUM(wait_ms * 1.0), MAX(wait_ms) FROM callpark_records WHERE {} GROUP BY {keys}{limit}",
            self.rows
        );
        let mut cells: BTreeMap<Option<GroupKey>, Cells> = BTreeMap::new();
        let mut count = 0;
        self.connection.query(&sql, &mut |row| {
            count += 1;
            let code = number_at(row, 1);
            let group = match key {
                KeySql::Number(_) => Some(GroupKey::Number(code / KEY_STEP)),
                KeySql::Text(_) => (code < KEY_STEP).then(|| GroupKey::Text(text_at(row, 0))),
            };
            let sum = text_at(row, 3).parse().unwrap_or(0.0);
            cells.entry(group).or_default().add(code % KEY_STEP, unsigned_at(row, 2), sum, number_at(row, 4));
        })?;
        if !limit.is_empty() && count > MAX_CELLS {
            cells.entry(None).or_default();
        }
        Ok(cells)
    }

    /// The keys of the groups with most calls, as a list in SQL.
    fn largest_groups(&self, key: &KeySql) -> Result<String, StorageError> {
        let sql = format!(
            "SELECT {}, COUNT(*) FROM callpark_records WHERE {} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {MAX_REPORT_GROUPS}",
            key.sql(),
            self.rows
        );
        let mut largest = Vec::new();
        self.connection.query(&sql, &mut |row| largest.push(self.connection.text(&text_at(row, 0))))?;
        Ok(if largest.is_empty() { "''".into() } else { largest.join(", ") })
    }

    /// Adds the exact waits to the figures.
    fn finish(
        &self,
        key: &KeySql,
        groups: BTreeMap<GroupKey, Cells>,
    ) -> Result<BTreeMap<GroupKey, ReportFigures>, StorageError> {
        let mut places: HashMap<(GroupKey, i64, u64), i64> = HashMap::new();
        for (group, cells) in &groups {
            let of_group = [50, 95].into_iter().filter_map(|percent| cells.place(percent));
            places.extend(of_group.map(|(class, place)| ((group.clone(), class, place), class_end(class))));
        }
        self.read_waits(key, &mut places)?;
        let finished = groups.into_iter().map(|(group, cells)| {
            // Rows that were deleted in between leave the end of the class.
            let figures = cells.finish(|class, place| {
                places.get(&(group.clone(), class, place)).copied().unwrap_or_else(|| class_end(class))
            });
            (group, figures)
        });
        Ok(finished.collect())
    }

    /// Reads the waits at these places of a group and a class.
    fn read_waits(&self, key: &KeySql, places: &mut HashMap<(GroupKey, i64, u64), i64>) -> Result<(), StorageError> {
        if places.is_empty() {
            return Ok(());
        }
        let name = |group: &GroupKey| match group {
            GroupKey::Number(number) => number.to_string(),
            GroupKey::Text(text) => text.clone(),
        };
        let list = |names: BTreeSet<String>| {
            names.iter().map(|name| self.connection.text(name)).collect::<Vec<String>>().join(", ")
        };
        let classes = places.keys().map(|(group, class, _)| format!("{} {class}", name(group))).collect();
        let exact = places.keys().map(|(group, class, place)| format!("{} {class} {place}", name(group))).collect();
        let sql = format!(
            "SELECT k, c, place, wait_ms FROM (SELECT k, c, wait_ms, ROW_NUMBER() OVER (PARTITION BY k, c ORDER BY wait_ms) AS place \
             FROM (SELECT {} AS k, {} AS c, wait_ms FROM callpark_records WHERE {} AND ({})) keyed WHERE {} IN ({})) ranked WHERE {} IN ({})",
            key.sql(),
            self.class_sql(),
            self.rows,
            only_classes(&places.keys().map(|(_, class, _)| *class).collect()),
            spaced(self.connection, &["k", "c"]),
            list(classes),
            spaced(self.connection, &["k", "c", "place"]),
            list(exact),
        );
        self.connection.query(&sql, &mut |row| {
            let group = match key {
                KeySql::Number(_) => GroupKey::Number(number_at(row, 0)),
                KeySql::Text(_) => GroupKey::Text(text_at(row, 0)),
            };
            places.insert((group, number_at(row, 1), unsigned_at(row, 2)), number_at(row, 3));
        })
    }

    /// An expression for the class of a wait, flags and outcome. The code of an outcome is its place in the list, from 1 on; 0 is any other text, which
    /// somebody else has written.
    fn code_sql(&self) -> String {
        let outcomes: String = OUTCOMES
            .iter()
            .zip(1..)
            .map(|(outcome, code): (_, i64)| format!("WHEN '{outcome}' THEN {code} "))
            .collect();
        format!(
            "({}) * {CLASS_STEP} + CASE WHEN wait_ms <= {} THEN {IN_TIME_FLAG} WHEN wait_ms > {} THEN {LONG_WAIT_FLAG} ELSE 0 END + CASE outcome \
             {outcomes}ELSE 0 END",
            self.class_sql(),
            self.in_time_ms,
            self.long_wait_ms,
        )
    }

    /// An expression for the class of a wait: 0 for none, and then counted up.
    fn class_sql(&self) -> String {
        let mut classes = String::from("CASE WHEN wait_ms <= 0 THEN 0");
        let (mut begin, mut before) = (0, 0);
        for (end, step) in WAIT_CLASSES {
            let number = quotient(self.connection, &format!("wait_ms + {}", step - 1), step);
            classes += &format!(" WHEN wait_ms <= {end} THEN {number} + {}", before - begin / step);
            (begin, before) = (end, before + (end - begin) / step);
        }
        format!("{classes} ELSE {} END", before + 1)
    }
}

/// A condition for the waits of these classes, which spares the database to calculate the class of each row. If they are far apart, it includes some
/// of the classes between them.
fn only_classes(classes: &BTreeSet<i64>) -> String {
    let mut ranges: Vec<(i64, i64)> = classes.iter().map(|class| (*class, *class)).collect();
    let gap = |ranges: &[(i64, i64)], at: usize| ranges[at + 1].0 - ranges[at].1;
    while let Some(nearest) = (1..ranges.len()).map(|next| next - 1).min_by_key(|at| gap(&ranges, *at)) {
        if gap(&ranges, nearest) > 1 && ranges.len() <= MAX_WAIT_RANGES {
            break;
        }
        ranges[nearest].1 = ranges.remove(nearest + 1).1;
    }
    let condition = |(first, last): (i64, i64)| {
        let begin = (first > 0).then(|| format!("wait_ms > {}", class_end(first - 1)));
        let end = (class_end(last) > class_end(last - 1)).then(|| format!("wait_ms <= {}", class_end(last)));
        let both: Vec<String> = begin.into_iter().chain(end).collect();
        if both.is_empty() { "1 = 1".into() } else { both.join(" AND ") }
    };
    Vec::from_iter(ranges.into_iter().map(condition)).join(" OR ")
}

/// An expression for the texts of these columns, separated by spaces.
fn spaced(connection: &Connection, columns: &[&str]) -> String {
    match connection.dialect() {
        Dialect::Sqlite | Dialect::Postgres => format!("({})", columns.join(" || ' ' || ")),
        Dialect::Other => format!("CONCAT({})", columns.join(", ' ', ")),
    }
}

/// The end of a class in milliseconds; of the last class, its beginning.
fn class_end(class: i64) -> i64 {
    let (mut begin, mut before) = (0, 0);
    for (end, step) in WAIT_CLASSES {
        let classes = (end - begin) / step;
        if class <= before + classes {
            return begin + (class - before) * step;
        }
        (begin, before) = (end, before + classes);
    }
    begin
}

/// An expression for the whole quotient of a number from 0 on.
pub(super) fn quotient(connection: &Connection, number: &str, divisor: i64) -> String {
    match connection.dialect() {
        Dialect::Sqlite | Dialect::Postgres => format!("({number}) / {divisor}"),
        Dialect::Other => format!("FLOOR(({number}) / {divisor})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_the_95th_percentile_are_at_their_nearest_rank() {
        let mut cells = Cells::default();
        for wait in 1..=21 {
            cells.add(wait * CLASS_STEP + IN_TIME_FLAG + 1, 1, 1000.0, 1000 * wait);
        }
        assert_eq!((cells.place(50), cells.place(95), cells.place(100)), (Some((11, 1)), Some((20, 1)), Some((21, 1))));
        let mut one = Cells::default();
        one.add(3 * CLASS_STEP + LONG_WAIT_FLAG + 5, 4, 12_000.0, 2500);
        assert_eq!((one.place(50), one.place(95)), (Some((3, 2)), Some((3, 4))));
        assert_eq!((one.figures.abandoned, one.figures.long_waits, one.answered_in_time), (4, 4, 0));
        assert_eq!(Cells::default().place(50), None);
        let figures = cells.finish(|class, place| class * 1000 + i64::try_from(place).unwrap());
        assert_eq!((figures.wait_median_ms, figures.wait_longest_ms, figures.in_time), (11_001, 21_000, Some(1.0)));
    }

    #[test]
    fn each_class_has_its_end() {
        for (class, end) in
            [(0, 0), (1, 1000), (60, 60_000), (61, 70_000), (114, 600_000), (115, 720_000), (169, 7_200_000)]
        {
            assert_eq!(class_end(class), end, "{class}");
        }
        assert_eq!((class_end(170), class_end(191), class_end(192)), (10_800_000, 86_400_000, 86_400_000));
        const { assert!(192 * CLASS_STEP + 31 < KEY_STEP) };
    }

    #[test]
    fn only_the_waits_of_some_classes_are_read() {
        let condition = |classes: &[i64]| only_classes(&classes.iter().copied().collect());
        assert_eq!(
            condition(&[0, 2, 61, 192]),
            "wait_ms <= 0 OR wait_ms > 1000 AND wait_ms <= 2000 OR wait_ms > 60000 AND wait_ms <= 70000 OR wait_ms > 86400000"
        );
        // Neighbours are one range. Of many ranges, the nearest are joined.
        assert_eq!(condition(&[2, 3, 4]), "wait_ms > 1000 AND wait_ms <= 4000");
        let joined = condition(&[1, 10, 20, 23, 40, 50, 60]);
        assert!(joined.contains("wait_ms > 19000 AND wait_ms <= 23000"), "{joined}");
        assert_eq!(joined.matches(" OR ").count() + 1, MAX_WAIT_RANGES);
        assert_eq!(condition(&Vec::from_iter(0..=192)), "1 = 1");
    }
}
