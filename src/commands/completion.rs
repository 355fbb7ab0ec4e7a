//! The values that tab completion offers.

use std::ffi::CStr;
use std::sync::Arc;

use super::VERBS;
use crate::freeswitch::{Completer, Words};
use crate::service::ParkingService;

/// The occupied slots.
pub(super) struct Slots;

impl Completer for Slots {
    type Of = ParkingService;
    const NAME: &'static CStr = c"::callpark::slots";

    fn words(service: &Arc<ParkingService>) -> Words {
        let calls = service.calls(None).unwrap_or_default();
        Words(calls.iter().filter(|call| !call.is_unassigned()).map(|call| call.info.slot.to_string()).collect())
    }
}

pub(super) struct Lots;

impl Completer for Lots {
    type Of = ParkingService;
    const NAME: &'static CStr = c"::callpark::lots";

    fn words(service: &Arc<ParkingService>) -> Words {
        Words(service.lots().iter().map(|lot| lot.id.to_string()).collect())
    }
}

pub(super) struct Verbs;

impl Completer for Verbs {
    type Of = ParkingService;
    const NAME: &'static CStr = c"::callpark::verbs";

    fn words(_: &Arc<ParkingService>) -> Words {
        Words(VERBS.iter().map(|verb| verb.name.to_owned()).collect())
    }
}
