//! Registers a callback for each new leg, which runs on the thread of the leg before anything else can happen to it.

use std::ffi::c_int;
use std::ptr;
use std::sync::Arc;

use super::guard::fence;
use super::in_progress::{self, InProgress};
use super::session::Leg;
use super::state_lookup::StateLookup;
use crate::ffi::{self, switch_state_handler_flag_t as Flag};

/// What is done with a new leg.
pub(crate) trait OnNewLeg {
    type Context;

    /// Whether the callback runs before the endpoint's own. An outbound leg has the variables of its dial string then, and is not called yet.
    const BEFORE_ENDPOINT: bool = false;

    /// After the endpoint's own, an outbound leg has all its variables, and the endpoint has begun to call.
    fn on_new_leg(context: &Arc<Self::Context>, leg: &Leg<'_>);
}

/// The registration of a callback for new legs. Dropping it ends the registration.
pub(crate) struct NewLegs(&'static ffi::switch_state_handler_table_t);

// SAFETY: the table is constant and has no data that its pointers refer to.
unsafe impl Send for NewLegs {}
// SAFETY: as above.
unsafe impl Sync for NewLegs {}

impl NewLegs {
    /// Registers the callback. Returns `None` if the core has no room for it: it accepts 30 from all modules together
    /// (`SWITCH_MAX_STATE_HANDLERS`).
    pub(crate) fn register<H: OnNewLeg, W: StateLookup<H::Context>>() -> Option<NewLegs> {
        // SAFETY: the table is constant, and is removed before the code of this module goes.
        let index: c_int = unsafe { ffi::switch_core_add_state_handler(StateHandlers::<H, W>::TABLE) };
        (index >= 0).then(|| NewLegs(StateHandlers::<H, W>::TABLE))
    }
}

impl Drop for NewLegs {
    fn drop(&mut self) {
        // SAFETY: the core compares the address only.
        unsafe { ffi::switch_core_remove_state_handler(self.0) };
        in_progress::wait_until_none();
    }
}

struct StateHandlers<H, W>(H, W);

impl<H: OnNewLeg, W: StateLookup<H::Context>> StateHandlers<H, W> {
    const TABLE: &'static ffi::switch_state_handler_table_t = &ffi::switch_state_handler_table_t {
        on_init: Some(on_init::<H, W>),
        on_routing: None,
        on_execute: None,
        on_hangup: None,
        on_exchange_media: None,
        on_soft_execute: None,
        on_consume_media: None,
        on_hibernate: None,
        on_reset: None,
        on_park: None,
        on_reporting: None,
        on_destroy: None,
        flags: if H::BEFORE_ENDPOINT { Flag::SSH_FLAG_PRE_EXEC.0 as c_int } else { 0 },
        padding: [ptr::null_mut(); 10],
    };
}

/// Returns success, so that the core continues.
unsafe extern "C" fn on_init<H: OnNewLeg, W: StateLookup<H::Context>>(
    session: *mut ffi::switch_core_session_t,
) -> ffi::switch_status_t {
    let _in_progress = InProgress::begin();
    fence("new leg", (), || {
        // SAFETY: the core calls this on the session's own thread, so the session outlives the call (switch_core_state_machine.c).
        let leg = unsafe { Leg::running(session) };
        if let (Some(leg), Some(context)) = (leg, W::find()) {
            H::on_new_leg(&context, &leg);
        }
    });
    ffi::switch_status_t::SWITCH_STATUS_SUCCESS
}
