//! What a parker or a retriever may ask for instead of one slot.

use std::fmt;

use super::names::Slot;

/// The slot that a parker asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SlotRequest {
    /// The next free slot.
    Auto,
    /// This slot.
    Slot(Slot),
    /// The free slot with the lowest number in this range.
    LowestOf(SlotRange),
}

/// A range of numbers, without leading zeros.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotRange {
    /// The lowest number.
    pub first: u32,
    /// The highest number; `None` for no limit.
    pub last: Option<u32>,
}

impl SlotRange {
    /// Whether a slot is in the range.
    #[must_use]
    pub fn contains(self, slot: &Slot) -> bool {
        let text = slot.as_str();
        let number = text.parse::<u32>().ok().filter(|_| text.len() == 1 || !text.starts_with('0'));
        number.is_some_and(|number| number >= self.first && self.last.is_none_or(|last| number <= last))
    }

    /// The slots of the range, in ascending order.
    pub fn slots(self) -> impl Iterator<Item = Slot> {
        (self.first..=self.last.unwrap_or(u32::MAX)).filter_map(|number| Slot::parse(&number.to_string()))
    }
}

impl fmt::Display for SlotRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SlotRequest::Auto => f.write_str("auto"),
            SlotRequest::Slot(slot) => f.write_str(slot.as_str()),
            SlotRequest::LowestOf(SlotRange { first, last: None }) => write!(f, "{first}-"),
            SlotRequest::LowestOf(SlotRange { first, last: Some(last) }) => write!(f, "{first}-{last}"),
        }
    }
}

impl SlotRequest {
    /// The slot, if one is named.
    #[must_use]
    pub fn slot(&self) -> Option<&Slot> {
        match self {
            SlotRequest::Slot(slot) => Some(slot),
            SlotRequest::Auto | SlotRequest::LowestOf(_) => None,
        }
    }
}
