//! Parses the arguments of applications, and the variables that they read.

use super::{inject_fault, readable};
use crate::applications::{RetrieveArgument, parse_park_order, parse_retrieve_order, parse_slot_order};
use crate::config::{parse_bool, parse_ringback, seconds};
use crate::freeswitch::inert;
use crate::parking::{
    Destination, Extension, LotName, LotSettings, MAX_SLOT_LENGTH, RetrieveTarget, Slot, SlotRequest, is_name,
};
use crate::service::{fill_in, is_address, is_part_of_address, percent_encoded};

/// Reads the data of an application, and the variables that it uses.
pub fn application(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (parks, retrieves, both) = (parse_park_order(&text), parse_retrieve_order(&text), parse_slot_order(&text));
    for why in [parks.as_ref().err(), retrieves.as_ref().err(), both.as_ref().err()].into_iter().flatten() {
        readable(&why.to_string());
    }
    if let Ok(order) = &parks {
        let place = match &order.wanted {
            SlotRequest::Auto => "auto".to_owned(),
            SlotRequest::Slot(slot) if order.lot.is_some() => {
                assert_eq!(Slot::parse_with_names(slot.as_str()).as_ref(), Some(slot));
                slot.to_string()
            }
            SlotRequest::Slot(slot) => dialable(slot).to_string(),
            SlotRequest::LowestOf(_) => unreachable!("it cannot be written"),
        };
        let again = parse_park_order(&format!("{place} {}", named(order.lot.as_ref()))).expect("its own words");
        assert_eq!((&order.wanted, &order.lot), (&again.wanted, &again.lot));
    }
    if let Ok((RetrieveArgument::Target(RetrieveTarget::Slot(slot)), lot)) = &retrieves {
        dialable(slot);
        // A slot that can be retrieved from can also be parked in, and one extension can do both.
        let (park, retrieve) = both.as_ref().expect("a slot");
        assert!(park.wanted == SlotRequest::Slot(slot.clone()) && park.lot == *lot && retrieve.lot == *lot);
        inject_fault(slot.as_str().starts_with('*') && lot.is_some());
    }
    variables(&text);
}

fn dialable(slot: &Slot) -> &Slot {
    let text = slot.as_str();
    assert!((1..=MAX_SLOT_LENGTH).contains(&text.len()));
    assert!(text.bytes().all(|c| c.is_ascii_digit() || c == b'*' || c == b'#'), "{text:?}");
    slot
}

fn named(lot: Option<&LotName>) -> String {
    let Some(LotName { name, domain, .. }) = lot else { return String::new() };
    assert!(is_name(name) && domain.as_deref().is_none_or(is_name), "{lot:?}");
    domain.as_ref().map_or_else(|| name.clone(), |domain| format!("{name}@{domain}"))
}

fn variables(text: &str) {
    if let Ok(time) = seconds(text, 1) {
        assert!((1..=31_536_000).contains(&time.as_secs()));
    }
    let _ = (parse_bool(text), parse_ringback(text));
    if let Some(to) = Destination::parse(text) {
        let words: Vec<&str> = [Some(&to.extension), to.dialplan.as_ref(), to.context.as_ref()]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        assert_eq!(Destination::parse(&words.join(" ")), Some(to.clone()));
    }
    // A value remains one value within any text of an administrator.
    let word = percent_encoded(text);
    assert!(word.bytes().all(|c| c.is_ascii_alphanumeric() || b".-_+*@%".contains(&c)), "{word:?}");
    assert_eq!(fill_in("<${x}>", |_| Some(text.to_owned())), format!("<{text}>"));
    let _ = fill_in(text, |name| Some(name.to_owned()));
    // FreeSWITCH expands nothing in the neutralised text, also if it is cut off or followed by other text.
    let inert = inert(text);
    assert!(!inert.contains('$') && inert.chars().count() == text.chars().count(), "{inert:?}");
    if let Some(extension) = Extension::parse(text) {
        let words = extension.as_str().bytes().all(|c| c.is_ascii_alphanumeric() || b"_.*#+-".contains(&c));
        assert!(words && extension.as_str().len() <= 64, "{extension:?}");
        let settings =
            LotSettings { fallback: Destination::parse(&format!("900 {text} {text}")), ..LotSettings::default() };
        let to = Destination::of_lot(&extension, &settings);
        let names = to.dialplan.iter().flat_map(|dialplan| dialplan.split([',', ':']));
        assert!(names.into_iter().all(|name| !name.trim().eq_ignore_ascii_case("inline")), "{text:?}");
    }
    if is_part_of_address(text) {
        assert!(is_address(text) && !text.contains('/'), "{text:?}");
    }
    if is_address(text) {
        assert!(!text.contains([',', '|', '{', '}', '[', ']', '<', '>', '$', '\'', '"', '\\', ' ']), "{text:?}");
    }
}
