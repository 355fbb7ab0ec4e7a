//! The application `callpark_park`.

use std::ffi::CStr;
use std::sync::Arc;

use super::{arguments, serve};
use crate::freeswitch::{Application, Leg};
use crate::service::{AppResult, PARKED_ANNOUNCEMENT, ParkingService};

pub(crate) struct Park;

impl Application for Park {
    type Context = ParkingService;
    const NAME: &'static CStr = c"callpark_park";
    const SHORT_DESCRIPTION: &'static CStr = c"Park a call in a slot";
    const LONG_DESCRIPTION: &'static CStr =
        c"On a leg in a bridge parks the other party, says the slot and lets this leg go; otherwise parks this leg, or with held the call that its user holds.";
    const SYNTAX: &'static CStr = c"[held] [<slot>|auto] [<lot>[@<domain>]]";

    fn run(service: Option<Arc<ParkingService>>, leg: Leg<'_>, data: &str) {
        serve(service, leg, |service, leg| {
            // The module runs this application itself on the leg of a parker, after the other party has left the conversation.
            let announced = (data == PARKED_ANNOUNCEMENT).then(|| service.announce(leg)).flatten();
            announced.unwrap_or_else(|| park(service, leg, data))
        });
    }

    fn after_panic(service: Option<Arc<ParkingService>>, leg: Leg<'_>) -> bool {
        super::after_panic(service, leg)
    }
}

fn park(service: &Arc<ParkingService>, leg: &Leg<'_>, data: &str) -> AppResult {
    match arguments::parse_held_order(data) {
        Some(Ok(order)) => service.park_held(leg, &order),
        Some(Err(why)) => service.refuse_invalid(leg, "callpark_park", &why),
        None => match arguments::parse_park_order(data) {
            Ok(order) => service.park(leg, &order),
            Err(why) => service.refuse_invalid_park(leg, "callpark_park", &why),
        },
    }
}
