//! Finds out whether a person or a voicemail of this server has answered a recall.

use std::time::Duration;

use crate::freeswitch::{self, CancelToken, Leg, SessionGuard};

/// How long a dialplan that has answered may take until it is clear what it does.
const ANSWERER_CHECK_TIMEOUT: Duration = Duration::from_secs(4);
const ANSWERER_CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// Watches what this server itself does at the other end of a leg that was answered. A dialplan behind `loopback/` answers before it
/// runs `voicemail`, and so may one that is reached by SIP; where it rings somebody instead, that one is connected as they answer.
pub(super) fn is_a_person(peer: &Leg<'_>, cancel: &CancelToken) -> bool {
    let Some(mut far) = far_end(peer) else { return true };
    let until = freeswitch::now().after(ANSWERER_CHECK_TIMEOUT);
    while freeswitch::now() < until && !cancel.cancelled() {
        if peer.hung_up() || far.hung_up() || runs_voicemail(&far) {
            return false;
        }
        if let Some(beyond) = far.partner().and_then(|uuid| SessionGuard::find(&uuid)) {
            match far_end(&beyond) {
                Some(next) => far = next,
                None => return true,
            }
        }
        std::thread::sleep(ANSWERER_CHECK_INTERVAL);
    }
    true
}

/// The leg of this server at the other end: the other half of a loopback leg, or, where SIP leads back here, the leg that came in by the
/// same dialog.
fn far_end(leg: &Leg<'_>) -> Option<SessionGuard> {
    let looped = leg.var("other_loopback_leg_uuid").and_then(|uuid| SessionGuard::find(&uuid));
    looped.or_else(|| came_in_by(&leg.var("sip_call_id").filter(|_| leg.outbound())?))
}

/// A proxy on the way keeps the Call-ID. The core finds no leg by it, so all of them are asked: once for a recall that is answered.
fn came_in_by(call_id: &str) -> Option<SessionGuard> {
    let comes = |leg: &SessionGuard| !leg.outbound() && leg.var("sip_call_id").as_deref() == Some(call_id);
    freeswitch::all_legs().iter().filter_map(|uuid| SessionGuard::find(uuid)).find(comes)
}

/// Whether an application is a voicemail, or runs a script of that name.
fn runs_voicemail(leg: &Leg<'_>) -> bool {
    match leg.var("current_application").as_deref() {
        Some("voicemail") => true,
        Some("lua" | "javascript" | "perl" | "python" | "python3") => {
            leg.var("current_application_data").is_some_and(|script| script.contains("voicemail"))
        }
        _ => false,
    }
}
