//! Publishes the state of slots and lots to the lamps of phones.
//!
//! A slot may change on several threads at a time, and the last event must have the last state. So each thread reads the state again after it has
//! published it, and publishes it again if it has changed.

mod lamp;
mod published;
mod publisher;
mod spellings;
mod subscribe;

use std::collections::BTreeSet;

use parking_lot::Mutex;

use crate::freeswitch::{now, usual_domain, valet_parking_loaded};
use crate::parking::{ChangedSlot, LampState, LotId, LotStatus, Slot, SlotStatus};
use crate::service::{Observer, ParkingService, Subscription};
use lamp::{Lamp, LampName, LampTarget};
use published::PublishedStates;
use spellings::Spellings;
pub(crate) use subscribe::{on_probe, on_profile, warn_about_valet_parking};

/// The maximum number of lamps that are published when FreeSWITCH starts. With more, phones get the state when they subscribe again.
const MAX_LAMPS_AT_START: usize = 2000;

#[derive(Default)]
pub(crate) struct Lamps {
    published: Mutex<PublishedStates>,
    spellings: Mutex<Spellings>,
    publisher: publisher::PresencePublisher,
}

impl Observer for Lamps {
    fn on_slots_changed(&self, service: &ParkingService, slots: &[ChangedSlot]) {
        for (lot, slot) in slots {
            let of_slot = (!slot.is_placeholder()).then(|| LampName::of_slot(&lot.domain, slot));
            for name in of_slot.into_iter().chain([LampName::of_lot(lot)]) {
                let lamp = current_state(service, &name).unwrap_or(Lamp::Dark);
                if self.published.lock().takes_now(&name, &lamp, now()) {
                    self.publish_until_current(service, &name, lamp);
                }
            }
        }
    }

    fn on_tick(&self, service: &ParkingService) {
        let late = self.published.lock().take_postponed();
        for name in late {
            self.publish_if_new(service, &name);
        }
    }

    fn subscribed(&self, service: &ParkingService, subscription: &Subscription) {
        let domain = service.domain_of_host(&subscription.host).to_ascii_lowercase();
        let name = match Slot::parse(&subscription.lamp) {
            Some(slot) => LampName::of_slot(&domain.into(), &slot),
            None if subscription.is_plain => return,
            None => {
                let of_slot = Slot::parse_with_names(&subscription.lamp)
                    .map(|slot| LampName::of_slot(&domain.as_str().into(), &slot))
                    .filter(|name| current_state(service, name).is_some());
                of_slot.unwrap_or_else(|| LampName::of_lot(&LotId::new(&subscription.lamp, &domain)))
            }
        };
        if let Some(lamp) = current_state(service, &name) {
            self.spellings.lock().learn(&name, &subscription.host, now().after(subscription.expires), now());
            self.answer(service, &name, lamp, subscription);
        } else if !subscription.is_plain && !valet_parking_loaded() {
            // There is no such slot. Without an answer, some phones show the key as broken.
            self.publisher.send_to_subscriber(&name, &Lamp::Dark, subscription);
        }
    }

    fn publish_all_lamps(&self, service: &ParkingService) {
        let slots = service.every_slot(&usual_domain().unwrap_or_default().to_ascii_lowercase());
        if slots.len() > MAX_LAMPS_AT_START {
            return;
        }
        let lots: BTreeSet<&LotId> = slots.iter().map(|(lot, _)| lot).collect();
        let of_slots = slots.iter().map(|(lot, slot)| LampName::of_slot(&lot.domain, slot));
        for name in of_slots.chain(lots.into_iter().map(LampName::of_lot)) {
            let lamp = current_state(service, &name).unwrap_or(Lamp::Dark);
            self.published.lock().note_published(&name, &lamp, now());
            self.publish_until_current(service, &name, lamp);
        }
    }
}

impl Lamps {
    /// Publishes the state of a lamp, if it is not the one that was published last.
    fn publish_if_new(&self, service: &ParkingService, name: &LampName) {
        let lamp = current_state(service, name).unwrap_or(Lamp::Dark);
        let is_new = {
            let mut published = self.published.lock();
            let is_new = published.is_new(name, &lamp);
            if is_new {
                published.note_published(name, &lamp, now());
            }
            is_new
        };
        if is_new {
            self.publish_until_current(service, name, lamp);
        }
    }

    /// Publishes a state, and the newer one as long as it changes in the meantime.
    fn publish_until_current(&self, service: &ParkingService, name: &LampName, mut seen: Lamp) {
        loop {
            let spellings = self.spellings.lock().of(name, now());
            self.publisher.send_to_all(name, &seen, &spellings);
            let lamp = current_state(service, name).unwrap_or(Lamp::Dark);
            if lamp == seen {
                return;
            }
            seen = lamp;
            self.published.lock().note_published(name, &seen, now());
        }
    }

    /// Sends a state to one phone. If it is new, it is published to all: a change that is still to be published may be undone before that, and would
    /// then remain on this phone.
    fn answer(&self, service: &ParkingService, name: &LampName, mut seen: Lamp, subscription: &Subscription) {
        loop {
            self.publisher.send_to_subscriber(name, &seen, subscription);
            self.publish_if_new(service, name);
            let lamp = current_state(service, name).unwrap_or(Lamp::Dark);
            if lamp == seen {
                return;
            }
            seen = lamp;
        }
    }
}

/// The state of a lamp. Returns `None` if there is no such slot or lot.
fn current_state(service: &ParkingService, name: &LampName) -> Option<Lamp> {
    match &name.target {
        LampTarget::Slot(slot) => {
            let (lot, status) = service.slot_status(&name.domain, slot)?;
            let lit =
                |state, note: &str, caller| Lamp::Lit { state, note: note.into(), caller, login: lot.name.to_string() };
            Some(match status {
                SlotStatus::Free => Lamp::Dark,
                SlotStatus::Taken { state, caller } => lit(state, "Parked", caller),
                SlotStatus::Ringing { caller } => lit(LampState::Early, "Ringing back", caller),
            })
        }
        LampTarget::Lot(lot) => {
            let (_, LotStatus { waiting, state }) = service.lot_status(&name.domain, lot)?;
            let callers = if waiting == 1 { "caller" } else { "callers" };
            let note = format!("Active ({waiting} {callers})");
            let lit = Lamp::Lit { state, note, caller: None, login: lot.to_string() };
            Some(if waiting == 0 { Lamp::Dark } else { lit })
        }
    }
}
