//! Finds out what the number that a leg has dialled, or was transferred to, stands for.

use std::sync::Arc;

use super::ParkingService;
use crate::freeswitch::Leg;
use crate::parking::{Arrival, LotName, LotSelector, Number, Slot, Table};

impl ParkingService {
    /// Returns the first of `readings` that stands for something, with what that is. A reading is a text and whether it may be the name of a lot.
    /// Most calls are to a number that no lot of any domain has; to find out the domain of the leg takes longer than that.
    pub(crate) fn number_of<'r>(
        &self,
        leg: &Leg<'_>,
        mut readings: impl Iterator<Item = (&'r str, bool)> + Clone,
    ) -> Option<(&'r str, Number)> {
        let is_known = |table: &Table| readings.clone().any(|(text, may_be_lot)| table.is_number(text, may_be_lot));
        if !is_known(&self.table.lock()) {
            return None;
        }
        let place = self.place_of_number(leg);
        let table = self.table.lock();
        readings.find_map(|(text, may_be_lot)| Some((text, table.number(&place, text, may_be_lot)?)))
    }

    /// Returns the slots that a leg may mean: those of the lot, or if none is named, of all lots of its domain.
    pub(crate) fn slots_to_dial(&self, leg: &Leg<'_>, lot: Option<&LotName>) -> Vec<Arc<[Slot]>> {
        self.table.lock().slots_to_dial(&self.lot_selector(leg, lot.cloned(), None))
    }

    /// Whether somebody else than its far end brought a leg to the number that it has now, before any application runs there.
    pub(crate) fn is_brought(&self, leg: &Leg<'_>) -> bool {
        Arrival::at_number(leg).by_others()
    }

    /// The domains in which a number counts: that of the leg's user, after that of the user who transferred the leg. Finding the latter may take
    /// a question to the directory.
    fn place_of_number(&self, leg: &Leg<'_>) -> LotSelector {
        let arrival = Arrival::at_number(leg);
        if arrival.by_others() {
            self.place_of_arrival(leg, None, arrival, &self.parker_of(leg))
        } else {
            self.lot_selector(leg, None, None)
        }
    }
}
