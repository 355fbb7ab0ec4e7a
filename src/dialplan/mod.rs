//! The dialplan `callpark`: it answers the numbers of the lots, so that they are written in callpark.conf.xml only.
//!
//! A SIP profile with `dialplan` = `callpark,XML` asks it before the XML dialplan. Every other number goes on to XML.

mod spelling;

use std::ffi::CStr;
use std::sync::Arc;

use crate::freeswitch::{Dialplan, DialplanStep, Interfaces, Leg, StateLookup, add_dialplan};
use crate::parking::Number;
use crate::service::{ParkingService, log_call};

/// Registers the dialplan. Returns false if FreeSWITCH refused.
pub(crate) fn add<W: StateLookup<ParkingService>>(interfaces: &mut Interfaces<'_>) -> bool {
    add_dialplan::<CallPark, W>(interfaces)
}

struct CallPark;

impl Dialplan for CallPark {
    type Context = ParkingService;
    const NAME: &'static CStr = c"callpark";

    fn find(service: &Arc<ParkingService>, leg: &Leg<'_>, number: &str) -> Option<DialplanStep> {
        let readings = spelling::readings(number, |variable| leg.var(variable));
        let texts = readings.iter().map(|reading| (reading.text.as_str(), reading.may_be_lot));
        let (text, number) = service.number_of(leg, texts)?;
        let is_pickup = readings.iter().any(|reading| reading.text == text && reading.is_pickup);
        let step = step(number, is_pickup, || service.is_brought(leg));
        log_call!(Debug, leg, application = step.application.to_string_lossy(), data = step.data; "number belongs to a lot");
        Some(step)
    }
}

/// The application for a number. Its data names the lot, which the service has found already.
fn step(number: Number, is_pickup: bool, is_brought: impl FnOnce() -> bool) -> DialplanStep {
    let (application, data) = match number {
        Number::Slot(slot, lot) if is_pickup => (c"callpark_retrieve", format!("{slot} {lot}")),
        Number::Slot(slot, lot) => (c"callpark_slot", format!("{slot} {lot}")),
        Number::Park(lot) => (c"callpark_park", format!("auto {lot}")),
        Number::Oldest(lot) => (c"callpark_retrieve", format!("oldest {lot}")),
        Number::Ask(lot) => (c"callpark_retrieve", format!("ask {lot}")),
        Number::Lot(lot) if is_brought() => (c"callpark_park", format!("auto {lot}")),
        Number::Lot(lot) => (c"callpark_retrieve", format!("oldest {lot}")),
    };
    DialplanStep { application, data }
}
