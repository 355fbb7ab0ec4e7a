//! The application `callpark_retrieve`.

use std::ffi::CStr;
use std::sync::Arc;

use super::arguments::{self, ArgumentError, RetrieveArgument};
use super::serve;
use crate::freeswitch::{Application, Leg};
use crate::parking::{LotName, MAX_SLOT_LENGTH, RetrieveTarget, Slot};
use crate::service::{AppResult, ParkingService, Prompt, RetrieveOrder, collect_digits};

pub(crate) struct Retrieve;

impl Application for Retrieve {
    type Context = ParkingService;
    const NAME: &'static CStr = c"callpark_retrieve";
    const SHORT_DESCRIPTION: &'static CStr = c"Take a parked call";
    const LONG_DESCRIPTION: &'static CStr =
        c"Connects this leg with the call parked in a slot, or with the one that waits longest or shortest, or longest of those that its user parked.";
    const SYNTAX: &'static CStr = c"<slot>|oldest|newest|mine|ask [<lot>[@<domain>]] | call <uuid>";

    fn run(service: Option<Arc<ParkingService>>, leg: Leg<'_>, data: &str) {
        serve(service, leg, |service, leg| {
            run_for_module(service, leg, data).unwrap_or_else(|| retrieve(service, leg, data))
        });
    }

    fn after_panic(service: Option<Arc<ParkingService>>, leg: Leg<'_>) -> bool {
        super::after_panic(service, leg)
    }
}

/// The module runs this application itself on legs that it has called: for a page, and for a parker who answered a recall. Variables say so, which a Verto
/// client can set on its own calls, but not on those.
fn run_for_module(service: &Arc<ParkingService>, leg: &Leg<'_>, data: &str) -> Option<AppResult> {
    if !leg.outbound() {
        return None;
    }
    if service.announce_page(leg) {
        return Some(AppResult::Retrieved);
    }
    service.join_caller(leg, data)
}

fn retrieve(service: &Arc<ParkingService>, leg: &Leg<'_>, data: &str) -> AppResult {
    match arguments::parse_retrieve_order(data) {
        Ok((RetrieveArgument::Target(target), lot)) => service.retrieve(leg, &RetrieveOrder { target, lot }),
        Ok((RetrieveArgument::Mine, lot)) => service.retrieve_mine(leg, lot),
        Ok((RetrieveArgument::Ask, lot)) => ask(service, leg, lot),
        Err(why) => service.refuse_invalid(leg, "callpark_retrieve", &why),
    }
}

/// Whether a slot begins with the digits and has more.
fn has_longer(slots: &[Slot], typed: &str) -> bool {
    slots.iter().any(|slot| slot.as_str().len() > typed.len() && slot.as_str().starts_with(typed))
}

fn ask(service: &Arc<ParkingService>, leg: &Leg<'_>, lot: Option<LotName>) -> AppResult {
    if !leg.answer_and_anchor_media() {
        return AppResult::LegGone;
    }
    let slots = service.slots_to_dial(leg, lot.as_ref());
    let is_complete = |typed: &str| !slots.is_empty() && !slots.iter().any(|slots| has_longer(slots, typed));
    let digits = collect_digits(service, leg, Prompt::AskSlot, MAX_SLOT_LENGTH, &is_complete);
    match digits.as_deref().and_then(Slot::parse) {
        Some(slot) => service.retrieve(leg, &RetrieveOrder { target: RetrieveTarget::Slot(slot), lot }),
        None => service.refuse_invalid(leg, "callpark_retrieve", &ArgumentError::NothingDialled),
    }
}
