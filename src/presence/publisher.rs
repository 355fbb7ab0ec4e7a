//! Sends the PRESENCE_IN event of a lamp, from which mod_sofia makes the NOTIFYs (`sofia_presence.c`).

use std::iter;
use std::sync::atomic::{AtomicU32, Ordering};

use super::lamp::{Lamp, LampName, LampTarget};
use crate::freeswitch::Event;
use crate::parking::{LampState, Party};
use crate::service::{Subscription, for_xml};

/// The protocol of a subscription to `park+701`, or to a number that the presence map has.
const PARK: &str = "park";
/// The protocol of a subscription to plain `701`, which mod_sofia takes for the number of a user.
const PLAIN: &str = "sip";

/// Fires the events, and counts them as the core's presence events have it.
#[derive(Debug, Default)]
pub(super) struct PresencePublisher {
    count: AtomicU32,
}

impl PresencePublisher {
    /// Sends a state to all phones that have subscribed to a lamp. `spellings` are other spellings of its domain.
    pub(super) fn send_to_all(&self, name: &LampName, lamp: &Lamp, spellings: &[String]) {
        for host in iter::once(&*name.domain).chain(spellings.iter().map(String::as_str)) {
            self.send(PARK, host, name.user(), lamp, None);
            if let LampTarget::Slot(_) = name.target {
                self.send(PLAIN, host, name.user(), lamp, None);
            }
        }
    }

    /// Sends a state to one phone.
    pub(super) fn send_to_subscriber(&self, name: &LampName, lamp: &Lamp, subscription: &Subscription) {
        let proto = if subscription.is_plain { PLAIN } else { PARK };
        self.send(proto, &subscription.host, name.user(), lamp, subscription.call_id.as_deref());
    }

    fn send(&self, proto: &str, host: &str, what: &str, lamp: &Lamp, call_id: Option<&str>) {
        let Some(mut event) = Event::presence() else { return };
        event.set("proto", proto);
        event.set("from", &format!("{what}@{host}"));
        event.set("event_type", "presence");
        event.set("alt_event_type", "dialog");
        event.set("event_count", &self.count.fetch_add(1, Ordering::Relaxed).to_string());
        event.set("unique-id", &for_xml(what));
        // Without this, a profile with presence-disable-early does not notify that a lamp goes dark.
        event.set("variable_answer_epoch", "1");
        if let Some(call_id) = call_id {
            event.set("call-id", call_id);
        }
        match lamp {
            Lamp::Dark => {
                event.set("force-status", "Empty");
                event.set("rpid", "unknown");
                event.set("channel-state", "CS_HANGUP");
                event.set("answer-state", "terminated");
                event.set("presence-call-direction", "inbound");
            }
            Lamp::Lit { state, note, caller, login } => {
                event.set("login", login);
                event.set("force-status", note);
                event.set("rpid", "active");
                event.set("channel-state", "CS_ROUTING");
                event.set("answer-state", if *state == LampState::Early { "early" } else { "confirmed" });
                // With a caller, mod_sofia writes the caller as the remote party of the dialog; otherwise the dialog has none.
                event.set("presence-call-direction", if caller.is_some() { "outbound" } else { "inbound" });
                if let Some(Party { name, number }) = caller.as_deref() {
                    event.set("Caller-Caller-ID-Name", &for_xml(name));
                    event
                        .set("Caller-Caller-ID-Number", &for_xml(if number.is_empty() { "anonymous" } else { number }));
                }
            }
        }
        event.fire();
    }
}
