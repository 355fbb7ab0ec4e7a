//! A lamp: what it belongs to, and what it shows.

use std::sync::Arc;

use crate::parking::{LampState, LotId, Party, Slot};

/// What a lamp belongs to: a slot or a lot.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) enum LampTarget {
    Slot(Slot),
    Lot(Arc<str>),
}

/// The name of a lamp, to which a phone subscribes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) struct LampName {
    pub(super) domain: Arc<str>,
    pub(super) target: LampTarget,
}

impl LampName {
    pub(super) fn of_slot(domain: &Arc<str>, slot: &Slot) -> LampName {
        LampName { domain: Arc::clone(domain), target: LampTarget::Slot(slot.clone()) }
    }

    pub(super) fn of_lot(lot: &LotId) -> LampName {
        LampName { domain: Arc::clone(&lot.domain), target: LampTarget::Lot(Arc::clone(&lot.name)) }
    }

    /// The part before the `@`.
    pub(super) fn user(&self) -> &str {
        match &self.target {
            LampTarget::Slot(slot) => slot.as_str(),
            LampTarget::Lot(name) => name,
        }
    }
}

/// What a lamp shows. `note` is the note for programs that have no lamps, and `login` is the lot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Lamp {
    Dark,
    Lit { state: LampState, note: String, caller: Option<Arc<Party>>, login: String },
}
