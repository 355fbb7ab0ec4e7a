//! Takes slots: the rules choose one, and in a cluster it is then allocated for all nodes.

use std::collections::HashSet;

use parking_lot::Mutex;

use super::ParkingService;
use super::call_log::log_call;
use crate::parking::{Call, LeaveReason, MonotonicTime, ParkRequest, Refusal, StoredCall, Table};

/// The maximum number of slots that are tried, because other nodes may allocate them first.
const MAX_ALLOCATION_TRIES: usize = 100;

/// The legs for which slots are being allocated.
#[derive(Debug, Default)]
pub(super) struct Allocations(Mutex<HashSet<String>>);

impl Allocations {
    /// Returns `None` if another thread is allocating a slot for the leg.
    fn begin<'a>(&'a self, uuid: &'a str) -> Option<Allocating<'a>> {
        self.0.lock().insert(uuid.to_owned()).then_some(Allocating { allocations: self, uuid })
    }
}

/// An allocation in progress. It ends when this is dropped.
struct Allocating<'a> {
    allocations: &'a Allocations,
    uuid: &'a str,
}

impl Drop for Allocating<'_> {
    fn drop(&mut self) {
        self.allocations.0.lock().remove(self.uuid);
    }
}

impl ParkingService {
    /// Takes a slot by the rules and allocates it for all nodes. If another node has the slot, the rules decide again.
    pub(super) fn take(
        &self,
        request: &ParkRequest,
        park: impl Fn(&mut Table, MonotonicTime) -> Result<Call, Refusal>,
    ) -> Result<Call, Refusal> {
        let undo = |table: &mut Table, now| drop(table.leave(&request.uuid, LeaveReason::HungUp, now));
        match self.take_for_all(&request.uuid, park, undo)? {
            Some(call) => {
                log_call!(Debug, &call, wanted = request.wanted, slot_order = call.info.settings.slot_order.name(); "chose slot");
                Ok(call)
            }
            None => Err(Refusal::Full(self.lot_named(&request.place)?)),
        }
    }

    /// Lets the rules `decide` on a slot for a leg, again and again until the slot can be allocated; `undo` reverts a decision. Returns `None` if other nodes were
    /// faster too often.
    pub(super) fn take_for_all<E>(
        &self,
        uuid: &str,
        decide: impl Fn(&mut Table, MonotonicTime) -> Result<Call, E>,
        undo: impl Fn(&mut Table, MonotonicTime),
    ) -> Result<Option<Call>, E> {
        if !self.clustered() {
            return self.change(decide).map(Some);
        }
        // The calls of other nodes that were in the chosen slots. They are added to the table again before each try, because the comparison with
        // the database drops those of a node that has the name of this one, and the rules would choose the same slot again.
        let mut others: Vec<Box<StoredCall>> = Vec::new();
        for _ in 0..MAX_ALLOCATION_TRIES {
            let allocating = self.allocations.begin(uuid);
            let call = self.change(|table, now| {
                others.iter().for_each(|other| table.add_remote_call(other, now));
                decide(table, now)
            })?;
            let answer = self.slot_store.allocate(&call);
            drop(allocating);
            let Err(other) = answer else {
                // The call may have changed or ended meanwhile.
                self.save_slots(&[(call.info.lot.clone(), call.info.slot.clone())]);
                return Ok(Some(call));
            };
            log_call!(Debug, &call, node = other.node; "another node allocated the slot first");
            // In one step, so that nobody else takes the slot in between.
            self.change(|table, now| {
                undo(table, now);
                table.add_remote_call(&other, now);
            });
            others.push(other);
        }
        Ok(None)
    }

    /// As [`ParkingService::take`], for a leg on whose thread this runs. The command queue of the leg is opened first, because a retriever may
    /// claim the call while the other nodes are still asked.
    pub(super) fn take_here(
        &self,
        request: &ParkRequest,
        park: impl Fn(&mut Table, MonotonicTime) -> Result<Call, Refusal>,
    ) -> Result<Call, Refusal> {
        self.leg_commands.open(&request.uuid);
        self.take(request, park)
    }

    /// Whether a slot is being allocated for a leg.
    pub(crate) fn is_allocating(&self, uuid: &str) -> bool {
        self.allocations.0.lock().contains(uuid)
    }
}
