//! Offers the interface of mod_valet_parking, so that dialplans and programs that were written for it run unchanged: the application `valet_park`,
//! the command `valet_info` and the event `valet_parking::info`. Calls that come in by it are parked calls like all others.
//!
//! | module | what is there |
//! |---|---|
//! | `data` | parses the data of `valet_park` |
//! | `variables` | what the variables of a leg change of the settings of its lot |
//! | `application`, `ask` | the application, and its question for the slot |
//! | `info` | the command |
//! | `events` | the event |
//! | `lot_names` | the names of lots, as dialplans write them |

mod application;
mod ask;
mod data;
mod events;
mod info;
mod lot_names;
mod variables;

use std::sync::Arc;

use crate::config::ValetCompat;
use crate::freeswitch::{Interfaces, StateLookup, Subclass, add_application, add_command, valet_parking_loaded};
use crate::service::{Observer, ParkingService};
use lot_names::LotNames;

/// The interface, while it is offered.
pub(crate) struct Valet {
    service: Arc<ParkingService>,
    lots: Arc<LotNames>,
}

impl Valet {
    pub(crate) fn new(service: Arc<ParkingService>, lots: Arc<LotNames>) -> Valet {
        Valet { service, lots }
    }
}

/// Makes the observer that publishes the event, and the names of lots for it.
pub(crate) fn observer() -> (Box<dyn Observer>, Arc<LotNames>) {
    let lots = Arc::<LotNames>::default();
    (Box::new(events::ValetEvents::new(Arc::clone(&lots))), lots)
}

/// Registers the interface, if the configuration wants it and mod_valet_parking does not have it. Returns its event subclass.
pub(crate) fn offer<W: StateLookup<Valet>>(interfaces: &mut Interfaces<'_>, compat: ValetCompat) -> Option<Subclass> {
    if compat == ValetCompat::Never || (compat == ValetCompat::Auto && valet_parking_loaded()) {
        return None;
    }
    let subclass = Subclass::reserve(events::INFO);
    if subclass.is_none() {
        log::error!(
            setting = "valet-compat";
            "valet_park is not offered, mod_valet_parking is loaded; remove it from modules.conf.xml and restart FreeSWITCH"
        );
    }
    subclass.filter(|_| {
        add_application::<application::ValetPark, W>(interfaces) && add_command::<info::ValetInfo, W>(interfaces)
    })
}
