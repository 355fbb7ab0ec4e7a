//! Gathers the facts by which the rules decide who may park and who may retrieve, and asks for the PIN.

use std::sync::Arc;

use super::identity::Parker;
use super::{ParkingService, Prompt, collect_digits, template};
use crate::freeswitch::{self, Leg};
use crate::parking::{
    self, Arrival, Denial, LotId, LotSelector, LotSettings, ParkFacts, ParkRequest, Refusal, RetrieveAccess,
    RetrieveFacts, RetrieveTarget, Slot,
};

const PIN_TRIES: usize = 3;

/// The permission of a leg to retrieve from a lot.
pub(super) struct Permitted {
    pub(super) lot: LotId,
    pub(super) slot: Slot,
    /// The user of the leg; empty if it belongs to none.
    pub(super) user: String,
    /// The settings of the call for which this was checked.
    pub(super) settings: Arc<LotSettings>,
    /// The PIN that the leg must still enter.
    pin: Option<String>,
}

impl ParkingService {
    /// Checks whether a leg may be parked. A lot that does not exist is refused later.
    pub(super) fn may_park(
        &self,
        leg: &Leg<'_>,
        request: &ParkRequest,
        arrival: Arrival,
        parker: &Parker,
    ) -> Result<(), Refusal> {
        let (lot, settings) = {
            let (table, slot) = (self.table.lock(), request.wanted.slot());
            (table.resolve(&request.place, slot), table.settings_at(&request.place, slot))
        };
        let Ok(lot) = lot else { return Ok(()) };
        let (parked_by, user) = (parker.parked_by(), self.user_of(leg));
        let facts = ParkFacts { arrival, parked_by, user: &user, lot_domain: &lot.domain, settings: &settings };
        Ok(parking::may_park(&facts, is_member)?)
    }

    /// Returns the permission of a leg to retrieve the call that it would get now. Everybody may learn that a slot is empty.
    pub(super) fn may_retrieve(
        &self,
        leg: &Leg<'_>,
        place: &LotSelector,
        target: &RetrieveTarget,
    ) -> Result<Permitted, Refusal> {
        let permitted = self.permitted(leg, place, target)?;
        match &permitted.pin {
            Some(pin) if !self.ask_pin(leg, pin) => Err(Denial::WrongPin.into()),
            _ => Ok(permitted),
        }
    }

    /// Checks the same without asking for the PIN.
    pub(super) fn permitted(
        &self,
        leg: &Leg<'_>,
        place: &LotSelector,
        target: &RetrieveTarget,
    ) -> Result<Permitted, Refusal> {
        let call = self.table.lock().find_target(place, target)?;
        let (user, domain) = (self.user_of(leg), self.domain_of(leg));
        let facts = RetrieveFacts {
            user: &user,
            domain: &domain,
            is_of_no_domain: place.any && !self.table.lock().has_lots(&domain),
            lot_domain: &call.info.lot.domain,
            settings: &call.info.settings,
        };
        let pin = match parking::may_retrieve(&facts, is_member)? {
            RetrieveAccess::Allowed => None,
            RetrieveAccess::NeedsPin(pin) => Some(pin.to_owned()),
        };
        Ok(Permitted {
            lot: call.info.lot.clone(),
            slot: call.info.slot.clone(),
            user,
            settings: call.info.settings.clone(),
            pin,
        })
    }

    fn ask_pin(&self, leg: &Leg<'_>, pin: &str) -> bool {
        let right = || {
            collect_digits(self, leg, Prompt::AskPin, pin.len(), &|_| false)
                .is_some_and(|typed| equal_in_constant_time(&typed, pin))
        };
        leg.answer_and_anchor_media() && (0..PIN_TRIES).any(|_| leg.ready() && right())
    }
}

/// Whether the directory has a user in a group.
pub(super) fn is_member(user: &str, group: &str) -> bool {
    template::is_address(user) && freeswitch::api("in_group", &format!("{user},{group}")).trim() == "true"
}

/// Compares in constant time.
fn equal_in_constant_time(given: &str, pin: &str) -> bool {
    given.len() == pin.len() && given.bytes().zip(pin.bytes()).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}
