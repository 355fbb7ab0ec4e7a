//! Lamps: a slot, or a lot, as a phone's key shows it.
//!
//! A PRESENCE_IN event is all it takes: mod_sofia makes the NOTIFYs of it (`sofia_presence.c`). The same slot may change on
//! several threads at once, and the last event must tell the last state: so each thread looks again after it has told, and
//! tells again if the slot looks different by then.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::attendant::{self, Attendant, Witness};
use crate::host::{Binding, Event, Kind, OnEvent, Told, global, module_loaded};
use crate::parking::{LampState, Look, LotId, LotLook, Party, Slot, Touched};

/// More lamps than this are not lit one by one when FreeSWITCH starts; phones ask when they subscribe again.
const MOST_AT_ONCE: usize = 2000;

pub(crate) struct Lamps;

impl Witness for Lamps {
    fn touched(&self, attendant: &Attendant, slots: &[Touched]) {
        let mut told: Vec<&Touched> = Vec::new();
        for touched in slots {
            if !told.contains(&touched) {
                show_slot(attendant, &touched.0.domain, &touched.1, None);
                show_lot(attendant, &touched.0.domain, &touched.0.name, None);
                told.push(touched);
            }
        }
    }
}

/// Every lamp as it is now: phones may still show what was true before a restart.
pub(crate) fn light_all() {
    let Some(attendant) = attendant::on_duty() else { return };
    let slots = attendant.every_slot(&global("domain").unwrap_or_default().to_lowercase());
    if slots.len() <= MOST_AT_ONCE {
        Lamps.touched(&attendant, &slots);
    }
}

/// Both modules would answer every phone that subscribes, and contradict each other.
pub(crate) fn warn_of_rival() {
    if module_loaded("mod_valet_parking") {
        log::warn!(
            "mod_valet_parking is loaded too and answers every subscription to park+<slot> with \"free\": lamps of taken \
             slots will go out; unload it and take it out of modules.conf.xml"
        );
    }
}

pub(crate) fn on_probe() -> Option<Binding> {
    Binding::bind::<Probe>()
}

pub(crate) fn on_profile() -> Option<Binding> {
    Binding::bind::<Profile>()
}

/// A phone subscribed: it alone is told the present state.
struct Probe;

impl OnEvent for Probe {
    const KIND: Kind = Kind::PresenceProbe;

    fn happened(event: &Told<'_>) {
        let Some(to) = event.get("to") else { return };
        let Some((wanted, host)) = to.strip_prefix("park+").and_then(|to| to.split_once('@')) else { return };
        // An unsubscription asks too, and sofia has ended it by now.
        if event.get("expires").as_deref() == Some("0") {
            return;
        }
        let (Some(attendant), call_id) = (attendant::on_duty(), event.get("sub-call-id")) else { return };
        let only = call_id.map(|call_id| Only { call_id, host: host.to_owned() });
        let domain = attendant.domain_meant(host);
        match Slot::parse(wanted) {
            Some(slot) => show_slot(&attendant, &domain, &slot, only.as_ref()),
            None => show_lot(&attendant, &domain, wanted, only.as_ref()),
        };
    }
}

/// A SIP profile started, perhaps with subscriptions from before a restart.
struct Profile;

impl OnEvent for Profile {
    const KIND: Kind = Kind::Custom(c"sofia::profile_start");

    fn happened(_: &Told<'_>) {
        light_all();
    }
}

/// One subscription.
struct Only {
    call_id: String,
    /// The host as the phone wrote it.
    host: String,
}

fn show_slot(attendant: &Attendant, domain: &str, slot: &Slot, only: Option<&Only>) {
    let look = || attendant.look(domain, slot);
    let mut seen = look();
    loop {
        let (lot, shown) = match &seen {
            Some((lot, shown)) => (Some(lot), shown),
            // Of a slot that there is not, phones are told nothing; one that a reload took away goes dark.
            None if only.is_some() => return,
            None => (None, &Look::Free),
        };
        let login = lot.map_or("", |lot| &lot.name);
        match shown {
            Look::Free => tell(slot.as_str(), domain, login, &Lamp::Dark { says: "Empty".into() }, only),
            Look::Taken { state, caller } => tell(slot.as_str(), domain, login, &lit(*state, "Parked", caller), only),
            Look::Ringing { caller } => {
                tell(slot.as_str(), domain, login, &lit(LampState::Early, "Ringing back", caller), only)
            }
        }
        let now = look();
        if now == seen {
            return;
        }
        seen = now;
    }
}

fn show_lot(attendant: &Attendant, domain: &str, name: &str, only: Option<&Only>) {
    let look = || attendant.look_of_lot(domain, name);
    let mut seen: Option<(LotId, LotLook)> = look();
    loop {
        let lamp = match &seen {
            Some((_, LotLook { waiting: 0, .. })) => Lamp::Dark { says: "Empty".into() },
            Some((_, LotLook { waiting, state })) => {
                let callers = if *waiting == 1 { "caller" } else { "callers" };
                Lamp::Lit { state: *state, says: format!("Active ({waiting} {callers})"), caller: None }
            }
            None if only.is_some() => return,
            None => Lamp::Dark { says: "Empty".into() },
        };
        tell(name, domain, name, &lamp, only);
        let now = look();
        if now == seen {
            return;
        }
        seen = now;
    }
}

/// What a lamp shows; `says` is the note that programs with presence instead of lamps show.
enum Lamp {
    Dark { says: String },
    Lit { state: LampState, says: String, caller: Option<Party> },
}

fn lit(state: LampState, says: &str, caller: &Option<Party>) -> Lamp {
    Lamp::Lit { state, says: says.into(), caller: caller.clone() }
}

fn tell(what: &str, domain: &str, login: &str, lamp: &Lamp, only: Option<&Only>) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let Some(mut event) = Event::presence() else { return };
    let host = only.map_or(domain, |only| only.host.as_str());
    event.set("proto", "park");
    event.set("login", login);
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
        Lamp::Dark { says } => {
            event.set("force-status", says);
            event.set("rpid", "unknown");
            event.set("channel-state", "CS_HANGUP");
            event.set("answer-state", "terminated");
            event.set("presence-call-direction", "inbound");
        }
        Lamp::Lit { state, says, caller } => {
            event.set("force-status", says);
            event.set("rpid", "active");
            event.set("channel-state", "CS_ROUTING");
            event.set("answer-state", if *state == LampState::Early { "early" } else { "confirmed" });
            // With a caller, sofia writes a dialog that was called, from that caller; else one with nobody in it.
            event.set("presence-call-direction", if caller.is_some() { "outbound" } else { "inbound" });
            if let Some(Party { name, number }) = caller {
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

#[cfg(test)]
mod tests {
    #[test]
    fn a_name_cannot_break_the_xml() {
        assert_eq!(super::for_xml("A&T <\"'\u{1b}"), "A&amp;T &lt;&quot;&apos; ");
    }
}
