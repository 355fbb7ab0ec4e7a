//! Finds out what a dialled number stands for.

use std::sync::Arc;

use super::{LotPlan, Table, Tenant};
use crate::parking::names::{Extension, LotId, Slot, is_name, lowercase};
use crate::parking::request::LotSelector;

/// What a dialled number stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Number {
    /// A slot of a lot.
    Slot(Slot, LotId),
    /// The `park-extension` of a lot.
    Park(LotId),
    /// The `oldest-extension` of a lot.
    Oldest(LotId),
    /// The `ask-extension` of a lot.
    Ask(LotId),
    /// The lot itself, by its name.
    Lot(LotId),
}

impl Table {
    /// Finds out what `text` stands for: in the first of the domains that has a lot with that number or, if `may_be_lot`, with that name.
    #[must_use]
    pub fn number(&self, place: &LotSelector, text: &str, may_be_lot: bool) -> Option<Number> {
        if let Some(slot) = Slot::parse(text) {
            if let Ok(lot) = self.resolve(place, Some(&slot)) {
                return Some(Number::Slot(slot, lot));
            }
        }
        place.domains.iter().find_map(|domain| {
            let domain = lowercase(domain);
            let found = self.plans_in(&domain).find_map(|plan| Some((number_in(plan, text, may_be_lot)?, plan)));
            found.map(|(number, plan)| number(LotId { name: Arc::clone(&plan.id.name), domain: (&*domain).into() }))
        })
    }

    /// Whether `text` stands for something in any domain.
    #[must_use]
    pub fn is_number(&self, text: &str, may_be_lot: bool) -> bool {
        let slot = Slot::parse(text);
        let in_plan = |plan: &LotPlan| {
            number_in(plan, text, may_be_lot).is_some()
                || slot.as_ref().is_some_and(|slot| plan.slots.binary_search(slot).is_ok())
        };
        // A server may have thousands of domains whose lots are all copies of the same template.
        let is_copy_of = |of: &LotPlan, plan: &LotPlan| {
            Arc::ptr_eq(&of.slots, &plan.slots)
                && Arc::ptr_eq(&of.settings, &plan.settings)
                && of.id.name == plan.id.name
        };
        let is_copy = |plan: &LotPlan| self.templates.iter().any(|template| is_copy_of(template, plan));
        let in_tenant = |tenant: &Tenant| {
            slot.as_ref().is_some_and(|slot| tenant.displaced.contains_key(slot))
                || tenant.lots.values().any(|lot| !is_copy(&lot.plan) && in_plan(&lot.plan))
        };
        self.templates.iter().any(in_plan) || self.tenants.values().any(in_tenant)
    }

    /// The lots of a domain. A domain that has not used a lot yet has the templates.
    pub(super) fn plans_in(&self, domain: &str) -> Box<dyn Iterator<Item = &LotPlan> + '_> {
        match self.tenants.get(domain) {
            Some(tenant) => Box::new(tenant.lots.values().map(|lot| &lot.plan)),
            None if is_name(domain) => Box::new(self.templates.iter()),
            None => Box::new(std::iter::empty()),
        }
    }
}

/// Makes the number that `text` is in the lot itself, apart from its slots.
fn number_in(plan: &LotPlan, text: &str, may_be_lot: bool) -> Option<fn(LotId) -> Number> {
    let settings = &plan.settings;
    let extensions = [
        (&settings.park_extension, Number::Park as fn(LotId) -> Number),
        (&settings.oldest_extension, Number::Oldest),
        (&settings.ask_extension, Number::Ask),
    ];
    let is = |extension: &Option<Extension>| extension.as_ref().is_some_and(|it| it.as_str() == text);
    let extension = extensions.into_iter().find(|(extension, _)| is(extension)).map(|(_, number)| number);
    extension.or_else(|| (may_be_lot && *plan.id.name == *text).then_some(Number::Lot as fn(LotId) -> Number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parking::{LotSettings, parse_slots};

    fn plan(name: &str, domain: &str, slots: &str, numbers: [&str; 3]) -> LotPlan {
        let [park_extension, oldest_extension, ask_extension] = numbers.map(Extension::parse);
        let settings = LotSettings { park_extension, oldest_extension, ask_extension, ..LotSettings::default() };
        LotPlan {
            id: LotId::new(name, domain),
            slots: parse_slots(slots).unwrap().into(),
            labels: Arc::default(),
            settings: Arc::new(settings),
        }
    }

    fn number(table: &Table, domain: &str, text: &str) -> Option<Number> {
        let place = LotSelector { domains: vec![domain.to_owned()], ..LotSelector::default() };
        let found = table.number(&place, text, true);
        assert!(found.is_none() || table.is_number(text, true), "{text}");
        found
    }

    #[test]
    fn a_number_stands_for_what_its_domain_has() {
        let everywhere = plan("main", "*", "701-702", ["700", "721", ""]);
        let own = plan("sales", "a.test", "801", ["", "", "822"]);
        let table = Table::new(&[everywhere, own], None);
        let lot = |name: &str, domain: &str| LotId::new(name, domain);
        let slot = |text| Slot::parse(text).unwrap();
        for (domain, text, expected) in [
            ("b.test", "701", Some(Number::Slot(slot("701"), lot("main", "b.test")))),
            ("A.Test", "701", Some(Number::Slot(slot("701"), lot("main", "a.test")))),
            ("a.test", "801", Some(Number::Slot(slot("801"), lot("sales", "a.test")))),
            ("b.test", "801", None),
            ("b.test", "700", Some(Number::Park(lot("main", "b.test")))),
            ("a.test", "721", Some(Number::Oldest(lot("main", "a.test")))),
            ("a.test", "822", Some(Number::Ask(lot("sales", "a.test")))),
            ("b.test", "822", None),
            ("a.test", "sales", Some(Number::Lot(lot("sales", "a.test")))),
            ("b.test", "sales", None),
            ("a.test", "1001", None),
            ("a b", "700", None),
            ("a.test", "", None),
        ] {
            assert_eq!(number(&table, domain, text), expected, "{text} in {domain}");
        }
        assert!(!table.is_number("1001", true) && !table.is_number("main", false));
    }
}
