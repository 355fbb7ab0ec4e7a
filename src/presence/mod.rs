//! Lamps: a slot, or a lot, as a phone's key shows it.
//!
//! The same slot may change on several threads at once, and the last event must tell the last state: so each thread looks again
//! after it has told, and tells again if the slot looks different by then.

mod lamp;
mod shown;
mod spellings;
mod subscribe;
mod tell;

use std::collections::BTreeSet;

use parking_lot::Mutex;

use crate::freeswitch::{now, usual_domain};
use crate::parking::{ChangedSlot, LampState, LotId, LotStatus, Slot, SlotStatus};
use crate::service::{Observer, ParkingService, Subscription};
use lamp::{Lamp, Name, Whose};
use shown::Shown;
use spellings::Spellings;
pub(crate) use subscribe::{on_probe, on_profile, warn_of_rival};

/// More lamps than this are not lit one by one when FreeSWITCH starts; phones ask when they subscribe again.
const MOST_AT_ONCE: usize = 2000;

#[derive(Default)]
pub(crate) struct Lamps {
    shown: Mutex<Shown>,
    spellings: Mutex<Spellings>,
    publisher: tell::PresencePublisher,
}

impl Observer for Lamps {
    fn on_slots_changed(&self, service: &ParkingService, slots: &[ChangedSlot]) {
        for (lot, slot) in slots.iter().filter(|(_, slot)| !slot.is_unassigned()) {
            for name in [Name::of_slot(&lot.domain, slot), Name::of_lot(lot)] {
                let lamp = look(service, &name).unwrap_or(Lamp::Dark);
                if self.shown.lock().tells_now(&name, &lamp, now()) {
                    self.tell_until_true(service, &name, lamp);
                }
            }
        }
    }

    fn on_tick(&self, service: &ParkingService) {
        let late = self.shown.lock().late();
        for name in late {
            self.tell_news(service, &name);
        }
    }

    fn subscribed(&self, service: &ParkingService, subscription: &Subscription) {
        let domain = service.domain_meant(&subscription.host).to_ascii_lowercase();
        let name = match Slot::parse(&subscription.lamp) {
            Some(slot) => Name::of_slot(&domain.into(), &slot),
            None => Name::of_lot(&LotId::new(&subscription.lamp, &domain)),
        };
        if let Some(lamp) = look(service, &name) {
            self.spellings.lock().learn(&name, &subscription.host, now().after(subscription.expires), now());
            self.answer(service, &name, lamp, subscription);
        } else if !subscribe::rival_is_loaded() {
            // Nothing is parked where there is no slot. A phone that is told nothing shows the key as if it did not work.
            self.publisher.subscriber(&name, &Lamp::Dark, subscription);
        }
    }

    fn tell_all_lamps(&self, service: &ParkingService) {
        let slots = service.every_slot(&usual_domain().unwrap_or_default().to_ascii_lowercase());
        if slots.len() > MOST_AT_ONCE {
            return;
        }
        let lots: BTreeSet<&LotId> = slots.iter().map(|(lot, _)| lot).collect();
        let of_slots = slots.iter().map(|(lot, slot)| Name::of_slot(&lot.domain, slot));
        for name in of_slots.chain(lots.into_iter().map(Name::of_lot)) {
            let lamp = look(service, &name).unwrap_or(Lamp::Dark);
            self.shown.lock().told(&name, &lamp, now());
            self.tell_until_true(service, &name, lamp);
        }
    }
}

impl Lamps {
    /// Tells the state that a lamp has now, if that is not what was told last.
    fn tell_news(&self, service: &ParkingService, name: &Name) {
        let lamp = look(service, name).unwrap_or(Lamp::Dark);
        let is_new = {
            let mut shown = self.shown.lock();
            let is_new = shown.is_new(name, &lamp);
            if is_new {
                shown.told(name, &lamp, now());
            }
            is_new
        };
        if is_new {
            self.tell_until_true(service, name, lamp);
        }
    }

    /// Tells what was seen, and again for as long as that has changed meanwhile. What was told already is not told twice, but
    /// only at first: a thread that told something else since may have been overtaken.
    fn tell_until_true(&self, service: &ParkingService, name: &Name, mut seen: Lamp) {
        loop {
            let spellings = self.spellings.lock().of(name, now());
            self.publisher.everybody(name, &seen, &spellings);
            let lamp = look(service, name).unwrap_or(Lamp::Dark);
            if lamp == seen {
                return;
            }
            seen = lamp;
            self.shown.lock().told(name, &seen, now());
        }
    }

    /// Tells one phone. If that is news, all are told: a change whose turn is yet to come may be undone by then, and would not be
    /// told at all, but this phone would still show it.
    fn answer(&self, service: &ParkingService, name: &Name, mut seen: Lamp, subscription: &Subscription) {
        loop {
            self.publisher.subscriber(name, &seen, subscription);
            self.tell_news(service, name);
            let lamp = look(service, name).unwrap_or(Lamp::Dark);
            if lamp == seen {
                return;
            }
            seen = lamp;
        }
    }
}

/// `None` if there is no such slot or lot; one that a reload took away goes dark.
fn look(service: &ParkingService, name: &Name) -> Option<Lamp> {
    match &name.whose {
        Whose::Slot(slot) => {
            let (lot, look) = service.look(&name.domain, slot)?;
            let lit =
                |state, says: &str, caller| Lamp::Lit { state, says: says.into(), caller, login: lot.name.to_string() };
            Some(match look {
                SlotStatus::Free => Lamp::Dark,
                SlotStatus::Taken { state, caller } => lit(state, "Parked", caller),
                SlotStatus::Ringing { caller } => lit(LampState::Early, "Ringing back", caller),
            })
        }
        Whose::Lot(lot) => {
            let (_, LotStatus { waiting, state }) = service.look_of_lot(&name.domain, lot)?;
            let callers = if waiting == 1 { "caller" } else { "callers" };
            let says = format!("Active ({waiting} {callers})");
            let lit = Lamp::Lit { state, says, caller: None, login: lot.to_string() };
            Some(if waiting == 0 { Lamp::Dark } else { lit })
        }
    }
}
