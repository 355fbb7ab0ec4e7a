//! The application `callpark_park`.

use std::ffi::CStr;
use std::sync::Arc;

use super::{serve, words};
use crate::freeswitch::{Application, Leg};
use crate::service::ParkingService;

pub(crate) struct Park;

impl Application for Park {
    type Of = ParkingService;
    const NAME: &'static CStr = c"callpark_park";
    const SHORT: &'static CStr = c"Park a call in a slot";
    const LONG: &'static CStr =
        c"On a leg in a bridge parks the other party, says the slot and lets this leg go; otherwise parks this leg.";
    const SYNTAX: &'static CStr = c"[<slot>|auto] [<lot>[@<domain>]]";

    fn run(service: Option<Arc<ParkingService>>, leg: Leg<'_>, data: &str) {
        serve(service, leg, |service, leg| match words::park_order(data) {
            Ok(order) => service.park(leg, &order),
            Err(why) => service.invalid_park(leg, "callpark_park", &why),
        });
    }

    fn after_bug(service: Option<Arc<ParkingService>>, leg: Leg<'_>) -> bool {
        super::after_bug(service, leg)
    }
}
