//! Prepares a new configuration outside the table, because making thousands of slots takes longer than the table may be locked.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::{LotPlan, Table, Tenant, slot_of};
use crate::parking::names::LotId;

/// The lots of a configuration, with all slots free.
#[derive(Debug, Default)]
pub struct Layout {
    tenants: BTreeMap<Arc<str>, Tenant>,
    templates: Vec<LotPlan>,
    default_lot: Option<String>,
}

impl Layout {
    /// Makes a layout. `in_use` are the domains that have calls, and so need their copies of the template lots.
    #[must_use]
    pub fn new(plans: &[LotPlan], default_lot: Option<&str>, in_use: &[Arc<str>]) -> Layout {
        let (templates, own): (Vec<&LotPlan>, Vec<&LotPlan>) = plans.iter().partition(|plan| plan.is_template());
        let own: HashSet<&LotId> = own.into_iter().map(|plan| &plan.id).collect();
        let domains = in_use.iter().chain(own.iter().map(|id| &id.domain));
        let mut layout = Layout {
            tenants: domains.map(|domain| (Arc::clone(domain), Tenant::default())).collect(),
            templates: templates.into_iter().cloned().collect(),
            default_lot: default_lot.map(str::to_owned),
        };
        // In the order of the configuration, because the first lot of a domain is the one that is used when none is named.
        for plan in plans {
            if !plan.is_template() {
                layout.tenants.entry(Arc::clone(&plan.id.domain)).or_default().add(plan.clone());
                continue;
            }
            for (domain, tenant) in &mut layout.tenants {
                let copy = plan.copy_for(domain);
                if !own.contains(&copy.id) {
                    tenant.add(copy);
                }
            }
        }
        layout
    }
}

impl Table {
    /// The domains in which calls are parked.
    #[must_use]
    pub fn domains_in_use(&self) -> Vec<Arc<str>> {
        let held = self.tenants.iter().filter(|(_, tenant)| tenant.in_use());
        held.map(|(domain, _)| Arc::clone(domain)).collect()
    }

    /// Replaces the configuration. Calls stay in their slots and keep their settings, unless [`Table::apply_settings`] follows; a lot or slot that
    /// was removed remains until its last call ends. Returns the previous layout, so that it can be dropped after the lock is released.
    pub fn replace(&mut self, layout: Layout) -> Layout {
        let before = Layout {
            tenants: std::mem::replace(&mut self.tenants, layout.tenants),
            templates: std::mem::replace(&mut self.templates, layout.templates),
            default_lot: std::mem::replace(&mut self.default_lot, layout.default_lot),
        };
        for (domain, tenant) in &before.tenants {
            // A call may have been parked there since the layout was made.
            if tenant.in_use() && !self.tenants.contains_key(domain) {
                self.add_templates(domain);
            }
        }
        // Of two calls in one slot, the one of this node is first.
        let (own, remote): (Vec<_>, Vec<_>) = self.calls.values_mut().partition(|call| call.node().is_none());
        for call in own.into_iter().chain(remote) {
            let LotId { name, domain } = &call.info.lot;
            let tenant = self.tenants.entry(Arc::clone(domain)).or_default();
            call.index = tenant.index_of(name, &call.info.slot);
            tenant.hold(call);
            self.changed_slots.push(slot_of(call));
        }
        before
    }
}
