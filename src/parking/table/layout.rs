//! A new configuration, made ready apart from the table: making thousands of slots takes longer than a table may be locked.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{LotPlan, Table, Tenant, touched};
use crate::parking::names::LotId;

/// Lots as they are to be, with all slots free.
#[derive(Debug, Default)]
pub struct Layout {
    tenants: BTreeMap<Arc<str>, Tenant>,
    templates: Vec<LotPlan>,
    default_lot: Option<String>,
}

impl Layout {
    /// `in_use`: domains that have calls, and so need their copies of the lots of domain `*`.
    #[must_use]
    pub fn new(plans: &[LotPlan], default_lot: Option<&str>, in_use: &[Arc<str>]) -> Layout {
        let (templates, own): (Vec<LotPlan>, Vec<LotPlan>) =
            plans.iter().cloned().partition(|plan| &*plan.id.domain == "*");
        let mut layout = Layout { templates, default_lot: default_lot.map(str::to_owned), ..Layout::default() };
        for plan in own {
            layout.tenants.entry(Arc::clone(&plan.id.domain)).or_default().add(plan);
        }
        for domain in in_use {
            layout.tenants.entry(Arc::clone(domain)).or_default();
        }
        for (domain, tenant) in &mut layout.tenants {
            tenant.add_copies(&layout.templates, domain);
        }
        layout
    }
}

impl Table {
    /// Domains in which somebody is parked.
    #[must_use]
    pub fn domains_in_use(&self) -> Vec<Arc<str>> {
        let held = self.tenants.iter().filter(|(_, tenant)| tenant.in_use());
        held.map(|(domain, _)| Arc::clone(domain)).collect()
    }

    /// A new configuration. Calls stay where they are, under their own terms; a lot or slot that is gone lasts until its
    /// last call ends. Answers with what was before, which also takes its time to be dropped.
    pub fn replace(&mut self, layout: Layout) -> Layout {
        let before = Layout {
            tenants: std::mem::replace(&mut self.tenants, layout.tenants),
            templates: std::mem::replace(&mut self.templates, layout.templates),
            default_lot: std::mem::replace(&mut self.default_lot, layout.default_lot),
        };
        for (domain, tenant) in &before.tenants {
            // Somebody was parked there since the layout was made.
            if tenant.in_use() && !self.tenants.contains_key(domain) {
                self.add_templates(domain);
            }
        }
        // Of two calls in one slot, this node's own is in front.
        let (own, afar): (Vec<_>, Vec<_>) = self.calls.values_mut().partition(|call| call.node().is_none());
        for call in own.into_iter().chain(afar) {
            let LotId { name, domain } = &call.info.lot;
            let tenant = self.tenants.entry(Arc::clone(domain)).or_default();
            call.index = tenant.index_of(name, &call.info.slot);
            tenant.hold(call);
            self.touched.push(touched(call));
        }
        before
    }
}

impl Tenant {
    /// A domain's own copies of the template lots, where it has no lot of that name.
    pub(super) fn add_copies(&mut self, templates: &[LotPlan], domain: &Arc<str>) {
        for plan in templates.iter().filter(|plan| !self.lots.contains_key(&plan.id.name)).collect::<Vec<_>>() {
            let id = LotId { name: Arc::clone(&plan.id.name), domain: Arc::clone(domain) };
            self.add(LotPlan { id, ..plan.clone() });
        }
    }
}
