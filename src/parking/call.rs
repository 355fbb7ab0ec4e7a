//! A parked call, from the reservation of its slot to its outcome.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::access::Denial;
use super::names::{LotId, Slot, SlotRequest};
use super::settings::{CallOverrides, LotSettings};

/// Identifies a parked call. An id is never used twice, and a call that was parked later has a larger one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct CallId {
    pub(super) parked_at: MonotonicTime,
    /// A counter that orders calls that were parked at the same moment.
    pub(super) sequence: u32,
    /// The index at which the table stores the call.
    pub(super) entry: u32,
}

/// A point in time on a monotonic clock, as the time since an arbitrary start.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct MonotonicTime(pub Duration);

impl MonotonicTime {
    /// The time from `earlier` to this moment; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: MonotonicTime) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment that is later by `wait`.
    #[must_use]
    pub fn after(self, wait: Duration) -> MonotonicTime {
        MonotonicTime(self.0.saturating_add(wait))
    }

    /// The moment that is earlier by `wait`.
    #[must_use]
    pub fn before(self, wait: Duration) -> MonotonicTime {
        MonotonicTime(self.0.saturating_sub(wait))
    }
}

/// The person at the far end of a leg, as the leg says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Party {
    /// The name that phones show.
    pub name: String,
    /// The number.
    pub number: String,
}

impl Party {
    /// The name that is shown for a caller who withholds it.
    pub const WITHHELD_NAME: &str = "Anonymous";
    /// The number that is shown for a caller who withholds it.
    pub const WITHHELD_NUMBER: &str = "anonymous";

    /// Whether this party withholds the number.
    #[must_use]
    pub fn is_withheld(&self) -> bool {
        self.number.eq_ignore_ascii_case(Self::WITHHELD_NUMBER)
    }
}

/// The fields of a parked call that change rarely: only if it gets another slot, or if new settings are applied to it. They are shared by the
/// copies of a [`Call`].
#[derive(Clone, Debug)]
pub struct CallInfo {
    /// The UUID of the parked leg.
    pub uuid: Arc<str>,
    /// The lot in which it is parked.
    pub lot: LotId,
    /// The slot in which it is parked.
    pub slot: Slot,
    /// The person at the far end of the parked leg.
    pub caller: Arc<Party>,
    /// The user who parked the call (`1001@example.com`); empty if that is not known.
    pub parker: Arc<str>,
    /// The wall-clock time of parking, in milliseconds since 1970. It is shown and recorded, and no timer uses it.
    pub parked_at_ms: i64,
    /// The settings with which it was parked, or which were applied to it since.
    pub settings: Arc<LotSettings>,
    /// The settings that the variables of the call changed.
    pub overrides: CallOverrides,
}

impl Call {
    /// The node on which the call is; `None` if it is this one.
    #[must_use]
    pub fn node(&self) -> Option<&Arc<str>> {
        match &self.state {
            State::OnOtherNode { node, .. } => Some(node),
            _ => None,
        }
    }

    /// Whether the caller was sent to a lot and waits for a slot.
    #[must_use]
    pub fn is_unassigned(&self) -> bool {
        self.info.slot.is_unassigned()
    }

    /// Whether a recall can call anybody. A caller without a slot gets one recall at once, also where `ringback_attempts` is 0.
    #[must_use]
    pub fn can_ring(&self) -> bool {
        if self.is_unassigned() { self.info.has_somebody_to_ring() } else { self.info.can_ring() }
    }

    /// The name of its state in listings.
    #[must_use]
    pub fn state_name(&self) -> &'static str {
        match &self.state {
            State::OnOtherNode { is, .. } => is.name(),
            state if self.is_unassigned() && state.name() != "reserved" => RemoteState::WaitingForSlot.name(),
            state => state.name(),
        }
    }

    /// Whether the parked leg is on this FreeSWITCH, or on its way to it.
    #[must_use]
    pub fn is_here(&self) -> bool {
        !matches!(self.state, State::AwaitingRecovery | State::OnOtherNode { .. })
    }
}

impl CallInfo {
    /// Whether the settings ask for recalls, and a recall can call anybody.
    #[must_use]
    pub fn can_ring(&self) -> bool {
        self.has_somebody_to_ring() && self.settings.ringback_attempts > 0
    }

    fn has_somebody_to_ring(&self) -> bool {
        self.settings.ringback.has_somebody(&self.parker)
    }
}

/// What is happening to a parked call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// The slot is reserved for a leg that is on its way.
    Reserved,
    /// The slot is reserved for a leg that takes the place of the one that held it, by an attended transfer.
    Expected,
    /// The caller waits.
    Parked,
    /// A recall rings.
    RingingBack,
    /// A leg is being connected with the caller.
    Retrieving {
        /// The UUID of that leg.
        by: Arc<str>,
        /// Whether it is the parker's, who answered a recall.
        returning: bool,
    },
    /// The caller is being sent to the fallback.
    FallingBack,
    /// The FreeSWITCH that had the call has died: the slot is reserved until the caller is recovered.
    AwaitingRecovery,
    /// The call is parked on another node of the cluster, which decides about it.
    OnOtherNode {
        /// The name of the node.
        node: Arc<str>,
        /// What the node says about the call.
        is: RemoteState,
    },
}

/// What is happening to a call on another node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RemoteState {
    /// Its slot is reserved.
    Reserved,
    /// The caller waits.
    Parked,
    /// A recall rings.
    RingingBack,
    /// A leg is being connected with the caller.
    Retrieving,
    /// The caller has no slot.
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

    /// Finds a state by its name in listings. An unknown one counts as reserved, so that nobody takes the call.
    #[must_use]
    pub fn named(word: &str) -> RemoteState {
        RemoteState::ALL.into_iter().find(|state| state.name() == word).unwrap_or(RemoteState::Reserved)
    }

    /// The name of the state in listings.
    #[must_use]
    pub fn name(self) -> &'static str {
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
    /// The name of the state in listings, for a call that has a slot.
    #[must_use]
    fn name(&self) -> &'static str {
        match self {
            State::Reserved | State::Expected | State::AwaitingRecovery => "reserved",
            State::OnOtherNode { is, .. } => is.name(),
            State::Parked | State::FallingBack => "parked",
            State::RingingBack => "ringing-back",
            State::Retrieving { .. } => "retrieving",
        }
    }
}

/// A parked call, or one that is on its way to its slot.
#[derive(Clone, Debug)]
pub struct Call {
    /// Identifies the call.
    pub id: CallId,
    /// The fields that change rarely.
    pub info: Arc<CallInfo>,
    /// What is happening to it.
    pub state: State,
    /// The index of its slot in its lot; `None` if the lot does not have that slot, or not any more.
    pub(super) index: Option<u32>,
    /// The label that users see.
    pub label: Arc<str>,
    /// When the caller began to wait.
    pub parked_at: MonotonicTime,
    /// When something is due for it; `None` if it may wait without limit.
    pub deadline: Option<MonotonicTime>,
    /// When the fallback is due in any case.
    pub latest: Option<MonotonicTime>,
    /// The number of recalls so far.
    pub attempt: u32,
    /// The number of recalls that remain before the fallback.
    pub rings_left: u32,
    /// Whether the leg has been in its slot. Then there was a `park` event, and there must be an outcome.
    pub was_parked: bool,
    /// Why a call has no slot, as the value of `callpark_result`; empty for one that has a slot.
    pub refused: &'static str,
    /// The slot that a call without a slot takes when it comes free; `None` if it may not have one.
    pub(super) wants: Option<SlotRequest>,
    /// Distinguishes calls without a slot.
    pub(super) number: u64,
    /// Whether the leg was sent to its slot a second time.
    pub fetched: bool,
}

/// How a parked call ended. Each call has exactly one outcome.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Outcome {
    /// A retriever was connected with the caller.
    Retrieved,
    /// The parker answered a recall and was connected with the caller.
    Returned,
    /// The caller was sent to the fallback.
    Fallback,
    /// An API, a script or the exit key moved the caller.
    Transferred,
    /// The caller hung up.
    Abandoned,
}

impl Outcome {
    /// The name of the outcome in variables, in the history and in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
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
        f.write_str(self.name())
    }
}

/// A call that is not parked any more.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The call as it was last.
    pub call: Call,
    /// How it ended.
    pub outcome: Outcome,
    /// The time from parking to the outcome.
    pub wait: Duration,
}

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
    /// No call is parked there.
    #[error("nobody is parked in {0}")]
    Empty(String),
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
    if slot.is_unassigned() { "waits for a slot already".into() } else { format!("is parked in slot {slot} already") }
}

impl Refusal {
    /// The value of `callpark_result`.
    #[must_use]
    pub fn name(&self) -> &'static str {
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
