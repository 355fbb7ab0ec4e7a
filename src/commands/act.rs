//! Verbs that do something.

use super::Wrong;
use super::look::{lot_name, slot_name};
use super::parse::Words;
use crate::apps::park_order;
use crate::attendant::{Attendant, Whose};
use crate::parking::LotName;

pub(super) fn park(attendant: &Attendant, words: Words<'_>) -> Result<String, Wrong> {
    let (uuid, words) = words.first();
    let uuid = uuid.ok_or(Wrong::Usage)?;
    let (whose, rest) = match words.rest() {
        ["-bleg", rest @ ..] => (Whose::Partner, rest),
        rest => (Whose::ItsOwn, rest),
    };
    if rest.len() > 2 || uuid.starts_with('-') {
        return Err(Wrong::Usage);
    }
    let order = park_order(&rest.join(" "))?;
    let call = attendant.park_by_command(uuid, whose, &order)?;
    Ok(format!("+OK {} {}\n", call.facts.slot, call.facts.lot))
}

pub(super) fn retrieve(attendant: &Attendant, words: Words<'_>) -> Result<String, Wrong> {
    let (slot, words) = words.first();
    let slot = slot_name(slot.ok_or(Wrong::Usage)?)?;
    // A dial string may have spaces, so a last word counts as the lot only if a lot is named so and has the slot.
    let lot = match words.rest() {
        [] => return Err(Wrong::Usage),
        [_, .., last] => LotName::parse(last).filter(|lot| attendant.call_in(&slot, Some(lot)).is_ok()),
        [_] => None,
    };
    let target = match (words.rest(), &lot) {
        ([target @ .., _], Some(_)) => target.join(" "),
        (target, _) => target.join(" "),
    };
    let call = attendant.call_in(&slot, lot.as_ref())?;
    if target.contains('/') {
        attendant.retrieve_by_dialling(&call, &target)?;
    } else {
        let uuid = match target.split_once(' ') {
            None => target.as_str(),
            Some((_, lot)) => {
                return Err(Wrong::Error(format!("no call in slot {slot} of lot {}", lot_name(lot)?.name)));
            }
        };
        attendant.retrieve_by_leg(&call, uuid)?;
    }
    Ok(format!("+OK {} {}\n", call.facts.slot, call.facts.uuid))
}

pub(super) fn reload(attendant: &Attendant, words: Words<'_>) -> Result<String, Wrong> {
    if !words.rest().is_empty() {
        return Err(Wrong::Usage);
    }
    match attendant.reload() {
        Ok(()) => Ok("+OK\n".into()),
        Err(faults) => {
            let all: Vec<String> = faults.iter().map(ToString::to_string).collect();
            Err(Wrong::Error(format!("nothing changed: {}", all.join("; "))))
        }
    }
}
