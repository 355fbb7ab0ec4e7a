//! Saves legs for their recovery after a crash, and corrects the SIP dialog of a recovered leg.

use std::ffi::{CStr, c_int};

use super::guard::fence;
use super::in_progress::{self, InProgress};
use super::session::Leg;
use crate::ffi;

/// The variable with the tag of the far end, which does not change during the dialog.
const REMOTE_TAG: &str = "callpark_far_tag";
/// The variable that names the callback which the core calls for a recovered leg after that of the endpoint.
const RECOVERER: &str = "secondary_recovery_module";
const NAME: &CStr = c"mod_callpark";

impl Leg<'_> {
    /// Saves the present state of the leg for `sofia recover`. The core itself does so only when a leg is answered, bridged or unbridged
    /// (`switch_core_sqldb.c`). Nothing is saved for a leg without `track-calls`.
    pub(crate) fn save_for_recovery(&self) {
        // SAFETY: the session is kept; the core copies what it saves.
        unsafe { ffi::switch_core_recovery_track(self.as_ptr()) };
    }

    /// Prepares the leg to be recovered with the correct From and To.
    ///
    /// `sofia recover` takes both from the last INVITE, and exchanges them if any earlier INVITE had the opposite direction of the first: mod_sofia
    /// sets that flag and never removes it (`sofia_recover_callback` in `sofia_glue.c`). So after a re-INVITE from each side they are exchanged
    /// wrongly, and the far end answers 481.
    pub(crate) fn note_dialog(&self) {
        if self.var(REMOTE_TAG).is_some() || self.var(RECOVERER).is_some() {
            return;
        }
        let header = if self.sent_last_invite() { "sip_full_to" } else { "sip_full_from" };
        if let Some(tag) = self.var(header).as_deref().and_then(tag) {
            self.set_var(REMOTE_TAG, tag);
            self.set_var(RECOVERER, &NAME.to_string_lossy());
        }
    }

    /// Whether this server sent the last INVITE of the dialog. If both sides have sent some, the flag of mod_sofia does not tell; but the caller
    /// profile of an inbound leg still has the user from whom the first INVITE came.
    fn sent_last_invite(&self) -> bool {
        let swapped = self.var("dlg_req_swap_direction").is_some();
        if self.outbound() || !swapped {
            return self.outbound() != swapped;
        }
        let caller = self.var("username");
        self.var("sip_from_user") != caller || self.var("sip_to_user") == caller
    }

    /// Sets From and To of the re-INVITE that recovers the leg.
    fn set_recovery_dialog(&self) {
        let Some(far) = self.var(REMOTE_TAG) else { return };
        let (Some(from), Some(to)) = (self.var("sip_full_from"), self.var("sip_full_to")) else { return };
        let (ours, theirs) = match (tag(&from), tag(&to)) {
            (Some(from_tag), _) if from_tag == far => (to, from),
            (_, Some(to_tag)) if to_tag == far => (from, to),
            _ => return,
        };
        self.set_var("sip_handle_full_from", &ours);
        self.set_var("sip_handle_full_to", &theirs);
    }
}

/// Returns the tag of a From or To header. A tag is a token (RFC 3261), so it contains no quotes or semicolons.
fn tag(header: &str) -> Option<&str> {
    // The text before the last `>` is the address and a display name, which anybody may have chosen.
    let parameters = header.rsplit_once('>').map_or(header, |(_, parameters)| parameters);
    parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("tag="))
}

/// The registration of the callback for recovered legs. Dropping it unregisters the callback.
pub(crate) struct Recoverer(());

impl Recoverer {
    pub(crate) fn register() -> Recoverer {
        // SAFETY: the name is static; the function is code of this module, and is unregistered before that goes.
        unsafe { ffi::switch_core_register_secondary_recover_callback(NAME.as_ptr(), Some(on_recovered)) };
        Recoverer(())
    }
}

impl Drop for Recoverer {
    fn drop(&mut self) {
        // SAFETY: a static text.
        unsafe { ffi::switch_core_unregister_secondary_recover_callback(NAME.as_ptr()) };
        in_progress::wait_until_none();
    }
}

/// The callback. The core continues with the leg if it returns a positive value.
unsafe extern "C" fn on_recovered(session: *mut ffi::switch_core_session_t) -> c_int {
    let _in_progress = InProgress::begin();
    fence("recovered leg", (), || {
        // SAFETY: the core has just made the session, and runs it only after this returns.
        if let Some(leg) = unsafe { Leg::running(session) } {
            leg.set_recovery_dialog();
        }
    });
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_a_parameter_of_the_header_only() {
        for (header, expected) in [
            ("<sip:1001@a.test>;tag=K520F778XDcpB", Some("K520F778XDcpB")),
            ("\";tag=x> <\" <sip:1001@a.test;tag=y>;a=b;tag=z", Some("z")),
            ("sip:1001@a.test;tag=z", Some("z")),
            ("<sip:1001@a.test;tag=y>", None),
            ("", None),
        ] {
            assert_eq!(tag(header), expected, "{header}");
        }
    }
}
