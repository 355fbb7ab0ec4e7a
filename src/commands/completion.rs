//! What tab completion offers.

use std::ffi::CStr;

use super::VERBS;
use crate::freeswitch::{Completer, Words};
use crate::service;

/// The slots now taken.
pub(super) struct Slots;

impl Completer for Slots {
    const NAME: &'static CStr = c"::callpark::slots";

    fn words() -> Words {
        let calls = service::current().and_then(|service| service.calls(None).ok()).unwrap_or_default();
        Words(calls.iter().filter(|call| !call.is_unassigned()).map(|call| call.info.slot.to_string()).collect())
    }
}

pub(super) struct Lots;

impl Completer for Lots {
    const NAME: &'static CStr = c"::callpark::lots";

    fn words() -> Words {
        let lots = service::current().map(|service| service.lots()).unwrap_or_default();
        Words(lots.iter().map(|lot| lot.id.to_string()).collect())
    }
}

pub(super) struct Verbs;

impl Completer for Verbs {
    const NAME: &'static CStr = c"::callpark::verbs";

    fn words() -> Words {
        Words(VERBS.iter().map(|verb| verb.name.to_owned()).collect())
    }
}
