//! What must always be true, for tests.

use super::Table;

impl Table {
    /// What must be true of the table after anything at all; the first thing that is not. For tests.
    pub fn check(&self) -> Result<(), String> {
        let mut held = 0;
        for (domain, tenant) in &self.tenants {
            for (slot, id) in &tenant.held {
                held += 1;
                let call = self.calls.get(id).ok_or(format!("slot {slot}@{domain} holds a call that is none"))?;
                if call.facts.slot != *slot || call.facts.lot.domain != *domain {
                    return Err(format!("slot {slot}@{domain} holds the call of {}", call.facts.slot));
                }
            }
            held += tenant.doubled.len();
            if let Some((slot, _)) = tenant.doubled.iter().find(|(slot, _)| !tenant.held.contains_key(slot)) {
                return Err(format!("slot {slot}@{domain} has a second call and no first"));
            }
            for lot in tenant.lots.values() {
                let taken = lot.plan.slots.iter().filter(|slot| tenant.held.contains_key(slot)).count();
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
        let waiting: usize =
            self.tenants.values().flat_map(|tenant| tenant.lots.values()).map(|lot| lot.waiting.len()).sum();
        let deadlines = self.calls.values().filter(|call| call.deadline.is_some() && call.node().is_none()).count();
        let parked_by: u32 = self.held_by_parker.values().sum();
        let with_parker = self.calls.values().filter(|call| !call.facts.parker.is_empty()).count();
        for (what, count) in
            [("slots held", held), ("calls by leg", self.by_uuid.len()), ("calls waiting in lots", waiting)]
        {
            if count != self.calls.len() {
                return Err(format!("{count} {what}, but {} calls", self.calls.len()));
            }
        }
        if deadlines != self.deadlines.len() {
            return Err(format!("{} deadlines kept for {deadlines} calls that have one", self.deadlines.len()));
        }
        if parked_by as usize != with_parker {
            return Err(format!("parkers hold {parked_by} calls, but {with_parker} calls have one"));
        }
        Ok(())
    }
}
