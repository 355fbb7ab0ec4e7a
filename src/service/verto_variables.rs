//! Keeps a Verto client from setting the variables by which the module decides.
//!
//! A Verto client can name channel variables when it logs in (`userVariables`), which mod_verto sets on the client's legs like those of the directory.
//! Later, nobody can tell them from those that the dialplan has set. So they are removed when a leg begins:
//!
//! - On a call that a client makes, mod_verto sets all variables before the leg has a thread, and no dialplan has run yet. The module removes the
//!   variables of the table below, and lets the core set those of the client's user in the directory again.
//! - On a call to a client, and on a leg that is recovered after a crash, mod_verto sets them over those of the dial string or of the crashed leg, when it
//!   calls the client (`verto_connect`). The module notes the values before that, and restores them after it. When the client answers, mod_verto
//!   lets the core set those of the directory.

use std::collections::HashMap;
use std::ffi::CStr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::ParkingService;
use super::call_log::log_call;
use super::identity::{is_verto, user_of_verto_client};
use crate::freeswitch::{Leg, NewLegs, OnNewLeg, StateLookup, VariableValues};

/// The variables that a client cannot set.
pub(crate) const PROTECTED: &[&CStr] = &[
    // what a dialplan may say of a parked call
    c"callpark_announce",
    c"callpark_fallback",
    c"callpark_hold_music",
    c"callpark_label",
    c"callpark_parker",
    c"callpark_ringback",
    c"callpark_ringback_timeout",
    c"callpark_timeout",
    c"valet_announce_slot",
    c"valet_ext_max",
    c"valet_ext_min",
    c"valet_ext_prompt",
    c"valet_ext_to",
    c"valet_hold_music",
    c"valet_parking_orbit_context",
    c"valet_parking_orbit_dialplan",
    c"valet_parking_orbit_exit_key",
    c"valet_parking_orbit_exten",
    c"valet_parking_timeout",
    // what the module says of a parked call
    c"callpark_domain",
    c"callpark_lot",
    c"callpark_outcome",
    c"callpark_parked_at",
    c"callpark_result",
    c"callpark_retriever",
    c"callpark_ringback_cause",
    c"callpark_slot",
    c"callpark_wait_ms",
    c"valet_lot_extension",
    c"valet_parking_lot",
    // what the module notes for itself
    c"callpark_answered_by",
    c"callpark_hand_over",
    c"callpark_join",
    c"callpark_last_names",
    c"callpark_last_peer",
    c"callpark_last_talk",
    c"callpark_last_user",
    c"callpark_last_vouched",
    c"callpark_last_way",
    c"callpark_left_behind",
    c"callpark_page",
    c"callpark_parker_noted",
    c"callpark_vouched_user",
    c"callpark_stay",
    // what FreeSWITCH says of how a call came about, by which the module identifies the parker
    c"dialed_domain",
    c"dialed_user",
    c"last_bridge_to",
    c"originating_leg_uuid",
    c"refer_uuid",
    c"sip_h_Referred-By",
    c"sip_redirected_to",
    c"sip_refer_to",
    c"transfer_disposition",
    // prevents that the core sets the user when the client answers
    c"verto_skip_set_user",
];

/// The values of the variables of legs that mod_verto is just calling, by UUID.
#[derive(Debug, Default)]
pub(super) struct VertoLegs(Mutex<HashMap<String, VariableValues>>);

impl VertoLegs {
    /// Forgets a leg that has hung up before mod_verto could call the client.
    pub(super) fn forget(&self, uuid: &str) {
        self.0.lock().remove(uuid);
    }
}

/// Registers the callbacks for the legs of Verto clients.
pub(crate) fn on_verto_leg<W: StateLookup<ParkingService>>() -> Option<[NewLegs; 2]> {
    Some([NewLegs::register::<BeforeVerto, W>()?, NewLegs::register::<AfterVerto, W>()?])
}

struct BeforeVerto;

impl OnNewLeg for BeforeVerto {
    type Context = ParkingService;
    const BEFORE_ENDPOINT: bool = true;

    fn on_new_leg(service: &Arc<ParkingService>, leg: &Leg<'_>) {
        if !is_verto(leg) {
            return;
        }
        let values = VariableValues::of(leg, PROTECTED);
        if leg.outbound() || leg.is_recovering() {
            service.verto_legs.0.lock().insert(leg.uuid(), values);
        } else {
            remove(leg, &values);
        }
    }
}

struct AfterVerto;

impl OnNewLeg for AfterVerto {
    type Context = ParkingService;

    fn on_new_leg(service: &Arc<ParkingService>, leg: &Leg<'_>) {
        let values = service.verto_legs.0.lock().remove(&leg.uuid());
        if let Some(values) = values {
            values.restore(leg);
        }
    }
}

/// Removes the variables of a call that a client makes, but for those of the directory. The directory is asked only if some were set.
fn remove(leg: &Leg<'_>, values: &VariableValues) {
    let removed = values.remove(leg);
    if removed.is_empty() {
        return;
    }
    log_call!(Debug, leg, variables = removed.len(); "removed variables that a Verto client may have set");
    if let Some(user) = user_of_verto_client(leg) {
        leg.set_user(&user);
    }
}
