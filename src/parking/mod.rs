//! The rules of call parking: which slot, whose call, what next.
//!
//! Pure: no host, no clock, no lock, no thread. [`Table`] is told what happened and when, and answers with what follows.
//! Nothing here can panic.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::unreachable)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod call;
mod calls;
mod free;
mod lot;
mod names;
mod settings;
mod table;

pub use call::{Call, CallId, CallInfo, Ended, MonotonicTime, Outcome, Party, Refusal, RemoteState, State};
pub use lot::LotPlan;
pub use names::{Extension, LotId, LotName, MAX_SLOT_LENGTH, Slot, is_name, parse_slots};
pub use settings::{
    CallOverrides, Destination, LampState, LotSettings, Notify, RingBack, SlotOrder, SlotTaken, UsersOf,
};
pub use table::{
    ChangedSlot, Layout, LeaveReason, LotSelector, LotStatus, LotView, ParkRequest, RemoteCall, RestoreParams,
    RetrieveTarget, SlotRequest, SlotStatus, Table, TimerAction,
};
