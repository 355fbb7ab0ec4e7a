//! The verbs that change something.

use super::parse::Arguments;
use super::{CommandContext, CommandError};
use crate::applications::{parse_lot_name, parse_park_order, parse_slot, quote_argument};
use crate::config;
use crate::parking::{Call, Destination, LotName};
use crate::service::{CallAction, ParkingService, TargetLeg};

pub(super) fn park(handles: &CommandContext, words: Arguments<'_>) -> Result<String, CommandError> {
    let service = &handles.service;
    let (uuid, words) = words.first();
    let uuid = uuid.ok_or(CommandError::Usage)?;
    let (target, rest) = match words.rest() {
        ["-bleg", rest @ ..] => (TargetLeg::Partner, rest),
        rest => (TargetLeg::Own, rest),
    };
    if rest.len() > 2 || uuid.starts_with('-') {
        return Err(CommandError::Usage);
    }
    let order = parse_park_order(&rest.join(" "))?;
    let call = service.park_by_command(uuid, target, &order)?;
    Ok(done(&call))
}

pub(super) fn retrieve(handles: &CommandContext, words: Arguments<'_>) -> Result<String, CommandError> {
    let service = &handles.service;
    let (slot, words) = words.first();
    let slot = parse_slot(slot.ok_or(CommandError::Usage)?)?;
    // A dial string may contain spaces, so the last word is the lot only if there is a lot of that name with the slot.
    let lot = match words.rest() {
        [] => return Err(CommandError::Usage),
        [_, .., last] => LotName::parse(last).filter(|lot| service.call_in(&slot, Some(lot)).is_ok()),
        [_] => None,
    };
    let target = match (words.rest(), &lot) {
        ([target @ .., _], Some(_)) => target.join(" "),
        (target, _) => target.join(" "),
    };
    let call = service.call_in(&slot, lot.as_ref())?;
    if target.contains('/') {
        service.retrieve_by_dialling(&call, &target)?;
    } else {
        let uuid = match target.split_once(' ') {
            None => target.as_str(),
            Some((_, lot)) => {
                return Err(CommandError::NotInLot { slot, lot: parse_lot_name(lot)?.name });
            }
        };
        service.retrieve_by_leg(&call, uuid)?;
    }
    Ok(format!("+OK {} {}\n", call.info.slot, call.info.uuid))
}

pub(super) fn ringback(handles: &CommandContext, words: Arguments<'_>) -> Result<String, CommandError> {
    let service = &handles.service;
    let (call, rest) = parked(service, words)?;
    if !rest.is_empty() {
        return Err(CommandError::Usage);
    }
    service.act(&call, CallAction::Recall, None)?;
    Ok(done(&call))
}

pub(super) fn transfer(handles: &CommandContext, words: Arguments<'_>) -> Result<String, CommandError> {
    let service = &handles.service;
    let (slot, words) = words.first();
    let slot = parse_slot(slot.ok_or(CommandError::Usage)?)?;
    let words = words.rest();
    // A fourth word is the lot. With fewer words, the last one is the lot if it names a domain, or if it follows the extension and names a lot
    // that has the slot.
    let is_lot = |word: &str| LotName::parse(word).is_some_and(|lot| service.call_in(&slot, Some(&lot)).is_ok());
    let (to, lot) = match words {
        [to @ .., lot] if words.len() == 4 || (words.len() > 1 && lot.contains('@')) => {
            (to, Some(parse_lot_name(lot)?))
        }
        [to @ .., lot] if words.len() == 2 && is_lot(lot) => (to, Some(parse_lot_name(lot)?)),
        to => (to, None),
    };
    let to = Destination::parse(&to.join(" ")).ok_or(CommandError::Usage)?;
    let call = service.call_in(&slot, lot.as_ref())?;
    service.act(&call, CallAction::Transfer(to), None)?;
    Ok(done(&call))
}

pub(super) fn label(handles: &CommandContext, words: Arguments<'_>) -> Result<String, CommandError> {
    let service = &handles.service;
    let (slot, text) = words.first();
    let text = match text.rest() {
        [] => return Err(CommandError::Usage),
        // This removes the label.
        ["\"\""] => String::new(),
        words => words.join(" "),
    };
    let call = one_call(service, slot)?;
    service.act(&call, CallAction::Label { text }, None)?;
    Ok(done(&call))
}

pub(super) fn extend(handles: &CommandContext, words: Arguments<'_>) -> Result<String, CommandError> {
    let service = &handles.service;
    let (slot, words) = words.first();
    let [seconds] = words.rest() else { return Err(CommandError::Usage) };
    let more =
        config::seconds(seconds, 1).map_err(|why| CommandError::Value { given: quote_argument(seconds), why })?;
    let call = one_call(service, slot)?;
    service.act(&call, CallAction::Extend { seconds: more.as_secs() }, None)?;
    Ok(done(&call))
}

/// Finds the call in `<slot>`, or in `<slot>@<domain>` because this verb has no argument for the lot.
fn one_call(service: &ParkingService, slot: Option<&str>) -> Result<Call, CommandError> {
    let slot = slot.ok_or(CommandError::Usage)?;
    Ok(match slot.split_once('@') {
        Some((slot, domain)) => service.call_at(domain, &parse_slot(slot)?)?,
        None => service.call_in(&parse_slot(slot)?, None)?,
    })
}

/// Finds the call of `<slot> [<lot>]`, and returns it with the remaining arguments.
fn parked<'a>(service: &ParkingService, words: Arguments<'a>) -> Result<(Call, Vec<&'a str>), CommandError> {
    let (slot, words) = words.first();
    let slot = parse_slot(slot.ok_or(CommandError::Usage)?)?;
    let (lot, rest) = words.first();
    let lot = lot.map(parse_lot_name).transpose()?;
    Ok((service.call_in(&slot, lot.as_ref())?, rest.rest().to_vec()))
}

fn done(call: &Call) -> String {
    format!("+OK {} {}\n", call.info.slot, call.info.lot)
}

pub(super) fn reload(handles: &CommandContext, words: Arguments<'_>) -> Result<String, CommandError> {
    let service = &handles.service;
    let apply = match words.rest() {
        [] => false,
        ["apply"] => true,
        _ => return Err(CommandError::Usage),
    };
    service.reload(apply).map_err(CommandError::Config)?;
    handles.http.apply();
    Ok("+OK\n".into())
}
