//! What is kept of calls that are parked no longer: a row each in the core's database layer, and what is counted from them.

mod queue;
mod record;
mod stats;
mod store;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;

pub(crate) use queue::Records;
pub(crate) use record::{Of, Record, Refused};
pub(crate) use stats::{Tally, local_time};
pub(crate) use store::{Store, number, quoted, word};
#[cfg(feature = "fuzzing")]
pub(crate) use {stats::tally, store::read as read_row};

use crate::attendant::{Notice, What, Witness};
use crate::host;

/// For how long shutdown waits for a database that does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// From load to shutdown.
static KEPT: RwLock<Option<Arc<Records>>> = RwLock::new(None);

pub(crate) fn kept() -> Option<Arc<Records>> {
    KEPT.read().clone()
}

pub(crate) fn begin() {
    *KEPT.write() = Some(Arc::default());
}

/// Shutdown. False if the database holds a thread up, whose code must stay.
pub(crate) fn end() -> bool {
    let last = KEPT.write().take();
    last.is_none_or(|records| records.close(PATIENCE))
}

/// Notes every outcome.
pub(crate) struct Clerk;

impl Witness for Clerk {
    fn saw(&self, notice: &Notice<'_>) {
        let Some(records) = kept() else { return };
        match (notice.what, notice.call, notice.lot) {
            (What::Ended(outcome), Some(call), _) => records.note(Record::new(call, outcome, notice)),
            (What::Recover, Some(call), _) => records.note_back(call.facts.uuid.to_string(), call.facts.parked_at_ms),
            (What::Full, _, Some(lot)) => records.note_refused(Refused {
                at: host::epoch_ms(),
                lot: lot.name.to_string(),
                domain: lot.domain.to_string(),
            }),
            _ => {}
        }
    }
}
