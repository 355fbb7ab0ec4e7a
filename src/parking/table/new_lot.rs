//! Lots that no configuration has, and that are made for a request that names them ([`LotName::may_be_new`]). Such a lot has no slots of its own: each
//! slot in which no call of its domain waits is free. It exists for as long as calls wait in it.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Table, Tenant};
use crate::parking::lot::LotPlan;
use crate::parking::names::{LotId, LotName, Slot, is_name, lowercase};
use crate::parking::refusal::Refusal;
use crate::parking::request::{LotSelector, ParkRequest};
use crate::parking::settings::LotSettings;
use crate::parking::slot_request::SlotRequest;

/// A free slot: the lot that has it, and its index there.
pub(super) type FreeSlot<'a> = (Cow<'a, LotPlan>, Option<u32>, Slot);

impl Table {
    /// The lot that is made for a request. Returns `None` if the request makes none, or if the configuration has the lot. It is in the domain that the
    /// request names, otherwise in the most likely one.
    pub(super) fn new_lot(&self, place: &LotSelector) -> Option<LotId> {
        let LotName { name, domain, .. } = place.lot.as_ref().filter(|lot| lot.may_be_new)?;
        let domain = domain.as_ref().or(place.domains.first()).map(|domain| lowercase(domain))?;
        let is_configured = match self.tenants.get(&*domain) {
            Some(tenant) => tenant.lots.get(name.as_str()).is_some_and(|lot| lot.size() > 0),
            None => self.templates.iter().any(|plan| *plan.id.name == **name),
        };
        (!is_configured && is_name(&domain)).then(|| LotId::new(name, &domain))
    }

    /// Finds the slot for a request in its lot, which may be a new one.
    pub(super) fn find_slot_for(&self, request: &ParkRequest, lot: &LotId) -> Result<FreeSlot<'_>, Refusal> {
        let tenant = self.tenants.get(&lot.domain).ok_or_else(|| Refusal::NoSuchLot(lot.to_string()))?;
        if self.new_lot(&request.place).is_none() {
            let (home, index, slot) = tenant.find_slot(lot, &request.wanted, request.entropy)?;
            return Ok((Cow::Borrowed(&home.plan), Some(index), slot));
        }
        let slot = tenant.find_any_slot(lot, &request.wanted)?;
        let plan = LotPlan::without_slots(lot.clone(), Arc::new(LotSettings::of_new_lot()));
        Ok((Cow::Owned(plan), None, slot))
    }
}

impl Tenant {
    /// Finds the slot for a request in a lot that has every slot. A slot is unique in its domain, so it must be free in all lots.
    pub(super) fn find_any_slot(&self, lot: &LotId, wanted: &SlotRequest) -> Result<Slot, Refusal> {
        let is_free = |slot: &Slot| self.held(slot).is_none();
        match wanted {
            SlotRequest::Slot(slot) => Some(slot.clone()).filter(is_free).ok_or_else(|| Refusal::Taken(slot.clone())),
            SlotRequest::LowestOf(range) => range.slots().find(is_free).ok_or_else(|| Refusal::Full(lot.clone())),
            SlotRequest::Auto => Err(Refusal::Full(lot.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::parking::{
        CallOverrides, Layout, MonotonicTime, NoSlotReason, Outcome, RestoreParams, RetrieveTarget, SlotRange,
        TimerAction, parse_slots,
    };

    const NOW: MonotonicTime = MonotonicTime(Duration::from_secs(1000));

    fn table() -> Table {
        let plan = LotPlan {
            id: LotId::new("main", "*"),
            slots: parse_slots("701-703").unwrap().into(),
            labels: Arc::default(),
            settings: Arc::default(),
        };
        Table::new(&[plan], None)
    }

    fn slot(text: &str) -> Slot {
        Slot::parse(text).unwrap()
    }

    fn place(lot: &str, domain: &str) -> LotSelector {
        let lot = LotName::parse(lot).unwrap().or_new();
        LotSelector { lot: Some(lot), domains: vec![domain.to_owned(), "usual.test".to_owned()], any: false }
    }

    fn request(uuid: &str, lot: &str, wanted: SlotRequest) -> ParkRequest {
        ParkRequest {
            uuid: uuid.into(),
            place: place(lot, "a.test"),
            wanted,
            caller: Arc::default(),
            parker: "".into(),
            label: String::new(),
            overrides: CallOverrides::default(),
            parked_at_ms: 0,
            entropy: 0,
        }
    }

    fn park(table: &mut Table, uuid: &str, lot: &str, wanted: SlotRequest) -> Result<(String, String), Refusal> {
        let parked = table.park(&request(uuid, lot, wanted), false, NOW);
        table.check().unwrap();
        parked.map(|call| (call.info.slot.to_string(), call.info.lot.to_string()))
    }

    fn in_slot(table: &mut Table, uuid: &str, lot: &str, text: &str) -> Result<(String, String), Refusal> {
        park(table, uuid, lot, SlotRequest::Slot(slot(text)))
    }

    fn names(slot: &str, lot: &str) -> (String, String) {
        (slot.to_owned(), lot.to_owned())
    }

    #[test]
    fn a_lot_that_nobody_configured_has_every_slot_while_calls_wait_in_it() {
        let mut table = table();
        assert_eq!(in_slot(&mut table, "x", "valet", "6001"), Ok(names("6001", "valet@a.test")));
        assert_eq!(in_slot(&mut table, "y", "valet@B.test", "*5901"), Ok(names("*5901", "valet@b.test")));
        assert_eq!(
            in_slot(&mut table, "z", "other", "6001"),
            Err(Refusal::Taken(slot("6001"))),
            "unique in its domain"
        );
        let empty = |place: LotSelector, text| matches!(table.find(&place, &slot(text)), Err(Refusal::Empty(_)));
        assert!(empty(place("valet", "a.test"), "6002") && empty(place("valet", "b.test"), "6001"));
        assert!(empty(place("other", "a.test"), "6001"), "the call of another lot");
        let target = RetrieveTarget::Slot(slot("6001"));
        let call = table.claim(&place("valet", "a.test"), &target, "r").unwrap();
        assert_eq!(table.connected(call.id, NOW).map(|ended| ended.outcome), Some(Outcome::Retrieved));
        table.check().unwrap();
        assert!(table.lots(NOW).iter().all(|lot| lot.id != LotId::new("valet", "a.test")));
    }

    #[test]
    fn a_lot_that_is_configured_keeps_to_its_slots() {
        let mut table = table();
        assert!(matches!(in_slot(&mut table, "x", "main", "6001"), Err(Refusal::NoSuchSlot(_))));
        assert_eq!(in_slot(&mut table, "x", "main", "702"), Ok(names("702", "main@a.test")));
        assert_eq!(
            in_slot(&mut table, "y", "valet", "701"),
            Ok(names("701", "valet@a.test")),
            "no other call is there"
        );
        assert_eq!(in_slot(&mut table, "z", "main", "701"), Err(Refusal::Taken(slot("701"))));
        let all = SlotRange { first: 1, last: None };
        assert_eq!(park(&mut table, "z", "main", SlotRequest::LowestOf(all)), Ok(names("703", "main@a.test")));
    }

    #[test]
    fn a_range_gives_its_lowest_free_slot_and_its_oldest_call() {
        let mut table = table();
        let range = SlotRange { first: 9, last: Some(11) };
        for (n, expected) in ["9", "10", "11"].into_iter().enumerate() {
            let parked = park(&mut table, &n.to_string(), "valet", SlotRequest::LowestOf(range));
            assert_eq!(parked, Ok(names(expected, "valet@a.test")));
        }
        let full = park(&mut table, "late", "valet", SlotRequest::LowestOf(range));
        assert_eq!(full, Err(Refusal::Full(LotId::new("valet", "a.test"))));
        let oldest = |table: &Table, first| {
            let target = RetrieveTarget::OldestOf(SlotRange { first, last: Some(11) });
            table.find_target(&place("valet", "a.test"), &target).map(|call| call.info.slot.to_string())
        };
        assert_eq!(oldest(&table, 10), Ok("10".to_owned()));
        assert!(matches!(oldest(&table, 12), Err(Refusal::EmptyLot(_))));
        assert!(!range.contains(&slot("09")) && !range.contains(&slot("*9")) && range.contains(&slot("9")));
    }

    #[test]
    fn a_call_keeps_its_slot_over_a_reload_and_a_crash() {
        let mut before = table();
        in_slot(&mut before, "x", "valet", "6001").unwrap();
        before.replace(Layout::new(&[], None, &before.domains_in_use()));
        before.check().unwrap();
        assert!(before.find(&place("valet", "a.test"), &slot("6001")).is_ok());
        let mut after = table();
        let saved = RestoreParams { rings_left: 1, ..RestoreParams::default() };
        let restored = after.restore(&request("x", "valet", SlotRequest::Slot(slot("6001"))), &saved, NOW).unwrap();
        after.check().unwrap();
        assert_eq!((restored.info.slot.as_str(), &*restored.info.lot.name), ("6001", "valet"));
    }

    #[test]
    fn a_caller_for_whom_the_slot_was_occupied_gets_it_when_it_is_free() {
        let mut table = table();
        in_slot(&mut table, "x", "valet", "6001").unwrap();
        let second = request("y", "valet", SlotRequest::Slot(slot("6001")));
        table.wait_for_slot(&second, NoSlotReason::Taken, Duration::ZERO, NOW).unwrap();
        table.check().unwrap();
        let free = |table: &mut Table| table.due(NOW).iter().any(|due| matches!(due, TimerAction::SlotFree(_)));
        assert!(!free(&mut table));
        table.leave("x", crate::parking::LeaveReason::HungUp, NOW);
        assert!(free(&mut table));
        assert_eq!(table.assign("y", NOW).map(|call| call.info.slot.to_string()), Some("6001".to_owned()));
        table.check().unwrap();
    }
}
