//! Tests of the rules about late callers: `remind-after` and `remind-every`.

use std::sync::Arc;
use std::time::Duration;

use mod_callpark::parking::{
    CallOverrides, LampState, LotId, LotPlan, LotSelector, LotSettings, MonotonicTime, NoSlotReason, ParkRequest,
    Party, RestoreParams, RetrieveTarget, Slot, SlotRequest, SlotStatus, StoredCall, StoredState, Table, TimerAction,
    parse_slots,
};

const DOMAIN: &str = "a.test";

fn at(seconds: u64) -> MonotonicTime {
    MonotonicTime(Duration::from_secs(seconds))
}

fn place() -> LotSelector {
    LotSelector { lot: None, domains: vec![DOMAIN.into()], any: false }
}

fn request(uuid: &str) -> ParkRequest {
    ParkRequest {
        uuid: uuid.into(),
        place: place(),
        wanted: SlotRequest::Auto,
        caller: Party::default().into(),
        parker: "1001@a.test".into(),
        label: String::new(),
        overrides: CallOverrides::default(),
        parked_at_ms: 0,
        entropy: 5,
    }
}

fn plan(after: u64, every: u64) -> LotPlan {
    let settings = LotSettings {
        remind_after: Duration::from_secs(after),
        remind_every: Duration::from_secs(every),
        park_timeout: Duration::ZERO,
        ..LotSettings::default()
    };
    let slots = parse_slots("701-703").unwrap().into();
    LotPlan { id: LotId::new("main", DOMAIN), slots, labels: Arc::default(), settings: settings.into() }
}

fn table(after: u64, every: u64) -> Table {
    Table::new(&[plan(after, every)], None)
}

fn parked(after: u64, every: u64) -> Table {
    let mut table = table(after, every);
    table.park(&request("a"), false, at(0)).unwrap();
    table
}

/// The seconds, up to `end`, at which there is a reminder if the table is asked each second.
fn reminded(table: &mut Table, seconds: std::ops::Range<u64>) -> Vec<u64> {
    let is_reminder = |due: &TimerAction| matches!(due, TimerAction::Remind(_));
    seconds
        .flat_map(|second| vec![second; table.due(at(second)).iter().filter(|due| is_reminder(due)).count()])
        .collect()
}

fn is_late(table: &Table) -> bool {
    table.find_leg("a").unwrap().is_late()
}

fn lamp(table: &Table) -> LampState {
    match table.slot_status(DOMAIN, &Slot::parse("701").unwrap()).unwrap().1 {
        SlotStatus::Taken { state, .. } => state,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_caller_is_late_after_remind_after_and_reminded_every_remind_every() {
    for (after, every, expected) in
        [(0, 0, vec![]), (30, 0, vec![30]), (30, 20, vec![30, 50, 70, 90]), (1, 60, vec![1, 61])]
    {
        let mut table = parked(after, every);
        assert_eq!(reminded(&mut table, 0..100), expected, "{after} {every}");
        table.check().unwrap();
    }
}

#[test]
fn the_lamp_of_a_late_caller_blinks() {
    let mut table = parked(30, 0);
    table.due(at(29));
    assert_eq!((is_late(&table), lamp(&table)), (false, LampState::Confirmed));
    table.take_changed_slots();
    table.due(at(30));
    assert_eq!((is_late(&table), lamp(&table)), (true, LampState::Early));
    assert!(!table.take_changed_slots().is_empty(), "the change of the lamp is not reported");
    assert_eq!(table.lot_status(DOMAIN, "main").unwrap().1.state, LampState::Early);
}

#[test]
fn nothing_that_happens_to_the_call_moves_its_reminders() {
    let mut table = parked(30, 20);
    table.claim(&place(), &RetrieveTarget::Oldest, "r").unwrap();
    assert_eq!(reminded(&mut table, 0..35), [30], "while a phone rings that does not answer");
    table.release("a", "r", at(35)).unwrap();
    table.ring_now("a").unwrap();
    assert_eq!(reminded(&mut table, 35..60), [50], "during a recall");
    table.take_over("a", &request("b"), at(60)).unwrap();
    assert_eq!(reminded(&mut table, 60..100), [70, 90], "another leg of the same caller");
    table.check().unwrap();
}

#[test]
fn nobody_is_reminded_of_a_reserved_slot() {
    let mut table = table(5, 0);
    table.reserve_for_consultation(&request("a"), at(0)).unwrap();
    assert_eq!(reminded(&mut table, 0..20), [0; 0]);
    table.arrive("a", at(20)).unwrap();
    assert_eq!(reminded(&mut table, 20..40), [25]);
}

#[test]
fn reminders_that_were_missed_come_once() {
    let mut table = parked(10, 10);
    assert_eq!(reminded(&mut table, 95..100), [95]);
    assert_eq!(reminded(&mut table, 100..125), [100, 110, 120]);
}

#[test]
fn a_late_caller_is_late_after_a_recovery_and_is_not_reminded_of_again_at_once() {
    let mut table = table(30, 20);
    let waited = Duration::from_secs(75);
    let saved = RestoreParams { waited, reminders: 3, ..RestoreParams::default() };
    assert!(table.restore(&request("a"), &saved, at(1000)).unwrap().is_late());
    assert_eq!(reminded(&mut table, 1000..1040), [1015, 1035]);
    // One who became late while FreeSWITCH was down.
    let saved = RestoreParams { waited, reminders: 0, ..RestoreParams::default() };
    table.restore(&request("b"), &saved, at(2000)).unwrap();
    table.leave("a", mod_callpark::parking::LeaveReason::HungUp, at(2000));
    assert_eq!(reminded(&mut table, 2000..2020), [2000, 2015]);
    // One whose lot has other settings since.
    table.replace_lots(&[plan(300, 0)], None);
    let saved = RestoreParams { waited, reminders: 3, ..RestoreParams::default() };
    assert!(!table.restore(&request("c"), &saved, at(3000)).unwrap().is_late());
    table.check().unwrap();
}

#[test]
fn a_late_caller_without_a_slot_is_late_after_a_recovery() {
    let mut table = table(30, 20);
    table.wait_for_slot(&request("a"), NoSlotReason::Full, Duration::from_secs(31), at(1000)).unwrap();
    assert!(is_late(&table));
    assert_eq!(reminded(&mut table, 1000..1020), [1019]);
}

#[test]
fn a_reload_applies_to_those_who_are_parked_only_if_asked() {
    let mut table = parked(30, 20);
    assert_eq!(reminded(&mut table, 0..40), [30]);
    table.replace_lots(&[plan(300, 0)], None);
    assert!(is_late(&table));
    assert_eq!(reminded(&mut table, 40..60), [50]);
    table.apply_settings(at(60));
    assert!(!is_late(&table), "it is late later now");
    assert_eq!(reminded(&mut table, 60..310), [300]);
    table.replace_lots(&[plan(0, 0)], None);
    table.apply_settings(at(310));
    assert!(!is_late(&table));
    assert_eq!(reminded(&mut table, 310..900), [0; 0]);
    table.replace_lots(&[plan(20, 0)], None);
    table.apply_settings(at(900));
    assert_eq!(reminded(&mut table, 900..999), [900], "it has been late for long by the new settings");
    table.check().unwrap();
}

#[test]
fn a_call_of_another_node_becomes_late_without_a_reminder_here() {
    let mut table = table(30, 20);
    let stored = |waited: u64| StoredCall {
        uuid: "a".into(),
        node: "far".into(),
        is: StoredState::Parked,
        lot: LotId::new("main", DOMAIN),
        slot: Slot::parse("701").unwrap(),
        caller: Arc::default(),
        parker: "".into(),
        label: "".into(),
        attempt: 0,
        parked_at_ms: 0,
        waited: Duration::from_secs(waited),
        left: None,
    };
    table.replace_remote_calls(&[stored(10)], at(1000));
    assert_eq!((is_late(&table), reminded(&mut table, 1000..1019)), (false, vec![]));
    assert_eq!(reminded(&mut table, 1019..1060), [0; 0]);
    assert_eq!((is_late(&table), lamp(&table)), (true, LampState::Early));
    table.replace_remote_calls(&[], at(1060));
    table.add_remote_call(&stored(31), at(1060));
    assert!(is_late(&table), "it was late already when this node learned of it");
    table.check().unwrap();
}
