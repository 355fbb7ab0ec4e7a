//! Checks what concerns several lots or settings: names, slots and references.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::Config;
use super::document::Element;
use super::error::{ConfigError, ConfigErrorKind, ConfigSection};
use crate::parking::{LotId, LotName, LotPlan, Notify, Slot, is_name};

type LotElements<'a> = [(LotPlan, &'a Element)];

pub(super) fn check(
    config: &Config,
    settings: Option<&Element>,
    lots: &LotElements<'_>,
    errors: &mut Vec<ConfigError>,
) {
    names_are_unique(lots, errors);
    slots_are_unique(lots, errors);
    extensions_are_unique(lots, errors);
    overflow_lots_exist(lots, errors);
    let mut of_settings = |key: &str, value: &str, kind| {
        let element = settings.map(|settings| settings.param_error(&ConfigSection::Settings, key, Some(value), kind));
        errors.extend(element);
    };
    let dsn = &config.settings.db_dsn;
    if config.settings.cluster && !["pgsql://", "postgres://", "postgresql://"].iter().any(|kind| dsn.starts_with(kind))
    {
        let kind = dsn.split_once("://").map_or("a file, or ODBC", |(kind, _)| kind);
        of_settings("cluster", "true", ConfigErrorKind::ClusterDatabase(kind.to_owned()));
    }
    if let Some(name) = config.node_name.as_ref().filter(|name| config.settings.cluster && !is_node_name(name)) {
        of_settings("node-name", name, ConfigErrorKind::NodeName);
    }
    if let Some(default) = &config.default_lot {
        if !lots.iter().any(|(lot, _)| *lot.id.name == **default) {
            of_settings("default-lot", default, ConfigErrorKind::NoDefaultLot);
        }
    }
}

/// Whether a name may stand in a dial string as a host or port. The names of other nodes come from the database.
#[must_use]
pub fn is_node_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    (1..=255).contains(&name.len()) && name.chars().all(allowed)
}

fn names_are_unique(lots: &LotElements<'_>, errors: &mut Vec<ConfigError>) {
    let mut known: HashSet<&LotId> = HashSet::new();
    for (lot, element) in lots.iter().filter(|(lot, _)| is_name(&lot.id.name)) {
        if !known.insert(&lot.id) {
            let section = ConfigSection::Lot(lot.id.clone());
            errors.push(element.error(&section, "name", Some(&lot.id.name), ConfigErrorKind::SameLot));
        }
    }
}

/// The names of hooks are unique, and a lot names only hooks that exist, as a hook does with lots.
pub(super) fn check_hooks(hooks: &[&Element], lots: &LotElements<'_>, errors: &mut Vec<ConfigError>) {
    let name = |hook: &Element| hook.attribute("name").unwrap_or_default().to_owned();
    for (nth, hook) in hooks.iter().enumerate() {
        let section = ConfigSection::Hook(name(hook));
        if hooks.iter().take(nth).any(|other| name(other) == name(hook)) {
            errors.push(hook.error(&section, "name", Some(&name(hook)), ConfigErrorKind::SameHook));
        }
        let named = hook
            .attribute("lots")
            .into_iter()
            .flat_map(|lots| lots.split(','))
            .filter_map(|lot| LotName::parse(lot.trim()));
        let unknown = |wanted: &LotName| {
            let is_it = |lot: &LotId| {
                *lot.name == *wanted.name
                    && (&*lot.domain == "*" || wanted.domain.as_ref().is_none_or(|domain| **domain == *lot.domain))
            };
            !lots.iter().any(|(lot, _)| is_it(&lot.id))
        };
        for lot in named.filter(unknown) {
            let domain = lot.domain.map(|domain| format!("@{domain}")).unwrap_or_default();
            let kind = ConfigErrorKind::NoLotOfHook(format!("{}{domain}", lot.name));
            errors.push(hook.error(&section, "lots", hook.attribute("lots"), kind));
        }
    }
    for (lot, element) in lots {
        for notify in &lot.settings.notify {
            let Notify::Hook(wanted) = notify else { continue };
            if !hooks.iter().any(|hook| name(hook) == *wanted) {
                let known = if hooks.is_empty() {
                    "those in <hooks>, of which there are none".to_owned()
                } else {
                    hooks.iter().map(|hook| name(hook)).collect::<Vec<_>>().join(", ")
                };
                let section = ConfigSection::Lot(lot.id.clone());
                let value = format!("hook:{wanted}");
                errors.push(element.param_error(&section, "notify", Some(&value), ConfigErrorKind::NoSuchHook(known)));
            }
        }
    }
}

fn overflow_lots_exist(lots: &LotElements<'_>, errors: &mut Vec<ConfigError>) {
    for (lot, element) in lots {
        let Some(next) = &lot.settings.overflow_lot else { continue };
        let is_known = lots.iter().any(|(other, _)| {
            *other.id.name == **next && (other.id.domain == lot.id.domain || &*other.id.domain == "*")
        });
        let kind = match is_known {
            false => ConfigErrorKind::NoSuchLot,
            true if *lot.id.name == **next => ConfigErrorKind::OverflowIntoItself,
            true => continue,
        };
        errors.push(element.param_error(&ConfigSection::Lot(lot.id.clone()), "overflow-lot", Some(next), kind));
    }
}

/// A number of a domain is one slot, or one extension of one lot.
fn extensions_are_unique(lots: &LotElements<'_>, errors: &mut Vec<ConfigError>) {
    let is_seen_by = |lot: &LotPlan, other: &LotPlan| {
        let shared = *lot.id.domain == *"*" || *other.id.domain == *"*" || lot.id.domain == other.id.domain;
        shared && (lot.id == other.id || lot.id.name != other.id.name)
    };
    for (nth, (lot, element)) in lots.iter().enumerate() {
        for (which, (key, number)) in extensions(lot).into_iter().enumerate() {
            let as_slot = || {
                let slot = Slot::parse(number)?;
                let has = |other: &LotPlan| is_seen_by(lot, other) && other.slots.binary_search(&slot).is_ok();
                let owner = lots.iter().map(|(other, _)| other).find(|other| has(other))?;
                Some(format!("is a slot of lot {}", owner.id))
            };
            let as_extension = || {
                let earlier = lots.iter().take(nth + 1).enumerate().flat_map(|(of, (other, _))| {
                    let before = if of == nth { which } else { usize::MAX };
                    extensions(other).into_iter().take(before).map(move |(key, number)| (other, key, number))
                });
                let mut same = earlier.filter(|(other, _, taken)| *taken == number && is_seen_by(lot, other));
                same.next().map(|(other, key, _)| format!("is the {key} of lot {}", other.id))
            };
            if let Some(owner) = as_slot().or_else(as_extension) {
                let section = ConfigSection::Lot(lot.id.clone());
                errors.push(element.param_error(&section, key, Some(number), ConfigErrorKind::NumberTaken { owner }));
            }
        }
    }
}

fn extensions(lot: &LotPlan) -> Vec<(&'static str, &str)> {
    let settings = &lot.settings;
    let given = [
        ("park-extension", &settings.park_extension),
        ("oldest-extension", &settings.oldest_extension),
        ("ask-extension", &settings.ask_extension),
    ];
    given.into_iter().filter_map(|(key, number)| Some((key, number.as_ref()?.as_str()))).collect()
}

/// No two lots of a domain may have the same slot, because a slot identifies its lot. A template counts in every domain that has no lot of its
/// name.
fn slots_are_unique(lots: &LotElements<'_>, errors: &mut Vec<ConfigError>) {
    let domains: BTreeSet<_> = lots.iter().map(|(lot, _)| &lot.id.domain).collect();
    for domain in domains {
        let own: Vec<_> = lots.iter().filter(|(lot, _)| lot.id.domain == *domain).collect();
        let templates = lots.iter().filter(|(lot, _)| {
            &*lot.id.domain == "*" && &**domain != "*" && !own.iter().any(|(other, _)| other.id.name == lot.id.name)
        });
        let mut owners: HashMap<&Slot, &LotId> = HashMap::new();
        for (lot, element) in own.iter().copied().chain(templates) {
            for slot in lot.slots.iter() {
                match owners.insert(slot, &lot.id) {
                    Some(owner) if *owner != lot.id => {
                        let kind = ConfigErrorKind::SlotOfOtherLot { slot: slot.clone(), owner: owner.clone() };
                        let section = ConfigSection::Lot(lot.id.clone());
                        errors.push(element.param_error(&section, "slots", Some(slot.as_str()), kind));
                        break;
                    }
                    _ => {}
                }
            }
        }
    }
}
