//! The table of all lots, slots and parked calls, and the operations on it.
//!
//! Each method is one event, at a time that the caller of the method passes. It changes the table completely or not at all, and returns what
//! follows. No method waits, allocates without bound, or panics.

mod absent;
mod check;
mod layout;
mod look;
mod park;
mod retrieve;
mod timeouts;
mod unassigned;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use foldhash::HashMap;

pub use absent::{RemoteCall, RestoreParams};
pub use layout::Layout;
pub use look::{LotStatus, SlotStatus};
pub use timeouts::TimerAction;

use super::call::{Call, CallId, Ended, MonotonicTime, Outcome, Party, Refusal};
use super::calls::Calls;
use super::lot::Lot;
pub(crate) use super::lot::LotPlan;
use super::names::{LotId, LotName, Slot, is_name, lowercase};
use super::settings::{CallOverrides, LotSettings};

/// Selects a lot by its name, or by a slot, in the first of the domains that has it.
#[derive(Clone, Debug, Default)]
pub struct LotSelector {
    /// The lot, if it is named.
    pub lot: Option<LotName>,
    /// The domains in which to look if none is named, the most likely first.
    pub domains: Vec<String>,
    /// Whether the request belongs to no domain. If none of `domains` has any lot, the only domain that has such a lot is selected.
    pub any: bool,
}

/// The slot that a parker asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SlotRequest {
    /// The next free slot.
    Auto,
    /// This slot.
    Slot(Slot),
}

impl SlotRequest {
    /// The slot, if one is named.
    #[must_use]
    pub fn slot(&self) -> Option<&Slot> {
        match self {
            SlotRequest::Slot(slot) => Some(slot),
            SlotRequest::Auto => None,
        }
    }
}

/// The parked call that a retriever asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RetrieveTarget {
    /// The call in this slot.
    Slot(Slot),
    /// The call that has waited longest.
    Oldest,
    /// The call that was parked last.
    Newest,
}

/// A request to park a leg.
#[derive(Clone, Debug)]
pub struct ParkRequest {
    /// The UUID of the leg.
    pub uuid: Arc<str>,
    /// The lot.
    pub place: LotSelector,
    /// The slot.
    pub wanted: SlotRequest,
    /// The person at the far end of the leg.
    pub caller: Arc<Party>,
    /// The user who parks it; empty if that is not known.
    pub parker: Arc<str>,
    /// The label; empty for that of the slot.
    pub label: String,
    /// The settings that the variables of the leg change.
    pub overrides: CallOverrides,
    /// The wall-clock time, in milliseconds since 1970.
    pub parked_at_ms: i64,
    /// A random number, for the choice of a random slot.
    pub entropy: u64,
}

/// Why a parked leg left its slot without being retrieved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LeaveReason {
    /// The caller hung up.
    HungUp,
    /// Something moved the leg elsewhere.
    Moved,
}

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
    /// How long the call that was parked first has waited.
    pub longest_wait: Option<Duration>,
}

/// The lots of one domain.
#[derive(Debug, Default)]
struct Tenant {
    lots: BTreeMap<Arc<str>, Lot>,
    /// The lot of each slot, and the index of the slot in it.
    slots: HashMap<Slot, (Arc<str>, u32)>,
    /// Calls that are not in [`Lot::held`]: in slots that no lot has any more, without a slot, or in a slot that another call occupies because
    /// two nodes assigned it while they could not reach each other.
    displaced: HashMap<Slot, Vec<CallId>>,
}

/// All lots, slots and parked calls.
#[derive(Debug, Default)]
pub struct Table {
    tenants: BTreeMap<Arc<str>, Tenant>,
    /// The lots of domain `*`, of which each domain gets copies when it first uses one.
    templates: Vec<LotPlan>,
    default_lot: Option<String>,
    calls: Calls,
    by_uuid: HashMap<Arc<str>, CallId>,
    /// The calls without a slot.
    unassigned: BTreeSet<CallId>,
    /// The number of calls that each parker has parked.
    held_by_parker: HashMap<Arc<str>, u32>,
    deadlines: BTreeSet<(MonotonicTime, CallId)>,
    /// The slots that have changed since the last call of [`Table::touched`].
    touched: Vec<ChangedSlot>,
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
    pub fn touched(&mut self) -> Vec<ChangedSlot> {
        std::mem::take(&mut self.touched)
    }

    /// Gives a domain its own copies of the template lots.
    fn add_templates(&mut self, domain: &Arc<str>) {
        self.tenants.entry(Arc::clone(domain)).or_default().add_copies(&self.templates, domain);
    }

    /// Changes the label of a call. Returns `None` if that leg is not parked here.
    pub fn set_label(&mut self, uuid: &str, label: &str) -> Option<Call> {
        let id = self.call_here(uuid)?.id;
        self.update(id, |call| call.label = label.into());
        self.calls.get(&id).cloned()
    }

    /// The call of a leg on this FreeSWITCH.
    fn call_here(&self, uuid: &str) -> Option<&Call> {
        self.by_uuid.get(uuid).and_then(|id| self.calls.get(id)).filter(|call| call.is_here())
    }

    /// The call in a slot, in whatever state.
    pub fn find(&self, place: &LotSelector, slot: &Slot) -> Result<Call, Refusal> {
        let id = self.call_in(place, slot)?;
        self.calls.get(&id).cloned().ok_or_else(|| Refusal::Empty(format!("slot {slot}")))
    }

    /// The call of a leg, in whatever state.
    #[must_use]
    pub fn find_leg(&self, uuid: &str) -> Option<Call> {
        self.by_uuid.get(uuid).and_then(|id| self.calls.get(id)).cloned()
    }

    /// Whether this call is still in the table. Its leg may have been parked again, which is another call.
    #[must_use]
    pub fn has(&self, call: &Call) -> bool {
        self.by_uuid.get(&call.info.uuid) == Some(&call.id)
    }

    /// The call that was parked first of those in a lot.
    #[must_use]
    pub fn first_in(&self, lot: &LotId) -> Option<&Call> {
        let waiting = &self.tenants.get(&lot.domain)?.lots.get(&lot.name)?.waiting;
        waiting.first().and_then(|id| self.calls.get(id))
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

    /// All lots of all domains, and the templates.
    #[must_use]
    pub fn lots(&self, now: MonotonicTime) -> Vec<LotView> {
        let of_tenants = self.tenants.values().flat_map(|tenant| tenant.lots.values()).map(|lot| LotView {
            id: lot.plan.id.clone(),
            size: lot.size(),
            free: lot.free_count(),
            used: lot.waiting.len(),
            longest_wait: lot.waiting.first().and_then(|id| self.calls.get(id)).map(|call| now.since(call.parked_at)),
        });
        let templates = self.templates.iter().map(|plan| LotView {
            id: plan.id.clone(),
            size: plan.slots.len(),
            free: plan.slots.len(),
            used: 0,
            longest_wait: None,
        });
        of_tenants.chain(templates).collect()
    }

    /// The number of calls.
    #[must_use]
    pub fn call_count(&self) -> usize {
        self.calls.len()
    }

    /// Finds the selected lot. With a slot, it is one that has that slot.
    pub fn resolve(&self, place: &LotSelector, slot: Option<&Slot>) -> Result<LotId, Refusal> {
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
                let call = tenant.held(slot).and_then(|id| self.calls.get(id));
                let home = || tenant.slots.get(slot).map(|(name, _)| name);
                let lot = call.map(|call| &call.info.lot.name).or_else(home)?;
                name.is_none_or(|name| **lot == *name).then_some(lot)?
            }
            None => {
                let named = |wanted: &str| tenant.lots.get_key_value(wanted).map(|(name, _)| name);
                match name {
                    Some(name) => named(name),
                    None => default.and_then(named).or_else(|| tenant.lots.keys().next()),
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
        held.ok_or_else(|| Refusal::Empty(format!("slot {slot}")))
    }

    fn insert(&mut self, call: Call) {
        if let Some(at) = call.deadline.filter(|_| call.node().is_none()) {
            self.deadlines.insert((at, call.id));
        }
        self.by_uuid.insert(call.info.uuid.clone(), call.id);
        if call.is_unassigned() {
            self.unassigned.insert(call.id);
        }
        let parker = &call.info.parker;
        if let Some(held) = self.held_by_parker.get_mut(parker) {
            *held += 1;
        } else if !parker.is_empty() {
            self.held_by_parker.insert(parker.clone(), 1);
        }
        self.tenants.entry(Arc::clone(&call.info.lot.domain)).or_default().hold(&call);
        self.touched.push(touched(&call));
        self.calls.insert(call);
    }

    fn update(&mut self, id: CallId, change: impl FnOnce(&mut Call)) -> bool {
        let Some(call) = self.calls.get_mut(&id) else { return false };
        change(call);
        self.touched.push(touched(call));
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
        self.by_uuid.remove(&call.info.uuid);
        self.unassigned.remove(&id);
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
        self.touched.push(touched(&call));
        Some(Ended { call, outcome, wait })
    }
}

fn touched(call: &Call) -> ChangedSlot {
    (call.info.lot.clone(), call.info.slot.clone())
}

impl Tenant {
    fn add(&mut self, plan: LotPlan) {
        self.slots.reserve(plan.slots.len());
        for (slot, index) in plan.slots.iter().zip(0..) {
            self.slots.insert(slot.clone(), (Arc::clone(&plan.id.name), index));
        }
        self.lots.insert(Arc::clone(&plan.id.name), Lot::new(plan));
    }

    /// The calls in a slot, in the order in which they came.
    fn calls_in(&self, slot: &Slot) -> impl Iterator<Item = &CallId> {
        let home = self.slots.get(slot).and_then(|(name, index)| self.lots.get(name)?.held(*index));
        home.into_iter().chain(self.displaced.get(slot).into_iter().flatten())
    }

    /// The call in a slot; the first one if there are two.
    fn held(&self, slot: &Slot) -> Option<&CallId> {
        self.calls_in(slot).next()
    }

    fn in_use(&self) -> bool {
        !self.displaced.is_empty() || self.lots.values().any(|lot| !lot.waiting.is_empty())
    }

    fn index_of(&self, lot: &str, slot: &Slot) -> Option<u32> {
        self.slots.get(slot).filter(|(name, _)| **name == *lot).map(|(_, index)| *index)
    }

    /// The lot that has the slot of a call now, and the index of the slot in it.
    fn home(&mut self, call: &Call) -> Option<(&mut Lot, u32)> {
        let (name, index) = match call.index {
            Some(index) => (&call.info.lot.name, index),
            None => self.slots.get(&call.info.slot).map(|(name, index)| (name, *index))?,
        };
        Some((self.lots.get_mut(name)?, index))
    }

    /// Puts a call into its slot, whichever lot has that slot now, even if another call is in it.
    fn hold(&mut self, call: &Call) {
        if call.is_unassigned() {
            return self.displaced.entry(call.info.slot.clone()).or_default().push(call.id);
        }
        let id = &call.info.lot;
        let gone = || LotPlan::without_slots(id.clone(), Arc::clone(&call.info.settings));
        self.lots.entry(Arc::clone(&id.name)).or_insert_with(|| Lot::new(gone())).waiting.insert(call.id);
        let holds = self.home(call).is_some_and(|(lot, index)| lot.take(index, call.id));
        if !holds {
            self.displaced.entry(call.info.slot.clone()).or_default().push(call.id);
        }
    }

    fn free(&mut self, call: &Call) {
        let slot = &call.info.slot;
        let next = self.displaced.get(slot).and_then(|calls| calls.first()).copied();
        let held = self.home(call).is_some_and(|(lot, index)| lot.give_back(index, call.id, next));
        let found = if held { next } else { Some(call.id) };
        if let Some((found, calls)) = found.zip(self.displaced.get_mut(slot)) {
            calls.retain(|id| *id != found);
            if calls.is_empty() {
                self.displaced.remove(slot);
            }
        }
        if let Some(lot) = self.lots.get_mut(&call.info.lot.name) {
            lot.waiting.remove(&call.id);
            if lot.size() == 0 && lot.waiting.is_empty() {
                self.lots.remove(&call.info.lot.name);
            }
        }
    }
}
