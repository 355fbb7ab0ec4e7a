//! Why a request was refused.

use std::sync::Arc;

use thiserror::Error;

use super::access::Denial;
use super::names::{LotId, Slot};

/// Why a request was refused. [`Refusal::name`] is the value of `callpark_result`; the text is for the log and for answers to commands.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Refusal {
    /// There is no lot of that name.
    #[error("no lot {0}")]
    NoSuchLot(String),
    /// There is no slot of that number.
    #[error("no slot {0}")]
    NoSuchSlot(String),
    /// The lot, and the lots into which it overflows, have no free slot.
    #[error("lot {0} is full")]
    Full(LotId),
    /// The requested slot is occupied.
    #[error("slot {0} is taken")]
    Taken(Slot),
    /// The parker has as many calls parked as the lot allows.
    #[error("the parker has {0} calls parked, and park-limit-per-user allows no more")]
    Limit(u32),
    /// Somebody may not park or retrieve there.
    #[error(transparent)]
    NotAllowed(#[from] Denial),
    /// No call is parked in that slot.
    #[error("nobody is parked in slot {0}")]
    Empty(Slot),
    /// That slot is reserved for a leg that is on its way.
    #[error("nobody is parked in slot {0} yet")]
    NotYetParked(Slot),
    /// No call is parked in that lot.
    #[error("nobody is parked in lot {0}")]
    EmptyLot(LotId),
    /// That user has parked no call.
    #[error("{} has parked no call", if .0.is_empty() { "an unknown user" } else { .0 })]
    NothingParkedBy(String),
    /// That leg is not parked.
    #[error("channel {0} is not parked")]
    NotParked(String),
    /// The call has ended meanwhile.
    #[error("the call is not parked any more")]
    NoLongerParked,
    /// The leg that is to be parked does not exist.
    #[error("there is no channel {0}")]
    NoSuchChannel(String),
    /// The user who is to park a call on hold holds none.
    #[error("{0} holds no call")]
    NothingHeld(String),
    /// Somebody else is taking the call in that slot.
    #[error("the call in slot {0} is being taken by somebody else")]
    Gone(Slot),
    /// The leg that is to be parked still rings.
    #[error("channel {0} has not answered yet and cannot be parked")]
    NotAnswered(String),
    /// The leg is parked already, in that slot.
    #[error("the call {}", where_parked(.0))]
    AlreadyParked(Slot),
    /// A recall of the call in that slot would call nobody.
    #[error("a recall of the call in slot {0} would call nobody")]
    NobodyToRing(Slot),
    /// Something else is happening to the call in that slot.
    #[error("the call in slot {0} is {1}")]
    Busy(Slot, &'static str),
    /// The call in that slot may wait without limit, so there is no time-out to extend.
    #[error("the call in slot {0} has no time-out")]
    NoTimeout(Slot),
    /// The call in that slot is on that other node.
    #[error("the call in slot {0} waits on node {1}")]
    OnOtherNode(Slot, Arc<str>),
    /// The call in that slot waits for its recovery after a crash.
    #[error("the caller in slot {0} was lost in a crash and is not recovered yet")]
    AwaitingRecovery(Slot),
}

fn where_parked(slot: &Slot) -> String {
    if slot.is_placeholder() { "waits for a slot already".into() } else { format!("is parked in slot {slot} already") }
}

impl Refusal {
    /// The value of `callpark_result`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match (self.no_slot(), self) {
            (Some(reason), _) => reason.name(),
            (None, Refusal::NothingHeld(_)) => "empty",
            (None, refusal) if refusal.is_about_nothing() => "empty",
            (None, _) => "gone",
        }
    }

    /// Whether there is no call or leg that the request could be about.
    #[must_use]
    pub fn is_about_nothing(&self) -> bool {
        matches!(
            self,
            Refusal::Empty(_)
                | Refusal::NotYetParked(_)
                | Refusal::EmptyLot(_)
                | Refusal::NothingParkedBy(_)
                | Refusal::NotParked(_)
                | Refusal::NoLongerParked
                | Refusal::NoSuchChannel(_)
        )
    }

    /// Why a leg that was to be parked has no slot; `None` for a refusal of something else.
    #[must_use]
    pub fn no_slot(&self) -> Option<NoSlotReason> {
        match self {
            Refusal::NoSuchLot(_) | Refusal::NoSuchSlot(_) => Some(NoSlotReason::Invalid),
            Refusal::Full(_) => Some(NoSlotReason::Full),
            Refusal::Taken(_) | Refusal::AlreadyParked(_) => Some(NoSlotReason::Taken),
            Refusal::Limit(_) => Some(NoSlotReason::Limit),
            Refusal::NotAllowed(_) => Some(NoSlotReason::Denied),
            Refusal::Empty(_)
            | Refusal::NotYetParked(_)
            | Refusal::EmptyLot(_)
            | Refusal::NothingParkedBy(_)
            | Refusal::NotParked(_)
            | Refusal::NoLongerParked
            | Refusal::NoSuchChannel(_)
            | Refusal::NothingHeld(_)
            | Refusal::Gone(_)
            | Refusal::Busy(..)
            | Refusal::NobodyToRing(_)
            | Refusal::NoTimeout(_)
            | Refusal::NotAnswered(_)
            | Refusal::OnOtherNode(..)
            | Refusal::AwaitingRecovery(_) => None,
        }
    }
}

/// Why a call has no slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoSlotReason {
    /// The lot is full.
    Full,
    /// The slot is occupied.
    Taken,
    /// The parker has parked as many calls as the lot allows.
    Limit,
    /// There is no such lot or slot.
    Invalid,
    /// The parker may not park there.
    Denied,
}

impl NoSlotReason {
    const ALL: [NoSlotReason; 5] =
        [NoSlotReason::Full, NoSlotReason::Taken, NoSlotReason::Limit, NoSlotReason::Invalid, NoSlotReason::Denied];

    /// Finds a reason by its name.
    #[must_use]
    pub fn named(name: &str) -> Option<NoSlotReason> {
        NoSlotReason::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// The value of `callpark_result`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            NoSlotReason::Full => "full",
            NoSlotReason::Taken => "taken",
            NoSlotReason::Limit => "limit",
            NoSlotReason::Invalid => "invalid",
            NoSlotReason::Denied => "denied",
        }
    }
}
