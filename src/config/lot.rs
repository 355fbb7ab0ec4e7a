//! One `<lot>`.

use std::collections::BTreeMap;

use super::document::Element;
use super::error::{ConfigError, ConfigFault, Place};
use super::{lot_params, params};
use crate::parking::{LotId, LotPlan, LotSettings, Slot, is_name, parse_slots};

/// The lot as far as it can be read: what is wrong with it may not hide what is wrong with it and others together.
pub(super) fn read(element: &Element, errors: &mut Vec<ConfigError>) -> LotPlan {
    let (name, domain) =
        (element.attribute("name").unwrap_or_default(), element.attribute("domain").unwrap_or_default());
    let id = LotId::new(name, domain);
    let place = Place::Lot(id.clone());
    element.strangers(&place, &["name", "domain"], &["param", "slot"], errors);
    let mut wrong = |key: &str, value: &str, fault| errors.push(element.error(&place, key, Some(value), fault));
    if !is_name(name) {
        wrong("name", name, ConfigFault::LotName);
    }
    if Slot::parse(name).is_some() {
        wrong("name", name, ConfigFault::LotNameIsSlot);
    }
    if domain != "*" && !is_name(domain) {
        wrong("domain", domain, ConfigFault::Domain);
    }
    let mut settings = LotSettings::default();
    let mut slots = None;
    let given = params(&place, element, errors);
    for (param, name, value) in &given {
        let done = match *name {
            "slots" => {
                parse_slots(value).map(|found| slots = Some(found)).map_err(|why| ConfigFault::Value(why.into()))
            }
            _ => lot_params::set(name, value, &mut settings),
        };
        errors.extend(done.err().map(|fault| param.error(&place, name, Some(value), fault)));
    }
    if !given.iter().any(|(_, name, _)| *name == "slots") {
        errors.push(element.error(&place, "slots", None, ConfigFault::NoSlots));
    }
    contradictions(&place, element, &settings, &given, errors);
    let slots = slots.unwrap_or_default();
    let labels = labels(&place, element, &slots, errors);
    LotPlan { id, slots: slots.into(), labels: labels.into(), settings: settings.into() }
}

fn labels(place: &Place, lot: &Element, slots: &[Slot], errors: &mut Vec<ConfigError>) -> BTreeMap<Slot, String> {
    let mut labels = BTreeMap::new();
    for element in lot.children.iter().filter(|child| child.is("slot")) {
        element.strangers(place, &["number", "label"], &[], errors);
        let number = element.attribute("number").unwrap_or_default();
        match Slot::parse(number).filter(|slot| slots.binary_search(slot).is_ok()) {
            Some(slot) => {
                let label = element.attribute("label").unwrap_or_default().to_owned();
                if labels.insert(slot, label).is_some() {
                    errors.push(element.error(place, "slot number", Some(number), ConfigFault::Repeated));
                }
            }
            None if slots.is_empty() => {} // Reported already.
            None => errors.push(element.error(place, "slot number", Some(number), ConfigFault::NotItsSlot)),
        }
    }
    labels
}

/// Parameters that have no effect without another.
fn contradictions(
    place: &Place,
    element: &Element,
    settings: &LotSettings,
    given: &[(&Element, &str, &str)],
    errors: &mut Vec<ConfigError>,
) {
    let mut needs = |key: &'static str, other: &'static str, is_missing: bool| {
        if is_missing {
            let value = given.iter().rfind(|(_, name, _)| *name == key).map(|(_, _, value)| *value);
            errors.push(element.param_error(place, key, value, ConfigFault::Needs(other)));
        }
    };
    needs("max-park-time", "fallback", !settings.max_park_time.is_zero() && settings.fallback.is_none());
    needs("comfort-interval", "comfort-file", !settings.comfort_interval.is_zero() && settings.comfort_file.is_none());
    needs("comfort-file", "comfort-interval", settings.comfort_interval.is_zero() && settings.comfort_file.is_some());
    needs("exit-key", "exit-destination", settings.exit_key.is_some() && settings.exit_destination.is_none());
    needs("exit-destination", "exit-key", settings.exit_key.is_none() && settings.exit_destination.is_some());
}
