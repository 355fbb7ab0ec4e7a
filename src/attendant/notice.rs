//! Something happened that others want to know of.

use std::time::Duration;

use super::Attendant;
use crate::host::Leg;
use crate::parking::{Call, LotId, Outcome, Slot, Touched};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    Park,
    /// A caller who was parked when FreeSWITCH died is back in the slot.
    Recover,
    RingBack,
    RingBackFailed,
    /// A leg that was sent to a slot never came, nor when it was sent there again: it is somewhere else.
    ParkFailed,
    Label,
    /// A later time-out.
    Extend,
    /// A slot is kept for a consultation.
    Reserve,
    /// That was given up.
    Release,
    /// Another leg took the place of the one that was parked.
    HandOver,
    Ended(Outcome),
    /// A caller who was transferred waits for a slot.
    NoSlot,
    Full,
    Denied,
    Reload,
}

impl What {
    /// As events and listeners name it.
    pub(crate) fn action(self) -> &'static str {
        match self {
            What::Park => "park",
            What::Recover => "recover",
            What::RingBack => "ringback",
            What::RingBackFailed => "ringback-failed",
            What::ParkFailed => "park-failed",
            What::Label => "label",
            What::Extend => "extend",
            What::Reserve => "reserve",
            What::Release => "release",
            What::HandOver => "hand-over",
            What::Ended(Outcome::Retrieved) => "retrieve",
            What::Ended(Outcome::Returned) => "return",
            What::Ended(Outcome::Fallback) => "fallback",
            What::Ended(Outcome::Transferred) => "transfer",
            What::Ended(Outcome::Abandoned) => "abandon",
            What::NoSlot => "no-slot",
            What::Full => "full",
            What::Denied => "denied",
            What::Reload => "reload",
        }
    }

    /// Only whoever looks at the slots wants to know of it; it is no event in the life of a call.
    pub(crate) fn only_looks(self) -> bool {
        matches!(self, What::Reserve | What::Release | What::HandOver)
    }
}

/// Who takes a call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Retriever {
    /// `1002@example.com`
    pub(crate) user: String,
    pub(crate) uuid: String,
}

/// One thing that happened, with what is known of it.
#[derive(Clone, Copy)]
pub(crate) struct Notice<'a> {
    pub(crate) what: What,
    pub(crate) call: Option<&'a Call>,
    /// The leg it is about: the parked one, or the one that was refused.
    pub(crate) leg: Option<&'a Leg<'a>>,
    pub(crate) lot: Option<&'a LotId>,
    pub(crate) slot: Option<&'a Slot>,
    pub(crate) wait: Duration,
    pub(crate) retriever: Option<&'a Retriever>,
    pub(crate) cause: Option<&'a str>,
}

impl Notice<'_> {
    pub(crate) fn of(what: What) -> Notice<'static> {
        Notice {
            what,
            call: None,
            leg: None,
            lot: None,
            slot: None,
            wait: Duration::ZERO,
            retriever: None,
            cause: None,
        }
    }
}

/// A phone that has subscribed to a lamp, or renewed its subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    /// The slot or the name of a lot, as the phone wrote it.
    pub(crate) lamp: String,
    /// The domain, as the phone wrote it.
    pub(crate) host: String,
    /// Of the subscription's dialog; `None` if that is not known.
    pub(crate) call_id: Option<String>,
    pub(crate) expires: Duration,
}

/// Is told of everything that happens, on the thread where it happens: it must not wait.
pub(crate) trait Witness: Send + Sync {
    fn saw(&self, _notice: &Notice<'_>) {}

    /// Slots that look different now; how, the attendant tells.
    fn touched(&self, _attendant: &Attendant, _slots: &[Touched]) {}

    /// Once a second.
    fn attend(&self, _attendant: &Attendant) {}

    /// A phone has subscribed to a lamp.
    fn subscribed(&self, _attendant: &Attendant, _subscription: &Subscription) {}

    /// Phones may show what was true before a restart.
    fn tell_all_lamps(&self, _attendant: &Attendant) {}
}
