//! Finds out what the number that a leg has dialled, or was transferred to, stands for.

use std::sync::Arc;

use super::ParkingService;
use crate::freeswitch::Leg;
use crate::parking::{Arrival, LotName, LotSelector, Number, Slot};

impl ParkingService {
    /// Returns the first of `readings` that stands for something, with what that is. A reading is a text and whether it may be the name of a lot.
    pub(crate) fn number_of<'r>(
        &self,
        leg: &Leg<'_>,
        readings: impl Iterator<Item = (&'r str, bool)> + Clone,
    ) -> Option<(&'r str, Number)> {
        let place = self.place_of_number(leg, readings.clone())?;
        let table = self.table.lock();
        let mut found = readings.filter_map(|(text, may_be_lot)| Some((text, table.number(&place, text, may_be_lot)?)));
        found.next()
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
    /// a question to the directory, so it is not asked for numbers that no lot has.
    fn place_of_number<'r>(
        &self,
        leg: &Leg<'_>,
        mut readings: impl Iterator<Item = (&'r str, bool)>,
    ) -> Option<LotSelector> {
        let arrival = Arrival::at_number(leg);
        if !arrival.by_others() {
            return Some(self.lot_selector(leg, None, None));
        }
        let table = self.table.lock();
        if !readings.any(|(text, may_be_lot)| table.is_number(text, may_be_lot)) {
            return None;
        }
        drop(table);
        Some(self.place_of_arrival(leg, None, arrival, &self.parker_of(leg)))
    }
}
