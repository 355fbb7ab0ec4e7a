//! Lamps: a slot, or a lot, as a phone's key shows it.
//!
//! A PRESENCE_IN event is all it takes: mod_sofia makes the NOTIFYs of it (`sofia_presence.c`). The same slot may change on
//! several threads at once, and the last event must tell the last state: so each thread looks again after it has told, and
//! tells again if the slot looks different by then.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::attendant::{self, Attendant, Witness};
use crate::host::{Binding, Event, Kind, OnEvent, Told, module_loaded, now, usual_domain};
use crate::parking::{LampState, Look, LotId, LotLook, Moment, Party, Slot, Touched};

const AT_MOST_EVERY: Duration = Duration::from_secs(1);
/// More lamps than this are not lit one by one when FreeSWITCH starts; phones ask when they subscribe again.
const MOST_AT_ONCE: usize = 2000;

#[derive(Default)]
pub(crate) struct Lamps {
    shown: Shown,
    counts: Mutex<Counts>,
}

/// How many wait in a lot: whoever is subscribed or not, mod_sofia looks into its database for each lamp that is told, which is
/// most of what parking costs. So while a lot's lamp is lit, and stays so, its count is told once a second at most.
#[derive(Default)]
struct Counts {
    told: HashMap<LotId, Moment>,
    late: BTreeSet<LotId>,
}

impl Witness for Lamps {
    fn touched(&self, attendant: &Attendant, slots: &[Touched]) {
        for (lot, slot) in slots {
            show_slot(attendant, &lot.domain, slot, Some(&self.shown), None);
            if self.may_tell(attendant, lot) {
                show_lot(attendant, &lot.domain, &lot.name, Some(&self.shown), None);
            }
        }
    }

    fn attend(&self, attendant: &Attendant) {
        let late = std::mem::take(&mut self.counts.lock().late);
        for lot in late {
            show_lot(attendant, &lot.domain, &lot.name, Some(&self.shown), None);
        }
    }
}

impl Lamps {
    /// A lamp that goes on or out is told at once, and so is a count that has not changed for a while.
    fn may_tell(&self, attendant: &Attendant, lot: &LotId) -> bool {
        let lit = self.shown.lock().contains_key(&(lot.domain.to_string(), lot.name.to_string()));
        let stays = attendant.look_of_lot(&lot.domain, &lot.name).is_some_and(|(_, look)| look.waiting > 0);
        let (now, mut counts) = (now(), self.counts.lock());
        let just_told = counts.told.get(lot).is_some_and(|told| now.since(*told) < AT_MOST_EVERY);
        if lit && stays && just_told {
            counts.late.insert(lot.clone());
            return false;
        }
        counts.told.insert(lot.clone(), now);
        true
    }
}

/// Every lamp as it is now: phones may still show what was true before a restart.
pub(crate) fn light_all() {
    let Some(attendant) = attendant::on_duty() else { return };
    let slots = attendant.every_slot(&usual_domain().unwrap_or_default().to_ascii_lowercase());
    if slots.len() > MOST_AT_ONCE {
        return;
    }
    let lots: BTreeSet<&LotId> = slots.iter().map(|(lot, _)| lot).collect();
    for (lot, slot) in &slots {
        show_slot(&attendant, &lot.domain, slot, None, None);
    }
    for lot in lots {
        show_lot(&attendant, &lot.domain, &lot.name, None, None);
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
        let domain = attendant.domain_meant(host).to_ascii_lowercase();
        learn_spelling(&domain, host);
        match Slot::parse(wanted) {
            Some(slot) => show_slot(&attendant, &domain, &slot, None, only.as_ref()),
            None => show_lot(&attendant, &domain, wanted, None, only.as_ref()),
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

/// Hosts of subscriptions that are a domain in other letters: mod_sofia compares them as they are written.
static SPELLINGS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
/// Each is told by an event of its own, so nobody may bring any number of them.
const MOST_SPELLINGS: usize = 50;

fn learn_spelling(domain: &str, host: &str) {
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

/// One subscription.
struct Only {
    call_id: String,
    /// The host as the phone wrote it.
    host: String,
}

/// What each lamp was last told to show, where that is not dark.
type Shown = Mutex<HashMap<(String, String), Lamp>>;

fn show_slot(attendant: &Attendant, domain: &str, slot: &Slot, told: Option<&Shown>, only: Option<&Only>) {
    show(domain, slot.as_str(), told, only, &|| {
        let (lot, look) = attendant.look(domain, slot)?;
        let lit =
            |state, says: &str, caller| Lamp::Lit { state, says: says.into(), caller, login: lot.name.to_string() };
        Some(match look {
            Look::Free => Lamp::Dark,
            Look::Taken { state, caller } => lit(state, "Parked", caller),
            Look::Ringing { caller } => lit(LampState::Early, "Ringing back", caller),
        })
    });
}

fn show_lot(attendant: &Attendant, domain: &str, name: &str, told: Option<&Shown>, only: Option<&Only>) {
    show(domain, name, told, only, &|| {
        let (_, LotLook { waiting, state }) = attendant.look_of_lot(domain, name)?;
        let callers = if waiting == 1 { "caller" } else { "callers" };
        let says = format!("Active ({waiting} {callers})");
        let lit = Lamp::Lit { state, says, caller: None, login: name.to_owned() };
        Some(if waiting == 0 { Lamp::Dark } else { lit })
    });
}

/// Tells what `look` sees, and again for as long as that has changed meanwhile. What was told already is not told twice, but
/// only at first: whoever told something else since may have been overtaken.
fn show(domain: &str, what: &str, told: Option<&Shown>, only: Option<&Only>, look: &dyn Fn() -> Option<Lamp>) {
    let mut seen = look();
    // Of a slot that there is not, nobody is told anything; one that a reload took away goes dark.
    if only.is_some() && seen.is_none() {
        return;
    }
    if told.is_some_and(|told| !note(told, domain, what, seen.as_ref())) {
        return;
    }
    loop {
        tell(what, domain, seen.as_ref().unwrap_or(&Lamp::Dark), only);
        let now = look();
        if now == seen {
            return;
        }
        seen = now;
        told.map(|told| note(told, domain, what, seen.as_ref()));
    }
}

/// False if that lamp was told so before.
fn note(told: &Shown, domain: &str, what: &str, lamp: Option<&Lamp>) -> bool {
    let key = (domain.to_owned(), what.to_owned());
    let before = match lamp {
        None | Some(Lamp::Dark) => told.lock().remove(&key).unwrap_or(Lamp::Dark),
        Some(lamp) => told.lock().insert(key, lamp.clone()).unwrap_or(Lamp::Dark),
    };
    before != *lamp.unwrap_or(&Lamp::Dark)
}

/// What a lamp shows; `says` is the note for programs that have no lamps, `login` the lot.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Lamp {
    Dark,
    Lit { state: LampState, says: String, caller: Option<Party>, login: String },
}

fn tell(what: &str, domain: &str, lamp: &Lamp, only: Option<&Only>) {
    let hosts = only.map_or_else(|| spellings_of(domain), |only| vec![only.host.clone()]);
    for host in &hosts {
        tell_at(host, what, lamp, only);
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
