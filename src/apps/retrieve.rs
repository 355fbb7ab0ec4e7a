//! `callpark_retrieve`

use std::ffi::CStr;

use super::serve;
use super::words::{self, Asked};
use crate::attendant::{Attendant, RetrieveOrder, Verdict, ask_digits};
use crate::host::{Application, Leg};
use crate::parking::{LotName, MAX_SLOT_LENGTH, Pick, Slot};

pub(crate) struct Retrieve;

impl Application for Retrieve {
    const NAME: &'static CStr = c"callpark_retrieve";
    const SHORT: &'static CStr = c"Take a parked call";
    const LONG: &'static CStr =
        c"Connects this leg with the call parked in a slot, or with the one that waits longest or shortest.";
    const SYNTAX: &'static CStr = c"<slot>|oldest|newest|ask [<lot>[@<domain>]]";

    fn run(leg: Leg<'_>, data: &str) {
        serve(leg, |attendant, leg| {
            // Only the module itself sets these, on legs that it called: for a page, and for a caller who got no slot.
            if attendant.speak(leg) {
                return Verdict::Retrieved;
            }
            attendant.join_unassigned(leg).unwrap_or_else(|| retrieve(attendant, leg, data))
        });
    }

    fn after_bug(leg: Leg<'_>) -> bool {
        super::after_bug(leg)
    }
}

fn retrieve(attendant: &Attendant, leg: &Leg<'_>, data: &str) -> Verdict {
    match words::retrieve_order(data) {
        Ok((Asked::Pick(pick), lot)) => attendant.retrieve(leg, &RetrieveOrder { pick, lot }),
        Ok((Asked::Ask, lot)) => ask(attendant, leg, lot),
        Err(why) => attendant.invalid(leg, "callpark_retrieve", why),
    }
}

fn ask(attendant: &Attendant, leg: &Leg<'_>, lot: Option<LotName>) -> Verdict {
    if !leg.make_audible() {
        return Verdict::LegGone;
    }
    let digits = ask_digits(leg, c"callpark_ask_slot", MAX_SLOT_LENGTH);
    match digits.as_deref().and_then(Slot::parse) {
        Some(slot) => attendant.retrieve(leg, &RetrieveOrder { pick: Pick::Slot(slot), lot }),
        None => attendant.invalid(leg, "callpark_retrieve", "no slot was dialled".into()),
    }
}
