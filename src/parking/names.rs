//! Parses and compares the names of slots, lots, domains and extensions.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use arrayvec::ArrayString;
use thiserror::Error;

/// A slot as users dial it: digits, `*` and `#`. Leading zeros count: `0701` is not `701`. A call that waits for a slot has a placeholder.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Slot(ArrayString<MAX_SLOT_LENGTH>);

/// The first character of the key of a call that has no slot. Nobody can dial it.
const PLACEHOLDER: char = '~';

/// The maximum length of a slot. It also limits what is kept of an argument from a stranger.
pub const MAX_SLOT_LENGTH: usize = 20;

impl Slot {
    /// Parses a slot. Returns `None` unless `text` is 1 to [`MAX_SLOT_LENGTH`] digits, `*` and `#`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Slot> {
        let dialable = |c: char| c.is_ascii_digit() || c == '*' || c == '#';
        let good = !text.is_empty() && text.len() <= MAX_SLOT_LENGTH && text.chars().all(dialable);
        ArrayString::from(text).ok().filter(|_| good).map(Slot)
    }

    /// Parses a slot that may also be a name, such as `front-desk`, which only a dialplan can write. A name begins with a letter or a plus sign, so that
    /// a mistyped number is none. Only a lot that is made for a request has such slots.
    #[must_use]
    pub fn parse_with_names(text: &str) -> Option<Slot> {
        let is_name = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '+') && text.len() <= MAX_SLOT_LENGTH;
        let name = Extension::parse(text).filter(|_| is_name).and_then(|name| ArrayString::from(name.as_str()).ok());
        name.map(Slot).or_else(|| Slot::parse(text))
    }

    /// Returns what stands for the slot of a call that waits for one. The number distinguishes such calls.
    #[must_use]
    pub fn placeholder(number: u64) -> Slot {
        ArrayString::from(&format!("{PLACEHOLDER}{number:016x}")).map(Slot).unwrap_or(Slot(ArrayString::new_const()))
    }

    /// Whether this stands for the slot of a call that waits for one.
    #[must_use]
    pub fn is_placeholder(&self) -> bool {
        self.0.starts_with(PLACEHOLDER) || self.0.is_empty()
    }

    /// The slot as users dial it; empty for a placeholder.
    #[must_use]
    pub fn as_str(&self) -> &str {
        if self.is_placeholder() { "" } else { &self.0 }
    }

    /// The key of the slot in the database, which also distinguishes calls without a slot.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.0
    }

    /// Returns the slot with this [`Slot::key`].
    #[must_use]
    pub fn from_key(key: &str) -> Option<Slot> {
        let number = key
            .strip_prefix(PLACEHOLDER)
            .filter(|text| text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let number = number.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        number.map(Slot::placeholder).or_else(|| Slot::parse_with_names(key))
    }

    /// Splits a slot into a prefix and a number: `*0701` into `*` and `0701`.
    fn split(&self) -> (&str, &str) {
        let digits = self.0.trim_start_matches(|c: char| !c.is_ascii_digit()).len();
        self.0.split_at(self.0.len() - digits)
    }
}

/// Orders slots by prefix, then by number: 99 before 701, and `701` before `*701`.
impl Ord for Slot {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |slot| {
            let (prefix, digits) = Slot::split(slot);
            let number = digits.trim_start_matches('0');
            (prefix, number.len(), number)
        };
        key(self).cmp(&key(other)).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Slot {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An extension that is named by somebody who may choose no dialplan, context or application. It cannot contain a space, a comma, a colon, a
/// quote or a variable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extension(String);

impl Extension {
    /// What [`Extension::parse`] accepts, for error texts.
    pub const FORM: &'static str = "1 to 64 of A-Z a-z 0-9 _ . * # + -";
    const MAX_LENGTH: usize = 64;

    /// Parses an extension. Returns `None` unless `text` has that form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Extension> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '*' | '#' | '+' | '-');
        let good = !text.is_empty() && text.len() <= Extension::MAX_LENGTH && text.chars().all(plain);
        good.then(|| Extension(text.to_owned()))
    }

    /// The extension as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The maximum number of slots of a lot. A larger range is most likely a typing error.
const MAX_SLOTS_PER_LOT: usize = 100_000;

/// Why a list of slots is invalid.
#[allow(missing_docs, reason = "each variant has its text beside it")]
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum SlotsError {
    #[error("there is no slot in it, expected numbers and ranges such as 701-720,750")]
    Empty,
    #[error("\"{0}\" is not a slot, expected 1 to {MAX_SLOT_LENGTH} digits, * and #")]
    NotASlot(String),
    #[error("the ends of the range \"{0}\" differ in length or prefix, expected two such as *701-*720")]
    UnlikeEnds(String),
    #[error("the range \"{0}\" does not end in a number, expected two numbers such as 701-720")]
    NotNumeric(String),
    #[error("the range \"{0}\" runs backwards, expected the lower number first")]
    Backwards(String),
    #[error("there are more than {MAX_SLOTS_PER_LOT} slots, expected at most that many")]
    TooMany,
    #[error("slot {0} is in it twice, expected each slot once")]
    Twice(Slot),
}

/// Parses slots and ranges (`701-720,750`, `*5901-*5999`) and returns them in ascending order.
pub fn parse_slots(text: &str) -> Result<Vec<Slot>, SlotsError> {
    let mut slots = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once('-') {
            None => slots.push(parse_one(part)?),
            Some((first, last)) => expand(part, &parse_one(first.trim())?, &parse_one(last.trim())?, &mut slots)?,
        }
        if slots.len() > MAX_SLOTS_PER_LOT {
            return Err(SlotsError::TooMany);
        }
    }
    if slots.is_empty() {
        return Err(SlotsError::Empty);
    }
    slots.sort_unstable();
    match slots.windows(2).find(|pair| matches!(pair, [a, b] if a == b)) {
        Some([twice, ..]) => Err(SlotsError::Twice(twice.clone())),
        _ => Ok(slots),
    }
}

fn parse_one(text: &str) -> Result<Slot, SlotsError> {
    Slot::parse(text).ok_or_else(|| SlotsError::NotASlot(text.to_owned()))
}

fn expand(part: &str, first: &Slot, last: &Slot, slots: &mut Vec<Slot>) -> Result<(), SlotsError> {
    let ((prefix, from), (other_prefix, to)) = (first.split(), last.split());
    if prefix != other_prefix || from.len() != to.len() {
        return Err(SlotsError::UnlikeEnds(part.to_owned()));
    }
    let number = |digits: &str| digits.parse::<u64>().map_err(|_| SlotsError::NotNumeric(part.to_owned()));
    let (low, high) = (number(from)?, number(to)?);
    if low > high {
        return Err(SlotsError::Backwards(part.to_owned()));
    }
    if high - low >= MAX_SLOTS_PER_LOT as u64 {
        return Err(SlotsError::TooMany);
    }
    let width = from.len();
    for n in low..=high {
        slots.push(parse_one(&format!("{prefix}{n:0width$}"))?);
    }
    Ok(())
}

/// Whether `text` can be the name of a lot or a domain, which may stand in a dialplan argument without quotes.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    let first = |c: char| c.is_alphanumeric() || matches!(c, '_' | '[' | ':');
    text.starts_with(first) && text.len() <= 255 && text.chars().all(plain)
}

/// Returns a domain in the form in which domains are stored. Only ASCII letters change, as in FreeSWITCH's own comparison; others could become
/// longer in lower case, or become characters that no name may have.
pub(super) fn lowercase(text: &str) -> Cow<'_, str> {
    let is_lowercase = text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    if is_lowercase { Cow::Borrowed(text) } else { Cow::Owned(text.to_ascii_lowercase()) }
}

/// A lot in its domain, written `main@example.com`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LotId {
    /// The name of the lot.
    pub name: Arc<str>,
    /// The domain, in lower case; `*` for a template.
    pub domain: Arc<str>,
}

impl LotId {
    /// The lot of this name in this domain.
    #[must_use]
    pub fn new(name: &str, domain: &str) -> LotId {
        LotId { name: name.into(), domain: domain.to_ascii_lowercase().into() }
    }
}

impl fmt::Display for LotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.domain)
    }
}

/// A lot as a user names it: `main@example.com`, or `main` where the domain is understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LotName {
    /// The name of the lot.
    pub name: String,
    /// The domain, if it is named.
    pub domain: Option<String>,
    /// Whether the lot is made if the configuration has none of this name. Such a lot has every slot.
    pub may_be_new: bool,
}

impl LotName {
    /// Parses the name of a lot. Returns `None` if a part is empty, too long or has a character that no name may have.
    #[must_use]
    pub fn parse(text: &str) -> Option<LotName> {
        let (name, domain) = match text.split_once('@') {
            Some((name, domain)) => (name, Some(domain)),
            None => (text, None),
        };
        let good = is_name(name) && domain.is_none_or(is_name);
        let domain = domain.map(str::to_ascii_lowercase);
        good.then(|| LotName { name: name.into(), domain, may_be_new: false })
    }

    /// Returns the name of a lot that is made if the configuration has none of this name.
    #[must_use]
    pub fn or_new(self) -> LotName {
        LotName { may_be_new: true, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Vec<String> {
        parse_slots(text).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn ranges_and_single_slots_are_expanded_in_order() {
        assert_eq!(numbers("750, 701-703"), ["701", "702", "703", "750"]);
        assert_eq!(numbers("*5901-*5903"), ["*5901", "*5902", "*5903"]);
        assert_eq!(numbers("0098-0101"), ["0098", "0099", "0100", "0101"]);
        assert_eq!(numbers("99,701,*1"), ["99", "701", "*1"]);
    }

    #[test]
    fn errors_name_the_invalid_slot() {
        for (text, part) in [
            ("", "no slot"),
            ("70x", "\"70x\""),
            ("720-701", "backwards"),
            ("701-*720", "differ in length or prefix"),
            ("1-200", "differ in length or prefix"),
            ("701,701", "701 is in it twice"),
            ("000000-999999", "more than"),
            ("701-", "\"\" is not a slot"),
            ("*-*", "does not end in a number"),
        ] {
            let error = parse_slots(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_slot_consists_of_digits_stars_and_hashes() {
        assert!(Slot::parse("*5901#").is_some());
        for bad in ["", "7 01", "701%n", "seven", "7\u{0661}", "123456789012345678901"] {
            assert!(Slot::parse(bad).is_none(), "{bad}");
        }
        assert_ne!(Slot::parse("0701"), Slot::parse("701"));
        for name in ["front-desk", "A1", "+4930123"] {
            let slot = Slot::parse_with_names(name).filter(|slot| slot.as_str() == name);
            assert!(slot.is_some() && Slot::parse(name).is_none() && Slot::from_key(name) == slot, "{name}");
        }
        for bad in ["7o1", "a b", "a'b", "~a", "-1", "abcdefghijklmnopqrstu"] {
            assert!(Slot::parse_with_names(bad).is_none(), "{bad}");
        }
        assert_eq!(Slot::parse_with_names("*701"), Slot::parse("*701"));
    }

    #[test]
    fn a_placeholder_has_no_text_but_a_key() {
        let (none, other) = (Slot::placeholder(7), Slot::placeholder(u64::MAX));
        assert!(none != other && none.is_placeholder() && none.to_string().is_empty() && none.as_str().is_empty());
        for slot in [none, other, Slot::parse("*701").unwrap()] {
            assert_eq!(Slot::from_key(slot.key()), Some(slot));
        }
        for bad in ["", "~", "~7", "~000000000000000g", "~+00000000000000a", "7x"] {
            assert!(Slot::parse(bad).is_none() && Slot::from_key(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_extension_contains_no_dialplan_or_variable() {
        for good in ["1000", "tone-1300", "*98", "+493012345", "ann.lee_2", "#1", &"7".repeat(64)] {
            assert_eq!(Extension::parse(good).unwrap().as_str(), good);
        }
        for bad in
            ["", "1000 XML", "system:id", "a,b", "${x}", "%24", "1'0", "1/0", "1@b", "\u{661}", "1\n", &"7".repeat(65)]
        {
            assert!(Extension::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn lots_are_named_with_or_without_a_domain() {
        let lot = LotName::parse("main@Example.COM").unwrap();
        assert_eq!((lot.name.as_str(), lot.domain.as_deref()), ("main", Some("example.com")));
        assert_eq!(LotName::parse("main@\u{130}X").unwrap().domain.as_deref(), Some("\u{130}x"));
        for bad in ["", "@example.com", "main@", "ma in", "main@a@b", "main,x", "${lot}", "-ERR"] {
            assert!(LotName::parse(bad).is_none(), "{bad}");
        }
    }
}
