//! Whether a person answered a recall, or a mailbox of this server.

use std::time::Duration;

use crate::host::{self, Cancel, Leg, Located};

/// For how long a dialplan that answers may take until it is clear what it does.
const UNCLEAR: Duration = Duration::from_secs(4);
const LOOK: Duration = Duration::from_millis(20);

/// Watches what this server itself does at the other end of a leg that was answered. A dialplan behind `loopback/` answers before it
/// runs `voicemail`; where it rings somebody instead, that one is connected as they answer.
pub(super) fn is_a_person(peer: &Leg<'_>, cancel: &Cancel) -> bool {
    let Some(mut far) = far_end(peer) else { return true };
    let until = host::now().after(UNCLEAR);
    while host::now() < until && !cancel.cancelled() {
        if peer.hung_up() || far.hung_up() || runs_voicemail(&far) {
            return false;
        }
        if let Some(beyond) = far.partner().and_then(|uuid| Located::find(&uuid)) {
            match far_end(&beyond) {
                Some(next) => far = next,
                None => return true,
            }
        }
        std::thread::sleep(LOOK);
    }
    true
}

/// The other half of a loopback leg.
fn far_end(leg: &Leg<'_>) -> Option<Located> {
    Located::find(&leg.var("other_loopback_leg_uuid")?)
}

/// The application, or a script of that name.
fn runs_voicemail(leg: &Leg<'_>) -> bool {
    match leg.var("current_application").as_deref() {
        Some("voicemail") => true,
        Some("lua" | "javascript" | "perl" | "python" | "python3") => {
            leg.var("current_application_data").is_some_and(|script| script.contains("voicemail"))
        }
        _ => false,
    }
}
