//! What stands out in a report, in words.

use super::figures::{Finding, FindingKind, Report, ReportFigures, ReportGroup};

/// The fewest calls of which a share says something.
const MIN_CALLS: u64 = 10;
/// Long waits stand out if they are at least one in so many.
const LONG_WAIT_ONE_IN: u64 = 5;
/// The most findings of a kind.
const MAX_OF_A_KIND: usize = 3;
/// The least difference from the period before that is mentioned, as a share of the calls.
const MIN_CHANGE: f64 = 0.05;
pub(super) const HOURS_OF_A_WEEK: i64 = 168;
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// The calls of an hour of the week, and how many of them waited long.
#[derive(Clone, Copy, Debug)]
pub(super) struct WeekHour {
    /// Hours since Monday, 00:00.
    pub(super) hour: usize,
    pub(super) parked: u64,
    pub(super) long_waits: u64,
}

impl WeekHour {
    /// `hours` is the number of hours since 1970, which began on a Thursday.
    pub(super) fn new(hours: i64, parked: u64, long_waits: u64) -> WeekHour {
        let hour = usize::try_from((hours + 3 * 24).rem_euclid(HOURS_OF_A_WEEK)).unwrap_or(0);
        WeekHour { hour, parked, long_waits }
    }

    /// `Mondays 9 to 10`, or `Monday 9 to 10` if there was only one.
    fn name(&self, several_weeks: bool) -> String {
        let day = WEEKDAYS.get(self.hour / 24).copied().unwrap_or_default();
        let hour = self.hour % 24;
        format!("{day}{} {hour} to {}", if several_weeks { "s" } else { "" }, hour + 1)
    }
}

/// Returns what stands out in a report, whose other fields are complete.
pub(super) fn find(report: &Report, week: &[WeekHour], several_weeks: bool) -> Vec<Finding> {
    let mut found = long_waits_of_hours(report, week, several_weeks);
    found.extend(long_waits_of_groups(report));
    found.extend(changes(report));
    found.extend(busiest_hour(report, week, several_weeks));
    found
}

fn finding(kind: FindingKind, text: String, (count, of): (u64, u64)) -> Finding {
    Finding { kind, text, weekday: None, hour: None, group: None, count, of, count_before: None, of_before: None }
}

fn of_hour(finding: Finding, hour: &WeekHour) -> Finding {
    Finding { weekday: Some(hour.hour / 24 + 1), hour: Some(hour.hour % 24), ..finding }
}

fn is_often(long_waits: u64, parked: u64) -> bool {
    parked >= MIN_CALLS && long_waits * LONG_WAIT_ONE_IN >= parked
}

fn long_waits_text(name: &str, long_waits: u64, parked: u64, report: &Report) -> String {
    format!("{name}: {long_waits} of {parked} callers waited longer than {}", duration(report.long_wait_seconds))
}

fn long_waits_of_hours(report: &Report, week: &[WeekHour], several_weeks: bool) -> Vec<Finding> {
    let mut often: Vec<&WeekHour> = week.iter().filter(|hour| is_often(hour.long_waits, hour.parked)).collect();
    often.sort_by_key(|hour| (std::cmp::Reverse(hour.long_waits), hour.hour));
    let found = often.into_iter().take(MAX_OF_A_KIND).map(|hour| {
        let text = long_waits_text(&hour.name(several_weeks), hour.long_waits, hour.parked, report);
        of_hour(finding(FindingKind::LongWaitsHour, text, (hour.long_waits, hour.parked)), hour)
    });
    found.collect()
}

fn long_waits_of_groups(report: &Report) -> Vec<Finding> {
    // The hours of the week say more than the hours of the day, and one group alone says no more than the total.
    if report.by == "hour" || report.groups.len() < 2 {
        return Vec::new();
    }
    let is_named = |group: &&ReportGroup| !group.group.is_empty();
    let mut often: Vec<&ReportGroup> = report
        .groups
        .iter()
        .filter(is_named)
        .filter(|group| is_often(group.figures.long_waits, group.figures.parked))
        .collect();
    often.sort_by_key(|group| std::cmp::Reverse(group.figures.long_waits));
    let found = often.into_iter().take(MAX_OF_A_KIND).map(|group| {
        let (long_waits, parked) = (group.figures.long_waits, group.figures.parked);
        let text = long_waits_text(&group.group, long_waits, parked, report);
        Finding { group: Some(group.group.clone()), ..finding(FindingKind::LongWaitsGroup, text, (long_waits, parked)) }
    });
    found.collect()
}

/// Compares shares with the period before.
fn changes(report: &Report) -> Vec<Finding> {
    let (now, before) = (&report.total, &report.before.figures);
    if now.parked < MIN_CALLS || before.parked < MIN_CALLS {
        return Vec::new();
    }
    let in_time = |figures: &ReportFigures| (figures.in_time.unwrap_or(0.0) * figures.parked as f64).round() as u64;
    let compared = [
        (FindingKind::Abandoned, now.abandoned, before.abandoned, "hung up".to_owned()),
        (
            FindingKind::InTime,
            in_time(now),
            in_time(before),
            format!("were answered within {}", duration(report.service_level)),
        ),
    ];
    let found = compared.into_iter().filter_map(|(kind, count, count_before, did)| {
        let share = |count: u64, of: u64| count as f64 / of as f64;
        let (share_now, share_before) = (share(count, now.parked), share(count_before, before.parked));
        let text = format!(
            "{count} of {} callers ({}) {did}, in the period before {count_before} of {} ({})",
            now.parked,
            percent(share_now),
            before.parked,
            percent(share_before)
        );
        let found = finding(kind, text, (count, now.parked));
        let found = Finding { count_before: Some(count_before), of_before: Some(before.parked), ..found };
        ((share_now - share_before).abs() >= MIN_CHANGE).then_some(found)
    });
    found.collect()
}

fn busiest_hour(report: &Report, week: &[WeekHour], several_weeks: bool) -> Option<Finding> {
    let busiest = week.iter().max_by_key(|hour| (hour.parked, std::cmp::Reverse(hour.hour)))?;
    let text = format!(
        "{}: most callers were parked, {} of {}",
        busiest.name(several_weeks),
        busiest.parked,
        report.total.parked
    );
    let found = of_hour(finding(FindingKind::BusiestHour, text, (busiest.parked, report.total.parked)), busiest);
    (report.total.parked >= MIN_CALLS).then_some(found)
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// `2 minutes`, `90 seconds`.
fn duration(seconds: u32) -> String {
    let (number, unit) = if seconds % 60 == 0 { (seconds / 60, "minute") } else { (seconds, "second") };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::super::figures::PeriodBefore;
    use super::super::zone::Zone;
    use super::*;

    fn figures(parked: u64, long_waits: u64, abandoned: u64, in_time: f64) -> ReportFigures {
        ReportFigures { parked, long_waits, abandoned, in_time: Some(in_time), ..ReportFigures::default() }
    }

    fn report(by: &str, groups: &[(&str, u64, u64)]) -> Report {
        let group = |(name, parked, long_waits): &(&str, u64, u64)| ReportGroup {
            group: (*name).to_owned(),
            figures: figures(*parked, *long_waits, 0, 1.0),
        };
        Report {
            from: 0,
            to: 1,
            tz: "server".into(),
            zone: Zone::Server,
            by: by.into(),
            service_level: 60,
            long_wait_seconds: 120,
            total: figures(200, 30, 20, 0.7),
            before: PeriodBefore { from: 0, to: 0, figures: figures(100, 0, 2, 0.72) },
            groups: groups.iter().map(group).collect(),
            truncated: false,
            findings: Vec::new(),
        }
    }

    fn texts(report: &Report, week: &[WeekHour], several: bool) -> Vec<String> {
        find(report, week, several).into_iter().map(|finding| finding.text).collect()
    }

    #[test]
    fn an_hour_with_many_long_waits_stands_out() {
        // 1970-01-05 was a Monday.
        let monday = WeekHour::new(4 * 24 + 9, 40, 14);
        let week = [monday, WeekHour::new(4 * 24 + 10, 60, 5), WeekHour::new(23, 9, 9)];
        let found = texts(&report("day", &[]), &week, true);
        assert_eq!(
            found,
            [
                "Mondays 9 to 10: 14 of 40 callers waited longer than 2 minutes",
                "20 of 200 callers (10 %) hung up, in the period before 2 of 100 (2 %)",
                "Mondays 10 to 11: most callers were parked, 60 of 200",
            ]
        );
        assert_eq!(
            texts(&report("day", &[]), &[monday], false)[0],
            "Monday 9 to 10: 14 of 40 callers waited longer than 2 minutes"
        );
        assert_eq!(WeekHour::new(23, 1, 0).name(false), "Thursday 23 to 24");
    }

    #[test]
    fn a_group_with_many_long_waits_stands_out() {
        let groups = [("1001@a.b", 40, 8), ("1002@a.b", 100, 19), ("", 50, 50), ("1003@a.b", 9, 9)];
        let found = find(&report("parker", &groups), &[], true);
        assert_eq!(found[0].text, "1001@a.b: 8 of 40 callers waited longer than 2 minutes");
        assert_eq!((found[0].kind, found[0].group.as_deref()), (FindingKind::LongWaitsGroup, Some("1001@a.b")));
        assert_eq!(found.iter().filter(|finding| finding.kind == FindingKind::LongWaitsGroup).count(), 1);
        assert!(!texts(&report("hour", &groups), &[], true)[0].contains("1001"));
    }

    #[test]
    fn few_calls_say_nothing() {
        let mut few = report("day", &[]);
        few.total.parked = 9;
        assert_eq!(find(&few, &[WeekHour::new(0, 9, 9)], true), []);
    }

    #[test]
    fn durations_are_in_words() {
        assert_eq!([60, 120, 90, 1].map(duration), ["1 minute", "2 minutes", "90 seconds", "1 second"]);
    }
}
