//! Something happened that others want to know of.

use std::time::Duration;

use super::ParkingService;
use crate::freeswitch::Leg;
use crate::parking::{Call, ChangedSlot, LotId, Outcome, Slot};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EventKind {
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

impl EventKind {
    /// As events and listeners name it.
    pub(crate) fn action(self) -> &'static str {
        match self {
            EventKind::Park => "park",
            EventKind::Recover => "recover",
            EventKind::RingBack => "ringback",
            EventKind::RingBackFailed => "ringback-failed",
            EventKind::ParkFailed => "park-failed",
            EventKind::Label => "label",
            EventKind::Extend => "extend",
            EventKind::Reserve => "reserve",
            EventKind::Release => "release",
            EventKind::HandOver => "hand-over",
            EventKind::Ended(Outcome::Retrieved) => "retrieve",
            EventKind::Ended(Outcome::Returned) => "return",
            EventKind::Ended(Outcome::Fallback) => "fallback",
            EventKind::Ended(Outcome::Transferred) => "transfer",
            EventKind::Ended(Outcome::Abandoned) => "abandon",
            EventKind::NoSlot => "no-slot",
            EventKind::Full => "full",
            EventKind::Denied => "denied",
            EventKind::Reload => "reload",
        }
    }

    /// Only whoever looks at the slots wants to know of it; it is no event in the life of a call.
    pub(crate) fn only_looks(self) -> bool {
        matches!(self, EventKind::Reserve | EventKind::Release | EventKind::HandOver)
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
pub(crate) struct ParkEvent<'a> {
    pub(crate) what: EventKind,
    pub(crate) call: Option<&'a Call>,
    /// The leg it is about: the parked one, or the one that was refused.
    pub(crate) leg: Option<&'a Leg<'a>>,
    pub(crate) lot: Option<&'a LotId>,
    pub(crate) slot: Option<&'a Slot>,
    pub(crate) wait: Duration,
    pub(crate) retriever: Option<&'a Retriever>,
    pub(crate) cause: Option<&'a str>,
}

impl ParkEvent<'_> {
    pub(crate) fn of(what: EventKind) -> ParkEvent<'static> {
        ParkEvent {
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
pub(crate) trait Observer: Send + Sync {
    fn on_event(&self, _service: &ParkingService, _event: &ParkEvent<'_>) {}

    /// Slots that look different now; how, the service tells.
    fn on_slots_changed(&self, _service: &ParkingService, _slots: &[ChangedSlot]) {}

    /// Once a second.
    fn on_tick(&self, _service: &ParkingService) {}

    /// A phone has subscribed to a lamp.
    fn subscribed(&self, _service: &ParkingService, _subscription: &Subscription) {}

    /// Phones may show what was true before a restart.
    fn tell_all_lamps(&self, _service: &ParkingService) {}
}
