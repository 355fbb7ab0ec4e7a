//! What the core saves of a leg, and how its SIP dialog is put right when it is recovered.

use std::ffi::{CStr, c_int};

use super::guard::fence;
use super::in_progress::{self, InProgress};
use super::session::Leg;
use crate::ffi;

/// On a leg whose dialog this module knows: the tag of the far end, which stays the same for as long as the dialog lasts.
const FAR_TAG: &str = "callpark_far_tag";
/// Names the function that the core asks about a recovered leg, after its endpoint.
const RECOVERER: &str = "secondary_recovery_module";
const NAME: &CStr = c"mod_callpark";

impl Leg<'_> {
    /// Saves what `sofia recover` would bring back of the leg, as it is now. The core itself does so only when a leg is answered,
    /// bridged or unbridged (`switch_core_sqldb.c`); of a leg that may not be recovered nothing is saved.
    pub(crate) fn save_for_recovery(&self) {
        // SAFETY: the session is kept; the core copies what it saves.
        unsafe { ffi::switch_core_recovery_track(self.as_ptr()) };
    }

    /// Sees to it that the leg is recovered with From and To the right way round.
    ///
    /// `sofia recover` takes both from the last INVITE, and exchanges them if any INVITE before went the other way than the first: mod_sofia
    /// sets that flag and never takes it away (`sofia_recover_callback` in `sofia_glue.c`). So once each side has sent a re-INVITE,
    /// they are exchanged, and the far end answers 481 to what recovers its call.
    pub(crate) fn note_dialog(&self) {
        if self.var(FAR_TAG).is_some() || self.var(RECOVERER).is_some() {
            return;
        }
        let header = if self.sent_last_invite() { "sip_full_to" } else { "sip_full_from" };
        if let Some(tag) = self.var(header).as_deref().and_then(tag) {
            self.set_var(FAR_TAG, tag);
            self.set_var(RECOVERER, &NAME.to_string_lossy());
        }
    }

    /// Whether the last INVITE within the call was this server's, as far as mod_sofia tells. Where both sides have sent some, its flag
    /// says nothing; but the caller profile of an inbound leg still has the user whom the first INVITE was from.
    fn sent_last_invite(&self) -> bool {
        let swapped = self.var("dlg_req_swap_direction").is_some();
        if self.outbound() || !swapped {
            return self.outbound() != swapped;
        }
        let caller = self.var("username");
        self.var("sip_from_user") != caller || self.var("sip_to_user") == caller
    }

    /// From and To of the re-INVITE by which the leg is recovered.
    fn right_dialog(&self) {
        let Some(far) = self.var(FAR_TAG) else { return };
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

/// The tag of a From or To header. A tag is a token (RFC 3261): it has neither quotes nor semicolons.
fn tag(header: &str) -> Option<&str> {
    // What stands before the last `>` is the address, and a name that anybody may have chosen.
    let parameters = header.rsplit_once('>').map_or(header, |(_, parameters)| parameters);
    parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("tag="))
}

/// The core asks about recovered legs; taken back when dropped.
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

/// The core goes on with the leg if the answer is positive.
unsafe extern "C" fn on_recovered(session: *mut ffi::switch_core_session_t) -> c_int {
    let _in_progress = InProgress::begin();
    fence("recovered leg", (), || {
        // SAFETY: the core has just made the session, and runs it only after this returns.
        if let Some(leg) = unsafe { Leg::running(session) } {
            leg.right_dialog();
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
