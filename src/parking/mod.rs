//! Decides what happens to parked calls: who may park and retrieve, which slot a call gets, which of several retrievers gets it, what is due when.
//!
//! The rules are pure: they use no FreeSWITCH, clock, lock or thread, and cannot panic. [`Table`] is told what happened and when, and returns
//! what follows.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::unreachable)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod access;
mod call;
mod calls;
mod feature_code;
mod free_slots;
mod lot;
mod names;
mod notify;
mod outcome;
mod refusal;
mod request;
mod ringback_via;
mod settings;
mod slot_request;
mod table;

pub use access::{Arrival, Denial, ParkFacts, ParkedBy, RetrieveAccess, RetrieveFacts, may_park, may_retrieve};
pub use call::{Call, CallId, CallInfo, Ended, MonotonicTime, Party, State, StoredState};
pub use feature_code::{CodeMatch, FeatureCode};
pub use lot::LotPlan;
pub use names::{Extension, LotId, LotName, MAX_SLOT_LENGTH, Slot, SlotsError, is_name, parse_slots};
pub use notify::{Notify, NotifyEvent};
pub use outcome::Outcome;
pub use refusal::{NoSlotReason, Refusal};
pub use request::{LeaveReason, LotSelector, ParkRequest, RetrieveTarget};
pub use ringback_via::RingBackVia;
pub use settings::{CallOverrides, Destination, LampState, LotSettings, RingBack, SlotOrder, SlotTaken, UsersOf};
pub use slot_request::{SlotRange, SlotRequest};
pub use table::{
    ChangedSlot, Claimant, FallbackReason, Layout, LotStatus, LotView, Number, RecallFailure, RestoreParams,
    SlotStatus, StoredCall, Table, TimerAction, should_wait_for_slot,
};
