//! The state of slots and lots that lamps show.

use std::borrow::Cow;
use std::sync::Arc;

use super::{LotPlan, Table};
use crate::parking::call::{Call, Party, State, StoredState};
use crate::parking::names::{LotId, Slot, is_name, lowercase};
use crate::parking::request::LotSelector;
use crate::parking::settings::LampState;

/// The state of a slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SlotStatus {
    /// It is free.
    Free,
    /// It is occupied or reserved.
    Taken {
        /// The dialog state that its lamp shows.
        state: LampState,
        /// The caller, if the lamp shows callers.
        caller: Option<Arc<Party>>,
    },
    /// A recall of its call rings.
    Ringing {
        /// The caller, if the lamp shows callers.
        caller: Option<Arc<Party>>,
    },
}

/// The state of a lot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LotStatus {
    /// The number of callers who wait in it, with a slot or without one.
    pub waiting: usize,
    /// The dialog state that its lamp shows if there are any.
    pub state: LampState,
}

impl Table {
    /// The state of a slot, and its lot. Returns `None` if the domain has no such slot.
    #[must_use]
    pub fn slot_status(&self, domain: &str, slot: &Slot) -> Option<(LotId, SlotStatus)> {
        let lot = self.lot_in(domain, None, Some(slot))?;
        let held = self.tenants.get(&lot.domain).and_then(|tenant| tenant.held(slot));
        let status = match held.and_then(|id| self.calls.get(id)) {
            None => SlotStatus::Free,
            Some(call) => {
                let settings = &call.info.settings;
                let caller = settings.lamp_caller_id.then(|| call.info.caller.clone());
                match call.state {
                    State::RingingBack | State::OnOtherNode { is: StoredState::RingingBack, .. } => {
                        SlotStatus::Ringing { caller }
                    }
                    _ if call.is_late() => SlotStatus::Taken { state: LampState::Early, caller },
                    _ => SlotStatus::Taken { state: settings.lamp_state, caller },
                }
            }
        };
        Some((lot, status))
    }

    /// The state of a lot. Returns `None` if the domain has no such lot.
    #[must_use]
    pub fn lot_status(&self, domain: &str, name: &str) -> Option<(LotId, LotStatus)> {
        let id = self.lot_in(domain, Some(name), None)?;
        let lot = self.tenants.get(&id.domain).and_then(|tenant| tenant.lots.get(&id.name));
        let template = || self.templates.iter().find(|plan| plan.id.name == id.name);
        let settings = lot.map(|lot| &lot.plan.settings).or_else(|| template().map(|plan| &plan.settings));
        let (waiting, late) = lot
            .into_iter()
            .flat_map(|lot| self.waiting_for(lot))
            .fold((0, false), |(count, late), call| (count + 1, late || call.is_late()));
        let usual = settings.map(|settings| settings.lamp_state).unwrap_or_default();
        let status = LotStatus { waiting, state: if late { LampState::Early } else { usual } };
        Some((id, status))
    }

    /// The slots of a lot or of a template, with the labels from the configuration.
    #[must_use]
    pub fn slots_of(&self, id: &LotId) -> Vec<(Slot, String)> {
        let own = self.tenants.get(&id.domain).and_then(|tenant| tenant.lots.get(&id.name)).map(|lot| &lot.plan);
        let plan = own.or_else(|| self.templates.iter().find(|plan| plan.id == *id));
        let label = |plan: &LotPlan, slot: &Slot| plan.labels.get(slot).cloned().unwrap_or_default();
        plan.map(|plan| plan.slots.iter().map(|slot| (slot.clone(), label(plan, slot))).collect()).unwrap_or_default()
    }

    /// The slots that can be dialled: those of the selected lot, or if none is named, of all lots of the first domain that has any.
    #[must_use]
    pub fn slots_to_dial(&self, place: &LotSelector) -> Vec<Arc<[Slot]>> {
        let named = place.lot.as_ref().map(|_| self.resolve(place, None));
        let domain = || place.domains.iter().find(|domain| self.has_lots(domain)).map(|domain| lowercase(domain));
        let (lot, domain) = match &named {
            Some(Ok(lot)) => (Some(lot), Some(Cow::Borrowed(&*lot.domain))),
            Some(Err(_)) => (None, None),
            None => (None, domain()),
        };
        let Some(domain) = domain else { return Vec::new() };
        let plans = self.plans_in(&domain).filter(|plan| lot.is_none_or(|lot| plan.id.name == lot.name));
        plans.map(|plan| Arc::clone(&plan.slots)).collect()
    }

    /// Whether a call has the label of its slot.
    #[must_use]
    pub fn is_label_of_slot(&self, call: &Call) -> bool {
        let label = self.plan_of(call).and_then(|plan| plan.labels.get(&call.info.slot));
        label.is_some_and(|label| **label == *call.label)
    }

    /// Whether a domain has lots, or would get copies of the templates.
    #[must_use]
    pub fn has_lots(&self, domain: &str) -> bool {
        (!self.templates.is_empty() && is_name(domain)) || self.has_domain(domain)
    }

    /// Whether a domain has lots.
    #[must_use]
    pub fn has_domain(&self, domain: &str) -> bool {
        self.tenants.contains_key(&*lowercase(domain))
    }

    /// All slots of all domains that have lots, and of `also`, for lamps that may show an old state.
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
