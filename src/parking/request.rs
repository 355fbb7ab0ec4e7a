//! What the table is asked for.

use std::sync::Arc;

use super::call::Party;
use super::names::{LotName, Slot};
use super::settings::CallOverrides;
use super::slot_request::{SlotRange, SlotRequest};

/// Selects a lot by its name, or by a slot, in the first of the domains that has it.
#[derive(Clone, Debug, Default)]
pub struct LotSelector {
    /// The lot, if it is named.
    pub lot: Option<LotName>,
    /// The domains in which to look if none is named, the most likely first.
    pub domains: Vec<String>,
    /// Whether the request belongs to no domain. If none of `domains` has any lot, the only domain that has such a lot is selected.
    pub any: bool,
}

/// The parked call that a retriever asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RetrieveTarget {
    /// The call in this slot.
    Slot(Slot),
    /// The call that has waited longest.
    Oldest,
    /// The call that was parked last.
    Newest,
    /// The call that has waited longest in the slots of this range.
    OldestOf(SlotRange),
    /// Of the calls that this user parked, the one that has waited longest. If no lot is named, it may be in any lot of the user's domain, or
    /// wait for a slot.
    OldestBy(String),
    /// The call of the leg with this UUID, in whatever slot it is.
    Call(String),
}

/// A request to park a leg.
#[derive(Clone, Debug)]
pub struct ParkRequest {
    /// The UUID of the leg.
    pub uuid: Arc<str>,
    /// The lot.
    pub place: LotSelector,
    /// The slot.
    pub wanted: SlotRequest,
    /// The person at the far end of the leg.
    pub caller: Arc<Party>,
    /// The user who parks it; empty if that is not known.
    pub parker: Arc<str>,
    /// The label; empty for that of the slot.
    pub label: String,
    /// The settings that the variables of the leg change.
    pub overrides: CallOverrides,
    /// The wall-clock time, in milliseconds since 1970.
    pub parked_at_ms: i64,
    /// A random number, for the choice of a random slot.
    pub entropy: u64,
}

/// Why a parked leg left its slot without being retrieved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LeaveReason {
    /// The caller hung up.
    HungUp,
    /// Something moved the leg elsewhere.
    Moved,
    /// Somebody was connected with it outside the slot (`intercept`).
    Intercepted,
}
