//! Tells the slot to a parker who has parked the other party of a conversation.
//!
//! The parker's leg leaves the bridge first. If it stayed there, the core would let a caller who had made the call go to the slot only after the
//! announcement (`switch_ivr_multi_threaded_bridge` waits for the thread of the leg that was called), and the caller would hear silence until then.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::enter_slot::name_slot;
use crate::freeswitch::{self, HangupCause, Leg, PlayToEnd};
use crate::parking::Call;
use crate::service::{AppResult, ParkingService, Prompt};

/// The application that announces the slot, with data that no user can mean.
const APPLICATION: &str = "callpark_park:announce";
/// The data of the application.
pub(crate) const DATA: &str = "announce";

/// The calls whose slots are to be told, by the UUID of the leg that parked them.
#[derive(Debug, Default)]
pub(in crate::service) struct Announcements(Mutex<HashMap<String, Call>>);

impl Announcements {
    pub(in crate::service) fn forget(&self, uuid: &str) {
        self.0.lock().remove(uuid);
    }
}

impl ParkingService {
    /// Takes the leg of a parker out of its bridge, tells it the slot of a call, and hangs it up.
    pub(super) fn release_parker(&self, leg: &Leg<'_>, call: &Call) -> AppResult {
        show_parked(leg, call);
        self.announcements.0.lock().insert(leg.uuid(), call.clone());
        if !leg.transfer(APPLICATION, Some("inline"), None) {
            self.announce(leg);
        }
        AppResult::Parked
    }

    /// Tells the slot of the call that this leg has parked, and hangs the leg up. Returns `None` if it has parked none.
    pub(crate) fn announce(&self, leg: &Leg<'_>) -> Option<AppResult> {
        let call = self.announcements.0.lock().remove(&leg.uuid())?;
        self.tell_slot(leg, &call);
        leg.hang_up(HangupCause::NormalClearing);
        Some(AppResult::Parked)
    }

    /// Tells the slot of a call to a leg.
    pub(super) fn tell_slot(&self, leg: &Leg<'_>, call: &Call) {
        let settings = &call.info.settings;
        if let Some(tone) = settings.park_tone.as_deref().filter(|_| leg.ready()) {
            leg.play(tone, &mut PlayToEnd);
        }
        if settings.announce && leg.ready() {
            self.say(leg, Prompt::AnnounceSlot, call.info.slot.as_str(), &mut PlayToEnd);
        }
    }
}

/// Writes to the leg of a parker what was parked, and shows the slot there.
pub(super) fn show_parked(leg: &Leg<'_>, call: &Call) {
    name_slot(leg, call);
    freeswitch::api("uuid_display", &format!("{} Park {slot}|{slot}", leg.uuid(), slot = call.info.slot));
}
