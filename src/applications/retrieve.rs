//! The application `callpark_retrieve`.

use std::ffi::CStr;
use std::sync::Arc;

use super::serve;
use super::words::{self, Asked, WordsError};
use crate::freeswitch::{Application, Leg};
use crate::parking::{LotName, MAX_SLOT_LENGTH, RetrieveTarget, Slot};
use crate::service::{AppResult, ParkingService, RetrieveOrder, ask_digits};

pub(crate) struct Retrieve;

impl Application for Retrieve {
    type Of = ParkingService;
    const NAME: &'static CStr = c"callpark_retrieve";
    const SHORT: &'static CStr = c"Take a parked call";
    const LONG: &'static CStr =
        c"Connects this leg with the call parked in a slot, or with the one that waits longest or shortest.";
    const SYNTAX: &'static CStr = c"<slot>|oldest|newest|ask [<lot>[@<domain>]]";

    fn run(service: Option<Arc<ParkingService>>, leg: Leg<'_>, data: &str) {
        serve(service, leg, |service, leg| {
            // The module itself runs this on legs that it called: for a page, and for the parker of a caller without a slot.
            if service.speak(leg) {
                return AppResult::Retrieved;
            }
            service.join_unassigned(leg).unwrap_or_else(|| retrieve(service, leg, data))
        });
    }

    fn after_bug(service: Option<Arc<ParkingService>>, leg: Leg<'_>) -> bool {
        super::after_bug(service, leg)
    }
}

fn retrieve(service: &Arc<ParkingService>, leg: &Leg<'_>, data: &str) -> AppResult {
    match words::retrieve_order(data) {
        Ok((Asked::RetrieveTarget(pick), lot)) => service.retrieve(leg, &RetrieveOrder { pick, lot }),
        Ok((Asked::Ask, lot)) => ask(service, leg, lot),
        Err(why) => service.invalid(leg, "callpark_retrieve", &why),
    }
}

fn ask(service: &Arc<ParkingService>, leg: &Leg<'_>, lot: Option<LotName>) -> AppResult {
    if !leg.answer_and_anchor_media() {
        return AppResult::LegGone;
    }
    let digits = ask_digits(leg, c"callpark_ask_slot", MAX_SLOT_LENGTH);
    match digits.as_deref().and_then(Slot::parse) {
        Some(slot) => service.retrieve(leg, &RetrieveOrder { pick: RetrieveTarget::Slot(slot), lot }),
        None => service.invalid(leg, "callpark_retrieve", &WordsError::NothingDialled),
    }
}
