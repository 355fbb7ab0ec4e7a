//! The application `valet_park`.

use std::ffi::CStr;
use std::sync::Arc;

use super::Valet;
use super::ask::ask;
use super::data::{self, ValetData, ValetRequest};
use super::variables::{self, LegFacts};
use crate::applications::{ArgumentError, after_panic, serve};
use crate::freeswitch::{Application, Leg};
use crate::parking::{LotName, RetrieveTarget, Slot, SlotRequest};
use crate::service::{AppResult, ParkOrder, ParkingService, RetrieveOrder};

pub(super) struct ValetPark;

impl Application for ValetPark {
    type Context = Valet;
    const NAME: &'static CStr = c"valet_park";
    const SHORT_DESCRIPTION: &'static CStr = c"Park a call in a slot, or retrieve it (as mod_valet_parking)";
    const LONG_DESCRIPTION: &'static CStr =
        c"Retrieves the call in a slot. If the slot is empty, or if a transfer brought this leg, parks this leg there.";
    const SYNTAX: &'static CStr =
        c"<lot> <slot>|ask [<min>] [<max>] [<timeout ms>] [<prompt>]|auto in|out [<min>] [<max>]";

    fn run(valet: Option<Arc<Valet>>, leg: Leg<'_>, data: &str) {
        let parsed = data::parse(data, &|name| leg.var(name));
        // Before a call that was parked at a crash is put back there.
        if let (Some(valet), Ok(_), Some(lot)) = (&valet, &parsed, data.split_ascii_whitespace().next()) {
            valet.lots.note(lot);
        }
        let service = valet.map(|valet| Arc::clone(&valet.service));
        serve(service, leg, |service, leg| match parsed {
            Ok(data) => run(service, leg, data),
            Err(why) => service.refuse_invalid_park(leg, "valet_park", &why),
        });
    }

    fn after_panic(valet: Option<Arc<Valet>>, leg: Leg<'_>) -> bool {
        after_panic(valet.map(|valet| Arc::clone(&valet.service)), leg)
    }
}

fn run(service: &Arc<ParkingService>, leg: &Leg<'_>, data: ValetData) -> AppResult {
    let ValetData { lot, what } = data;
    match what {
        ValetRequest::Slot(slot) => park_or_retrieve(service, leg, lot, slot),
        ValetRequest::In(range) => service.park(leg, &order(leg, SlotRequest::LowestOf(range), lot)),
        ValetRequest::Out(range) => {
            service.retrieve(leg, &RetrieveOrder { target: RetrieveTarget::OldestOf(range), lot: Some(lot) })
        }
        ValetRequest::Ask(question) => {
            if !leg.answer_and_anchor_media() {
                return AppResult::LegGone;
            }
            match ask(service, leg, &question) {
                Some(slot) => park_or_retrieve(service, leg, lot, slot),
                None => service.refuse_invalid(leg, "valet_park", &ArgumentError::NothingDialled),
            }
        }
    }
}

fn park_or_retrieve(service: &Arc<ParkingService>, leg: &Leg<'_>, lot: LotName, slot: Slot) -> AppResult {
    let retrieve = RetrieveOrder { target: RetrieveTarget::Slot(slot.clone()), lot: Some(lot.clone()) };
    service.park_or_retrieve_as_valet(leg, &order(leg, SlotRequest::Slot(slot), lot), &retrieve)
}

/// The order to park, with what the variables of the leg change.
fn order(leg: &Leg<'_>, wanted: SlotRequest, lot: LotName) -> ParkOrder {
    let facts = LegFacts {
        variable: &|name| leg.var(name),
        has_next_application: leg.has_next_application(),
        is_auto: matches!(wanted, SlotRequest::LowestOf(_)),
    };
    ParkOrder { overrides: variables::overrides(&facts), ..ParkOrder::new(wanted, Some(lot)) }
}
