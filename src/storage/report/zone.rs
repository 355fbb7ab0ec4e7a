//! Time zones of reports. The database knows no zones: a query gets the offsets that a zone has within its range.

use chrono::{DateTime, Days, Local, NaiveDate, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;

pub(super) const HOUR_MS: i64 = 3_600_000;
pub(super) const DAY_MS: i64 = 86_400_000;
/// How far apart the offset is looked up. No zone changes its offset twice within this time.
const LOOKUP_STEP_MS: i64 = 6 * HOUR_MS;

/// The time zone in which days and hours are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Zone {
    /// The zone of this server.
    Server,
    Named(Tz),
}

impl Zone {
    /// Parses an IANA name such as `Europe/Berlin`. An empty text is the zone of the server.
    pub(super) fn parse(name: &str) -> Option<Zone> {
        if name.is_empty() { Some(Zone::Server) } else { name.parse().ok().map(Zone::Named) }
    }

    /// The name of the zone. The zone of the server is `server`, because the system may have no name for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Zone::Server => "server",
            Zone::Named(zone) => zone.name(),
        }
    }

    /// How much the clock of the zone is ahead of UTC.
    fn offset_ms(self, at: i64) -> i64 {
        let at = DateTime::from_timestamp_millis(at).unwrap_or_default().naive_utc();
        let offset = match self {
            Zone::Server => Local.offset_from_utc_datetime(&at).fix(),
            Zone::Named(zone) => zone.offset_from_utc_datetime(&at).fix(),
        };
        i64::from(offset.local_minus_utc()) * 1000
    }

    pub(super) fn local(self, at: i64) -> NaiveDateTime {
        DateTime::from_timestamp_millis(at + self.offset_ms(at)).unwrap_or_default().naive_utc()
    }

    pub(super) fn day_of(self, at: i64) -> NaiveDate {
        self.local(at).date()
    }

    pub(super) fn local_time(self, at: i64) -> String {
        self.local(at).format("%Y-%m-%d %H:%M").to_string()
    }

    /// The first moment of a day, which is later than midnight if the clock is set forward then. A zone may also leave out a whole day, as Samoa did: then
    /// it is the first moment of the next one.
    pub(super) fn day_began(self, day: NaiveDate) -> i64 {
        let days = [Some(day), day.checked_add_days(Days::new(1))].into_iter().flatten();
        let mut quarters =
            days.flat_map(|day| (0..96).filter_map(move |quarter| day.and_hms_opt(quarter / 4, quarter % 4 * 15, 0)));
        quarters.find_map(|local| self.earliest(local)).unwrap_or(0)
    }

    /// The first moment after a day.
    pub(super) fn day_ended(self, day: NaiveDate) -> i64 {
        self.day_began(day.checked_add_days(Days::new(1)).unwrap_or(day))
    }

    /// The first moment at which a clock of the zone shows this time. `None` if the clock skips it.
    pub(super) fn earliest(self, local: NaiveDateTime) -> Option<i64> {
        let utc = |at: DateTime<chrono::FixedOffset>| at.timestamp_millis();
        match self {
            Zone::Server => Local.from_local_datetime(&local).earliest().map(|at| utc(at.fixed_offset())),
            Zone::Named(zone) => zone.from_local_datetime(&local).earliest().map(|at| utc(at.fixed_offset())),
        }
    }

    /// The offsets within a range, each with its first moment.
    fn offsets(self, from: i64, to: i64) -> Vec<(i64, i64)> {
        let mut offset = self.offset_ms(from);
        let mut found = vec![(from, offset)];
        let mut at = from;
        while at < to {
            let next = (at + LOOKUP_STEP_MS).min(to);
            if self.offset_ms(next) != offset {
                let (mut before, mut after) = (at, next);
                while after - before > 1 {
                    let middle = before + (after - before) / 2;
                    if self.offset_ms(middle) == offset { before = middle } else { after = middle }
                }
                offset = self.offset_ms(after);
                found.push((after, offset));
            }
            at = next;
        }
        found
    }

    /// An SQL expression: what a clock of the zone shows at `parked_at`, in milliseconds since its own 1970. It holds within this range.
    pub(super) fn local_sql(self, from: i64, to: i64) -> String {
        let offsets = self.offsets(from, to);
        let Some(((_, last), others)) = offsets.split_last() else { return "parked_at".into() };
        let cases: String = others
            .iter()
            .zip(offsets.iter().skip(1))
            .map(|((_, offset), (end, _))| format!("WHEN parked_at < {end} THEN {offset} "))
            .collect();
        if cases.is_empty() {
            format!("(parked_at + {last})")
        } else {
            format!("(parked_at + CASE {cases}ELSE {last} END)")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUGUST: i64 = 1_785_535_200_000; // 2026-08-01 00:00 in Berlin
    const DECEMBER: i64 = 1_796_079_600_000; // 2026-12-01 00:00 in Berlin

    #[test]
    fn the_offsets_change_at_the_hour_at_which_the_clock_does() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        let change = DateTime::parse_from_rfc3339("2026-10-25T01:00:00Z").unwrap().timestamp_millis();
        assert_eq!(berlin.offsets(AUGUST, DECEMBER), [(AUGUST, 2 * HOUR_MS), (change, HOUR_MS)]);
        assert_eq!(
            berlin.local_sql(AUGUST, DECEMBER),
            format!("(parked_at + CASE WHEN parked_at < {change} THEN 7200000 ELSE 3600000 END)")
        );
        assert_eq!(Zone::parse("Asia/Kolkata").unwrap().local_sql(AUGUST, DECEMBER), "(parked_at + 19800000)");
        // Lord Howe Island sets its clock by half an hour; Morocco twice within five weeks.
        assert_eq!(Zone::parse("Australia/Lord_Howe").unwrap().offsets(AUGUST, DECEMBER).len(), 2);
        assert_eq!(Zone::parse("Africa/Casablanca").unwrap().offsets(1_767_225_600_000, AUGUST).len(), 3);
    }

    #[test]
    fn a_day_begins_where_its_clock_does() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        let day = NaiveDate::from_ymd_opt(2026, 10, 25).unwrap();
        assert_eq!(berlin.day_ended(day) - berlin.day_began(day), 25 * HOUR_MS);
        assert_eq!(berlin.day_of(berlin.day_began(day)), day);
        assert_eq!(berlin.day_of(berlin.day_began(day) - 1), day.pred_opt().unwrap());
        // Samoa had no 30th of December 2011.
        let apia = Zone::parse("Pacific/Apia").unwrap();
        let [before, missing, after] = [29, 30, 31].map(|day| NaiveDate::from_ymd_opt(2011, 12, day).unwrap());
        assert_eq!(apia.day_began(missing), apia.day_began(after));
        assert_eq!(apia.day_ended(before), apia.day_began(after));
        assert_eq!(apia.day_began(after) - apia.day_began(before), DAY_MS);
        // In Beirut the clock goes from midnight to one.
        let beirut = Zone::parse("Asia/Beirut").unwrap();
        let skipped = NaiveDate::from_ymd_opt(2026, 3, 29).unwrap();
        assert_eq!(beirut.day_of(beirut.day_began(skipped)), skipped);
        assert_eq!(beirut.day_ended(skipped) - beirut.day_began(skipped), 23 * HOUR_MS);
        assert_eq!(beirut.earliest(skipped.and_hms_opt(0, 30, 0).unwrap()), None);
    }

    #[test]
    fn a_zone_is_known_by_its_name() {
        assert_eq!(Zone::parse(""), Some(Zone::Server));
        assert_eq!(Zone::parse("Europe/Berlin").unwrap().name(), "Europe/Berlin");
        assert_eq!(Zone::parse("Europe/Entenhausen"), None);
    }
}
