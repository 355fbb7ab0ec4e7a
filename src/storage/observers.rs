//! The observer that writes outcomes.

use std::sync::Arc;

use super::record::{Record, RefusedCall};
use super::schema::width;
use super::{Storage, connection};
use crate::freeswitch;
use crate::service::{EventKind, Observer, ParkEvent, ParkingService};

/// Writes each outcome to the history.
pub(crate) struct HistoryObserver(pub(crate) Arc<Storage>);

impl Observer for HistoryObserver {
    fn on_event(&self, service: &ParkingService, event: &ParkEvent<'_>) {
        let HistoryObserver(storage) = self;
        match (event.what, event.call, event.lot) {
            (EventKind::Ended(outcome), Some(call), _) => {
                storage.add_record(
                    Record::new(call, outcome, event, || service.node_name())
                        .private(service.settings().record_privacy),
                );
            }
            (EventKind::Recover, Some(call), _) => {
                storage.add_take_back((call.info.uuid.to_string(), call.info.parked_at_ms))
            }
            (EventKind::Full, _, Some(lot)) => storage.add_refused(RefusedCall {
                at: freeswitch::epoch_ms(),
                lot: connection::truncated(&lot.name, width::KEY).to_owned(),
                domain: connection::truncated(&lot.domain, width::KEY).to_owned(),
            }),
            _ => {}
        }
    }
}
