//! A lamp: what it belongs to, and what it shows.

use std::sync::Arc;

use crate::parking::{LampState, LotId, Party, Slot};

/// What a lamp belongs to: a slot or a lot.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) enum Whose {
    Slot(Slot),
    Lot(Arc<str>),
}

/// The name of a lamp, to which a phone subscribes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) struct Name {
    pub(super) domain: Arc<str>,
    pub(super) whose: Whose,
}

impl Name {
    pub(super) fn of_slot(domain: &Arc<str>, slot: &Slot) -> Name {
        Name { domain: Arc::clone(domain), whose: Whose::Slot(slot.clone()) }
    }

    pub(super) fn of_lot(lot: &LotId) -> Name {
        Name { domain: Arc::clone(&lot.domain), whose: Whose::Lot(Arc::clone(&lot.name)) }
    }

    /// The part before the `@`.
    pub(super) fn user(&self) -> &str {
        match &self.whose {
            Whose::Slot(slot) => slot.as_str(),
            Whose::Lot(name) => name,
        }
    }
}

/// What a lamp shows. `says` is the note for programs that have no lamps, and `login` is the lot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Lamp {
    Dark,
    Lit { state: LampState, says: String, caller: Option<Arc<Party>>, login: String },
}
