//! The PRESENCE_IN event of a lamp: mod_sofia makes the NOTIFYs of it (`sofia_presence.c`).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

use super::lamp::{Lamp, Name};
use crate::host::Event;
use crate::parking::{LampState, Party};

/// One subscription.
pub(super) struct Only {
    pub(super) call_id: String,
    /// The host as the phone wrote it.
    pub(super) host: String,
}

/// Tells those who subscribed to a lamp what it shows; or one of them only.
pub(super) fn tell(name: &Name, lamp: &Lamp, only: Option<&Only>) {
    let hosts = only.map_or_else(|| spellings_of(&name.domain), |only| vec![only.host.clone()]);
    for host in &hosts {
        tell_at(host, name.user(), lamp, only);
    }
}

fn tell_at(host: &str, what: &str, lamp: &Lamp, only: Option<&Only>) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let Some(mut event) = Event::presence() else { return };
    event.set("proto", "park");
    event.set("from", &format!("{what}@{host}"));
    event.set("event_type", "presence");
    event.set("alt_event_type", "dialog");
    event.set("event_count", &COUNT.fetch_add(1, Ordering::Relaxed).to_string());
    event.set("unique-id", what);
    // Without it a profile with presence-disable-early swallows the news that a lamp goes out.
    event.set("variable_answer_epoch", "1");
    if let Some(only) = only {
        event.set("call-id", &only.call_id);
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
                event.set("Caller-Caller-ID-Number", &for_xml(if number.is_empty() { "anonymous" } else { number }));
            }
        }
    }
    event.fire();
}

/// sofia prints names into its XML as they are. Control characters have no form there at all.
fn for_xml(text: &str) -> String {
    quick_xml::escape::escape(text.replace(char::is_control, " ").as_str()).into_owned()
}

/// Hosts of subscriptions that are a domain in other letters: mod_sofia compares them as they are written.
static SPELLINGS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
/// Each is told by an event of its own, so nobody may bring any number of them.
const MOST_SPELLINGS: usize = 50;

pub(super) fn learn_spelling(domain: &str, host: &str) {
    let mut spellings = SPELLINGS.lock();
    if host != domain && host.eq_ignore_ascii_case(domain) && spellings.len() < MOST_SPELLINGS {
        spellings.insert(host.to_owned());
    }
}

/// How a domain was written by those who want to know of its lamps.
fn spellings_of(domain: &str) -> Vec<String> {
    let spellings = SPELLINGS.lock();
    let others = spellings.iter().filter(|host| host.eq_ignore_ascii_case(domain));
    std::iter::once(domain.to_owned()).chain(others.cloned()).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_name_cannot_break_the_xml() {
        assert_eq!(super::for_xml("A&T <\"'\u{1b}"), "A&amp;T &lt;&quot;&apos; ");
    }
}
