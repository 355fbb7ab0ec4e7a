//! `callpark_slot`

use std::ffi::CStr;

use super::{serve, words};
use crate::freeswitch::{Application, Leg};

pub(crate) struct AtSlot;

impl Application for AtSlot {
    const NAME: &'static CStr = c"callpark_slot";
    const SHORT: &'static CStr = c"Park in a slot what is transferred to it, retrieve from it who dials it";
    const LONG: &'static CStr = c"One extension for both: a leg that a transfer brought is parked, one that dialled takes the call parked there.";
    const SYNTAX: &'static CStr = c"<slot> [<lot>[@<domain>]]";

    fn run(leg: Leg<'_>, data: &str) {
        serve(leg, |service, leg| match words::slot_order(data) {
            Ok((park, retrieve)) => service.at_slot(leg, &park, &retrieve),
            Err(why) => service.invalid_park(leg, "callpark_slot", why),
        });
    }

    fn after_bug(leg: Leg<'_>) -> bool {
        super::after_bug(leg)
    }
}
