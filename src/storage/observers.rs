//! The observers that write outcomes and slots, and the implementation of the slot store for the service.

use std::sync::Arc;

use super::record::{Record, RefusedCall};
use super::schema::width;
use super::slot_row::SlotRow;
use super::{Storage, TicketRequest, connection};
use crate::freeswitch;
use crate::parking::{Call, ChangedSlot, RemoteCall};
use crate::service::{EventKind, Observer, ParkEvent, ParkingService, RetrieveTicket, SlotStore};

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

/// The slot store that the nodes of a cluster share.
pub(crate) struct ClusterSlots(pub(crate) Arc<Storage>);

impl SlotStore for ClusterSlots {
    fn save(&self, service: &ParkingService, slots: &[ChangedSlot]) {
        let ClusterSlots(storage) = self;
        let claim = service.clustered() && storage.slots_answer();
        {
            // The table is read under this lock, so that of two threads the one that reads later writes later.
            let mut writes = storage.writes.lock();
            for (lot, slot) in slots {
                let own = service.own_call_at(&lot.domain, slot);
                let row = own.map(|call| SlotRow::of(&call));
                writes.set_row((lot.domain.to_string(), slot.key().to_owned()), row, claim);
            }
            if writes.is_empty() {
                return;
            }
        }
        storage.wake();
    }

    fn forget_leg(&self, uuid: &str) {
        super::recovery_rows::forget(&self.0.recovery_copies, uuid);
    }

    fn claim(&self, call: &Call) -> Result<(), Box<RemoteCall>> {
        self.0.await_claim(call)
    }

    fn issue(&self, code: &str, node: &str, ticket: RetrieveTicket) -> bool {
        let request =
            |done| TicketRequest::Issue { code: code.into(), node: node.into(), ticket: ticket.clone(), done };
        self.0.request_ticket(request).unwrap_or(false)
    }

    fn redeem(&self, code: &str) -> Option<RetrieveTicket> {
        let request = |done| TicketRequest::Redeem { code: code.into(), done };
        self.0.request_ticket(request).flatten()
    }
}
