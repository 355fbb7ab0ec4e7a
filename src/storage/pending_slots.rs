//! The rows of this node's calls that must be in the slot store, and the requests of callers who wait. A call adds its row and continues; the row
//! counts as written when the database has it.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::mpsc::SyncSender;

use super::slot_row::{SlotKey, SlotRow};
use crate::parking::RemoteCall;
use crate::service::RetrieveTicket;

/// The maximum number of callers who wait for a ticket.
const MAX_TICKET_REQUESTS: usize = 1_000;
/// How often the database may refuse a row before the row is set aside.
pub(super) const MAX_REFUSALS: u8 = 3;
/// The number of ended calls that are remembered, so that a row of theirs that appears again is not taken for another node's.
const MAX_ENDED: usize = 20_000;

/// The state of a row of the slot store.
#[derive(Clone, Debug)]
pub(super) enum SyncState {
    /// In a cluster, the database is being asked which node has the slot.
    Claiming,
    /// The row must be inserted. A row of another node for the same leg is older.
    New,
    /// The row was inserted before and must be inserted again. A row of another node for the same leg is newer.
    Again,
    /// The database has the row.
    Written,
    /// The slot belongs to another node, with this row.
    Lost(Box<RemoteCall>),
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

/// A request for which a caller waits for a short time.
#[derive(Debug)]
pub(super) enum TicketRequest {
    Issue { code: String, node: String, ticket: RetrieveTicket, done: SyncSender<bool> },
    Redeem { code: String, done: SyncSender<Option<RetrieveTicket>> },
}

/// The rows of this node's calls that must be in the slot store, and those that wait to be written.
#[derive(Debug, Default)]
pub(super) struct PendingWrites {
    pub(super) wanted: HashMap<SlotKey, PendingRow>,
    changed: BTreeSet<SlotKey>,
    /// The calls that have left a slot, until their rows are known to be deleted.
    left: HashMap<SlotKey, Vec<String>>,
    ended: HashSet<String>,
    ended_in_order: VecDeque<String>,
    orders: VecDeque<TicketRequest>,
    /// Whether the rows of the previous run have been read.
    pub(super) loaded_previous: bool,
}

impl PendingWrites {
    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.orders.is_empty()
    }

    pub(super) fn push_ticket_request(&mut self, order: TicketRequest) {
        if self.orders.len() < MAX_TICKET_REQUESTS {
            self.orders.push_back(order);
        }
    }

    pub(super) fn pop_ticket_request(&mut self) -> Option<TicketRequest> {
        self.orders.pop_front()
    }

    /// A caller who waits is told when the other end of the channel is dropped.
    pub(super) fn drop_ticket_requests(&mut self) {
        self.orders.clear();
    }

    /// Returns some of the rows that must be written, which then count as written.
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

    /// Sets the row of a slot. With `claim`, the database is asked first which node has the slot.
    pub(super) fn set_row(&mut self, place: SlotKey, now: Option<SlotRow>, claim: bool) {
        let before = self.wanted.get(&place);
        let state = match (&now, before) {
            (None, None) => return,
            (Some(row), Some(before)) if row.uuid == before.row.uuid => {
                if *row == before.row {
                    return;
                }
                match &before.state {
                    SyncState::SetAside => SyncState::New,
                    state => state.clone(),
                }
            }
            _ if claim => SyncState::Claiming,
            _ => SyncState::New,
        };
        if let Some(before) = before.filter(|before| now.as_ref().is_none_or(|row| row.uuid != before.row.uuid)) {
            let uuid = before.row.uuid.clone();
            self.left.entry(place.clone()).or_default().push(uuid.clone());
            self.remember(uuid);
        }
        match now {
            Some(row) => drop(self.wanted.insert(place.clone(), PendingRow { row, state, refusals: 0 })),
            None => drop(self.wanted.remove(&place)),
        }
        self.changed.insert(place);
    }

    /// Whether this node has or had a call.
    pub(super) fn remember(&mut self, uuid: String) {
        if self.ended.insert(uuid.clone()) {
            self.ended_in_order.push_back(uuid);
        }
        while self.ended_in_order.len() > MAX_ENDED {
            self.ended_in_order.pop_front().map(|oldest| self.ended.remove(&oldest));
        }
    }

    /// Whether a row that must not be there belongs to a call that this node had.
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

    /// The database said how that row stands; unless there is another by now.
    pub(super) fn set_state(&mut self, place: &SlotKey, uuid: &str, state: SyncState) {
        if let Some(wanted) = self.wanted.get_mut(place).filter(|wanted| wanted.row.uuid == uuid) {
            wanted.state = state;
        }
    }

    /// What the database answered to the question whose a slot is. Where nobody waited for so long, the call is in the slot in
    /// any case, and is still to be inserted beside the other.
    pub(super) fn set_claim_result(&mut self, place: &SlotKey, uuid: &str, state: SyncState) {
        let waits = |wanted: &PendingRow| wanted.row.uuid == uuid && matches!(wanted.state, SyncState::Claiming);
        if matches!(state, SyncState::Written) || self.wanted.get(place).is_some_and(waits) {
            self.set_state(place, uuid, state);
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

    /// Inserts all rows again, because the database is another one or has lost them.
    pub(super) fn write_all_again(&mut self) {
        for (place, wanted) in &mut self.wanted {
            if matches!(wanted.state, SyncState::Written) {
                wanted.state = SyncState::Again;
                self.changed.insert(place.clone());
            }
        }
    }

    /// Tries the rows again that the database refused.
    pub(super) fn retry_set_aside(&mut self) {
        for (place, wanted) in &mut self.wanted {
            if matches!(wanted.state, SyncState::SetAside) {
                wanted.state = SyncState::New;
                self.changed.insert(place.clone());
            }
        }
    }

    /// The legs that the database is known to have for this node.
    pub(super) fn written(&self) -> HashSet<String> {
        let written = self.wanted.values().filter(|wanted| matches!(wanted.state, SyncState::Written));
        written.map(|wanted| wanted.row.uuid.clone()).collect()
    }
}
