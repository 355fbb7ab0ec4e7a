//! What the register is to say of this node's calls, and what waits to be done in it. Nobody waits here for the database.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::mpsc::SyncSender;

use super::entry::{Entry, Place};
use crate::attendant::Bearer;
use crate::parking::Absent;

/// How an entry stands with the database.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    /// In a cluster: whether the slot is ours is being asked.
    Asking,
    /// Ours, and to be put in. What another node has of the same leg is from before it came here.
    New,
    /// Ours and put in before, and to be put in once more. What another node has of the same leg is newer.
    Anew,
    /// In it.
    Written,
    /// It is another node's, as that one has it.
    Refused(Box<Absent>),
}

#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) entry: Entry,
    pub(super) standing: Standing,
}

/// What is to be in a slot; `None`: nothing.
pub(super) type Change = (Place, Option<Wanted>);

/// Something that somebody waits for, though not for long.
#[derive(Debug)]
pub(super) enum Order {
    Issue { ticket: String, node: String, bearer: Bearer, done: SyncSender<bool> },
    Redeem { ticket: String, done: SyncSender<Option<Bearer>> },
}

#[derive(Debug, Default)]
pub(super) struct Desk {
    pub(super) wanted: HashMap<Place, Wanted>,
    pub(super) changed: BTreeSet<Place>,
    pub(super) orders: VecDeque<Order>,
    /// The entries of the run before have been looked for.
    pub(super) looked_back: bool,
}

impl Desk {
    pub(super) fn is_clear(&self) -> bool {
        self.changed.is_empty() && self.orders.is_empty()
    }

    /// Some of what is to be written; it counts as written then.
    pub(super) fn take_changes(&mut self, most: usize) -> Vec<Change> {
        let taken = std::iter::from_fn(|| self.changed.pop_first()).take(most);
        taken.map(|place| (place.clone(), self.wanted.get(&place).cloned())).collect()
    }

    /// What is in a slot now. `ask`: before it counts, the other nodes are asked.
    pub(super) fn note(&mut self, place: Place, now: Option<Entry>, ask: bool) {
        let before = self.wanted.get(&place);
        let standing = match (&now, before) {
            (None, None) => return,
            (Some(entry), Some(before)) if entry.uuid == before.entry.uuid => {
                if entry.says_the_same(&before.entry) {
                    return;
                }
                before.standing.clone()
            }
            _ if ask => Standing::Asking,
            _ => Standing::New,
        };
        match now {
            Some(entry) => drop(self.wanted.insert(place.clone(), Wanted { entry, standing })),
            None => drop(self.wanted.remove(&place)),
        }
        self.changed.insert(place);
    }

    /// The database said how that entry stands; unless there is another by now.
    pub(super) fn stands(&mut self, place: &Place, uuid: &str, standing: Standing) {
        if let Some(wanted) = self.wanted.get_mut(place).filter(|wanted| wanted.entry.uuid == uuid) {
            wanted.standing = standing;
        }
    }

    /// What the database answered to the question whose a slot is. Where nobody waited for so long, the call is in the slot in
    /// any case, and is still to be put in beside the other.
    pub(super) fn answered(&mut self, place: &Place, uuid: &str, standing: Standing) {
        let waits = |wanted: &Wanted| wanted.entry.uuid == uuid && matches!(wanted.standing, Standing::Asking);
        if matches!(standing, Standing::Written) || self.wanted.get(place).is_some_and(waits) {
            self.stands(place, uuid, standing);
        }
    }

    /// Everything is to be put in again: the database is another one, or has lost it.
    pub(super) fn all_anew(&mut self) {
        for (place, wanted) in &mut self.wanted {
            if matches!(wanted.standing, Standing::Written) {
                wanted.standing = Standing::Anew;
                self.changed.insert(place.clone());
            }
        }
    }

    /// The legs that the database is known to have as this node's.
    pub(super) fn written(&self) -> HashSet<String> {
        let written = self.wanted.values().filter(|wanted| matches!(wanted.standing, Standing::Written));
        written.map(|wanted| wanted.entry.uuid.clone()).collect()
    }
}
