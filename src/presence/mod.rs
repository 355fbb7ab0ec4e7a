//! Publishes the state of slots and lots to the lamps of phones.
//!
//! A slot may change on several threads at a time, and the last event must have the last state. So each thread reads the state again after it has
//! published it, and publishes it again if it has changed.

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

/// The maximum number of lamps that are published when FreeSWITCH starts. With more, phones get the state when they subscribe again.
const MAX_AT_START: usize = 2000;

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
            // There is no such slot. Without an answer, some phones show the key as broken.
            self.publisher.subscriber(&name, &Lamp::Dark, subscription);
        }
    }

    fn tell_all_lamps(&self, service: &ParkingService) {
        let slots = service.every_slot(&usual_domain().unwrap_or_default().to_ascii_lowercase());
        if slots.len() > MAX_AT_START {
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
    /// Publishes the state of a lamp, if it is not the one that was published last.
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

    /// Publishes a state, and the newer one as long as it changes in the meantime.
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

    /// Sends a state to one phone. If it is new, it is published to all: a change that is still to be published may be undone before that, and would
    /// then remain on this phone.
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

/// The state of a lamp. Returns `None` if there is no such slot or lot.
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
