//! Reads one `<lot>`.

use std::collections::BTreeMap;

use super::document::Element;
use super::error::{ConfigError, ConfigErrorKind, ConfigSection};
use super::{lot_params, params};
use crate::parking::{LotId, LotPlan, LotSettings, RingBackVia, Slot, is_name, parse_slots};

/// Reads a lot as far as possible, so that its errors do not hide those that concern several lots.
pub(super) fn read(element: &Element, errors: &mut Vec<ConfigError>) -> LotPlan {
    let (name, domain) =
        (element.attribute("name").unwrap_or_default(), element.attribute("domain").unwrap_or_default());
    let id = LotId::new(name, domain);
    let section = ConfigSection::Lot(id.clone());
    element.reject_unknown(&section, &["name", "domain"], &["param", "slot"], errors);
    let mut wrong = |key: &str, value: &str, kind| errors.push(element.error(&section, key, Some(value), kind));
    if !is_name(name) {
        wrong("name", name, ConfigErrorKind::LotName);
    }
    if Slot::parse(name).is_some() {
        wrong("name", name, ConfigErrorKind::LotNameIsSlot);
    }
    if domain != "*" && !is_name(domain) {
        wrong("domain", domain, ConfigErrorKind::Domain);
    }
    let mut settings = LotSettings::default();
    let mut slots = None;
    let given = params(&section, element, errors);
    for (param, name, value) in &given {
        let done = match *name {
            "slots" => {
                parse_slots(value).map(|found| slots = Some(found)).map_err(|why| ConfigErrorKind::Value(why.into()))
            }
            _ => lot_params::set(name, value, &mut settings),
        };
        errors.extend(done.err().map(|kind| param.error(&section, name, Some(value), kind)));
    }
    if !given.iter().any(|(_, name, _)| *name == "slots") {
        errors.push(element.error(&section, "slots", None, ConfigErrorKind::NoSlots));
    }
    contradictions(&section, element, &settings, &given, errors);
    let slots = slots.unwrap_or_default();
    let labels = labels(&section, element, &slots, errors);
    LotPlan { id, slots: slots.into(), labels: labels.into(), settings: settings.into() }
}

fn labels(
    section: &ConfigSection,
    lot: &Element,
    slots: &[Slot],
    errors: &mut Vec<ConfigError>,
) -> BTreeMap<Slot, String> {
    let mut labels = BTreeMap::new();
    for element in lot.children.iter().filter(|child| child.is("slot")) {
        element.reject_unknown(section, &["number", "label"], &[], errors);
        let number = element.attribute("number").unwrap_or_default();
        match Slot::parse(number).filter(|slot| slots.binary_search(slot).is_ok()) {
            Some(slot) => {
                let label = element.attribute("label").unwrap_or_default().to_owned();
                if labels.insert(slot, label).is_some() {
                    errors.push(element.error(section, "slot number", Some(number), ConfigErrorKind::Repeated));
                }
            }
            None if slots.is_empty() => {} // Reported already.
            None => errors.push(element.error(section, "slot number", Some(number), ConfigErrorKind::NotItsSlot)),
        }
    }
    labels
}

/// Reports parameters that have no effect without another one.
fn contradictions(
    section: &ConfigSection,
    element: &Element,
    settings: &LotSettings,
    given: &[(&Element, &str, &str)],
    errors: &mut Vec<ConfigError>,
) {
    let mut needs = |key: &'static str, other: &'static str, is_missing: bool| {
        if is_missing {
            let value = given.iter().rfind(|(_, name, _)| *name == key).map(|(_, _, value)| *value);
            errors.push(element.param_error(section, key, value, ConfigErrorKind::Needs(other)));
        }
    };
    needs("max-park-time", "fallback", !settings.max_park_time.is_zero() && settings.fallback.is_none());
    needs("remind-every", "remind-after", !settings.remind_every.is_zero() && settings.remind_after.is_zero());
    needs("comfort-interval", "comfort-file", !settings.comfort_interval.is_zero() && settings.comfort_file.is_none());
    needs("comfort-file", "comfort-interval", settings.comfort_interval.is_zero() && settings.comfort_file.is_some());
    let by_dialplan = settings.ringback_via == RingBackVia::Dialplan;
    needs("ringback-context", "ringback-via", settings.ringback_context.is_some() && !by_dialplan);
    needs("exit-key", "exit-destination", settings.exit_key.is_some() && settings.exit_destination.is_none());
    needs("exit-destination", "exit-key", settings.exit_key.is_none() && settings.exit_destination.is_some());
}
