//! Handles a leg after a panic on its thread, which is a bug. A caller in a slot stays there, and the claims of the leg are released.

use std::sync::Arc;

use crate::freeswitch::Leg;
use crate::service::ParkingService;
use crate::service::call_log::log_call;

impl ParkingService {
    /// Lets a parked caller wait on. Returns true if the application of the leg need not run again.
    pub(crate) fn after_panic(self: &Arc<Self>, leg: &Leg<'_>) -> bool {
        let uuid = leg.uuid();
        self.change(|table, now| table.release_all(&uuid, now));
        let Some(call) = self.call_of(&uuid).filter(|call| call.is_here()) else { return !leg.ready() };
        if call.is_reserved() {
            self.end_on_the_way(&uuid);
            return !leg.ready();
        }
        log_call!(Error, &call; "call waits on after a panic on its thread, which is a bug in mod_callpark");
        let commands = self.leg_commands.open(&uuid);
        if !commands.has_command() {
            self.change(|table, now| table.return_to_waiting(&uuid, now));
        }
        self.wait_loop(leg, &call, &commands);
        true
    }
}
