//! The rows of this node's calls that must be in the slot store, and the requests of callers who wait. A call adds its row and continues; the row
//! counts as written when the database has it.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::mpsc::SyncSender;

use super::slot_row::{SlotKey, SlotRow};
use crate::parking::StoredCall;
use crate::service::{NodeMessage, RetrieveTicket};

/// The maximum number of callers who wait for a ticket.
const MAX_TICKET_REQUESTS: usize = 1_000;
/// How often the database may refuse a row before the row is set aside.
pub(super) const MAX_REFUSALS: u8 = 3;
/// The number of ended calls that are remembered, so that a row of theirs that appears again is not taken for another node's.
const MAX_ENDED: usize = 20_000;

/// The state of a row of the slot store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SyncState {
    /// The row must be inserted. A row of another node for the same leg is older.
    New,
    /// The row was inserted before and must be inserted again. A row of another node for the same leg is newer.
    Again,
    /// The database has the row.
    Written,
    /// The database refuses the row and accepts others. The call waits in its slot.
    SetAside,
}

#[derive(Clone, Debug)]
pub(super) struct PendingRow {
    pub(super) row: SlotRow,
    pub(super) state: SyncState,
    /// How often the database has refused the row.
    pub(super) refusals: u8,
}

/// The row that must be in a slot (`None` for no row), and the calls that were in it before.
#[derive(Clone, Debug)]
pub(super) struct SlotChange {
    pub(super) place: SlotKey,
    pub(super) wanted: Option<PendingRow>,
    pub(super) left: Vec<String>,
}

/// The answer to an allocation: the state of the row of a call whose slot is this node's, or the call of the node that has the slot.
pub(super) type AllocationAnswer = Result<SyncState, Box<StoredCall>>;

/// A slot that is allocated for a call of this node, and the answer.
#[derive(Debug)]
pub(super) struct Allocation {
    pub(super) row: SlotRow,
    pub(super) answer: Option<AllocationAnswer>,
}

impl Allocation {
    pub(super) fn is_answered(&self) -> bool {
        self.answer.is_some()
    }
}

/// A request for which a caller waits for a short time.
#[derive(Debug)]
pub(super) enum TicketRequest {
    Issue { code: String, node: String, ticket: RetrieveTicket, done: SyncSender<bool> },
    Redeem { code: String, done: SyncSender<Option<RetrieveTicket>> },
    Send { message: NodeMessage, done: SyncSender<bool> },
    TakeAnswer { id: String, done: SyncSender<Option<String>> },
}

/// The rows of this node's calls that must be in the slot store, and those that wait to be written.
#[derive(Debug, Default)]
pub(super) struct PendingWrites {
    pub(super) wanted: HashMap<SlotKey, PendingRow>,
    pub(super) changed: BTreeSet<SlotKey>,
    /// The calls that have left a slot, until their rows are known to be deleted.
    pub(super) left: HashMap<SlotKey, Vec<String>>,
    ended: HashSet<String>,
    ended_in_order: VecDeque<String>,
    ticket_requests: VecDeque<TicketRequest>,
    /// The allocations for which callers wait, by the UUID of the leg.
    pub(super) allocations: HashMap<String, Allocation>,
    /// Whether the rows of the previous run have been read.
    pub(super) loaded_previous: bool,
}

impl PendingWrites {
    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty()
            && self.ticket_requests.is_empty()
            && self.allocations.values().all(Allocation::is_answered)
    }

    pub(super) fn push_ticket_request(&mut self, request: TicketRequest) {
        if self.ticket_requests.len() < MAX_TICKET_REQUESTS {
            self.ticket_requests.push_back(request);
        }
    }

    pub(super) fn pop_ticket_request(&mut self) -> Option<TicketRequest> {
        self.ticket_requests.pop_front()
    }

    /// Drops all requests, because the database is away. Each caller who waits learns it, because its channel is dropped too.
    pub(super) fn drop_ticket_requests(&mut self) {
        self.ticket_requests.clear();
    }

    /// Whether the row of a call is the one that must be in a slot.
    pub(super) fn has(&self, place: &SlotKey, uuid: &str) -> bool {
        self.wanted.get(place).is_some_and(|wanted| wanted.row.uuid == uuid)
    }

    /// Takes at most `most` of the changes that must be written. Those that cannot be written are put back ([`PendingWrites::put_back`]).
    pub(super) fn take_changes(&mut self, most: usize) -> Vec<SlotChange> {
        let taken = std::iter::from_fn(|| self.changed.pop_first()).take(most);
        taken
            .map(|place| {
                let (wanted, left) = (self.wanted.get(&place).cloned(), self.left.get(&place).cloned());
                SlotChange { place, wanted, left: left.unwrap_or_default() }
            })
            .collect()
    }

    pub(super) fn put_back(&mut self, places: impl IntoIterator<Item = SlotKey>) {
        self.changed.extend(places);
    }

    pub(super) fn is_changed(&self, place: &SlotKey) -> bool {
        self.changed.contains(place)
    }

    /// Sets the row of a slot.
    pub(super) fn set_row(&mut self, place: SlotKey, now: Option<SlotRow>) {
        let Some(row) = now else { return self.leave(&place, "") };
        let state = match self.wanted.get(&place).filter(|before| before.row.uuid == row.uuid) {
            Some(before) if before.row == row => return,
            Some(PendingRow { state: SyncState::SetAside, .. }) | None => SyncState::New,
            Some(before) => before.state,
        };
        self.leave(&place, &row.uuid);
        // A leg that comes back into the slot that it has just left: its old row is deleted before the new one is inserted.
        self.forget_left_calls(&place, std::slice::from_ref(&row.uuid));
        self.changed.insert(place.clone());
        self.wanted.insert(place, PendingRow { row, state, refusals: 0 });
    }

    /// Notes that the call in a slot has left it, unless that is `next`.
    pub(super) fn leave(&mut self, place: &SlotKey, next: &str) {
        if self.has(place, next) {
            return;
        }
        let Some(before) = self.wanted.remove(place) else { return };
        self.left.entry(place.clone()).or_default().push(before.row.uuid.clone());
        self.remember(before.row.uuid);
        self.changed.insert(place.clone());
    }

    /// Notes that this node has or had a call, for [`PendingWrites::had_call`].
    pub(super) fn remember(&mut self, uuid: String) {
        if self.ended.insert(uuid.clone()) {
            self.ended_in_order.push_back(uuid);
        }
        while self.ended_in_order.len() > MAX_ENDED {
            self.ended_in_order.pop_front().map(|oldest| self.ended.remove(&oldest));
        }
    }

    /// Whether this node has or had a call, so that it may delete a row of it that is no longer needed.
    pub(super) fn had_call(&self, uuid: &str) -> bool {
        self.ended.contains(uuid)
    }

    /// Forgets calls that have left a slot, because their rows are deleted.
    pub(super) fn forget_left_calls(&mut self, place: &SlotKey, gone: &[String]) {
        if let Some(left) = self.left.get_mut(place) {
            left.retain(|uuid| !gone.contains(uuid));
            if left.is_empty() {
                self.left.remove(place);
            }
        }
    }

    /// Sets the state of the row of a leg, unless the slot has the row of another leg by now.
    pub(super) fn set_state(&mut self, place: &SlotKey, uuid: &str, state: SyncState) {
        if let Some(wanted) = self.wanted.get_mut(place).filter(|wanted| wanted.row.uuid == uuid) {
            wanted.state = state;
        }
    }

    /// Writes a row again that the database does not have any more.
    pub(super) fn write_again(&mut self, place: &SlotKey, uuid: &str, state: SyncState) {
        self.set_state(place, uuid, state);
        self.changed.insert(place.clone());
    }

    /// Counts a refusal of a row by the database, and returns the number.
    pub(super) fn count_refusal(&mut self, place: &SlotKey, uuid: &str) -> u8 {
        let Some(wanted) = self.wanted.get_mut(place).filter(|wanted| wanted.row.uuid == uuid) else { return 0 };
        wanted.refusals = wanted.refusals.saturating_add(1);
        match wanted.state {
            _ if wanted.refusals >= MAX_REFUSALS => wanted.state = SyncState::SetAside,
            SyncState::Written => wanted.state = SyncState::Again,
            _ => {}
        }
        wanted.refusals
    }

    /// Has all rows inserted again, because the database is another one or has lost them.
    pub(super) fn write_all_again(&mut self) {
        for (place, wanted) in &mut self.wanted {
            if wanted.state == SyncState::Written {
                wanted.state = SyncState::Again;
                self.changed.insert(place.clone());
            }
        }
    }

    /// Tries the rows again that the database refused.
    pub(super) fn retry_set_aside(&mut self) {
        for (place, wanted) in &mut self.wanted {
            if wanted.state == SyncState::SetAside {
                wanted.state = SyncState::New;
                self.changed.insert(place.clone());
            }
        }
    }

    /// The legs of this node whose rows are known to be in the database.
    pub(super) fn written(&self) -> HashSet<String> {
        let written = self.wanted.values().filter(|wanted| wanted.state == SyncState::Written);
        written.map(|wanted| wanted.row.uuid.clone()).collect()
    }
}
