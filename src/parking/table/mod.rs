//! The slot table: every lot, every slot, every parked call, and what may happen to them.
//!
//! Each method is one thing that happened, at a moment the caller tells. It changes the table wholly or not
//! at all, and answers with what follows. No method waits, allocates without bound, or can panic.

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

/// Which lot is meant: by name, or by the slot alone, in the first of these domains that knows it.
#[derive(Clone, Debug, Default)]
pub struct LotSelector {
    pub lot: Option<LotName>,
    /// Domains that may be understood where none is named, the likeliest first.
    pub domains: Vec<String>,
    /// Whoever asks is of no domain. Where the domains understood have no lots at all, the only one that has such a lot is meant.
    pub any: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SlotRequest {
    Auto,
    Slot(Slot),
}

impl SlotRequest {
    /// The slot that is asked for by its number.
    #[must_use]
    pub fn slot(&self) -> Option<&Slot> {
        match self {
            SlotRequest::Slot(slot) => Some(slot),
            SlotRequest::Auto => None,
        }
    }
}

/// Which parked call a retriever wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RetrieveTarget {
    Slot(Slot),
    Oldest,
    Newest,
}

#[derive(Clone, Debug)]
pub struct ParkRequest {
    /// The leg to park.
    pub uuid: Arc<str>,
    pub place: LotSelector,
    pub wanted: SlotRequest,
    pub caller: Arc<Party>,
    pub parker: Arc<str>,
    pub label: String,
    /// What this call's own variables change in the lot's terms.
    pub overrides: CallOverrides,
    pub parked_at_ms: i64,
    /// Decides a random slot.
    pub entropy: u64,
}

/// How a parked leg left its slot without being retrieved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LeaveReason {
    HungUp,
    Moved,
}

/// One lot as a listing shows it.
#[derive(Clone, Debug)]
pub struct LotView {
    pub id: LotId,
    pub size: usize,
    pub free: usize,
    /// Calls that wait in it, also in slots that a reload took away.
    pub used: usize,
    pub longest_wait: Option<Duration>,
}

#[derive(Debug, Default)]
struct Tenant {
    lots: BTreeMap<Arc<str>, Lot>,
    /// Which lot has a slot, and under which index.
    slots: HashMap<Slot, (Arc<str>, u32)>,
    /// Calls in slots that no lot has, or no more, and calls that have none; and in such as another call holds: two nodes gave them away
    /// while they could not see each other.
    displaced: HashMap<Slot, Vec<CallId>>,
}

#[derive(Debug, Default)]
pub struct Table {
    tenants: BTreeMap<Arc<str>, Tenant>,
    /// Lots of domain `*`, copied into each domain that uses them.
    templates: Vec<LotPlan>,
    default_lot: Option<String>,
    calls: Calls,
    by_uuid: HashMap<Arc<str>, CallId>,
    /// Those that have no slot.
    unassigned: BTreeSet<CallId>,
    /// How many calls each parker holds.
    held_by_parker: HashMap<Arc<str>, u32>,
    deadlines: BTreeSet<(MonotonicTime, CallId)>,
    /// Slots that look different since [`Table::touched`] was last asked.
    touched: Vec<ChangedSlot>,
}

/// A slot that changed, for lamps and boards.
pub type ChangedSlot = (LotId, Slot);

impl Table {
    #[must_use]
    pub fn new(plans: &[LotPlan], default_lot: Option<&str>) -> Table {
        let mut table = Table::default();
        // A look-up that outgrows its memory is moved at once, with everybody waiting: so there is room from the start.
        let slots = plans.iter().map(|plan| plan.slots.len()).sum();
        table.by_uuid.reserve(slots);
        table.calls.reserve(slots);
        table.replace_lots(plans, default_lot);
        table
    }

    /// [`Table::replace`], all at once.
    pub fn replace_lots(&mut self, plans: &[LotPlan], default_lot: Option<&str>) {
        self.replace(Layout::new(plans, default_lot, &self.domains_in_use()));
    }

    /// What looks different since this was last asked. A slot may be named more than once.
    pub fn touched(&mut self) -> Vec<ChangedSlot> {
        std::mem::take(&mut self.touched)
    }

    /// Gives a domain its own copies of the template lots.
    fn add_templates(&mut self, domain: &Arc<str>) {
        self.tenants.entry(Arc::clone(domain)).or_default().add_copies(&self.templates, domain);
    }

    pub fn set_label(&mut self, uuid: &str, label: &str) -> Option<Call> {
        let id = self.call_here(uuid)?.id;
        self.update(id, |call| call.label = label.into());
        self.calls.get(&id).cloned()
    }

    /// The call of a leg of this FreeSWITCH.
    fn call_here(&self, uuid: &str) -> Option<&Call> {
        self.by_uuid.get(uuid).and_then(|id| self.calls.get(id)).filter(|call| call.is_here())
    }

    /// The call in a slot, in whatever state.
    pub fn find(&self, place: &LotSelector, slot: &Slot) -> Result<Call, Refusal> {
        let id = self.call_in(place, slot)?;
        self.calls.get(&id).cloned().ok_or_else(|| Refusal::Empty(format!("slot {slot}")))
    }

    #[must_use]
    pub fn find_leg(&self, uuid: &str) -> Option<Call> {
        self.by_uuid.get(uuid).and_then(|id| self.calls.get(id)).cloned()
    }

    /// Whether this call is still in the table: its leg may have been parked again since, which is another call.
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

    /// Every call, in no order; of one lot where one is meant.
    #[must_use]
    pub fn calls(&self, lot: Option<&LotId>) -> Vec<Call> {
        self.calls_after(None, lot, usize::MAX)
    }

    /// The same in pieces: at most so many, after the last one of the piece before.
    #[must_use]
    pub fn calls_after(&self, last: Option<CallId>, lot: Option<&LotId>, most: usize) -> Vec<Call> {
        let calls = self.calls.after(last.as_ref());
        calls.filter(|call| lot.is_none_or(|lot| call.info.lot == *lot)).take(most).cloned().collect()
    }

    /// Every lot of every domain, and the templates.
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

    #[must_use]
    pub fn call_count(&self) -> usize {
        self.calls.len()
    }

    /// The lot that is meant. With a slot, a lot that has that slot.
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

    /// The terms of the lot that is meant, by the slot if some lot has that; the usual ones if there is none.
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
            // A lot's name is written into dialplan arguments, and what somebody says their domain is may be any text.
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

    /// Makes a domain's copies of the template lots the first time it uses one.
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

    /// The calls in a slot, the one that came first in front.
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

    /// The lot that has a call's slot now, and the slot's index there.
    fn home(&mut self, call: &Call) -> Option<(&mut Lot, u32)> {
        let (name, index) = match call.index {
            Some(index) => (&call.info.lot.name, index),
            None => self.slots.get(&call.info.slot).map(|(name, index)| (name, *index))?,
        };
        Some((self.lots.get_mut(name)?, index))
    }

    /// A call takes its slot, whatever lot has that now, and whoever is in it.
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
