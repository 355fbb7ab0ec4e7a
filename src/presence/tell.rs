//! The PRESENCE_IN event of a lamp: mod_sofia makes the NOTIFYs of it (`sofia_presence.c`).

use std::sync::atomic::{AtomicU32, Ordering};

use super::lamp::{Lamp, Name};
use crate::freeswitch::Event;
use crate::parking::{LampState, Party};
use crate::service::Subscription;

/// Fires the events, and counts them as the core's presence events have it.
#[derive(Debug, Default)]
pub(super) struct PresencePublisher {
    count: AtomicU32,
}

impl PresencePublisher {
    /// Tells everybody who subscribed to a lamp what it shows. `spellings`: how some of them write its domain.
    pub(super) fn everybody(&self, name: &Name, lamp: &Lamp, spellings: &[String]) {
        self.tell_at(&name.domain, name.user(), lamp, None);
        for host in spellings {
            self.tell_at(host, name.user(), lamp, None);
        }
    }

    /// Tells one phone.
    pub(super) fn subscriber(&self, name: &Name, lamp: &Lamp, subscription: &Subscription) {
        self.tell_at(&subscription.host, name.user(), lamp, subscription.call_id.as_deref());
    }

    fn tell_at(&self, host: &str, what: &str, lamp: &Lamp, call_id: Option<&str>) {
        let Some(mut event) = Event::presence() else { return };
        event.set("proto", "park");
        event.set("from", &format!("{what}@{host}"));
        event.set("event_type", "presence");
        event.set("alt_event_type", "dialog");
        event.set("event_count", &self.count.fetch_add(1, Ordering::Relaxed).to_string());
        event.set("unique-id", &for_xml(what));
        // Without it a profile with presence-disable-early swallows the news that a lamp goes out.
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
            Lamp::Lit { state, says, caller, login } => {
                event.set("login", login);
                event.set("force-status", says);
                event.set("rpid", "active");
                event.set("channel-state", "CS_ROUTING");
                event.set("answer-state", if *state == LampState::Early { "early" } else { "confirmed" });
                // With a caller, sofia writes a dialog that was called, from that caller; else one with nobody in it.
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

/// sofia prints names into its XML as they are, that of the lamp as well. Control characters have no form there at all.
fn for_xml(text: &str) -> String {
    quick_xml::escape::escape(text.replace(char::is_control, " ").as_str()).into_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_name_cannot_break_the_xml() {
        assert_eq!(super::for_xml("A&T <\"'\u{1b}"), "A&amp;T &lt;&quot;&apos; ");
    }
}
