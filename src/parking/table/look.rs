//! How slots and lots look from outside: what lamps show.

use std::sync::Arc;

use super::{LotPlan, Table};
use crate::parking::call::{Call, Party, RemoteState, State};
use crate::parking::names::{LotId, Slot, is_name, lowercase};
use crate::parking::settings::LampState;

/// How a slot looks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SlotStatus {
    Free,
    /// Somebody is in it, or it is kept for somebody.
    Taken {
        state: LampState,
        caller: Option<Arc<Party>>,
    },
    /// It rings its parker.
    Ringing {
        caller: Option<Arc<Party>>,
    },
}

/// How a lot looks: how many wait in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LotStatus {
    pub waiting: usize,
    pub state: LampState,
}

impl Table {
    /// `None` if the domain has no such slot.
    #[must_use]
    pub fn look(&self, domain: &str, slot: &Slot) -> Option<(LotId, SlotStatus)> {
        let lot = self.lot_in(domain, None, Some(slot))?;
        let held = self.tenants.get(&lot.domain).and_then(|tenant| tenant.held(slot));
        let look = match held.and_then(|id| self.calls.get(id)) {
            None => SlotStatus::Free,
            Some(call) => {
                let settings = &call.info.settings;
                let caller = settings.lamp_caller_id.then(|| call.info.caller.clone());
                match call.state {
                    State::RingingBack | State::OnOtherNode { is: RemoteState::RingingBack, .. } => {
                        SlotStatus::Ringing { caller }
                    }
                    _ => SlotStatus::Taken { state: settings.lamp_state, caller },
                }
            }
        };
        Some((lot, look))
    }

    /// `None` if the domain has no such lot.
    #[must_use]
    pub fn look_of_lot(&self, domain: &str, name: &str) -> Option<(LotId, LotStatus)> {
        let id = self.lot_in(domain, Some(name), None)?;
        let lot = self.tenants.get(&id.domain).and_then(|tenant| tenant.lots.get(&id.name));
        let template = || self.templates.iter().find(|plan| plan.id.name == id.name);
        let settings = lot.map(|lot| &lot.plan.settings).or_else(|| template().map(|plan| &plan.settings));
        let look = LotStatus {
            waiting: lot.map_or(0, |lot| lot.waiting.len()),
            state: settings.map(|settings| settings.lamp_state).unwrap_or_default(),
        };
        Some((id, look))
    }

    /// The slots of a lot, or of a template, with the labels that the configuration gives them.
    #[must_use]
    pub fn slots_of(&self, id: &LotId) -> Vec<(Slot, String)> {
        let own = self.tenants.get(&id.domain).and_then(|tenant| tenant.lots.get(&id.name)).map(|lot| &lot.plan);
        let plan = own.or_else(|| self.templates.iter().find(|plan| plan.id == *id));
        let label = |plan: &LotPlan, slot: &Slot| plan.labels.get(slot).cloned().unwrap_or_default();
        plan.map(|plan| plan.slots.iter().map(|slot| (slot.clone(), label(plan, slot))).collect()).unwrap_or_default()
    }

    /// Whether a call has its label from its slot.
    #[must_use]
    pub fn is_label_of_slot(&self, call: &Call) -> bool {
        let label = self.plan_of(call).and_then(|plan| plan.labels.get(&call.info.slot));
        label.is_some_and(|label| **label == *call.label)
    }

    /// Whether a domain has lots, or would get copies of those for every domain.
    #[must_use]
    pub fn has_lots(&self, domain: &str) -> bool {
        (!self.templates.is_empty() && is_name(domain)) || self.has_domain(domain)
    }

    /// Whether a domain has lots of its own already.
    #[must_use]
    pub fn has_domain(&self, domain: &str) -> bool {
        self.tenants.contains_key(&*lowercase(domain))
    }

    /// Every slot of every domain that has lots, `also` among them: for lamps that may show what is no longer so.
    #[must_use]
    pub fn every_slot(&self, also: &str) -> Vec<(LotId, Slot)> {
        let own =
            self.tenants.values().flat_map(|tenant| tenant.lots.values()).map(|lot| (lot.plan.id.clone(), &lot.plan));
        let templates = self
            .templates
            .iter()
            .filter(|_| !also.is_empty() && !self.tenants.contains_key(also))
            .map(|plan| (LotId::new(&plan.id.name, also), plan));
        own.chain(templates)
            .flat_map(|(id, plan)| plan.slots.iter().map(move |slot| (id.clone(), slot.clone())))
            .collect()
    }
}
