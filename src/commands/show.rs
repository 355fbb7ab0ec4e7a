//! The verbs that show the present state.

use std::time::Duration;

use super::listing::{call_rows, format_all, format_one};
use super::parse::Arguments;
use super::{CommandContext, CommandError};
use crate::applications::{parse_lot_name, parse_slot};
use crate::config::error_count;
use crate::freeswitch::{self, guard, memory};
use crate::hooks::QueueStatus;
use crate::moh;
use crate::service::{LockTimes, LotRow};

pub(super) fn list(handles: &CommandContext, words: Arguments<'_>) -> Result<String, CommandError> {
    let service = &handles.service;
    let (format, words) = words.format()?;
    let lot = match words.rest() {
        [] => None,
        [lot] => Some(parse_lot_name(lot)?),
        _ => return Err(CommandError::Usage),
    };
    let calls = service.calls(lot.as_ref())?;
    format_all(&call_rows(&calls, &service.node_name()), format)
}

pub(super) fn show(handles: &CommandContext, words: Arguments<'_>) -> Result<String, CommandError> {
    let service = &handles.service;
    let (format, words) = words.format()?;
    let (slot, lot) = match words.rest() {
        [slot] => (slot, None),
        [slot, lot] => (slot, Some(parse_lot_name(lot)?)),
        _ => return Err(CommandError::Usage),
    };
    let call = service.call_in(&parse_slot(slot)?, lot.as_ref())?;
    match call_rows(&[call], &service.node_name()).first() {
        Some(row) => format_one(row, format),
        None => Err(CommandError::Usage),
    }
}

pub(super) fn lots(handles: &CommandContext, words: Arguments<'_>) -> Result<String, CommandError> {
    let service = &handles.service;
    let (format, words) = words.format()?;
    if !words.rest().is_empty() {
        return Err(CommandError::Usage);
    }
    let rows: Vec<LotRow> = service.lots().iter().map(LotRow::from).collect();
    format_all(&rows, format)
}

pub(super) fn status(handles: &CommandContext, words: Arguments<'_>) -> Result<String, CommandError> {
    let service = &handles.service;
    if !words.rest().is_empty() {
        return Err(CommandError::Usage);
    }
    let up = freeswitch::now().since(service.loaded_at).as_secs();
    let errors = service.config_errors();
    let config = if errors.is_empty() {
        "as in callpark.conf.xml".into()
    } else {
        format!("callpark.conf.xml has {}, not in force", error_count(&errors))
    };
    let storage = &handles.storage;
    let lock = service.lock_held();
    let mut text = version_line();
    for (name, value) in [
        ("node", service.node_name()),
        ("up", format!("{up} s")),
        ("lots", service.lots().len().to_string()),
        ("parked calls", service.call_count().to_string()),
        ("slot store", if storage.slots_answer() { "answers".into() } else { "does not answer".into() }),
        ("dashboard", handles.http.status()),
        ("lock held", lock_held(&lock)),
        ("lock histogram", lock_histogram(&lock)),
        ("music", music_played(&handles.music.counts())),
        ("memory", format!("{} kB of the module's own", memory::in_use() / 1024)),
        ("records waiting", storage.backlog().to_string()),
        ("records dropped", storage.dropped().to_string()),
        ("rows refused", storage.refused_rows().to_string()),
        ("panics caught", guard::caught().to_string()),
        ("module file", module_file().into()),
        ("configuration", config),
    ] {
        text.push_str(&format!("{name:<16} {value}\n"));
    }
    for error in errors {
        text.push_str(&format!("{:<16} {error}\n", ""));
    }
    for (name, status) in handles.hooks.status() {
        text.push_str(&format!("{:<16} {}\n", format!("hook {name}"), hook_status(&status)));
    }
    Ok(text)
}

fn hook_status(status: &QueueStatus) -> String {
    let QueueStatus { sent, retried, failed, waiting, failing } = status;
    let now = failing.as_ref().map_or_else(String::new, |(since, cause)| {
        format!("; takes nothing since {} s: {cause}", since.elapsed().as_secs())
    });
    format!("{sent} sent, {waiting} waiting, {retried} retried, {failed} failed{now}")
}

fn module_file() -> &'static str {
    if freeswitch::is_replaced() { "has been replaced; restart FreeSWITCH to load it" } else { "is in memory" }
}

fn music_played(counts: &moh::MusicCounters) -> String {
    let moh::MusicCounters { shared, streams, threads, alone, late } = counts;
    format!("{shared} share {streams} streams on {threads} threads ({late} packets late), {alone} play alone")
}

/// Formats how long the table was locked.
fn lock_held(times: &LockTimes) -> String {
    let within = |share| times.within(share).map_or("over 1 ms".into(), |end| format!("<{} us", end.as_micros()));
    format!(
        "p50 {}, p99 {}, longest {} us (work {} us{})",
        within(0.5),
        within(0.99),
        times.longest.as_micros(),
        times.longest_work.as_micros(),
        times.longest_at.map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default()
    )
}

/// Formats the histogram of the times for which the table was locked.
fn lock_histogram(times: &LockTimes) -> String {
    let bucket = |(end, count): &(Option<Duration>, u64)| match end {
        Some(end) => format!("<{} us: {count}", end.as_micros()),
        None => format!("longer: {count}"),
    };
    times.buckets.iter().map(bucket).collect::<Vec<_>>().join(", ")
}

pub(super) fn version(_: &CommandContext, words: Arguments<'_>) -> Result<String, CommandError> {
    if words.rest().is_empty() { Ok(version_line()) } else { Err(CommandError::Usage) }
}

fn version_line() -> String {
    let (version, revision, headers) = (env!("CARGO_PKG_VERSION"), env!("CALLPARK_REVISION"), env!("CALLPARK_HEADERS"));
    format!("mod_callpark {version} ({revision}), built with {headers} headers\n")
}
