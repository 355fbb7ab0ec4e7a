//! Checks the invariants of the table, for tests.

use super::Table;
use crate::parking::names::Slot;

impl Table {
    /// Checks the invariants of the table. The error names the first one that is violated.
    pub fn check(&self) -> Result<(), String> {
        let mut held = 0;
        for (domain, tenant) in &self.tenants {
            let displaced = tenant.displaced.keys().filter(|slot| !tenant.slots.contains_key(slot));
            for slot in tenant.slots.keys().chain(displaced) {
                for id in tenant.calls_in(slot) {
                    held += 1;
                    let call = self
                        .calls
                        .get(id)
                        .ok_or(format!("slot {slot}@{domain} holds a call that is not in the table"))?;
                    if call.info.slot != *slot || call.info.lot.domain != *domain {
                        return Err(format!("slot {slot}@{domain} holds the call of {}", call.info.slot));
                    }
                    if call.index != tenant.index_of(&call.info.lot.name, slot) {
                        return Err(format!(
                            "the call in slot {slot}@{domain} has the index {:?}, which is not that of the slot",
                            call.index
                        ));
                    }
                }
            }
            let no_first = |slot: &Slot| {
                let home = tenant.slots.get(slot);
                home.is_some_and(|(name, index)| tenant.lots.get(name).and_then(|lot| lot.held(*index)).is_none())
            };
            if let Some((slot, _)) = tenant.displaced.iter().find(|(slot, calls)| calls.is_empty() || no_first(slot)) {
                return Err(format!("slot {slot}@{domain} has a second call and no first"));
            }
            for lot in tenant.lots.values() {
                let taken = lot.plan.slots.iter().filter(|slot| tenant.held(slot).is_some()).count();
                if lot.free_count() + taken != lot.size() {
                    return Err(format!(
                        "lot {} has {} slots free and {taken} taken of {}",
                        lot.plan.id,
                        lot.free_count(),
                        lot.size()
                    ));
                }
            }
        }
        let in_lots: usize =
            self.tenants.values().flat_map(|tenant| tenant.lots.values()).map(|lot| lot.waiting.len()).sum();
        let waiting = in_lots + self.waiting_for_slot.len();
        let deadlines = self.calls.values().filter(|call| call.deadline.is_some() && call.node().is_none()).count();
        let parked_by: u32 = self.held_by_parker.values().sum();
        let with_parker = self.calls.values().filter(|call| !call.info.parker.is_empty()).count();
        let reminders = self.calls.values().filter(|call| call.remind_at.is_some()).count();
        if reminders != self.reminders.len() {
            return Err(format!("{} reminders are kept, but {reminders} calls have one", self.reminders.len()));
        }
        for (what, count) in
            [("slots held", held), ("calls by leg", self.by_uuid.len()), ("calls waiting in lots", waiting)]
        {
            if count != self.calls.len() {
                return Err(format!("{count} {what}, but {} calls", self.calls.len()));
            }
        }
        if deadlines != self.deadlines.len() {
            return Err(format!("{} deadlines are kept, but {deadlines} calls have one", self.deadlines.len()));
        }
        if let Some(call) =
            self.calls.values().find(|call| call.max_park_end.is_some() && !call.info.settings.has_fallback())
        {
            return Err(format!("{} has a limit, but there is no fallback", call.info.uuid));
        }
        if parked_by as usize != with_parker {
            return Err(format!("parkers hold {parked_by} calls, but {with_parker} calls have a parker"));
        }
        Ok(())
    }
}
