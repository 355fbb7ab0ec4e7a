//! `callpark_park`

use std::ffi::CStr;

use super::{serve, words};
use crate::freeswitch::{Application, Leg};

pub(crate) struct Park;

impl Application for Park {
    const NAME: &'static CStr = c"callpark_park";
    const SHORT: &'static CStr = c"Park a call in a slot";
    const LONG: &'static CStr =
        c"On a leg in a bridge parks the other party, says the slot and lets this leg go; otherwise parks this leg.";
    const SYNTAX: &'static CStr = c"[<slot>|auto] [<lot>[@<domain>]]";

    fn run(leg: Leg<'_>, data: &str) {
        serve(leg, |service, leg| match words::park_order(data) {
            Ok(order) => service.park(leg, &order),
            Err(why) => service.invalid_park(leg, "callpark_park", why),
        });
    }

    fn after_bug(leg: Leg<'_>) -> bool {
        super::after_bug(leg)
    }
}
