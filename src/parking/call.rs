//! A parked call, from the moment a slot is kept for it to its one outcome.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::names::{LotId, Slot};
use super::settings::{CallOverrides, LotSettings};
use super::table::SlotRequest;

/// Names one stay in a slot. Never used twice; calls that were parked later have larger ones.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct CallId {
    pub(super) parked_at: MonotonicTime,
    /// Counts calls: which of two of the same moment was the first.
    pub(super) turn: u32,
    /// Where the table keeps it.
    pub(super) seat: u32,
}

/// A moment on a clock that never jumps, since some start that does not matter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct MonotonicTime(pub Duration);

impl MonotonicTime {
    /// Time from `earlier` to here; zero if it is not earlier.
    #[must_use]
    pub fn since(self, earlier: MonotonicTime) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    #[must_use]
    pub fn after(self, wait: Duration) -> MonotonicTime {
        MonotonicTime(self.0.saturating_add(wait))
    }

    #[must_use]
    pub fn before(self, wait: Duration) -> MonotonicTime {
        MonotonicTime(self.0.saturating_sub(wait))
    }
}

/// Who is at the other end of the parked leg, as that leg tells.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Party {
    pub name: String,
    pub number: String,
}

impl Party {
    /// What is shown of a name or a number that is withheld.
    pub const WITHHELD_NAME: &str = "Anonymous";
    pub const WITHHELD_NUMBER: &str = "anonymous";

    /// Whether this is somebody who withholds the number.
    #[must_use]
    pub fn is_withheld(&self) -> bool {
        self.number.eq_ignore_ascii_case(Self::WITHHELD_NUMBER)
    }
}

/// What is known of a call when it is parked and does not change.
#[derive(Clone, Debug)]
pub struct CallInfo {
    /// The parked leg's UUID.
    pub uuid: Arc<str>,
    pub lot: LotId,
    pub slot: Slot,
    pub caller: Arc<Party>,
    /// Who parked it, `1001@example.com`; empty where nobody did.
    pub parker: Arc<str>,
    /// Wall clock at parking, milliseconds since 1970: for people and records, never for waiting.
    pub parked_at_ms: i64,
    pub settings: Arc<LotSettings>,
    /// What the call's own variables changed in its lot's terms.
    pub overrides: CallOverrides,
}

impl Call {
    /// The node that has it; `None` if it is this one.
    #[must_use]
    pub fn node(&self) -> Option<&Arc<str>> {
        match &self.state {
            State::OnOtherNode { node, .. } => Some(node),
            _ => None,
        }
    }

    /// Whether its caller was sent to a lot and has no slot.
    #[must_use]
    pub fn is_unassigned(&self) -> bool {
        self.info.slot.is_unassigned()
    }

    /// Whether there is anybody to ring. For a caller without a slot that is the first thing to do, however few ring backs there are.
    #[must_use]
    pub fn can_ring(&self) -> bool {
        if self.is_unassigned() { self.info.has_somebody_to_ring() } else { self.info.can_ring() }
    }

    /// The word for its state in listings.
    #[must_use]
    pub fn state_word(&self) -> &'static str {
        match &self.state {
            State::OnOtherNode { is, .. } => is.word(),
            state if self.is_unassigned() && state.word() != "reserved" => RemoteState::WaitingForSlot.word(),
            state => state.word(),
        }
    }

    /// Whether its caller is a leg of this FreeSWITCH, or is to be one.
    #[must_use]
    pub fn is_here(&self) -> bool {
        !matches!(self.state, State::AwaitingRecovery | State::OnOtherNode { .. })
    }
}

impl CallInfo {
    /// Whether there is anybody to ring back, and it is wanted.
    #[must_use]
    pub fn can_ring(&self) -> bool {
        self.has_somebody_to_ring() && self.settings.ringback_attempts > 0
    }

    fn has_somebody_to_ring(&self) -> bool {
        self.settings.ringback.has_somebody(&self.parker)
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// The slot is kept for a leg that is on its way.
    Reserved,
    /// The same, and the leg that kept it is gone already: the one to come is another.
    Expected,
    Parked,
    RingingBack,
    /// Somebody is being connected to it: the retriever's leg, or the parker's (`returning`), who answered a ring back.
    Retrieving {
        by: Arc<str>,
        returning: bool,
    },
    /// On its way to the fallback, for the moment that takes.
    FallingBack,
    /// The FreeSWITCH that had it died: the slot is kept for the caller, who may be recovered.
    AwaitingRecovery,
    /// Parked on another node of the cluster, which does all that there is to do for it and says how it is.
    OnOtherNode {
        node: Arc<str>,
        is: RemoteState,
    },
}

/// How a call on another node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RemoteState {
    Reserved,
    Parked,
    RingingBack,
    Retrieving,
    WaitingForSlot,
}

impl RemoteState {
    const ALL: [RemoteState; 5] = [
        RemoteState::Reserved,
        RemoteState::Parked,
        RemoteState::RingingBack,
        RemoteState::Retrieving,
        RemoteState::WaitingForSlot,
    ];

    /// By the word that listings have for it; what is not known is not there for anybody to take.
    #[must_use]
    pub fn named(word: &str) -> RemoteState {
        RemoteState::ALL.into_iter().find(|afar| afar.word() == word).unwrap_or(RemoteState::Reserved)
    }

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            RemoteState::Reserved => "reserved",
            RemoteState::Parked => "parked",
            RemoteState::RingingBack => "ringing-back",
            RemoteState::Retrieving => "retrieving",
            RemoteState::WaitingForSlot => "waiting-for-slot",
        }
    }
}

impl State {
    /// The word for it in listings, where there is a slot.
    #[must_use]
    fn word(&self) -> &'static str {
        match self {
            State::Reserved | State::Expected | State::AwaitingRecovery => "reserved",
            State::OnOtherNode { is, .. } => is.word(),
            State::Parked | State::FallingBack => "parked",
            State::RingingBack => "ringing-back",
            State::Retrieving { .. } => "retrieving",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Call {
    pub id: CallId,
    pub info: Arc<CallInfo>,
    pub state: State,
    /// Its slot's index in its lot; `None` if its lot has no such slot, or no more.
    pub(super) index: Option<u32>,
    pub label: Arc<str>,
    pub parked_at: MonotonicTime,
    /// When something is due for it; `None` = it may wait for ever.
    pub deadline: Option<MonotonicTime>,
    /// When the fallback is due whatever happens.
    pub latest: Option<MonotonicTime>,
    /// Ring backs so far.
    pub attempt: u32,
    /// Ring backs still to come before the fallback.
    pub rings_left: u32,
    /// Whether it has been in its slot: then its parking has been told, and it needs an outcome.
    pub was_parked: bool,
    /// Without a slot: the word for why, as `callpark_result` has it.
    pub refused: &'static str,
    /// Without a slot: what it takes as soon as it is free. `None`: it may have none.
    pub(super) wants: Option<SlotRequest>,
    /// What tells it apart from others without a slot.
    pub(super) number: u64,
    /// Whether its leg has been sent to the slot a second time.
    pub fetched: bool,
}

/// How a parked call ended. Exactly one for each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Outcome {
    Retrieved,
    /// The parker answered the ring back.
    Returned,
    Fallback,
    /// Moved by an API, a script or an exit key.
    Transferred,
    /// The caller hung up.
    Abandoned,
}

impl Outcome {
    /// The word for it on channels, in records and in metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Retrieved => "retrieved",
            Outcome::Returned => "returned",
            Outcome::Fallback => "fallback",
            Outcome::Transferred => "transferred",
            Outcome::Abandoned => "abandoned",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A call that is parked no longer.
#[derive(Clone, Debug)]
pub struct Ended {
    pub call: Call,
    pub outcome: Outcome,
    /// From parking to the outcome.
    pub wait: Duration,
}

/// Why the rules said no. The text is for the log; `callpark_result` has a word of its own for each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    NoSuchLot(String),
    NoSuchSlot(String),
    /// No free slot in the lot, nor where it overflows to.
    Full(LotId),
    /// The slot asked for has a call in it already.
    Taken(Slot),
    /// Its parker holds as many calls as the lot allows.
    Limit(u32),
    /// Whoever has it parked may not do that: why.
    NotAllowed(&'static str),
    /// Nobody is parked there.
    Empty(String),
    /// Somebody else is taking that call at this moment.
    Gone(Slot),
    /// The leg to park is still ringing.
    NotAnswered(String),
    /// The leg holds a slot already.
    AlreadyParked(Slot),
    /// There is nobody to ring back for the call in that slot.
    NobodyToRing(Slot),
    /// The call in that slot is busy with something else: what.
    Busy(Slot, &'static str),
    /// The call in that slot may wait for ever: there is no time-out to move.
    NoTimeout(Slot),
    /// The call in that slot is another node's: which.
    OnOtherNode(Slot, Arc<str>),
    /// The caller in that slot was lost with FreeSWITCH, and may yet be recovered.
    AwaitingRecovery(Slot),
}

impl Refusal {
    /// What `callpark_result` says.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Refusal::NoSuchLot(_)
            | Refusal::NoSuchSlot(_)
            | Refusal::NobodyToRing(_)
            | Refusal::NoTimeout(_)
            | Refusal::NotAnswered(_) => "invalid",
            Refusal::Full(_) => "full",
            Refusal::Taken(_) | Refusal::AlreadyParked(_) => "taken",
            Refusal::Limit(_) => "limit",
            Refusal::NotAllowed(_) => "denied",
            Refusal::Empty(_) => "empty",
            Refusal::Gone(_) | Refusal::Busy(..) | Refusal::OnOtherNode(..) | Refusal::AwaitingRecovery(_) => "gone",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NoSuchLot(lot) => write!(f, "no lot {lot}"),
            Refusal::NoSuchSlot(slot) => write!(f, "no slot {slot}"),
            Refusal::Full(lot) => write!(f, "lot {lot} is full"),
            Refusal::Taken(slot) => write!(f, "slot {slot} is taken"),
            Refusal::Limit(limit) => write!(f, "the parker holds {limit} calls already, the most allowed"),
            Refusal::NotAllowed(why) => f.write_str(why),
            Refusal::Empty(place) => write!(f, "nobody is parked in {place}"),
            Refusal::Gone(slot) => write!(f, "the call in slot {slot} is being taken by somebody else"),
            Refusal::NobodyToRing(slot) => write!(f, "there is nobody to ring back for the call in slot {slot}"),
            Refusal::Busy(slot, with) => write!(f, "the call in slot {slot} is {with}"),
            Refusal::NoTimeout(slot) => write!(f, "the call in slot {slot} has no time-out"),
            Refusal::OnOtherNode(slot, node) => write!(f, "the call in slot {slot} waits on node {node}"),
            Refusal::AwaitingRecovery(slot) => {
                write!(f, "the caller in slot {slot} was lost in a crash and is not recovered yet")
            }
            Refusal::NotAnswered(uuid) => write!(f, "channel {uuid} has not answered yet and cannot be parked"),
            Refusal::AlreadyParked(slot) if slot.is_unassigned() => f.write_str("the call waits for a slot already"),
            Refusal::AlreadyParked(slot) => write!(f, "the call is parked in slot {slot} already"),
        }
    }
}
