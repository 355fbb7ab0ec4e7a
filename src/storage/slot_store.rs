//! The slot store of the service: which call is in which slot, for the next start and for the other nodes of a cluster.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Storage;
use super::pending_slots::TicketRequest;
use super::recovery_rows;
use super::slot_row::SlotRow;
use crate::parking::{Call, ChangedSlot, StoredCall};
use crate::service::{NodeMessage, ParkingService, RetrieveTicket, SlotStore};

/// How long a caller waits for the database before this node decides alone.
const ALLOCATION_TIMEOUT: Duration = Duration::from_secs(1);

impl SlotStore for Storage {
    fn save(&self, service: &ParkingService, slots: &[ChangedSlot]) {
        {
            // The slot table is read under this lock, so that of two threads the one that reads later writes later.
            let mut writes = self.writes.lock();
            for (lot, slot) in slots {
                let place = (lot.domain.to_string(), slot.key().to_owned());
                let own = service.own_call_at(&lot.domain, slot);
                let allocates =
                    |call: &Call| service.is_allocating(&call.info.uuid) && !writes.has(&place, &call.info.uuid);
                if !own.as_ref().is_some_and(allocates) {
                    writes.set_row(place, own.as_ref().map(SlotRow::of));
                }
            }
            if writes.is_empty() {
                return;
            }
        }
        self.wake();
    }

    fn allocate(&self, call: &Call) -> Result<(), Box<StoredCall>> {
        let until = Instant::now() + ALLOCATION_TIMEOUT;
        let mut writes = self.writes.lock();
        if !self.slots_answer() || !writes.allocate(SlotRow::of(call)) {
            return Ok(());
        }
        self.wake();
        let mut late = false;
        while !late && self.slots_answer() {
            if let Some(answer) = writes.take_answer(&call.info.uuid) {
                return answer;
            }
            late = self.answered.wait_until(&mut writes, until).timed_out();
        }
        if let Some(answer) = writes.take_answer(&call.info.uuid) {
            return answer;
        }
        writes.withdraw_allocation(&call.info.uuid);
        drop(writes);
        if !self.slots_away.swap(true, Ordering::Relaxed) {
            log::error!("the slot store does not answer; this node goes on with its own calls");
        }
        Ok(())
    }

    fn forget_leg(&self, uuid: &str) {
        recovery_rows::forget(&self.recovery_copies, uuid);
    }

    fn issue(&self, code: &str, node: &str, ticket: RetrieveTicket) -> bool {
        let request =
            |done| TicketRequest::Issue { code: code.into(), node: node.into(), ticket: ticket.clone(), done };
        self.request_ticket(request).unwrap_or(false)
    }

    fn redeem(&self, code: &str) -> Option<RetrieveTicket> {
        self.request_ticket(|done| TicketRequest::Redeem { code: code.into(), done }).flatten()
    }

    fn send(&self, message: NodeMessage) -> bool {
        self.request_ticket(|done| TicketRequest::Send { message: message.clone(), done }).unwrap_or(false)
    }

    fn live_nodes(&self) -> Vec<String> {
        self.live_nodes.lock().clone()
    }

    fn take_answer(&self, id: &str) -> Option<String> {
        self.request_ticket(|done| TicketRequest::TakeAnswer { id: id.into(), done }).flatten()
    }
}
