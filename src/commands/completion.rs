//! The values that tab completion offers.

use std::ffi::CStr;
use std::sync::Arc;

use super::VERBS;
use crate::freeswitch::Completer;
use crate::service::ParkingService;

/// The occupied slots.
pub(super) struct SlotCompleter;

impl Completer for SlotCompleter {
    type Context = ParkingService;
    const NAME: &'static CStr = c"::callpark::slots";

    fn candidates(service: &Arc<ParkingService>) -> Vec<String> {
        let calls = service.calls(None).unwrap_or_default();
        calls.iter().filter(|call| !call.waits_for_slot()).map(|call| call.info.slot.to_string()).collect()
    }
}

pub(super) struct LotCompleter;

impl Completer for LotCompleter {
    type Context = ParkingService;
    const NAME: &'static CStr = c"::callpark::lots";

    fn candidates(service: &Arc<ParkingService>) -> Vec<String> {
        service.lots().iter().map(|lot| lot.id.to_string()).collect()
    }
}

pub(super) struct VerbCompleter;

impl Completer for VerbCompleter {
    type Context = ParkingService;
    const NAME: &'static CStr = c"::callpark::verbs";

    fn candidates(_: &Arc<ParkingService>) -> Vec<String> {
        VERBS.iter().map(|verb| verb.name.to_owned()).collect()
    }
}
