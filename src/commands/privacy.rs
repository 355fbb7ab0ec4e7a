//! The verbs about one caller: erase the caller from the history, and export what it has of the caller.

use super::listing::format_all;
use super::parse::Arguments;
use super::report::MAX_RECORDS;
use super::{CommandContext, CommandError};
use crate::applications::quote_argument;
use crate::storage::{CallerNumber, HistoryFilter};

pub(super) fn forget(handles: &CommandContext, words: Arguments<'_>) -> Result<String, CommandError> {
    let erased = handles.storage.erase(number(&words)?)?;
    Ok(format!("+OK {erased} {} of the history erased\n", if erased == 1 { "row" } else { "rows" }))
}

pub(super) fn export(handles: &CommandContext, words: Arguments<'_>) -> Result<String, CommandError> {
    let (format, words) = words.format()?;
    let filter = HistoryFilter { caller: Some(number(&words)?), ..HistoryFilter::default() };
    let records = handles.storage.records(0, filter, MAX_RECORDS)?;
    format_all(&records, format)
}

/// Parses a number, which may be written with spaces.
fn number(words: &Arguments<'_>) -> Result<CallerNumber, CommandError> {
    let text = words.rest().join(" ");
    if text.is_empty() {
        return Err(CommandError::Usage);
    }
    CallerNumber::parse(&text).ok_or_else(|| CommandError::NotACaller(quote_argument(&text)))
}
