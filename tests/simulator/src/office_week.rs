//! Writes the history of the week before the simulated day: some hundred calls, with the hours and days at which callers wait longer.

use std::fmt::Write as _;

use crate::office_people::{CALLERS, DOMAIN, LABELS};

const DAY_SECS: i64 = 86_400;
const DAYS: i64 = 7;
/// The office is open from 8 to 18 o'clock.
const OPENS: i64 = 8;
const CLOSES: i64 = 18;
const OUTCOMES: [(&str, u32); 5] =
    [("retrieved", 72), ("returned", 11), ("fallback", 4), ("transferred", 6), ("abandoned", 7)];

/// Returns statements that add the calls of the seven days before `now`, and those of today until `now`. Times are seconds since 1970; `offset` is that
/// of the local time.
pub(crate) fn statements(now: i64, offset: i64, rng: &mut fastrand::Rng) -> String {
    let midnight = (now + offset).div_euclid(DAY_SECS) * DAY_SECS - offset;
    let mut sql = String::from("BEGIN;");
    for day in (0..=DAYS).rev() {
        let begin = midnight - day * DAY_SECS;
        // 1 January 1970 was a Thursday; 0 is Monday.
        let weekday = ((begin + offset).div_euclid(DAY_SECS) + 3).rem_euclid(7);
        for hour in OPENS..CLOSES {
            for _ in 0..calls_in(weekday, hour, rng) {
                let parked = begin + hour * 3600 + rng.i64(0..3600);
                let call = PastCall::invent(parked, is_rush(weekday, hour), rng);
                if call.parked + call.wait_ms / 1000 < now {
                    call.write(&mut sql);
                }
            }
        }
    }
    sql.push_str("COMMIT;");
    sql
}

/// Mondays begin with a rush; on weekends only a few callers are parked.
fn is_rush(weekday: i64, hour: i64) -> bool {
    weekday == 0 && hour == 9
}

fn calls_in(weekday: i64, hour: i64, rng: &mut fastrand::Rng) -> u32 {
    match (weekday, hour) {
        (5 | 6, _) => rng.u32(0..2),
        _ if is_rush(weekday, hour) => 40,
        (_, 12..14) => rng.u32(3..7),
        (_, 9..12 | 14..16) => rng.u32(9..16),
        _ => rng.u32(4..9),
    }
}

struct PastCall {
    uuid: String,
    lot: &'static str,
    slot: u32,
    parked: i64,
    wait_ms: i64,
    outcome: &'static str,
    name: &'static str,
    number: u32,
    parker: u32,
    retriever: String,
    label: &'static str,
}

impl PastCall {
    fn invent(parked: i64, rush: bool, rng: &mut fastrand::Rng) -> PastCall {
        let (lot, slot, parker) =
            if rng.u8(..4) > 0 { ("main", rng.u32(701..711), 1001) } else { ("support", rng.u32(801..805), 1010) };
        // Most wait for a short time, a few for a long one.
        let mean = if rush { 110.0 } else { 28.0 };
        let wait = (-mean * (1.0 - rng.f64()).ln()).min(900.0) + 2.0;
        let outcome = if wait > 60.0 && rng.u8(..3) == 0 { "returned" } else { choose(rng) };
        let retriever = match outcome {
            "retrieved" => format!("{}@{DOMAIN}", rng.u32(1002..1008)),
            "returned" => format!("{parker}@{DOMAIN}"),
            _ => String::new(),
        };
        PastCall {
            uuid: format!("week-{:016x}", rng.u64(..)),
            lot,
            slot,
            parked,
            wait_ms: (wait * 1000.0) as i64,
            outcome,
            name: CALLERS[rng.usize(..CALLERS.len())],
            number: rng.u32(100_000..999_999),
            parker,
            retriever,
            label: LABELS[rng.usize(..LABELS.len())],
        }
    }

    fn write(&self, sql: &mut String) {
        let PastCall { uuid, lot, slot, parked, wait_ms, outcome, name, number, parker, retriever, label } = self;
        let (at, attempts) = (parked * 1000, u8::from(*outcome == "returned" || *outcome == "fallback"));
        let name = name.replace('\'', "''");
        let _ = write!(
            sql,
            "INSERT INTO callpark_records (uuid, parked_at, wait_ms, lot, domain, slot, caller_name, caller_number, parker, retriever, label, \
             outcome, attempts, node) VALUES ('{uuid}', {at}, {wait_ms}, '{lot}', '{DOMAIN}', '{slot}', '{name}', '030{number}', \
             '{parker}@{DOMAIN}', '{retriever}', '{label}', '{outcome}', {attempts}, 'simulator');"
        );
    }
}

fn choose(rng: &mut fastrand::Rng) -> &'static str {
    let mut at = rng.u32(..OUTCOMES.iter().map(|(_, share)| share).sum::<u32>());
    for (outcome, share) in OUTCOMES {
        if at < share {
            return outcome;
        }
        at -= share;
    }
    OUTCOMES[0].0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday, 2 March 2026, 12:00 UTC.
    const NOON: i64 = 1_772_452_800;

    #[test]
    fn the_week_has_calls_of_each_outcome_and_a_rush_on_monday_morning() {
        let sql = statements(NOON, 0, &mut fastrand::Rng::with_seed(1));
        let rows: Vec<&str> = sql.split(';').filter(|row| row.starts_with("INSERT")).collect();
        assert!((300..900).contains(&rows.len()), "{} rows", rows.len());
        for (outcome, _) in OUTCOMES {
            assert!(rows.iter().any(|row| row.contains(outcome)), "{outcome}");
        }
        let times =
            || rows.iter().map(|row| row.split("VALUES").nth(1).and_then(|row| row.split(", ").nth(1)).unwrap());
        let times: Vec<i64> = times().map(|ms| ms.parse::<i64>().unwrap() / 1000).collect();
        assert!(times.iter().all(|at| (NOON - 8 * DAY_SECS..NOON).contains(at)), "all are in the past");
        let this_morning = times.iter().filter(|at| (NOON - 3 * 3600..NOON - 2 * 3600).contains(at)).count();
        assert_eq!(this_morning, 40, "the rush from 9 to 10 o'clock");
        assert!(
            times.iter().all(|at| (OPENS..CLOSES).contains(&(at.rem_euclid(DAY_SECS) / 3600))),
            "the office is open"
        );
    }
}
