//! Finds out whether a person or a voicemail of this server has answered a recall.

use std::time::Duration;

use crate::freeswitch::{self, CancelToken, Leg, SessionGuard};

/// How long a dialplan that has answered may take until it is clear what it does.
const ANSWERER_CHECK_TIMEOUT: Duration = Duration::from_secs(4);
const ANSWERER_CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// Whether a person has answered a leg. Checks what this server itself runs at the other end: a dialplan behind `loopback/`, or one that is reached
/// by SIP, may answer before it runs `voicemail`; if it rings a phone instead, the leg of that phone is bridged when it answers.
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

/// Returns the leg of this server at the other end: the other half of a loopback leg, or, if the SIP call leads back to this server, its inbound
/// leg.
fn far_end(leg: &Leg<'_>) -> Option<SessionGuard> {
    let looped = leg.var("other_loopback_leg_uuid").and_then(|uuid| SessionGuard::find(&uuid));
    looped.or_else(|| came_in_by(&leg.var("sip_call_id").filter(|_| leg.outbound())?))
}

/// Finds the inbound leg with this Call-ID, which a proxy does not change. The core cannot find a leg by it, so all legs are checked, once for each
/// answered recall.
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
