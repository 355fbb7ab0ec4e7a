//! What is to be in the slot store of this node's calls, and what callers wait for there. Calls note it here and go on; it counts as
//! written when the database has it.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::mpsc::SyncSender;

use super::slot_row::{Place, SlotRow};
use crate::parking::RemoteCall;
use crate::service::RetrieveTicket;

/// Callers who wait for a ticket at most.
const MAX_ORDERS: usize = 1_000;
/// A row that the database refused so often is set aside.
pub(super) const MAX_REFUSALS: u8 = 3;
/// Calls that have left their slots, and are remembered: a row of theirs that appears once more is not another node's.
const MAX_ENDED: usize = 20_000;

/// How a row of the slot store stands with the database.
#[derive(Clone, Debug)]
pub(super) enum SyncState {
    /// In a cluster: the database is being asked whose the slot is.
    Claiming,
    /// Ours, and to be inserted. What another node has of the same leg is from before it came here.
    New,
    /// Ours and inserted before, and to be inserted once more. What another node has of the same leg is newer.
    Again,
    /// The database has it.
    Written,
    /// It is another node's, as that one has it.
    Lost(Box<RemoteCall>),
    /// The database refuses the row, and takes others. The call waits in its slot all the same.
    SetAside,
}

#[derive(Clone, Debug)]
pub(super) struct PendingRow {
    pub(super) row: SlotRow,
    pub(super) state: SyncState,
    /// How often the database has refused the row.
    pub(super) refusals: u8,
}

/// What is to be in a slot (`None`: nothing), and the calls that were in it before.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) place: Place,
    pub(super) wanted: Option<PendingRow>,
    pub(super) left: Vec<String>,
}

/// Something that a caller waits for, though not for long.
#[derive(Debug)]
pub(super) enum Order {
    Issue { code: String, node: String, ticket: RetrieveTicket, done: SyncSender<bool> },
    Redeem { code: String, done: SyncSender<Option<RetrieveTicket>> },
}

/// What is to be in the slot store of this node's calls, and what waits to be written there.
#[derive(Debug, Default)]
pub(super) struct PendingWrites {
    pub(super) wanted: HashMap<Place, PendingRow>,
    changed: BTreeSet<Place>,
    /// Calls that have left a slot, until their rows are known to be gone.
    left: HashMap<Place, Vec<String>>,
    ended: HashSet<String>,
    ended_in_order: VecDeque<String>,
    orders: VecDeque<Order>,
    /// The rows of the run before have been looked for.
    pub(super) loaded_previous: bool,
}

impl PendingWrites {
    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.orders.is_empty()
    }

    pub(super) fn push_order(&mut self, order: Order) {
        if self.orders.len() < MAX_ORDERS {
            self.orders.push_back(order);
        }
    }

    pub(super) fn pop_order(&mut self) -> Option<Order> {
        self.orders.pop_front()
    }

    /// Whoever waits is told by the other end being dropped.
    pub(super) fn drop_orders(&mut self) {
        self.orders.clear();
    }

    /// Some of what is to be written; it counts as written then.
    pub(super) fn take_changes(&mut self, most: usize) -> Vec<Change> {
        let taken = std::iter::from_fn(|| self.changed.pop_first()).take(most);
        taken
            .map(|place| {
                let (wanted, left) = (self.wanted.get(&place).cloned(), self.left.get(&place).cloned());
                Change { place, wanted, left: left.unwrap_or_default() }
            })
            .collect()
    }

    pub(super) fn put_back(&mut self, places: impl IntoIterator<Item = Place>) {
        self.changed.extend(places);
    }

    pub(super) fn is_changed(&self, place: &Place) -> bool {
        self.changed.contains(place)
    }

    /// What is in a slot now. `claim`: before it counts, the database is asked whose the slot is.
    pub(super) fn note(&mut self, place: Place, now: Option<SlotRow>, claim: bool) {
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

    /// A call that this node has, or had.
    pub(super) fn remember(&mut self, uuid: String) {
        if self.ended.insert(uuid.clone()) {
            self.ended_in_order.push_back(uuid);
        }
        while self.ended_in_order.len() > MAX_ENDED {
            self.ended_in_order.pop_front().map(|oldest| self.ended.remove(&oldest));
        }
    }

    /// Whether a row that nobody wants is of a call that this node had.
    pub(super) fn had(&self, uuid: &str) -> bool {
        self.ended.contains(uuid)
    }

    /// The rows of calls that had left a slot are gone.
    pub(super) fn are_gone(&mut self, place: &Place, gone: &[String]) {
        if let Some(left) = self.left.get_mut(place) {
            left.retain(|uuid| !gone.contains(uuid));
            if left.is_empty() {
                self.left.remove(place);
            }
        }
    }

    /// The database said how that row stands; unless there is another by now.
    pub(super) fn set_state(&mut self, place: &Place, uuid: &str, state: SyncState) {
        if let Some(wanted) = self.wanted.get_mut(place).filter(|wanted| wanted.row.uuid == uuid) {
            wanted.state = state;
        }
    }

    /// What the database answered to the question whose a slot is. Where nobody waited for so long, the call is in the slot in
    /// any case, and is still to be inserted beside the other.
    pub(super) fn answered(&mut self, place: &Place, uuid: &str, state: SyncState) {
        let waits = |wanted: &PendingRow| wanted.row.uuid == uuid && matches!(wanted.state, SyncState::Claiming);
        if matches!(state, SyncState::Written) || self.wanted.get(place).is_some_and(waits) {
            self.set_state(place, uuid, state);
        }
    }

    /// Has a row written that the database does not have, or not any more.
    pub(super) fn write_again(&mut self, place: &Place, uuid: &str, state: SyncState) {
        self.set_state(place, uuid, state);
        self.changed.insert(place.clone());
    }

    /// The database refused a row. How often it has.
    pub(super) fn count_refusal(&mut self, place: &Place, uuid: &str) -> u8 {
        let Some(wanted) = self.wanted.get_mut(place).filter(|wanted| wanted.row.uuid == uuid) else { return 0 };
        wanted.refusals = wanted.refusals.saturating_add(1);
        match wanted.state {
            _ if wanted.refusals >= MAX_REFUSALS => wanted.state = SyncState::SetAside,
            SyncState::Written => wanted.state = SyncState::Again,
            _ => {}
        }
        wanted.refusals
    }

    /// Everything is to be inserted again: the database is another one, or has lost it.
    pub(super) fn write_all_again(&mut self) {
        for (place, wanted) in &mut self.wanted {
            if matches!(wanted.state, SyncState::Written) {
                wanted.state = SyncState::Again;
                self.changed.insert(place.clone());
            }
        }
    }

    /// Rows that the database refused are tried once more.
    pub(super) fn retry_set_aside(&mut self) {
        for (place, wanted) in &mut self.wanted {
            if matches!(wanted.state, SyncState::SetAside) {
                wanted.state = SyncState::New;
                self.changed.insert(place.clone());
            }
        }
    }

    /// The legs that the database is known to have as this node's.
    pub(super) fn written(&self) -> HashSet<String> {
        let written = self.wanted.values().filter(|wanted| matches!(wanted.state, SyncState::Written));
        written.map(|wanted| wanted.row.uuid.clone()).collect()
    }
}
