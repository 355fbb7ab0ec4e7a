//! Lamps: a slot, or a lot, as a phone's key shows it.
//!
//! The same slot may change on several threads at once, and the last event must tell the last state: so each thread looks again
//! after it has told, and tells again if the slot looks different by then.

mod lamp;
mod shown;
mod tell;

use std::collections::BTreeSet;

use parking_lot::Mutex;

use crate::attendant::{self, Attendant, Witness};
use crate::host::{Binding, Kind, OnEvent, Told, module_loaded, now, usual_domain};
use crate::parking::{LampState, Look, LotId, LotLook, Slot, Touched};
use lamp::{Lamp, Name, Whose};
use shown::Shown;
use tell::{Only, learn_spelling, tell};

/// More lamps than this are not lit one by one when FreeSWITCH starts; phones ask when they subscribe again.
const MOST_AT_ONCE: usize = 2000;

#[derive(Default)]
pub(crate) struct Lamps {
    shown: Mutex<Shown>,
}

impl Witness for Lamps {
    fn touched(&self, attendant: &Attendant, slots: &[Touched]) {
        for (lot, slot) in slots {
            for name in [Name::of_slot(&lot.domain, slot), Name::of_lot(lot)] {
                let lamp = look(attendant, &name).unwrap_or(Lamp::Dark);
                if self.shown.lock().tells_now(&name, &lamp, now()) {
                    self.tell(attendant, &name, lamp);
                }
            }
        }
    }

    fn attend(&self, attendant: &Attendant) {
        let late = self.shown.lock().late();
        for name in late {
            let lamp = look(attendant, &name).unwrap_or(Lamp::Dark);
            let mut shown = self.shown.lock();
            if shown.is_new(&name, &lamp) {
                shown.told(&name, &lamp, now());
                drop(shown);
                self.tell(attendant, &name, lamp);
            }
        }
    }
}

impl Lamps {
    /// What was told already is not told twice, but only at first: whoever told something else since may have been overtaken.
    fn tell(&self, attendant: &Attendant, name: &Name, lamp: Lamp) {
        tell_until_true(attendant, name, lamp, None, &|lamp| self.shown.lock().told(name, lamp, now()));
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
    let of_slots = slots.iter().map(|(lot, slot)| Name::of_slot(&lot.domain, slot));
    for name in of_slots.chain(lots.into_iter().map(Name::of_lot)) {
        let lamp = look(&attendant, &name).unwrap_or(Lamp::Dark);
        tell_until_true(&attendant, &name, lamp, None, &|_| ());
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
        let name = match Slot::parse(wanted) {
            Some(slot) => Name::of_slot(&domain.into(), &slot),
            None => Name::of_lot(&LotId::new(wanted, &domain)),
        };
        // Of a slot that there is not, nobody is told anything.
        if let Some(lamp) = look(&attendant, &name) {
            tell_until_true(&attendant, &name, lamp, only.as_ref(), &|_| ());
        }
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

/// `None` if there is no such slot or lot; one that a reload took away goes dark.
fn look(attendant: &Attendant, name: &Name) -> Option<Lamp> {
    match &name.whose {
        Whose::Slot(slot) => {
            let (lot, look) = attendant.look(&name.domain, slot)?;
            let lit =
                |state, says: &str, caller| Lamp::Lit { state, says: says.into(), caller, login: lot.name.to_string() };
            Some(match look {
                Look::Free => Lamp::Dark,
                Look::Taken { state, caller } => lit(state, "Parked", caller),
                Look::Ringing { caller } => lit(LampState::Early, "Ringing back", caller),
            })
        }
        Whose::Lot(lot) => {
            let (_, LotLook { waiting, state }) = attendant.look_of_lot(&name.domain, lot)?;
            let callers = if waiting == 1 { "caller" } else { "callers" };
            let says = format!("Active ({waiting} {callers})");
            let lit = Lamp::Lit { state, says, caller: None, login: lot.to_string() };
            Some(if waiting == 0 { Lamp::Dark } else { lit })
        }
    }
}

/// Tells what was seen, and again for as long as that has changed meanwhile; `told` hears of each that is told again.
fn tell_until_true(attendant: &Attendant, name: &Name, mut seen: Lamp, only: Option<&Only>, told: &dyn Fn(&Lamp)) {
    loop {
        tell(name, &seen, only);
        let now = look(attendant, name).unwrap_or(Lamp::Dark);
        if now == seen {
            return;
        }
        seen = now;
        told(&seen);
    }
}
