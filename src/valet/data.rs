//! Parses the data of `valet_park`: `<lot> <slot>`, `<lot> ask [<min>] [<max>] [<timeout>] [<prompt>]` or `<lot> auto in|out [<min>] [<max>]`.

use std::time::Duration;

use thiserror::Error;

use crate::applications::{ArgumentError, parse_dialled_slot, quote_argument};
use crate::parking::{LotName, Slot, SlotRange};

/// The maximum length of the data, in bytes. A prompt may be long.
const MAX_DATA_BYTES: usize = 2000;
/// What mod_valet_parking takes if neither the data nor a variable says something else.
const DEFAULT_PROMPT: &str = "ivr/ivr-enter_ext_pound.wav";
const DEFAULT_MIN_DIGITS: usize = 1;
const DEFAULT_MAX_DIGITS: usize = 11;
const DEFAULT_DIGIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why data is invalid.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub(super) enum DataError {
    #[error("the data is too long: got {0} bytes, expected at most {MAX_DATA_BYTES}")]
    TooLong(usize),
    #[error("the slot is missing, expected a lot, and a slot, ask or auto")]
    Incomplete,
    #[error("{0} is neither in nor out")]
    NoDirection(String),
    #[error(transparent)]
    Argument(#[from] ArgumentError),
}

/// What the application is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ValetData {
    pub(super) lot: LotName,
    pub(super) what: ValetRequest,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum ValetRequest {
    /// Retrieve from this slot, or park there if it is empty.
    Slot(Slot),
    /// Ask for the slot.
    Ask(Question),
    /// Park in the lowest free slot of the range.
    In(SlotRange),
    /// Retrieve the call that has waited longest in the range.
    Out(SlotRange),
}

/// The question for the slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Question {
    pub(super) min_digits: usize,
    pub(super) max_digits: usize,
    pub(super) timeout: Duration,
    pub(super) prompt: String,
}

/// Parses the data. `variable` returns a variable of the leg, which counts where the data says nothing.
pub(super) fn parse(data: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<ValetData, DataError> {
    if data.len() > MAX_DATA_BYTES {
        return Err(DataError::TooLong(data.len()));
    }
    let words = words(data);
    let [lot, action, rest @ ..] = words.as_slice() else { return Err(DataError::Incomplete) };
    let lot = LotName::parse(lot).ok_or_else(|| ArgumentError::NotALot(quote_argument(lot)))?.or_new();
    let word = |at: usize| rest.get(at).copied();
    let what = if action.eq_ignore_ascii_case("auto") {
        let range = range(word(1), word(2));
        match word(0) {
            Some(way) if way.eq_ignore_ascii_case("in") => ValetRequest::In(range),
            Some(way) if way.eq_ignore_ascii_case("out") => ValetRequest::Out(range),
            other => return Err(DataError::NoDirection(quote_argument(other.unwrap_or_default()))),
        }
    } else if action.eq_ignore_ascii_case("ask") {
        let given = |at: usize, name: &str| word(at).map(str::to_owned).or_else(|| variable(name));
        let number = |at: usize, name: &str| given(at, name).as_deref().and_then(leading_number).filter(|n| *n > 0);
        let digits = |at, name, default| number(at, name).and_then(|n| usize::try_from(n).ok()).unwrap_or(default);
        ValetRequest::Ask(Question {
            min_digits: digits(0, "valet_ext_min", DEFAULT_MIN_DIGITS),
            max_digits: digits(1, "valet_ext_max", DEFAULT_MAX_DIGITS),
            timeout: number(2, "valet_ext_to").map_or(DEFAULT_DIGIT_TIMEOUT, |ms| Duration::from_millis(ms.into())),
            prompt: given(3, "valet_ext_prompt").unwrap_or_else(|| DEFAULT_PROMPT.to_owned()),
        })
    } else {
        ValetRequest::Slot(parse_dialled_slot(action)?)
    };
    Ok(ValetData { lot, what })
}

/// Splits data into up to six words, the last of which may contain spaces.
fn words(data: &str) -> Vec<&str> {
    let (mut words, mut rest) = (Vec::new(), data.trim());
    while let Some((word, after)) = rest.split_once(|c: char| c.is_ascii_whitespace()).filter(|_| words.len() < 5) {
        words.push(word);
        rest = after.trim_start();
    }
    words.extend(Some(rest).filter(|rest| !rest.is_empty()));
    words
}

/// A range as mod_valet_parking reads it: 0 as the highest number is no limit.
fn range(min: Option<&str>, max: Option<&str>) -> SlotRange {
    let number = |word: Option<&str>| word.and_then(leading_number).filter(|number| *number > 0);
    SlotRange { first: number(min).unwrap_or(1), last: number(max) }
}

/// The digits at the beginning of a word as a number.
fn leading_number(word: &str) -> Option<u32> {
    let digits = word.find(|c: char| !c.is_ascii_digit()).map_or(word, |end| &word[..end]);
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &str, variables: &[(&str, &str)]) -> Result<ValetRequest, DataError> {
        let variable =
            |wanted: &str| variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned());
        parse(data, &variable).map(|data| {
            assert_eq!(data.lot, LotName::parse("park@a.test").unwrap().or_new());
            data.what
        })
    }

    fn slot(text: &str) -> Slot {
        Slot::parse(text).unwrap()
    }

    #[test]
    fn each_form_of_data_is_read() {
        let range = |first, last| SlotRange { first, last };
        for (data, expected) in [
            ("park@a.test 6001", ValetRequest::Slot(slot("6001"))),
            (" park@A.test  *5901 more", ValetRequest::Slot(slot("*5901"))),
            ("park@a.test %2a5901", ValetRequest::Slot(slot("*5901"))),
            ("park@a.test auto in 5901 5999", ValetRequest::In(range(5901, Some(5999)))),
            ("park@a.test AUTO Out 5901 5999", ValetRequest::Out(range(5901, Some(5999)))),
            ("park@a.test auto in 0 0", ValetRequest::In(range(1, None))),
            ("park@a.test auto in", ValetRequest::In(range(1, None))),
        ] {
            assert_eq!(read(data, &[]), Ok(expected), "{data}");
        }
        for data in ["", "park", "park@a.test auto", "park@a.test auto up 1 2", "park@a.test 7'1", "<x> 1"] {
            assert!(parse(data, &|_| None).is_err(), "{data}");
        }
    }

    #[test]
    fn the_data_of_a_question_counts_before_the_variables() {
        let variables = [
            ("valet_ext_min", "4"),
            ("valet_ext_max", "5"),
            ("valet_ext_to", "2500"),
            ("valet_ext_prompt", "say:which slot"),
        ];
        let question = |min_digits, max_digits, ms, prompt: &str| {
            let timeout = Duration::from_millis(ms);
            Ok(ValetRequest::Ask(Question { min_digits, max_digits, timeout, prompt: prompt.into() }))
        };
        assert_eq!(read("park@a.test ask", &[]), question(1, 11, 10_000, DEFAULT_PROMPT));
        assert_eq!(read("park@a.test ask", &variables), question(4, 5, 2500, "say:which slot"));
        let all = "park@a.test ask 2 3 7000 tone_stream://%(100,0,800)";
        assert_eq!(read(all, &variables), question(2, 3, 7000, "tone_stream://%(100,0,800)"));
        assert_eq!(read("park@a.test ask 0 x", &[]), question(1, 11, 10_000, DEFAULT_PROMPT));
        assert_eq!(read("park@a.test  ask 1 11 10000 say:two words", &[]), question(1, 11, 10_000, "say:two words"));
    }
}
