//! The events of parked calls, and the observers that get them.

use std::time::Duration;

use super::ParkingService;
use crate::freeswitch::Leg;
use crate::parking::{Call, ChangedSlot, LotId, Outcome, Slot};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EventKind {
    Park,
    /// A caller who was parked when FreeSWITCH died is in a slot again.
    Recover,
    RingBack,
    RingBackFailed,
    /// A leg that was sent to a slot twice did not arrive.
    ParkFailed,
    /// A caller has waited for long.
    Remind,
    Label,
    /// The time-out was postponed.
    Extend,
    /// The call was held for a user whose phones did not answer.
    RetrieveFailed,
    /// A slot was reserved for a consultation.
    Reserve,
    /// That reservation has ended.
    Release,
    /// Another leg has replaced the parked one.
    HandOver,
    /// A phone rings for a user, for whom the call is held.
    Retrieving,
    /// A call of another node has changed.
    OtherNode,
    Ended(Outcome),
    /// A transferred caller waits for a slot.
    NoSlot,
    Full,
    Denied,
    Reload,
    /// A message of a hook was lost.
    HookFailed,
}

impl EventKind {
    pub(super) const RETRIEVED: EventKind = EventKind::Ended(Outcome::Retrieved);
    pub(super) const TRANSFERRED: EventKind = EventKind::Ended(Outcome::Transferred);

    /// The name of the action in events and in the event stream.
    pub(crate) fn action(self) -> &'static str {
        match self {
            EventKind::Park => "park",
            EventKind::Recover => "recover",
            EventKind::RingBack => "ringback",
            EventKind::RingBackFailed => "ringback-failed",
            EventKind::ParkFailed => "park-failed",
            EventKind::Remind => "remind",
            EventKind::Label => "label",
            EventKind::Extend => "extend",
            EventKind::RetrieveFailed => "retrieve-failed",
            EventKind::Reserve => "reserve",
            EventKind::Release => "release",
            EventKind::HandOver => "hand-over",
            EventKind::Retrieving => "retrieving",
            EventKind::OtherNode => "other-node",
            EventKind::Ended(Outcome::Retrieved) => "retrieve",
            EventKind::Ended(Outcome::Returned) => "return",
            EventKind::Ended(Outcome::Fallback) => "fallback",
            EventKind::Ended(Outcome::Transferred) => "transfer",
            EventKind::Ended(Outcome::Abandoned) => "abandon",
            EventKind::NoSlot => "no-slot",
            EventKind::Full => "full",
            EventKind::Denied => "denied",
            EventKind::Reload => "reload",
            EventKind::HookFailed => "hook-failed",
        }
    }

    /// Whether it concerns only displays of slots, and is no event of a call.
    pub(crate) fn is_display_only(self) -> bool {
        use EventKind::{HandOver, OtherNode, Release, Reserve, Retrieving};
        matches!(self, Reserve | Release | HandOver | Retrieving | OtherNode)
    }
}

/// The party who retrieves a call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Retriever {
    /// The user (`1002@example.com`); empty if it is not known.
    pub(crate) user: String,
    pub(crate) uuid: String,
}

/// An event and its data.
#[derive(Clone, Copy)]
pub(crate) struct ParkEvent<'a> {
    pub(crate) kind: EventKind,
    pub(crate) call: Option<&'a Call>,
    /// The leg that it concerns: the parked one, or the one that was refused.
    pub(crate) leg: Option<&'a Leg<'a>>,
    pub(crate) lot: Option<&'a LotId>,
    pub(crate) slot: Option<&'a Slot>,
    pub(crate) wait: Duration,
    pub(crate) retriever: Option<&'a Retriever>,
    pub(crate) cause: Option<&'a str>,
    /// Who has caused it by HTTP.
    pub(crate) actor: Option<&'a str>,
    /// The name of the hook that has failed.
    pub(crate) hook: Option<&'a str>,
}

impl ParkEvent<'_> {
    pub(crate) fn of(kind: EventKind) -> ParkEvent<'static> {
        ParkEvent {
            kind,
            call: None,
            leg: None,
            lot: None,
            slot: None,
            wait: Duration::ZERO,
            retriever: None,
            cause: None,
            actor: None,
            hook: None,
        }
    }
}

/// A phone that has subscribed to a lamp, or renewed its subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    /// The slot or the name of a lot, as the phone wrote it.
    pub(crate) lamp: String,
    /// Whether the phone has written it without `park+`. It may be the number of a user then.
    pub(crate) is_plain: bool,
    /// The domain, as the phone wrote it.
    pub(crate) host: String,
    /// The Call-ID of the subscription; `None` if it is not known.
    pub(crate) call_id: Option<String>,
    pub(crate) expires: Duration,
}

/// Gets all events, on the thread on which they happen, and must not wait. An observer only observes: without it, the same happens to each call.
pub(crate) trait Observer: Send + Sync {
    fn on_event(&self, _service: &ParkingService, _event: &ParkEvent<'_>) {}

    /// Slots have changed. The service knows their state.
    fn on_slots_changed(&self, _service: &ParkingService, _slots: &[ChangedSlot]) {}

    /// Is called once a second.
    fn on_tick(&self, _service: &ParkingService) {}

    /// A phone has subscribed to a lamp.
    fn subscribed(&self, _service: &ParkingService, _subscription: &Subscription) {}

    /// All lamps must be published, because phones may show the state before a restart.
    fn publish_all_lamps(&self, _service: &ParkingService) {}
}
