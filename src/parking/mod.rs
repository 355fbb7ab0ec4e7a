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
mod table;
mod terms;

pub use call::{Afar, Call, CallId, Ended, Facts, Moment, Outcome, Party, Refusal, State};
pub use lot::LotPlan;
pub use names::{Extension, LotId, LotName, MAX_SLOT_LENGTH, Slot, is_name, parse_slots};
pub use table::{
    Absent, Due, Layout, Left, Look, LotLook, LotView, ParkRequest, Pick, Saved, Table, Touched, Wanted, Where,
};
pub use terms::{Amendment, Destination, LampState, Notify, RingBack, SlotOrder, SlotTaken, Terms, UsersOf};
