//! The verbs that read the history.

use super::listing::{ListingRow, clock, format_all};
use super::parse::Arguments;
use super::{CommandContext, CommandError};
use crate::applications::{parse_lot_name, quote_argument};
use crate::freeswitch::usual_domain;
use crate::parking::LotName;
use crate::service::ParkingService;
use crate::storage::{self, HistoryFilter, Record, Tally};

const DEFAULT_RECORDS: usize = 20;
/// The maximum number of history rows in one answer.
pub(super) const MAX_RECORDS: usize = 100_000;
const MAX_DAYS: usize = 36_500;

pub(super) fn history(handles: &CommandContext, words: Arguments<'_>) -> Result<String, CommandError> {
    let service = &handles.service;
    let (format, words) = words.format()?;
    let (count, lot) = number_and_lot(&words, DEFAULT_RECORDS, MAX_RECORDS)?;
    let records = handles.storage.records(0, filter(lot.as_ref()), count)?;
    check_lot(service, lot.as_ref(), records.is_empty())?;
    format_all(&records, format)
}

pub(super) fn stats(handles: &CommandContext, words: Arguments<'_>) -> Result<String, CommandError> {
    let service = &handles.service;
    let (format, words) = words.format()?;
    let (days, lot) = number_and_lot(&words, 1, MAX_DAYS)?;
    let tallies = handles.storage.tallies(u32::try_from(days).unwrap_or(1), filter(lot.as_ref()))?;
    check_lot(service, lot.as_ref(), tallies.is_empty())?;
    format_all(&tallies, format)
}

/// Parses `[<number>] [<lot>]`, where the number is from 1 to `most`.
fn number_and_lot(words: &Arguments<'_>, usual: usize, most: usize) -> Result<(usize, Option<LotName>), CommandError> {
    let number = |word: &str| {
        let number = word.parse::<usize>().ok().filter(|number| (1..=most).contains(number));
        number.ok_or_else(|| CommandError::Number { given: quote_argument(word), most })
    };
    match words.rest() {
        [] => Ok((usual, None)),
        [word] if is_numeric(word) => Ok((number(word)?, None)),
        [lot] => Ok((usual, Some(parse_lot_name(lot)?))),
        [count, lot] => Ok((number(count)?, Some(parse_lot_name(lot)?))),
        _ => Err(CommandError::Usage),
    }
}

/// Whether a word consists of digits, with an optional sign.
fn is_numeric(word: &str) -> bool {
    let digits = word.strip_prefix(['-', '+']).unwrap_or(word);
    !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit())
}

/// Refuses a lot that does not exist. A lot that is no longer in the configuration may still have a history.
pub(super) fn check_lot(service: &ParkingService, lot: Option<&LotName>, no_history: bool) -> Result<(), CommandError> {
    if no_history && lot.is_some() {
        service.calls(lot)?;
    }
    Ok(())
}

pub(super) fn filter(lot: Option<&LotName>) -> HistoryFilter {
    lot.map_or_else(HistoryFilter::default, |lot| {
        let domain = lot.domain.clone().or_else(usual_domain).unwrap_or_default();
        HistoryFilter { domain: Some(domain.to_ascii_lowercase()), lot: Some(lot.name.clone()), caller: None }
    })
}

impl ListingRow for Record {
    const ELEMENTS: (&'static str, &'static str) = ("record", "history");
    const FIELDS: &'static [&'static str] = &[
        "lot",
        "domain",
        "slot",
        "caller_name",
        "caller_number",
        "parker",
        "retriever",
        "label",
        "parked_at",
        "wait_ms",
        "outcome",
        "attempts",
        "node",
        "uuid",
        "actor",
    ];
    const COLUMNS: &'static [&'static str] =
        &["parked at", "lot", "slot", "outcome", "wait", "caller", "parker", "retriever", "label"];

    fn cells(&self) -> Vec<String> {
        vec![
            storage::local_time(self.parked_at),
            format!("{}@{}", self.lot, self.domain),
            self.slot.clone(),
            self.outcome.clone(),
            clock(self.wait_ms.unsigned_abs()),
            format!("{} <{}>", self.caller_name, self.caller_number),
            self.parker.clone(),
            self.retriever.clone(),
            self.label.clone(),
        ]
    }
}

impl ListingRow for Tally {
    const ELEMENTS: (&'static str, &'static str) = ("lot", "stats");
    const FIELDS: &'static [&'static str] = &[
        "lot",
        "domain",
        "day",
        "parked",
        "retrieved",
        "returned",
        "fallback",
        "transferred",
        "abandoned",
        "full",
        "wait_mean_ms",
        "wait_median_ms",
        "wait_p95_ms",
        "wait_longest_ms",
        "in_time",
        "service_level",
        "busiest_hour",
        "by_hour",
        "waits",
    ];
    const COLUMNS: &'static [&'static str] = &[
        "day",
        "lot",
        "parked",
        "retrieved",
        "returned",
        "fallback",
        "transferred",
        "abandoned",
        "full",
        "mean",
        "median",
        "95th",
        "longest",
        "in time",
        "busiest hour",
    ];

    fn cells(&self) -> Vec<String> {
        let time = |ms: i64| clock(ms.unsigned_abs());
        let mut cells = vec![self.day.clone(), format!("{}@{}", self.lot, self.domain)];
        let counts =
            [self.parked, self.retrieved, self.returned, self.fallback, self.transferred, self.abandoned, self.full];
        cells.extend(counts.map(|count| count.to_string()));
        cells.extend([self.wait_mean_ms, self.wait_median_ms, self.wait_p95_ms, self.wait_longest_ms].map(time));
        cells.push(self.in_time.map(|share| format!("{:.0} %", share * 100.0)).unwrap_or_default());
        cells.push(self.busiest_hour.map(|hour| format!("{hour}:00")).unwrap_or_default());
        cells
    }
}
