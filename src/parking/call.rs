//! A parked call, from the reservation of its slot to its outcome.

use std::sync::Arc;
use std::time::Duration;

use super::names::{LotId, Slot};
use super::outcome::Outcome;
use super::refusal::{NoSlotReason, Refusal};
use super::settings::{CallOverrides, LotSettings};
use super::slot_request::SlotRequest;

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
    pub fn waits_for_slot(&self) -> bool {
        self.info.slot.is_placeholder()
    }

    /// Why the caller waits for a slot; `None` if there is one.
    #[must_use]
    pub fn reason_to_wait(&self) -> Option<NoSlotReason> {
        self.waits_for_slot().then(|| self.refused.unwrap_or(NoSlotReason::Full))
    }

    /// Whether a recall can call anybody. A caller without a slot gets one recall at once, also where `ringback_attempts` is 0.
    #[must_use]
    pub fn can_ring(&self) -> bool {
        if self.waits_for_slot() { self.info.has_somebody_to_ring() } else { self.info.can_ring() }
    }

    /// The name of its state in listings.
    #[must_use]
    pub fn state_name(&self) -> &'static str {
        match &self.state {
            State::OnOtherNode { is, .. } => is.name(),
            state if self.waits_for_slot() && state.name() != "reserved" => StoredState::WaitingForSlot.name(),
            state => state.name(),
        }
    }

    /// Whether the parked leg is on this FreeSWITCH, or on its way to it.
    #[must_use]
    pub fn is_here(&self) -> bool {
        !matches!(self.state, State::AwaitingRecovery | State::OnOtherNode { .. })
    }

    /// Refuses what can be done only on the FreeSWITCH that has the leg.
    pub fn must_be_here(&self) -> Result<(), Refusal> {
        match &self.state {
            State::AwaitingRecovery => Err(Refusal::AwaitingRecovery(self.info.slot.clone())),
            State::OnOtherNode { node, .. } => Err(Refusal::OnOtherNode(self.info.slot.clone(), Arc::clone(node))),
            _ => Ok(()),
        }
    }

    /// Whether a slot is reserved for the leg, which is not there.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        let on_other_node = matches!(self.state, State::OnOtherNode { is: StoredState::Reserved, .. });
        on_other_node || matches!(self.state, State::Reserved | State::Expected)
    }

    /// Whether the call is claimed by this retriever.
    #[must_use]
    pub fn is_claimed_by(&self, retriever: &str) -> bool {
        matches!(&self.state, State::Retrieving { by, .. } if **by == *retriever)
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
        is: StoredState,
    },
}

/// What is happening to a call, as the slot store says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoredState {
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

impl StoredState {
    const ALL: [StoredState; 5] = [
        StoredState::Reserved,
        StoredState::Parked,
        StoredState::RingingBack,
        StoredState::Retrieving,
        StoredState::WaitingForSlot,
    ];

    /// Finds a state by its name in listings. An unknown one counts as reserved, so that nobody takes the call.
    #[must_use]
    pub fn named(word: &str) -> StoredState {
        StoredState::ALL.into_iter().find(|state| state.name() == word).unwrap_or(StoredState::Reserved)
    }

    /// The name of the state in listings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            StoredState::Reserved => "reserved",
            StoredState::Parked => "parked",
            StoredState::RingingBack => "ringing-back",
            StoredState::Retrieving => "retrieving",
            StoredState::WaitingForSlot => "waiting-for-slot",
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
    /// When the fallback is due in any case, by `max-park-time`.
    pub max_park_end: Option<MonotonicTime>,
    /// The number of recalls so far.
    pub attempt: u32,
    /// The number of recalls that remain before the fallback.
    pub rings_left: u32,
    /// How often in a row the present recall has found the parker busy and was, or will be, repeated.
    pub busy: u32,
    /// The number of reminders so far. The caller is late from the first on.
    pub reminders: u32,
    /// When the next reminder is due.
    pub(super) remind_at: Option<MonotonicTime>,
    /// Whether the leg has been in its slot. Then there was a `park` event, and there must be an outcome.
    pub was_parked: bool,
    /// Why the call had no slot when it was sent to its lot; `None` if it had one.
    pub refused: Option<NoSlotReason>,
    /// The slot that a call without a slot takes when it comes free; `None` if it may not have one.
    pub(super) wants: Option<SlotRequest>,
    /// Distinguishes calls without a slot.
    pub(super) number: u64,
    /// Whether the leg was sent to its slot a second time.
    pub fetched: bool,
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

impl Ended {
    /// The cause of an end: the leg that was to take the place of the parked one has not arrived.
    pub const NOT_ARRIVED: &str = "transfer failed";
    /// The cause of an end: the caller was not recovered after a crash.
    pub const NOT_RECOVERED: &str = "not recovered";
}
