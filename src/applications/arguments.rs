//! Parses the arguments of the applications.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use thiserror::Error;

use crate::parking::{LotName, MAX_SLOT_LENGTH, RetrieveTarget, Slot, SlotRequest};
use crate::service::{ParkOrder, RetrieveOrder};

/// The maximum length of the arguments, in bytes: more than a slot, a lot and a domain need.
const MAX_ARGUMENT_BYTES: usize = 600;

/// The first argument of `callpark_park` on a leg whose user holds the call that is to be parked.
const HELD: &str = "held";

/// Why arguments are invalid. Values are quoted by [`quote_argument`].
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub(crate) enum ArgumentError {
    #[error("the arguments are too long: got {0} bytes, expected at most {MAX_ARGUMENT_BYTES}")]
    TooLong(usize),
    #[error("too many arguments: got {got}, expected at most {most}")]
    TooMany { got: usize, most: usize },
    #[error("the slot is missing, expected {0}")]
    NoSlot(&'static str),
    #[error("{0} is not a slot, expected 1 to {MAX_SLOT_LENGTH} digits, * and #")]
    NotASlot(String),
    #[error("{0} is not a lot, expected <lot> or <lot>@<domain> of letters, digits and . - _")]
    NotALot(String),
    #[error("{0} is neither a slot nor auto")]
    NotAPlace(String),
    #[error("{0} is neither a slot, auto nor a lot")]
    NotAPlaceOrLot(String),
    #[error("{0} is neither a slot, oldest, newest, mine, ask nor call <uuid>")]
    NotATarget(String),
    #[error("nothing was dialled, expected a slot")]
    NothingDialled,
}

/// Parses `held [<slot>|auto] [<lot>[@<domain>]]`. Returns `None` if the first word is another one.
pub(crate) fn parse_held_order(data: &str) -> Option<Result<ParkOrder, ArgumentError>> {
    let rest = data.trim_start().strip_prefix(HELD)?;
    (rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_whitespace())).then(|| parse_park_order(rest))
}

/// Parses `[<slot>|auto] [<lot>[@<domain>]]`.
pub(crate) fn parse_park_order(data: &str) -> Result<ParkOrder, ArgumentError> {
    let words = split(data, 2)?;
    let order = |wanted, lot| Ok(ParkOrder::new(wanted, lot));
    match words.as_slice() {
        [] => order(SlotRequest::Auto, None),
        [place] => match (wanted(place), LotName::parse(place)) {
            (Some(wanted), _) => order(wanted, None),
            (None, Some(lot)) => order(SlotRequest::Auto, Some(lot)),
            (None, None) => Err(ArgumentError::NotAPlaceOrLot(quote_argument(place))),
        },
        [place, lot, ..] => match (wanted(place).or_else(|| named(place)), parse_lot_name(lot)?) {
            (Some(wanted), lot) => order(wanted, Some(lot)),
            (None, _) => Err(ArgumentError::NotAPlace(quote_argument(place))),
        },
    }
}

/// The first argument of `callpark_retrieve`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum RetrieveArgument {
    Target(RetrieveTarget),
    /// A call that the user of the leg parked.
    Mine,
    /// The user is asked for the slot.
    Ask,
}

/// Parses `<slot>|oldest|newest|mine|ask [<lot>[@<domain>]]`, or `call <uuid>`, where the UUID may be percent-encoded.
pub(crate) fn parse_retrieve_order(data: &str) -> Result<(RetrieveArgument, Option<LotName>), ArgumentError> {
    let words = split(data, 2)?;
    let (first, lot) = match words.as_slice() {
        [] => {
            return Err(ArgumentError::NoSlot(
                "a slot, oldest, newest, mine or ask, and optionally a lot, or call <uuid>",
            ));
        }
        ["call", uuid] => {
            return Ok((
                RetrieveArgument::Target(RetrieveTarget::Call(
                    percent_decode_str(uuid).decode_utf8_lossy().into_owned(),
                )),
                None,
            ));
        }
        [first] => (first, None),
        [first, lot, ..] => (first, Some(parse_lot_name(lot)?)),
    };
    let asked = match *first {
        "oldest" => RetrieveArgument::Target(RetrieveTarget::Oldest),
        "newest" => RetrieveArgument::Target(RetrieveTarget::Newest),
        "mine" => RetrieveArgument::Mine,
        "ask" => RetrieveArgument::Ask,
        slot => RetrieveArgument::Target(RetrieveTarget::Slot(
            dialled(slot).ok_or_else(|| ArgumentError::NotATarget(quote_argument(slot)))?,
        )),
    };
    Ok((asked, lot))
}

/// Parses `<slot> [<lot>[@<domain>]]`.
pub(crate) fn parse_slot_order(data: &str) -> Result<(ParkOrder, RetrieveOrder), ArgumentError> {
    let words = split(data, 2)?;
    let (slot, lot) = match words.as_slice() {
        [] => return Err(ArgumentError::NoSlot("a slot, and optionally a lot")),
        [slot] => (slot, None),
        [slot, lot, ..] => (slot, Some(parse_lot_name(lot)?)),
    };
    let slot = dialled(slot).ok_or_else(|| ArgumentError::NotASlot(quote_argument(slot)))?;
    let park = ParkOrder::new(SlotRequest::Slot(slot.clone()), lot.clone());
    Ok((park, RetrieveOrder { target: RetrieveTarget::Slot(slot), lot }))
}

fn wanted(word: &str) -> Option<SlotRequest> {
    if word == "auto" { Some(SlotRequest::Auto) } else { dialled(word).map(SlotRequest::Slot) }
}

/// Parses a slot that is a name. It is used only beside the name of its lot, because it could be one.
fn named(word: &str) -> Option<SlotRequest> {
    Slot::parse_with_names(word).map(SlotRequest::Slot)
}

/// Parses a slot as a phone may write it: `#` is `%23` in a SIP address, and mod_sofia does not decode the address of a Refer-To.
fn dialled(word: &str) -> Option<Slot> {
    let plain = if word.contains('%') {
        Cow::Owned(word.replace("%23", "#").replace("%2A", "*").replace("%2a", "*"))
    } else {
        Cow::Borrowed(word)
    };
    Slot::parse(&plain)
}

/// Parses a slot as a phone may write it, or one that is a name.
pub(crate) fn parse_dialled_slot(word: &str) -> Result<Slot, ArgumentError> {
    let slot = dialled(word).or_else(|| Slot::parse_with_names(word));
    slot.ok_or_else(|| ArgumentError::NotASlot(quote_argument(word)))
}

pub(crate) fn parse_slot(word: &str) -> Result<Slot, ArgumentError> {
    Slot::parse_with_names(word).ok_or_else(|| ArgumentError::NotASlot(quote_argument(word)))
}

pub(crate) fn parse_lot_name(word: &str) -> Result<LotName, ArgumentError> {
    LotName::parse(word).ok_or_else(|| ArgumentError::NotALot(quote_argument(word)))
}

fn split(data: &str, most: usize) -> Result<Vec<&str>, ArgumentError> {
    if data.len() > MAX_ARGUMENT_BYTES {
        return Err(ArgumentError::TooLong(data.len()));
    }
    let words: Vec<&str> = data.split_ascii_whitespace().collect();
    if words.len() > most { Err(ArgumentError::TooMany { got: words.len(), most }) } else { Ok(words) }
}

/// Quotes an argument for an error text: control characters are escaped, and a long text is cut.
pub(crate) fn quote_argument(word: &str) -> String {
    let short: String = word.chars().take(60).collect();
    let dots = if short.len() < word.len() { "..." } else { "" };
    format!("{short:?}{dots}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_park_order_has_a_slot_a_lot_both_or_neither() {
        let slot = |text| SlotRequest::Slot(Slot::parse(text).unwrap());
        let lot = |text: &str| LotName::parse(text);
        for (data, wanted, name) in [
            ("", SlotRequest::Auto, None),
            ("auto", SlotRequest::Auto, None),
            (" 701 ", slot("701"), None),
            ("%23701", slot("#701"), None),
            ("%2a59%2301 main", slot("*59#01"), lot("main")),
            ("*5901 main@a.b", slot("*5901"), lot("main@a.b")),
            ("auto main", SlotRequest::Auto, lot("main")),
            ("main@a.b", SlotRequest::Auto, lot("main@a.b")),
        ] {
            let order = parse_park_order(data).unwrap();
            assert_eq!((order.wanted, order.lot), (wanted, name), "{data}");
        }
    }

    #[test]
    fn a_held_call_is_parked_by_the_first_word() {
        let order = |data| parse_held_order(data).map(|order| order.map(|order| (order.wanted, order.lot)));
        let slot = SlotRequest::Slot(Slot::parse("701").unwrap());
        assert_eq!(order("held"), Some(Ok((SlotRequest::Auto, None))));
        assert_eq!(order(" held 701 main "), Some(Ok((slot, LotName::parse("main")))));
        for other in ["", "auto", "701", "heldlot", "main held"] {
            assert_eq!(order(other), None, "{other}");
        }
        assert!(matches!(order("held 701 main x"), Some(Err(ArgumentError::TooMany { .. }))));
    }

    #[test]
    fn errors_quote_a_bad_argument_and_cut_a_long_one() {
        let long = "7".repeat(100_000);
        for data in
            ["701 main more", "%24701", "701%", "%n%s main", "${slot}", "7'01", "\"701\"", "\u{fffd}", "701 <x>", &long]
        {
            let error = parse_park_order(data).unwrap_err().to_string();
            assert!(error.len() < 200, "{error}");
            assert!(parse_retrieve_order(data).is_err() && parse_slot_order(data).is_err(), "{data}");
        }
        assert!(parse_retrieve_order("").is_err() && parse_slot_order("").is_err());
        assert_eq!(parse_retrieve_order("ask main").unwrap().0, RetrieveArgument::Ask);
        assert_eq!(parse_retrieve_order("mine").unwrap(), (RetrieveArgument::Mine, None));
    }
}
