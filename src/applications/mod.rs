//! The dialplan applications: each parses its arguments and calls the parking service.

mod park;
mod retrieve;
mod slot;
mod words;

#[cfg(feature = "fuzzing")]
pub(crate) use words::{Asked, retrieve_order, slot_order};
pub(crate) use words::{WordsError, lot_name, park_order, shown, slot_name};

use std::sync::Arc;

use crate::freeswitch::{Interfaces, Leg, WayIn, add_application};
use crate::service::{AppResult, ParkingService, log_call};

/// Registers all applications. Returns false if FreeSWITCH refused one.
pub(crate) fn add_all<W: WayIn<ParkingService>>(interfaces: &mut Interfaces<'_>) -> bool {
    [add_application::<park::Park, W>, add_application::<retrieve::Retrieve, W>, add_application::<slot::AtSlot, W>]
        .iter()
        .all(|add| add(interfaces))
}

/// Runs an application's body with the service; without one (the module is on its way out) the leg goes on in its
/// dialplan.
fn serve(
    service: Option<Arc<ParkingService>>,
    leg: Leg<'_>,
    body: impl FnOnce(&Arc<ParkingService>, &Leg<'_>) -> AppResult,
) {
    match service {
        Some(service) => {
            // `uuid_broadcast`, or a key that is bound to an application, can run one on a leg that waits in its slot.
            if let Some(slot) = service.slot_it_waits_in(&leg) {
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

fn after_bug(service: Option<Arc<ParkingService>>, leg: Leg<'_>) -> bool {
    service.is_none_or(|service| service.after_bug(&leg))
}
