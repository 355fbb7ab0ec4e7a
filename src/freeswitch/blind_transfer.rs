//! Tells a phone how its blind transfer ended, if it waits for that (`confirm-blind-transfer` of the SIP profile).

use super::session::Leg;
use crate::ffi::{self, switch_bool_t as Bool, switch_status_t as HostStatus};

/// The variable of a transferred leg with the UUID of the leg of the phone.
const TRANSFERRED_BY: &str = "blind_transfer_uuid";

impl Leg<'_> {
    /// Tells the phone that transferred this leg that the transfer has succeeded. Returns the UUID of its leg; `None` if no phone waits.
    pub(crate) fn confirm_transfer(&self) -> Option<String> {
        self.answer_transfer(Bool::SWITCH_TRUE)
    }

    /// Tells the phone that transferred this leg that the transfer has failed. The core connects the two again. Returns false if no phone waits.
    pub(crate) fn refuse_transfer(&self) -> bool {
        self.answer_transfer(Bool::SWITCH_FALSE).is_some()
    }

    fn answer_transfer(&self, success: Bool) -> Option<String> {
        // SAFETY: the session is kept, and this is its own thread. The core keeps the other leg's session meanwhile.
        let status = unsafe { ffi::switch_ivr_blind_transfer_ack(self.as_ptr(), success) };
        if status == HostStatus::SWITCH_STATUS_SUCCESS { self.var(TRANSFERRED_BY) } else { None }
    }
}
