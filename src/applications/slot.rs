//! The application `callpark_slot`.

use std::ffi::CStr;
use std::sync::Arc;

use super::{arguments, serve};
use crate::freeswitch::{Application, Leg};
use crate::service::ParkingService;

pub(crate) struct ParkOrRetrieve;

impl Application for ParkOrRetrieve {
    type Context = ParkingService;
    const NAME: &'static CStr = c"callpark_slot";
    const SHORT_DESCRIPTION: &'static CStr =
        c"Park a call that is transferred to a slot, or retrieve the call from a slot that is dialled";
    const LONG_DESCRIPTION: &'static CStr = c"One extension for both: a leg that was transferred is parked, and a leg that dialled is connected with the call parked there.";
    const SYNTAX: &'static CStr = c"<slot> [<lot>[@<domain>]]";

    fn run(service: Option<Arc<ParkingService>>, leg: Leg<'_>, data: &str) {
        serve(service, leg, |service, leg| match arguments::parse_slot_order(data) {
            Ok((park, retrieve)) => service.park_or_retrieve(leg, &park, &retrieve),
            Err(why) => service.refuse_invalid_park(leg, "callpark_slot", &why),
        });
    }

    fn after_panic(service: Option<Arc<ParkingService>>, leg: Leg<'_>) -> bool {
        super::after_panic(service, leg)
    }
}
