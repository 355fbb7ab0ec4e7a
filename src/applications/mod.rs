//! The dialplan applications: each parses its arguments and calls the parking service.

mod arguments;
mod feature_code;
mod park;
mod retrieve;
mod slot;

pub(crate) use arguments::{
    ArgumentError, parse_dialled_slot, parse_lot_name, parse_park_order, parse_slot, quote_argument,
};
#[cfg(feature = "fuzzing")]
pub(crate) use arguments::{RetrieveArgument, parse_retrieve_order, parse_slot_order};

use std::sync::Arc;

use crate::freeswitch::{Interfaces, Leg, StateLookup, add_application};
use crate::service::{AppResult, ParkingService, log_call};

/// Registers all applications. Returns false if FreeSWITCH refused one.
pub(crate) fn add_all<W: StateLookup<ParkingService>>(interfaces: &mut Interfaces<'_>) -> bool {
    [
        add_application::<park::Park, W>,
        add_application::<retrieve::Retrieve, W>,
        add_application::<slot::ParkOrRetrieve, W>,
        add_application::<feature_code::PressedFeatureCode, W>,
    ]
    .iter()
    .all(|add| add(interfaces))
}

/// Runs the body of an application with the service. If the module is being unloaded, there is no service, and the leg continues in its
/// dialplan.
pub(crate) fn serve(
    service: Option<Arc<ParkingService>>,
    leg: Leg<'_>,
    body: impl FnOnce(&Arc<ParkingService>, &Leg<'_>) -> AppResult,
) {
    match service {
        Some(service) => {
            // `uuid_broadcast`, or a key that is bound to an application, can run an application on a leg that waits in its slot.
            if let Some(slot) = service.slot_of_waiting_leg(&leg) {
                return log_call!(Warning, &leg, slot = slot; "leg waits in its slot, it runs no application beside that");
            }
            if service.resume(&leg).is_none() {
                body(&service, &leg);
            }
        }
        None => {
            log_call!(Error, &leg; "module is not loaded, the leg goes on in its dialplan");
            leg.set_var("callpark_result", "invalid");
        }
    }
}

pub(crate) fn after_panic(service: Option<Arc<ParkingService>>, leg: Leg<'_>) -> bool {
    service.is_none_or(|service| service.after_panic(&leg))
}
