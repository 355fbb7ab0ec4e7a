//! The table of all lots, slots and parked calls, and the operations on it.
//!
//! Each method is one event, at a time that the caller of the method passes. It changes the table completely or not at all, and returns what
//! follows. No method waits, allocates without bound, or panics.

mod absent;
mod check;
mod layout;
mod new_lot;
mod number;
mod park;
mod reminders;
mod retrieve;
mod status;
mod tenant;
mod timeouts;
mod waiting_for_slot;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use foldhash::HashMap;

pub use absent::{RestoreParams, StoredCall};
pub use layout::Layout;
pub use number::Number;
pub use retrieve::Claimant;
pub use status::{LotStatus, SlotStatus};
pub use timeouts::{FallbackReason, RecallFailure, TimerAction};
pub use waiting_for_slot::should_wait_for_slot;

use super::call::{Call, CallId, Ended, MonotonicTime};
use super::calls::CallSlab;
use super::lot::Lot;
pub(crate) use super::lot::LotPlan;
use super::names::{LotId, Slot, is_name, lowercase};
use super::outcome::Outcome;
use super::refusal::Refusal;
use super::request::{LeaveReason, LotSelector, ParkRequest, RetrieveTarget};
use super::settings::LotSettings;
use super::slot_request::SlotRequest;
use tenant::Tenant;

/// A lot in a listing.
#[derive(Clone, Debug)]
pub struct LotView {
    /// The lot.
    pub id: LotId,
    /// The number of slots.
    pub size: usize,
    /// The number of free slots.
    pub free: usize,
    /// The number of calls, including those in slots that a reload has removed.
    pub used: usize,
    /// The number of callers who have waited for longer than `remind-after`.
    pub late: usize,
    /// How long the call that was parked first has waited.
    pub longest_wait: Option<Duration>,
}

/// All lots, slots and parked calls.
#[derive(Debug, Default)]
pub struct Table {
    tenants: BTreeMap<Arc<str>, Tenant>,
    /// The lots of domain `*`, of which each domain gets copies when it first uses one.
    templates: Vec<LotPlan>,
    default_lot: Option<String>,
    calls: CallSlab,
    by_uuid: HashMap<Arc<str>, CallId>,
    /// The calls without a slot.
    waiting_for_slot: BTreeSet<CallId>,
    /// The number of calls that each parker has parked.
    held_by_parker: HashMap<Arc<str>, u32>,
    deadlines: BTreeSet<(MonotonicTime, CallId)>,
    /// When somebody is reminded of a caller.
    reminders: BTreeSet<(MonotonicTime, CallId)>,
    /// The slots that have changed since the last call of [`Table::take_changed_slots`].
    changed_slots: Vec<ChangedSlot>,
}

/// A slot whose lamp may have to change.
pub type ChangedSlot = (LotId, Slot);

impl Table {
    /// A table with these lots and no calls.
    #[must_use]
    pub fn new(plans: &[LotPlan], default_lot: Option<&str>) -> Table {
        let mut table = Table::default();
        // A map that outgrows its memory is moved as a whole while the table is locked, so there is room from the start.
        let slots = plans.iter().map(|plan| plan.slots.len()).sum();
        table.by_uuid.reserve(slots);
        table.calls.reserve(slots);
        table.replace_lots(plans, default_lot);
        table
    }

    /// Replaces the configuration, as [`Table::replace`] does, and makes the layout itself.
    pub fn replace_lots(&mut self, plans: &[LotPlan], default_lot: Option<&str>) {
        self.replace(Layout::new(plans, default_lot, &self.domains_in_use()));
    }

    /// Returns the slots that have changed since the last call. A slot may be in the list more than once.
    pub fn take_changed_slots(&mut self) -> Vec<ChangedSlot> {
        std::mem::take(&mut self.changed_slots)
    }

    /// Gives a domain without lots its own copies of the template lots.
    fn add_templates(&mut self, domain: &Arc<str>) {
        let tenant = self.tenants.entry(Arc::clone(domain)).or_default();
        self.templates.iter().for_each(|plan| tenant.add(plan.copy_for(domain)));
    }

    /// Changes the label of a call.
    pub fn set_label(&mut self, uuid: &str, label: &str) -> Result<Call, Refusal> {
        let id = self.call_of(uuid)?.id;
        self.update(id, |call| call.label = label.into());
        self.call_of(uuid).cloned()
    }

    /// The call of a leg, which must be on this FreeSWITCH.
    fn call_of(&self, uuid: &str) -> Result<&Call, Refusal> {
        let call = self.by_uuid.get(uuid).and_then(|id| self.calls.get(id));
        let call = call.ok_or_else(|| Refusal::NotParked(uuid.to_owned()))?;
        call.must_be_here().map(|()| call)
    }

    /// The call of a leg on this FreeSWITCH.
    fn call_here(&self, uuid: &str) -> Option<&Call> {
        self.by_uuid.get(uuid).and_then(|id| self.calls.get(id)).filter(|call| call.is_here())
    }

    /// The call in a slot, in whatever state.
    pub fn find(&self, place: &LotSelector, slot: &Slot) -> Result<Call, Refusal> {
        let id = self.call_in(place, slot)?;
        self.calls.get(&id).cloned().ok_or_else(|| Refusal::Empty(slot.clone()))
    }

    /// The call of a leg, in whatever state.
    #[must_use]
    pub fn find_leg(&self, uuid: &str) -> Option<Call> {
        self.by_uuid.get(uuid).and_then(|id| self.calls.get(id)).cloned()
    }

    /// All calls, or those of one lot, in no particular order.
    #[must_use]
    pub fn calls(&self, lot: Option<&LotId>) -> Vec<Call> {
        self.calls_after(None, lot, usize::MAX)
    }

    /// A part of the calls: at most `most`, after the last one of the previous part.
    #[must_use]
    pub fn calls_after(&self, last: Option<CallId>, lot: Option<&LotId>, most: usize) -> Vec<Call> {
        let calls = self.calls.after(last.as_ref());
        calls.filter(|call| lot.is_none_or(|lot| call.info.lot == *lot)).take(most).cloned().collect()
    }

    /// Gives a domain its copies of the template lots, if it has none yet.
    pub fn open_domain(&mut self, domain: &str) {
        if is_name(domain) {
            self.open(&lowercase(domain).into());
        }
    }

    /// All lots of all domains, and the templates.
    #[must_use]
    pub fn lots(&self, now: MonotonicTime) -> Vec<LotView> {
        let of_tenants = self.tenants.values().flat_map(|tenant| tenant.lots.values()).map(|lot| LotView {
            id: lot.plan.id.clone(),
            size: lot.size(),
            free: lot.free_count(),
            used: lot.waiting.len(),
            late: self.waiting_for(lot).filter(|call| call.is_late()).count(),
            longest_wait: self.waiting_for(lot).map(|call| now.since(call.parked_at)).max(),
        });
        let templates = self.templates.iter().map(|plan| LotView {
            id: plan.id.clone(),
            size: plan.slots.len(),
            free: plan.slots.len(),
            used: 0,
            late: 0,
            longest_wait: None,
        });
        of_tenants.chain(templates).collect()
    }

    /// The callers who wait in a lot, with a slot or without one. Nobody waits in a slot that is only reserved.
    fn waiting_for<'t>(&'t self, lot: &'t Lot) -> impl Iterator<Item = &'t Call> {
        let without_slot = self.waiting_for_slot.iter().filter_map(|id| self.calls.get(id));
        let of_lot = without_slot.filter(|call| call.info.lot == lot.plan.id);
        lot.waiting.iter().filter_map(|id| self.calls.get(id)).filter(|call| !call.is_reserved()).chain(of_lot)
    }

    /// The number of calls.
    #[must_use]
    pub fn call_count(&self) -> usize {
        self.calls.len()
    }

    /// Finds the selected lot. With a slot, it is one that has that slot.
    pub fn resolve(&self, place: &LotSelector, slot: Option<&Slot>) -> Result<LotId, Refusal> {
        if let Some(lot) = self.new_lot(place) {
            return Ok(lot);
        }
        let named_domain = place.lot.as_ref().and_then(|lot| lot.domain.as_ref());
        let domains = named_domain.map_or(place.domains.as_slice(), std::slice::from_ref);
        let name = place.lot.as_ref().map(|lot| lot.name.as_str());
        if let Some(lot) = domains.iter().find_map(|domain| self.lot_in(domain, name, slot)) {
            return Ok(lot);
        }
        let lots_there = domains.iter().any(|domain| self.has_lots(domain));
        if place.any && named_domain.is_none() && !lots_there {
            let mut found = self.tenants.keys().filter_map(|domain| self.lot_in(domain, name, slot));
            if let (Some(lot), None) = (found.next(), found.next()) {
                return Ok(lot);
            }
        }
        let in_domain = domains.first().map(|domain| format!("@{domain}")).unwrap_or_default();
        Err(match (slot, name) {
            (Some(slot), Some(name)) => Refusal::NoSuchSlot(format!("{slot} in lot {name}{in_domain}")),
            (Some(slot), None) => Refusal::NoSuchSlot(format!("{slot}{in_domain}")),
            (None, Some(name)) => Refusal::NoSuchLot(format!("{name}{in_domain}")),
            (None, None) => Refusal::NoSuchLot(format!("in domain {}", domains.first().map_or("?", String::as_str))),
        })
    }

    /// Returns the settings of the selected lot, or the defaults if there is none.
    #[must_use]
    pub fn settings_at(&self, place: &LotSelector, slot: Option<&Slot>) -> Arc<LotSettings> {
        if self.new_lot(place).is_some() {
            return Arc::new(LotSettings::of_new_lot());
        }
        let lot = self.resolve(place, slot).or_else(|_| self.resolve(place, None));
        let plan = lot.ok().and_then(|lot| {
            let own = self.tenants.get(&lot.domain).and_then(|tenant| tenant.lots.get(&lot.name)).map(|lot| &lot.plan);
            own.or_else(|| self.templates.iter().find(|plan| plan.id.name == lot.name))
        });
        plan.map_or_else(Arc::default, |plan| Arc::clone(&plan.settings))
    }

    fn lot_in(&self, domain: &str, name: Option<&str>, slot: Option<&Slot>) -> Option<LotId> {
        let domain = lowercase(domain);
        let default = self.default_lot.as_deref();
        let Some((domain, tenant)) = self.tenants.get_key_value(&*domain) else {
            // The name of a lot is written into dialplan arguments, and a leg may name any text as its domain.
            if !is_name(&domain) {
                return None;
            }
            let has_slot = |plan: &&LotPlan| slot.is_none_or(|slot| plan.slots.binary_search(slot).is_ok());
            let named = |wanted: &str| self.templates.iter().find(|plan| *plan.id.name == *wanted && has_slot(plan));
            let plan = match name {
                Some(name) => named(name),
                None => default.and_then(named).or_else(|| self.templates.iter().find(has_slot)),
            }?;
            return Some(LotId { name: Arc::clone(&plan.id.name), domain: Arc::from(&*domain) });
        };
        let found = match slot {
            Some(slot) => {
                let call = tenant.held(slot).and_then(|id| self.calls.get(id)).map(|call| &call.info.lot.name);
                let home = tenant.slots.get(slot).map(|(name, _)| name);
                [call, home].into_iter().flatten().find(|lot| name.is_none_or(|name| ***lot == *name))?
            }
            None => {
                let named = |wanted: &str| tenant.lots.get_key_value(wanted).map(|(name, _)| name);
                match name {
                    Some(name) => named(name),
                    None => default.and_then(named).or_else(|| tenant.first_lot()),
                }?
            }
        };
        Some(LotId { name: Arc::clone(found), domain: Arc::clone(domain) })
    }

    /// Makes the copies of the template lots when a domain first uses one.
    fn open(&mut self, domain: &Arc<str>) {
        if !self.tenants.contains_key(domain) {
            self.add_templates(domain);
        }
    }

    fn call_in(&self, place: &LotSelector, slot: &Slot) -> Result<CallId, Refusal> {
        let lot = self.resolve(place, Some(slot))?;
        let held = self.tenants.get(&lot.domain).and_then(|tenant| tenant.held(slot)).copied();
        let in_lot = |id: &CallId| self.calls.get(id).is_some_and(|call| call.info.lot == lot);
        held.filter(in_lot).ok_or_else(|| Refusal::Empty(slot.clone()))
    }

    fn insert(&mut self, call: Call) {
        if let Some(at) = call.deadline.filter(|_| call.node().is_none()) {
            self.deadlines.insert((at, call.id));
        }
        self.by_uuid.insert(call.info.uuid.clone(), call.id);
        if call.waits_for_slot() {
            self.waiting_for_slot.insert(call.id);
        }
        let parker = &call.info.parker;
        if let Some(held) = self.held_by_parker.get_mut(parker) {
            *held += 1;
        } else if !parker.is_empty() {
            self.held_by_parker.insert(parker.clone(), 1);
        }
        self.tenants.entry(Arc::clone(&call.info.lot.domain)).or_default().hold(&call);
        self.changed_slots.push(slot_of(&call));
        let id = call.id;
        self.calls.insert(Call { remind_at: None, ..call });
        self.schedule_reminder(id);
    }

    fn update(&mut self, id: CallId, change: impl FnOnce(&mut Call)) -> bool {
        let Some(call) = self.calls.get_mut(&id) else { return false };
        change(call);
        self.changed_slots.push(slot_of(call));
        true
    }

    fn set_deadline(&mut self, id: CallId, deadline: Option<MonotonicTime>) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if let Some(old) = call.deadline {
            self.deadlines.remove(&(old, id));
        }
        call.deadline = deadline;
        if let Some(at) = deadline {
            self.deadlines.insert((at, id));
        }
    }

    fn end(&mut self, id: CallId, outcome: Outcome, now: MonotonicTime) -> Option<Ended> {
        let mut call = self.calls.remove(&id)?;
        if let Some(at) = call.deadline.take() {
            self.deadlines.remove(&(at, id));
        }
        if let Some(at) = call.remind_at.take() {
            self.reminders.remove(&(at, id));
        }
        self.by_uuid.remove(&call.info.uuid);
        self.waiting_for_slot.remove(&id);
        if let Some(held) = self.held_by_parker.get_mut(&call.info.parker) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                self.held_by_parker.remove(&call.info.parker);
            }
        }
        if let Some(tenant) = self.tenants.get_mut(&call.info.lot.domain) {
            tenant.free(&call);
        }
        let wait = now.since(call.parked_at);
        self.changed_slots.push(slot_of(&call));
        Some(Ended { call, outcome, wait })
    }
}

fn slot_of(call: &Call) -> ChangedSlot {
    (call.info.lot.clone(), call.info.slot.clone())
}
