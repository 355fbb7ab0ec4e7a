//! Returns calls, lots and slots for listings and lamps.

use std::net::IpAddr;

use super::{CallRow, LockTimes, ParkingService};
use crate::freeswitch;
use crate::parking::{Call, ChangedSlot, LotId, LotName, LotSelector, LotStatus, LotView, Refusal, Slot, SlotStatus};

/// The number of calls that are copied for a listing before the table is unlocked for others.
const CALLS_PER_LOCK: usize = 100;

impl ParkingService {
    /// Returns all parked calls, or those of one lot, ordered by lot and slot.
    pub(crate) fn calls(&self, lot: Option<&LotName>) -> Result<Vec<Call>, Refusal> {
        let lot = lot.map(|_| self.lot_named(&selector_without_leg(lot))).transpose()?;
        let mut calls: Vec<Call> = Vec::new();
        loop {
            let after = calls.last().map(|call| call.id);
            let piece = self.table.lock().calls_after(after, lot.as_ref(), CALLS_PER_LOCK);
            let last = piece.len() < CALLS_PER_LOCK;
            calls.extend(piece);
            if last {
                break;
            }
        }
        calls.sort_by(|a, b| (&a.info.lot, &a.info.slot).cmp(&(&b.info.lot, &b.info.slot)));
        Ok(calls)
    }

    /// Returns how long the table was locked.
    pub(crate) fn lock_held(&self) -> LockTimes {
        self.table.times()
    }

    pub(crate) fn call_count(&self) -> usize {
        self.table.lock().call_count()
    }

    pub(crate) fn lots(&self) -> Vec<LotView> {
        self.table.lock().lots(freeswitch::now())
    }

    /// Returns the lots of a domain, also if it has not used one yet.
    pub(crate) fn lots_of(&self, domain: &str) -> Vec<LotView> {
        let mut table = self.table.lock();
        table.open_domain(domain);
        let lots = table.lots(freeswitch::now());
        lots.into_iter().filter(|lot| lot.id.domain.eq_ignore_ascii_case(domain)).collect()
    }

    /// Returns the state of a slot; `None` if the domain has no such slot.
    pub(crate) fn slot_status(&self, domain: &str, slot: &Slot) -> Option<(LotId, SlotStatus)> {
        self.table.lock().slot_status(domain, slot)
    }

    pub(crate) fn lot_status(&self, domain: &str, lot: &str) -> Option<(LotId, LotStatus)> {
        self.table.lock().lot_status(domain, lot)
    }

    /// Returns all slots, including those of `domain` if no call was parked there yet.
    pub(crate) fn every_slot(&self, domain: &str) -> Vec<ChangedSlot> {
        self.table.lock().every_slot(domain)
    }

    /// Returns the domain of a `host` that a phone has written. An IP address stands for the usual domain.
    pub(crate) fn domain_of_host(&self, host: &str) -> String {
        let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        let usual = freeswitch::usual_domain().filter(|_| is_address && !self.table.lock().has_domain(host));
        usual.unwrap_or_else(|| host.to_owned())
    }

    pub(crate) fn call_in(&self, slot: &Slot, lot: Option<&LotName>) -> Result<Call, Refusal> {
        self.table.lock().find(&selector_without_leg(lot), slot)
    }

    /// Returns the call in a slot of a domain.
    pub(crate) fn call_at(&self, domain: &str, slot: &Slot) -> Result<Call, Refusal> {
        self.table.lock().find(&LotSelector { lot: None, domains: vec![domain.to_owned()], any: false }, slot)
    }

    /// Returns the row of the call of a leg.
    pub(crate) fn row_of(&self, uuid: &str) -> Option<CallRow> {
        self.call_of(uuid).map(|call| self.row(&call))
    }

    /// Returns the row of a call.
    pub(crate) fn row(&self, call: &Call) -> CallRow {
        CallRow::new(call, &self.node_name(), freeswitch::now(), freeswitch::epoch_ms())
    }

    /// Returns the slots of a lot, with their labels.
    pub(crate) fn slots_of(&self, lot: &LotId) -> Vec<(Slot, String)> {
        self.table.lock().slots_of(lot)
    }
}

/// Selects a lot for a command, which has no leg and thus no domain.
fn selector_without_leg(lot: Option<&LotName>) -> LotSelector {
    LotSelector { lot: lot.cloned(), domains: freeswitch::usual_domain().into_iter().collect(), any: true }
}
