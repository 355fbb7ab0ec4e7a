//! Tests of the rules alone: parking and retrieving as documented, and random sequences of events against the invariants of the table.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use mod_callpark::parking::{
    Call, CallOverrides, Claimant, Destination, Ended, LeaveReason, LotId, LotName, LotPlan, LotSelector, LotSettings,
    MonotonicTime, NoSlotReason, Outcome, ParkRequest, Party, RecallFailure, Refusal, RestoreParams, RetrieveTarget,
    RingBack, Slot, SlotOrder, SlotRequest, SlotStatus, SlotTaken, State, StoredCall, StoredState, Table, TimerAction,
    parse_slots, should_wait_for_slot,
};
use proptest::prelude::*;

const DOMAIN: &str = "a.test";
const NOT_ANSWERED: RecallFailure = RecallFailure::NotAnswered;

fn plan(name: &str, domain: &str, slots: &str, settings: LotSettings) -> LotPlan {
    LotPlan {
        id: LotId::new(name, domain),
        slots: parse_slots(slots).unwrap().into(),
        labels: Arc::default(),
        settings: Arc::new(settings),
    }
}

fn table(settings: LotSettings) -> Table {
    Table::new(&[plan("main", DOMAIN, "701-703", settings)], None)
}

fn place(domain: &str) -> LotSelector {
    LotSelector { lot: None, domains: vec![domain.into()], any: false }
}

fn at(seconds: u64) -> MonotonicTime {
    MonotonicTime(Duration::from_secs(seconds))
}

fn slot(text: &str) -> Slot {
    Slot::parse(text).unwrap()
}

fn request(uuid: &str, wanted: SlotRequest) -> ParkRequest {
    ParkRequest {
        uuid: uuid.into(),
        place: place(DOMAIN),
        wanted,
        caller: Party { name: "Alice".into(), number: "555".into() }.into(),
        parker: "1001@a.test".into(),
        label: String::new(),
        overrides: CallOverrides::default(),
        parked_at_ms: 0,
        entropy: 5,
    }
}

/// A call whose request names no lot goes to the first lot of the configuration, whatever the names of the lots are.
#[test]
fn the_lot_that_nobody_names_is_the_first_of_the_configuration() {
    let lot = |name, slots| plan(name, DOMAIN, slots, LotSettings::default());
    let template = |name, slots| plan(name, "*", slots, LotSettings::default());
    let first = |plans: &[LotPlan]| park(&mut Table::new(plans, None), "one");
    assert_eq!(first(&[lot("main", "701-720"), lot("big", "5901-5999")]), "701");
    assert_eq!(first(&[template("main", "701-720"), template("big", "5901-5999")]), "701");
    assert_eq!(first(&[template("main", "701-720"), lot("big", "5901-5999")]), "701");
    assert_eq!(first(&[template("main", "701-720"), lot("big", "5901-5999"), lot("main", "601-620")]), "5901");
}

/// Parks `uuid` in any slot, and returns the slot.
fn park(table: &mut Table, uuid: &str) -> String {
    table.park(&request(uuid, SlotRequest::Auto), false, at(0)).unwrap().info.slot.to_string()
}

fn connected(table: &mut Table, uuid: &str, now: MonotonicTime) -> Option<Ended> {
    table.connected(table.find_leg(uuid)?.id, now)
}

fn fallback() -> Option<Destination> {
    Destination::parse("1000")
}

#[test]
fn automatic_slots_follow_the_lots_order() {
    for (order, expected) in [
        (SlotOrder::First, ["701", "701", "702"]),
        (SlotOrder::Next, ["701", "702", "703"]),
        (SlotOrder::LongestFree, ["701", "702", "703"]),
    ] {
        let mut table = table(LotSettings { slot_order: order, ..LotSettings::default() });
        let first = park(&mut table, "a");
        table.leave("a", LeaveReason::HungUp, at(1));
        let got = [first, park(&mut table, "b"), park(&mut table, "c")];
        assert_eq!(got, expected, "{order:?}");
    }
}

/// Adds a caller without a slot.
fn wait_without_slot(table: &mut Table, uuid: &str, now: MonotonicTime) {
    table.wait_for_slot(&request(uuid, SlotRequest::Auto), NoSlotReason::Full, Duration::ZERO, now).unwrap();
}

fn longest_wait(table: &Table, now: MonotonicTime) -> Option<Duration> {
    table.lots(now).iter().find(|lot| &*lot.id.domain == DOMAIN).unwrap().longest_wait
}

/// Before: a caller beside a full lot was in no count and raised no alert, and a reserved slot counted as a caller.
#[test]
fn a_lot_counts_those_who_wait_in_it() {
    let waiting = |table: &Table| table.lot_status(DOMAIN, "main").unwrap().1.waiting;
    let mut table = table(LotSettings::default());
    table.park(&request("coming", SlotRequest::Auto), true, at(0)).unwrap();
    assert_eq!((waiting(&table), longest_wait(&table, at(9))), (0, None));
    wait_without_slot(&mut table, "without", at(5));
    assert_eq!((waiting(&table), longest_wait(&table, at(9))), (1, Some(Duration::from_secs(4))));
    table.arrive("coming", at(6)).unwrap();
    assert_eq!((waiting(&table), longest_wait(&table, at(9))), (2, Some(Duration::from_secs(4))));
}

/// Before: each was offered the slot, and the first thread got it.
#[test]
fn a_slot_that_comes_free_is_offered_to_the_one_who_waits_longest() {
    let mut table = table(LotSettings { ringback: RingBack::Nobody, ..LotSettings::default() });
    for uuid in ["a", "b", "c"] {
        park(&mut table, uuid);
    }
    for (uuid, since) in [("second", 2), ("first", 1), ("third", 3)] {
        wait_without_slot(&mut table, uuid, at(since));
    }
    let offered = |table: &mut Table| -> Vec<String> {
        let free = |due| if let TimerAction::SlotFree(call) = due { Some(call.info.uuid.to_string()) } else { None };
        table.due(at(10)).into_iter().filter_map(free).collect()
    };
    assert_eq!(offered(&mut table), [""; 0]);
    table.leave("b", LeaveReason::HungUp, at(5));
    assert_eq!(offered(&mut table), ["first"]);
    table.leave("c", LeaveReason::HungUp, at(5));
    assert_eq!(offered(&mut table), ["first", "second"]);
    table.assign("first", at(10)).unwrap();
    assert_eq!(offered(&mut table), ["second"]);
}

#[test]
fn of_two_retrievers_of_one_slot_exactly_one_gets_the_caller() {
    let mut table = table(LotSettings::default());
    park(&mut table, "a");
    let pick = RetrieveTarget::Slot(slot("701"));
    table.claim(&place(DOMAIN), &pick, "first").unwrap();
    assert_eq!(table.claim(&place(DOMAIN), &pick, "second").unwrap_err(), Refusal::Gone(slot("701")));
    assert_eq!(connected(&mut table, "a", at(9)).unwrap().outcome, Outcome::Retrieved);
    assert!(matches!(table.claim(&place(DOMAIN), &pick, "third"), Err(Refusal::Empty(_))));
    table.check().unwrap();
}

#[test]
fn a_released_claim_leaves_the_caller_parked() {
    let mut table = table(LotSettings::default());
    park(&mut table, "a");
    table.claim(&place(DOMAIN), &RetrieveTarget::Oldest, "r").unwrap();
    assert_eq!(table.release("a", "somebody else", at(1)), None);
    assert_eq!(table.release("a", "r", at(1)), Some(Claimant::Retriever));
    assert_eq!(table.find_leg("a").unwrap().state, State::Parked);
    assert_eq!(table.find_leg("a").unwrap().deadline, Some(at(90)));
}

#[test]
fn a_claim_is_refused_if_the_call_needs_another_permission() {
    let with_pin = |pin: &str| LotSettings { retrieve_pin: Some(pin.into()), ..LotSettings::default() };
    let mut table = table(with_pin("1"));
    park(&mut table, "a");
    let mut claim = |pin| table.claim_as_permitted(&place(DOMAIN), &RetrieveTarget::Oldest, &with_pin(pin), "r");
    assert_eq!(claim("2").unwrap_err(), Refusal::Gone(slot("701")));
    assert!(claim("1").is_ok());
}

#[test]
fn the_end_of_a_conversation_does_not_end_the_next_call_of_the_leg() {
    let mut table = table(LotSettings::default());
    park(&mut table, "a");
    let first = table.find_leg("a").unwrap().id;
    assert!(table.connected(first, at(1)).is_some());
    park(&mut table, "a");
    assert!(table.connected(first, at(2)).is_none() && table.call_count() == 1);
}

#[test]
fn an_intercepted_call_is_retrieved_or_returned() {
    for (returning, outcome) in [(false, Outcome::Retrieved), (true, Outcome::Returned)] {
        let mut table = table(LotSettings::default());
        park(&mut table, "a");
        table.due(at(90));
        assert!(!returning || table.ring_answered("a", 1, "p"));
        assert_eq!(table.leave("a", LeaveReason::Intercepted, at(91)).unwrap().outcome, outcome);
    }
}

#[test]
fn a_call_can_be_changed_only_on_the_node_that_has_its_leg() {
    let mut table = table(LotSettings::default());
    table.add_remote_call(&absent_at("there", "701"), at(0));
    table.reserve_for_recovery(&absent_at("lost", "702"), at(60), at(0));
    for (uuid, expected) in [
        ("there", Refusal::OnOtherNode(slot("701"), "far".into())),
        ("lost", Refusal::AwaitingRecovery(slot("702"))),
        ("nobody", Refusal::NotParked("nobody".into())),
    ] {
        assert_eq!(table.set_label(uuid, "x").unwrap_err(), expected);
        assert_eq!(table.extend(uuid, Duration::from_secs(1)).unwrap_err(), expected);
        assert_eq!(table.ring_now(uuid).unwrap_err(), expected);
    }
}

#[test]
fn a_transferred_leg_without_a_slot_waits_and_a_dialled_one_does_not() {
    let nobody = LotSettings { ringback: RingBack::Nobody, ..LotSettings::default() };
    let way_out = LotSettings { fallback: fallback(), ..nobody.clone() };
    for (brought_by_others, parker, settings, goes_on, waits) in [
        (false, "1001@a.test", &way_out, false, false),
        (true, "1001@a.test", &LotSettings::default(), true, true),
        (true, "", &LotSettings::default(), true, false),
        (true, "", &LotSettings::default(), false, true),
        (true, "1001@a.test", &nobody, true, false),
        (true, "", &way_out, true, true),
    ] {
        assert_eq!(should_wait_for_slot(brought_by_others, parker, settings, goes_on), waits, "{parker} {goes_on}");
    }
}

#[test]
fn oldest_and_newest_skip_claimed_calls() {
    let mut table = table(LotSettings::default());
    for uuid in ["a", "b", "c"] {
        park(&mut table, uuid);
    }
    let mut take =
        |pick: &RetrieveTarget, by: &str| table.claim(&place(DOMAIN), pick, by).map(|call| call.info.uuid.to_string());
    assert_eq!(take(&RetrieveTarget::Oldest, "r1").unwrap(), "a");
    assert_eq!(take(&RetrieveTarget::Newest, "r2").unwrap(), "c");
    assert_eq!(take(&RetrieveTarget::Oldest, "r3").unwrap(), "b");
    assert!(take(&RetrieveTarget::Newest, "r4").is_err());
}

#[test]
fn full_lots_overflow_in_a_circle_once() {
    let chain = |to: &str| LotSettings { overflow_lot: Some(to.into()), ..LotSettings::default() };
    let plans = [plan("a", DOMAIN, "1", chain("b")), plan("b", DOMAIN, "2", chain("a"))];
    let mut table = Table::new(&plans, None);
    assert_eq!([park(&mut table, "x"), park(&mut table, "y")], ["1", "2"]);
    assert!(matches!(table.park(&request("z", SlotRequest::Auto), false, at(0)), Err(Refusal::Full(_))));
}

#[test]
fn slot_taken_returns_the_call_or_uses_the_next_slot() {
    for (taken, expected) in [(SlotTaken::Return, None), (SlotTaken::Next, Some("701"))] {
        let mut table = table(LotSettings { slot_taken: taken, ..LotSettings::default() });
        table.park(&request("a", SlotRequest::Slot(slot("702"))), false, at(0)).unwrap();
        let second = table.park(&request("b", SlotRequest::Slot(slot("702"))), false, at(0));
        assert_eq!(second.as_ref().ok().map(|call| call.info.slot.as_str()), expected);
        table.check().unwrap();
    }
}

#[test]
fn the_settings_are_those_of_the_lot_that_has_the_slot() {
    let quick = LotSettings { park_timeout: Duration::from_secs(7), ..LotSettings::default() };
    let table = Table::new(
        &[plan("main", DOMAIN, "701-703", LotSettings::default()), plan("quick", DOMAIN, "801", quick)],
        Some("main"),
    );
    let timeout =
        |number: Option<&str>| table.settings_at(&place(DOMAIN), number.map(slot).as_ref()).park_timeout.as_secs();
    assert_eq!([timeout(Some("801")), timeout(Some("701")), timeout(Some("999")), timeout(None)], [7, 90, 90, 90]);
}

#[test]
fn a_leg_without_a_domain_uses_the_only_lot_and_no_other() {
    let lot = |domain: &str, slots: &str| plan("main", domain, slots, LotSettings::default());
    let wanted = |place: LotSelector, plans: &[LotPlan]| {
        let found = Table::new(plans, None).resolve(&place, Some(&slot("701")));
        found.map(|lot| lot.domain.to_string()).unwrap_or_default()
    };
    let nobody = LotSelector { any: true, ..place("10.0.0.1") };
    let only = [lot("a.test", "701-703")];
    assert_eq!(wanted(nobody.clone(), &only), "a.test");
    assert_eq!(wanted(place("b.test"), &only), "", "a leg of another domain");
    let elsewhere = LotSelector { lot: LotName::parse("main@b.test"), ..nobody.clone() };
    assert_eq!(wanted(elsewhere, &only), "", "a lot of another domain is named");
    assert_eq!(wanted(nobody.clone(), &[lot("a.test", "701"), lot("b.test", "701")]), "", "there are two lots");
    assert_eq!(
        wanted(nobody.clone(), &[lot("10.0.0.1", "801"), lot("b.test", "701")]),
        "",
        "the leg's own domain has lots"
    );
}

#[test]
fn templates_are_copied_into_each_domain_and_kept_apart() {
    let mut table = Table::new(&[plan("main", "*", "701", LotSettings::default())], None);
    let in_domain = |uuid: &str, domain: &str| ParkRequest { place: place(domain), ..request(uuid, SlotRequest::Auto) };
    assert!(table.park(&in_domain("a", "x.test"), false, at(0)).is_ok());
    assert!(table.park(&in_domain("b", "y.test"), false, at(0)).is_ok());
    assert!(matches!(table.park(&in_domain("c", "x.test"), false, at(0)), Err(Refusal::Full(_))));
    assert!(matches!(table.claim(&place("z.test"), &RetrieveTarget::Slot(slot("701")), "r"), Err(Refusal::Empty(_))));
    assert_eq!(&*table.claim(&place("Y.TEST"), &RetrieveTarget::Slot(slot("701")), "r").unwrap().info.uuid, "b");
}

/// The name of a lot becomes an argument in a dialplan, where the text after a comma would be another application.
#[test]
fn an_invalid_domain_has_no_lots() {
    let plans = [plan("main", "*", "701-702", LotSettings::default())];
    let mut table = Table::new(&plans, None);
    for domain in ["x,system:id", "$\\{x}", "a b", "", "a@b", "-x"] {
        assert!(!table.has_lots(domain));
        let refused =
            table.park(&ParkRequest { place: place(domain), ..request("a", SlotRequest::Auto) }, false, at(0));
        assert!(matches!(refused, Err(Refusal::NoSuchLot(_))), "{domain}: {refused:?}");
    }
    let both = LotSelector { domains: vec!["x,system:id".into(), "a.test".into()], ..place("") };
    let parked = table.park(&ParkRequest { place: both, ..request("b", SlotRequest::Auto) }, false, at(0)).unwrap();
    assert_eq!(parked.info.lot.to_string(), "main@a.test", "not the next domain of the list");
}

#[test]
fn a_reservation_is_for_its_leg_and_expires() {
    let mut table = table(LotSettings::default());
    table.park(&request("a", SlotRequest::Auto), true, at(0)).unwrap();
    assert!(matches!(
        table.claim(&place(DOMAIN), &RetrieveTarget::Slot(slot("701")), "r"),
        Err(Refusal::NotYetParked(_))
    ));
    assert_eq!(table.arrive("b", at(1)).map(|call| call.id), None);
    assert_eq!(table.arrive("a", at(2)).unwrap().parked_at, at(2));
    table.park(&request("c", SlotRequest::Auto), true, at(2)).unwrap();
    assert!(table.leave("c", LeaveReason::HungUp, at(3)).is_none(), "a leg that never came has no outcome");
    table.park(&request("d", SlotRequest::Auto), true, at(3)).unwrap();
    assert!(table.due(at(5)).is_empty());
    assert!(
        matches!(table.due(at(6)).as_slice(), [TimerAction::Fetch(call)] if &*call.info.uuid == "d"),
        "something took it elsewhere"
    );
    assert!(table.due(at(15)).is_empty());
    assert!(
        matches!(table.due(at(16)).as_slice(), [TimerAction::Lapsed(ended)] if &*ended.call.info.uuid == "d" && !ended.call.was_parked)
    );
    table.check().unwrap();
}

#[test]
fn a_leg_that_replaces_a_parked_one_is_the_same_call() {
    let mut table = table(LotSettings { park_timeout: Duration::from_secs(90), ..LotSettings::default() });
    park(&mut table, "other");
    table.park(&ParkRequest { parker: "".into(), ..request("dialler", SlotRequest::Auto) }, false, at(1)).unwrap();
    table.set_label("dialler", "Mr Chen").unwrap();
    assert!(table.expect_replacement("dialler", at(5)));
    assert!(
        table.claim(&place(DOMAIN), &RetrieveTarget::Slot(slot("702")), "r").is_err(),
        "nobody is there at this moment"
    );
    let call = table.take_over("dialler", &request("caller", SlotRequest::Auto), at(6)).unwrap();
    assert_eq!((call.info.slot.as_str(), &*call.label, call.state), ("702", "Mr Chen", State::Parked));
    assert_eq!(
        (call.parked_at, call.deadline),
        (at(1), Some(at(96))),
        "it waits since then, and may wait as long from now on"
    );
    assert_eq!(
        call.info.parker,
        request("caller", SlotRequest::Auto).parker,
        "the parker of the first leg was unknown"
    );
    assert!(
        table.leave("dialler", LeaveReason::HungUp, at(7)).is_none() && !table.expect_replacement("dialler", at(7))
    );
    assert_eq!(table.leave("caller", LeaveReason::HungUp, at(8)).unwrap().outcome, Outcome::Abandoned);
    table.check().unwrap();
}

#[test]
fn a_parked_call_whose_next_leg_never_arrives_has_an_outcome() {
    let mut table = table(LotSettings::default());
    park(&mut table, "a");
    assert!(table.expect_replacement("a", at(5)));
    assert!(table.due(at(14)).is_empty());
    assert!(
        matches!(table.due(at(15)).as_slice(), [TimerAction::Ended(ended, Ended::NOT_ARRIVED)] if ended.outcome == Outcome::Abandoned)
    );
    assert_eq!(table.call_count(), 0);
}

#[test]
fn a_leg_replaces_another_in_every_state_of_the_call() {
    for state in 0..4 {
        let mut table = table(LotSettings {
            park_timeout: Duration::from_secs(1),
            fallback: Destination::parse("9"),
            ..LotSettings::default()
        });
        park(&mut table, "a");
        match state {
            0 => drop(table.claim(&place(DOMAIN), &RetrieveTarget::Oldest, "r").unwrap()),
            1 => drop(table.due(at(1))),
            2 => assert!(
                table.due(at(1)).len() == 1
                    && table.ring_failed("a", 1, NOT_ANSWERED, at(2)).is_some()
                    && table.due(at(3)).len() == 1
            ),
            _ => {}
        }
        let call = table.take_over("a", &request("b", SlotRequest::Auto), at(9)).unwrap();
        assert_eq!(
            (call.info.slot.as_str(), call.state, call.attempt, call.deadline),
            ("701", State::Parked, 0, Some(at(10)))
        );
        assert!(connected(&mut table, "a", at(9)).is_none());
        table.check().unwrap();
    }
}

#[test]
fn a_caller_who_does_not_reach_the_fallback_stays_parked() {
    let mut table = table(LotSettings {
        park_timeout: Duration::from_secs(1),
        ringback_attempts: 0,
        fallback: Destination::parse("9"),
        ..LotSettings::default()
    });
    park(&mut table, "a");
    assert!(matches!(table.due(at(1)).as_slice(), [TimerAction::Fallback(..)]));
    assert!(table.due(at(31)).is_empty() && table.find_leg("a").unwrap().state == State::Parked);
    assert!(matches!(table.due(at(61)).as_slice(), [TimerAction::Fallback(..)]), "the fallback is not repeated");
}

#[test]
fn a_parker_holds_at_most_the_allowed_number_of_calls() {
    let mut table = table(LotSettings { park_limit_per_user: 1, ..LotSettings::default() });
    park(&mut table, "a");
    assert_eq!(table.park(&request("b", SlotRequest::Auto), false, at(0)).unwrap_err(), Refusal::Limit(1));
    table.leave("a", LeaveReason::HungUp, at(1));
    park(&mut table, "b");
}

#[test]
fn two_recalls_and_then_the_fallback() {
    let mut table = table(LotSettings { ringback_attempts: 2, fallback: fallback(), ..LotSettings::default() });
    park(&mut table, "a");
    assert!(table.due(at(89)).is_empty());
    assert!(matches!(table.due(at(90)).as_slice(), [TimerAction::RingBack(call)] if call.attempt == 1));
    assert!(table.due(at(95)).is_empty(), "the action is due twice");
    table.ring_failed("a", 1, NOT_ANSWERED, at(110)).unwrap();
    assert!(table.ring_failed("a", 1, NOT_ANSWERED, at(111)).is_none());
    assert!(table.due(at(199)).is_empty());
    assert!(matches!(table.due(at(200)).as_slice(), [TimerAction::RingBack(call)] if call.attempt == 2));
    table.ring_failed("a", 2, NOT_ANSWERED, at(220)).unwrap();
    assert!(matches!(table.due(at(220)).as_slice(), [TimerAction::Fallback(..)]));
    assert_eq!(table.leave("a", LeaveReason::Moved, at(221)).unwrap().outcome, Outcome::Fallback);
}

/// Parks a call whose recall finds the parker busy `times` times, each time as soon as it is due. Returns the time of the last one.
fn busy(table: &mut Table, times: u64) -> u64 {
    park(table, "a");
    for nth in 0..times {
        let now = at(90 + 10 * nth);
        assert!(matches!(table.due(now).as_slice(), [TimerAction::RingBack(call)] if call.attempt == 1), "{nth}");
        let call = table.ring_failed("a", 1, RecallFailure::Busy, now).unwrap();
        assert_eq!((call.state, call.attempt), (State::Parked, 1));
        table.check().unwrap();
    }
    90 + 10 * (times - 1)
}

#[test]
fn a_busy_parker_is_called_again_six_times_and_it_is_one_attempt() {
    let mut table = table(LotSettings { fallback: fallback(), ..LotSettings::default() });
    let last = busy(&mut table, 7);
    assert!(matches!(table.due(at(last)).as_slice(), [TimerAction::Fallback(..)]), "the attempt is over");
}

#[test]
fn after_a_busy_attempt_the_next_one_is_repeated_as_often() {
    let mut table = table(LotSettings { ringback_attempts: 2, fallback: fallback(), ..LotSettings::default() });
    let last = busy(&mut table, 7);
    assert_eq!(table.next_deadline(), Some(at(last + 90)), "another park-timeout");
    assert!(matches!(table.due(at(last + 90)).as_slice(), [TimerAction::RingBack(call)] if call.attempt == 2));
    assert_eq!(table.ring_failed("a", 2, RecallFailure::Busy, at(last + 90)).unwrap().busy, 1);
}

#[test]
fn a_recall_that_is_not_answered_ends_the_repetitions() {
    let mut table = table(LotSettings { fallback: fallback(), ..LotSettings::default() });
    let last = busy(&mut table, 3);
    assert!(matches!(table.due(at(last + 10)).as_slice(), [TimerAction::RingBack(_)]));
    table.ring_failed("a", 1, NOT_ANSWERED, at(last + 30)).unwrap();
    assert!(matches!(table.due(at(last + 30)).as_slice(), [TimerAction::Fallback(..)]));
}

#[test]
fn a_busy_parker_counts_as_unanswered_without_repetitions() {
    let at_once = LotSettings { ringback_busy_retry: Duration::ZERO, fallback: fallback(), ..LotSettings::default() };
    let mut table = table(at_once);
    let last = busy(&mut table, 1);
    assert!(matches!(table.due(at(last)).as_slice(), [TimerAction::Fallback(..)]));
}

#[test]
fn max_park_time_interrupts_the_wait_for_a_busy_parker() {
    let limit = LotSettings { max_park_time: Duration::from_secs(95), fallback: fallback(), ..LotSettings::default() };
    let mut table = table(limit);
    busy(&mut table, 1);
    assert!(matches!(table.due(at(95)).as_slice(), [TimerAction::Fallback(..)]));
}

#[test]
fn a_busy_parker_is_called_again_after_everything_that_happens_meanwhile() {
    let mut table = table(LotSettings { fallback: fallback(), ..LotSettings::default() });
    busy(&mut table, 1);
    table.claim(&place(DOMAIN), &RetrieveTarget::Oldest, "r").unwrap();
    table.release("a", "r", at(92)).unwrap();
    assert_eq!(table.next_deadline(), Some(at(100)), "a retriever gave up");
    table.apply_settings(at(93));
    assert_eq!(table.next_deadline(), Some(at(100)), "the configuration was applied");
    table.extend("a", Duration::from_secs(30)).unwrap();
    assert!(table.due(at(129)).is_empty());
    assert!(matches!(table.ring_now("a"), Ok(TimerAction::RingBack(call)) if call.attempt == 1), "by a command");
    assert!(table.ring_answered("a", 1, "p"));
    table.release("a", "p", at(131)).unwrap();
    assert!(matches!(table.due(at(131)).as_slice(), [TimerAction::Fallback(..)]), "the parker answered and gave up");
}

#[test]
fn a_caller_without_a_slot_also_waits_for_a_busy_parker() {
    let mut table = Table::new(
        &[plan("main", DOMAIN, "701", LotSettings { fallback: fallback(), ..LotSettings::default() })],
        None,
    );
    park(&mut table, "a");
    table.wait_for_slot(&request("b", SlotRequest::Auto), NoSlotReason::Full, Duration::ZERO, at(0)).unwrap();
    assert!(matches!(table.due(at(0)).as_slice(), [TimerAction::RingBack(_)]));
    let call = table.ring_failed("b", 1, RecallFailure::Busy, at(0)).unwrap();
    assert_eq!((call.state_name(), call.deadline), ("waiting-for-slot", Some(at(10))));
    table.leave("a", LeaveReason::HungUp, at(1));
    let call = table.assign("b", at(1)).unwrap();
    assert_eq!((call.busy, call.deadline), (0, Some(at(91))), "a parked call like any other");
}

#[test]
fn a_retriever_and_the_parker_race_in_either_order() {
    let ringing = || {
        let mut table = table(LotSettings::default());
        park(&mut table, "a");
        table.due(at(90));
        table
    };
    let mut quicker_retriever = ringing();
    quicker_retriever.claim(&place(DOMAIN), &RetrieveTarget::Oldest, "r").unwrap();
    assert!(!quicker_retriever.ring_answered("a", 1, "p"));
    assert_eq!(connected(&mut quicker_retriever, "a", at(91)).unwrap().outcome, Outcome::Retrieved);

    let mut quicker_parker = ringing();
    assert!(quicker_parker.ring_answered("a", 1, "p"));
    assert!(quicker_parker.claim(&place(DOMAIN), &RetrieveTarget::Oldest, "r").is_err());
    assert_eq!(connected(&mut quicker_parker, "a", at(91)).unwrap().outcome, Outcome::Returned);

    let mut gone_again = ringing();
    assert!(gone_again.ring_answered("a", 1, "p"));
    assert_eq!(gone_again.release("a", "p", at(92)), Some(Claimant::Parker), "the parker hung up at once");
    assert_eq!(gone_again.find_leg("a").unwrap().state, State::Parked);
    assert_eq!(gone_again.find_leg("a").unwrap().deadline, Some(at(182)));
}

#[test]
fn a_failed_fallback_keeps_the_caller_and_is_repeated() {
    let mut table = table(LotSettings { ringback: RingBack::Nobody, fallback: fallback(), ..LotSettings::default() });
    park(&mut table, "a");
    assert!(matches!(table.due(at(90)).as_slice(), [TimerAction::Fallback(..)]));
    assert!(matches!(table.claim(&place(DOMAIN), &RetrieveTarget::Slot(slot("701")), "r"), Err(Refusal::Gone(_))));
    table.fallback_failed("a", at(91)).unwrap();
    assert!(table.claim(&place(DOMAIN), &RetrieveTarget::Slot(slot("701")), "r").is_ok());
    table.release("a", "r", at(92));
    assert!(matches!(table.due(at(181)).as_slice(), [TimerAction::Fallback(..)]));
}

#[test]
fn max_park_time_interrupts_a_recall() {
    let settings =
        LotSettings { max_park_time: Duration::from_secs(100), fallback: fallback(), ..LotSettings::default() };
    let mut table = table(settings);
    park(&mut table, "a");
    assert!(matches!(table.due(at(90)).as_slice(), [TimerAction::RingBack(_)]));
    assert!(matches!(table.due(at(100)).as_slice(), [TimerAction::Fallback(..)]));
    assert!(table.ring_failed("a", 1, NOT_ANSWERED, at(101)).is_none());
}

#[test]
fn without_parker_and_fallback_a_call_has_no_timer() {
    let mut table = table(LotSettings::default());
    table.park(&ParkRequest { parker: "".into(), ..request("a", SlotRequest::Auto) }, false, at(0)).unwrap();
    assert_eq!(table.next_deadline(), None);
    assert!(table.extend("a", Duration::from_secs(5)).is_err());
    assert!(table.ring_now("a").is_err());
}

#[test]
fn parked_calls_keep_their_settings_until_a_new_configuration_is_applied() {
    let mut table = table(LotSettings::default());
    park(&mut table, "a");
    let shorter = plan(
        "main",
        DOMAIN,
        "701-703",
        LotSettings { park_timeout: Duration::from_secs(10), ..LotSettings::default() },
    );
    table.replace_lots(&[shorter], None);
    assert_eq!(table.next_deadline(), Some(at(90)));
    table.apply_settings(at(5));
    assert_eq!(table.next_deadline(), Some(at(10)));
    table.replace_lots(&[plan("other", DOMAIN, "801", LotSettings::default())], None);
    table.check().unwrap();
    assert_eq!(&*table.claim(&place(DOMAIN), &RetrieveTarget::Slot(slot("701")), "r").unwrap().info.uuid, "a");
    connected(&mut table, "a", at(6));
    assert!(table.lots(at(6)).iter().all(|lot| &*lot.id.name == "other"));
    table.check().unwrap();
}

#[test]
fn an_occupied_slot_that_moved_to_another_lot_is_not_free() {
    let mut table = table(LotSettings::default());
    park(&mut table, "a");
    table.replace_lots(&[plan("other", DOMAIN, "701", LotSettings::default())], None);
    assert!(table.park(&request("b", SlotRequest::Auto), false, at(0)).is_err());
    table.leave("a", LeaveReason::HungUp, at(1));
    assert_eq!(park(&mut table, "b"), "701");
    table.check().unwrap();
}

#[test]
fn a_consultation_reserves_its_slot_for_the_following_call() {
    let mut table = table(LotSettings { park_limit_per_user: 1, ..LotSettings::default() });
    let kept = table.reserve_for_consultation(&request("consulting", SlotRequest::Auto), at(0)).unwrap();
    assert_eq!((kept.info.slot.as_str(), kept.state, kept.deadline), ("701", State::Reserved, None));
    assert!(
        table.claim(&place(DOMAIN), &RetrieveTarget::Slot(slot("701")), "r").is_err(),
        "a reserved slot was claimed"
    );
    // The parker's leg ends when the transfer begins, its thread notices that later, and the caller arrives at any moment.
    assert!(table.legs_on_the_way().is_empty(), "the slot of a consultation is given up as soon as its leg has ended");
    table.expect_replacement("consulting", at(5));
    assert!(table.legs_on_the_way().is_empty(), "a reservation for a leg that has ended");
    let call = table.take_over("consulting", &request("caller", SlotRequest::Auto), at(6)).unwrap();
    assert_eq!((call.info.slot.as_str(), call.state, call.parked_at), ("701", State::Parked, at(6)));
    table.check().unwrap();
}

#[test]
fn the_end_of_a_consultation_frees_its_slot() {
    let mut table = table(LotSettings::default());
    table.reserve_for_consultation(&request("consulting", SlotRequest::Auto), at(0)).unwrap();
    assert!(
        table.leave("consulting", LeaveReason::HungUp, at(1)).is_none(),
        "nobody was parked, so there is no outcome"
    );
    assert_eq!(table.call_count(), 0);
    table.reserve_for_consultation(&request("again", SlotRequest::Auto), at(2)).unwrap();
    table.expect_replacement("again", at(3));
    assert!(
        matches!(table.due(at(20)).as_slice(), [TimerAction::Lapsed(ended)] if !ended.call.was_parked),
        "the caller never came"
    );
    // A caller who arrives too late is parked too.
    assert_eq!(
        table.take_over("again", &request("late", SlotRequest::Auto), at(21)).unwrap().info.slot.as_str(),
        "701"
    );
    table.check().unwrap();
}

/// The lamps, updated only for the slots that the table reports as changed.
fn watch(table: &mut Table, shown: &mut HashMap<(String, Slot), SlotStatus>) -> Result<(), TestCaseError> {
    for (lot, slot) in table.take_changed_slots() {
        let look = table.slot_status(&lot.domain, &slot).map_or(SlotStatus::Free, |(_, look)| look);
        shown.insert((lot.domain.to_string(), slot), look);
    }
    for ((domain, slot), before) in shown.iter() {
        let now = table.slot_status(domain, slot).map_or(SlotStatus::Free, |(_, look)| look);
        prop_assert_eq!(before, &now, "the change of the lamp of {}@{} is not reported", slot, domain);
    }
    Ok(())
}

#[test]
fn a_recovered_call_is_parked_as_before() {
    let mut table = table(LotSettings::default());
    table.reserve_for_recovery(&StoredCall { lot: LotId::new("main", DOMAIN), ..absent_at("a", "702") }, at(60), at(0));
    assert!(matches!(
        table.claim(&place(DOMAIN), &RetrieveTarget::Slot(slot("702")), "r"),
        Err(Refusal::AwaitingRecovery(_))
    ));
    assert_eq!(park(&mut table, "new"), "701");
    assert_eq!(park(&mut table, "newer"), "703", "a reserved slot was assigned");
    let saved = RestoreParams {
        waited: Duration::from_secs(30),
        left: Some(Duration::from_secs(60)),
        attempt: 1,
        rings_left: 2,
        busy: 9,
        ..RestoreParams::default()
    };
    let back = table.restore(&request("a", SlotRequest::Slot(slot("702"))), &saved, at(10_000)).unwrap();
    assert_eq!((back.info.slot.as_str(), back.attempt, back.rings_left, back.busy), ("702", 1, 2, 6));
    assert_eq!((back.deadline, at(10_000).since(back.parked_at).as_secs()), (Some(at(10_060)), 30));
    let oldest = table.claim(&place(DOMAIN), &RetrieveTarget::Oldest, "r").unwrap();
    assert_eq!(&*oldest.info.uuid, "new", "a call that was parked earlier is not the oldest");
    assert!(table.due(at(60)).iter().all(|due| !matches!(due, TimerAction::Ended(..))));
    table.check().unwrap();
}

/// A caller waits for a slot in a lot whose fallback is removed before there is one.
#[test]
fn no_caller_goes_to_a_removed_fallback() {
    let limited =
        LotSettings { fallback: fallback(), max_park_time: Duration::from_secs(200), ..LotSettings::default() };
    for reload_applies in [true, false] {
        let mut table = Table::new(&[plan("main", DOMAIN, "701", limited.clone())], None);
        park(&mut table, "a");
        table.wait_for_slot(&request("b", SlotRequest::Auto), NoSlotReason::Full, Duration::ZERO, at(0)).unwrap();
        table.replace_lots(&[plan("main", DOMAIN, "701", LotSettings::default())], None);
        if reload_applies {
            table.apply_settings(at(0));
            table.check().unwrap();
        }
        table.leave("a", LeaveReason::HungUp, at(1));
        let call = table.assign("b", at(1)).unwrap();
        assert_eq!((call.max_park_end, call.deadline), (None, Some(at(91))));
        table.check().unwrap();
    }
}

/// Two calls are recovered, and the slot of the first belongs to another node by now. Before: the first got the slot of the second, and a user who
/// dialled the announced slot was connected to the wrong caller.
#[test]
fn a_recovered_call_whose_slot_is_occupied_gets_no_slot_of_another_call() {
    for order in [SlotOrder::First, SlotOrder::Next, SlotOrder::LongestFree] {
        let mut table = table(LotSettings { slot_order: order, ..LotSettings::default() });
        table.park(&request("other", SlotRequest::Slot(slot("701"))), false, at(0)).unwrap();
        let mut restore = |uuid: &str, number: &str| {
            let request = request(uuid, SlotRequest::Slot(slot(number)));
            table.restore(&request, &RestoreParams::default(), at(1)).unwrap().info.slot.to_string()
        };
        assert_eq!([restore("a", "701"), restore("b", "702")], ["703", "702"], "{order:?}");
        table.check().unwrap();
    }
}

#[test]
fn the_slot_of_a_call_that_is_not_recovered_becomes_free() {
    let mut table = table(LotSettings::default());
    table.reserve_for_recovery(&StoredCall { lot: LotId::new("main", DOMAIN), ..absent_at("a", "702") }, at(60), at(0));
    assert!(table.due(at(59)).is_empty());
    let due = table.due(at(60));
    assert!(
        matches!(due.as_slice(), [TimerAction::Ended(ended, Ended::NOT_RECOVERED)] if ended.outcome == Outcome::Abandoned)
    );
    assert_eq!(table.slot_status(DOMAIN, &slot("702")).unwrap().1, SlotStatus::Free);
    table.check().unwrap();
}

#[test]
fn of_two_callers_in_one_slot_the_nodes_own_comes_first() {
    let mut table = table(LotSettings::default());
    table.park(&request("before", SlotRequest::Slot(slot("702"))), false, at(0)).unwrap();
    park(&mut table, "here");
    table.leave("before", LeaveReason::HungUp, at(0));
    table.replace_remote_calls(&[StoredCall { lot: LotId::new("main", DOMAIN), ..absent_at("there", "701") }], at(1));
    table.replace_lots(&[plan("main", DOMAIN, "701-703", LotSettings::default())], None);
    let take = RetrieveTarget::Slot(slot("701"));
    assert_eq!(&*table.claim(&place(DOMAIN), &take, "r").unwrap().info.uuid, "here");
    connected(&mut table, "here", at(2)).unwrap();
    let there = table.claim(&place(DOMAIN), &take, "r").unwrap();
    assert_eq!((&*there.info.uuid, there.node().map(|node| &**node)), ("there", Some("far")), "it must be asked");
    table.replace_remote_calls(&[], at(3));
    assert_eq!(table.slot_status(DOMAIN, &slot("701")).unwrap().1, SlotStatus::Free);
    table.check().unwrap();
}

fn absent_at(uuid: &str, number: &str) -> StoredCall {
    StoredCall { slot: slot(number), ..absent(uuid, 0) }
}

#[derive(Clone, Debug)]
enum Step {
    Park { leg: u8, slot: Option<u8>, reserve: bool, other_domain: bool },
    Arrive(u8),
    Claim { slot: u8, by: u8 },
    ClaimOldest(u8),
    Release { leg: u8, by: u8 },
    Connected(u8),
    LeaveReason { leg: u8, moved: bool },
    Pass(u16),
    RingNow(u8),
    RingAnswered { leg: u8, attempt: u32, by: u8 },
    RingFailed { leg: u8, attempt: u32, busy: bool },
    FallbackFailed(u8),
    Extend(u8),
    Reload(u8, bool),
    Keep(u8),
    Expect(u8),
    TakeOver { kept_by: u8, leg: u8 },
    Hear(Vec<(u8, u8, u8)>),
    Miss { leg: u8, slot: u8 },
    Restore { leg: u8, slot: u8, left: u16 },
    WaitForSlot { leg: u8, slot: Option<u8>, denied: bool },
    Assign(u8),
    Unassign(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let leg = || 0..12u8;
    prop_oneof![
        4 => (leg(), prop::option::of(0..8u8), any::<bool>(), any::<bool>())
            .prop_map(|(leg, slot, reserve, other_domain)| Step::Park { leg, slot, reserve, other_domain }),
        2 => leg().prop_map(Step::Arrive),
        2 => (0..8u8, 0..4u8).prop_map(|(slot, by)| Step::Claim { slot, by }),
        1 => (0..4u8).prop_map(Step::ClaimOldest),
        1 => (leg(), 0..4u8).prop_map(|(leg, by)| Step::Release { leg, by }),
        1 => leg().prop_map(Step::Connected),
        1 => (leg(), any::<bool>()).prop_map(|(leg, moved)| Step::LeaveReason { leg, moved }),
        3 => (0..120u16).prop_map(Step::Pass),
        1 => leg().prop_map(Step::RingNow),
        1 => (leg(), 0..4u32, 0..4u8).prop_map(|(leg, attempt, by)| Step::RingAnswered { leg, attempt, by }),
        2 => (leg(), 0..4u32, any::<bool>()).prop_map(|(leg, attempt, busy)| Step::RingFailed { leg, attempt, busy }),
        1 => leg().prop_map(Step::FallbackFailed),
        1 => leg().prop_map(Step::Extend),
        1 => (0..4u8, any::<bool>()).prop_map(|(which, apply)| Step::Reload(which, apply)),
        1 => leg().prop_map(Step::Keep),
        1 => leg().prop_map(Step::Expect),
        1 => (leg(), leg()).prop_map(|(kept_by, leg)| Step::TakeOver { kept_by, leg }),
        2 => prop::collection::vec((0..8u8, 0..8u8, 0..4u8), 0..5).prop_map(Step::Hear),
        1 => (leg(), 0..8u8).prop_map(|(leg, slot)| Step::Miss { leg, slot }),
        2 => (leg(), prop::option::of(0..8u8), any::<bool>())
            .prop_map(|(leg, slot, denied)| Step::WaitForSlot { leg, slot, denied }),
        2 => leg().prop_map(Step::Assign),
        1 => leg().prop_map(Step::Unassign),
        1 => (leg(), 0..8u8, 0..200u16).prop_map(|(leg, slot, left)| Step::Restore { leg, slot, left }),
    ]
}

const AFAR: [StoredState; 4] =
    [StoredState::Reserved, StoredState::Parked, StoredState::RingingBack, StoredState::Retrieving];

fn absent(uuid: &str, n: u8) -> StoredCall {
    StoredCall {
        uuid: uuid.into(),
        node: "far".into(),
        is: StoredState::Parked,
        lot: LotId::new(if n % 3 == 2 { "unknown" } else { "main" }, DOMAIN),
        slot: slot(&(n + 1).to_string()),
        caller: Arc::default(),
        parker: "1001@a.test".into(),
        label: "".into(),
        attempt: 0,
        parked_at_ms: 0,
        waited: Duration::from_secs(7),
        left: Some(Duration::from_secs(20)),
    }
}

fn configuration(which: u8) -> Vec<LotPlan> {
    let settings = |n: u8| LotSettings {
        slot_order: [SlotOrder::First, SlotOrder::Next, SlotOrder::LongestFree, SlotOrder::Random][usize::from(n % 4)],
        fallback: fallback().filter(|_| n % 2 == 0),
        ringback_attempts: u32::from(n),
        ringback_busy_retry: Duration::from_secs(if n == 1 { 0 } else { 10 }),
        max_park_time: Duration::from_secs(if n == 2 { 200 } else { 0 }),
        slot_taken: if n == 3 { SlotTaken::Next } else { SlotTaken::Return },
        park_limit_per_user: if n == 1 { 3 } else { 0 },
        remind_after: Duration::from_secs(if n == 3 { 0 } else { 45 }),
        remind_every: Duration::from_secs(if n == 2 { 0 } else { 20 }),
        ..LotSettings::default()
    };
    match which {
        0 => vec![plan("main", DOMAIN, "1-4", settings(0)), plan("more", "*", "5-8", settings(1))],
        1 => vec![plan("main", DOMAIN, "3-8", settings(2))],
        2 => vec![plan("all", "*", "1-8", settings(3))],
        _ => vec![plan("elsewhere", "b.test", "1-2", settings(1))],
    }
}

/// The approximate number of events. It is small under Miri, which takes seconds for each.
fn events() -> std::ops::Range<usize> {
    if cfg!(miri) { 5..12 } else { 60..140 }
}

fn sequences() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1000)
}

proptest! {
    // These are 1,000 sequences of about 100 events. `make rules` also runs an optimized build with PROPTEST_CASES=100000.
    #![proptest_config(ProptestConfig { cases: sequences(), ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_events_loses_a_caller(steps in prop::collection::vec(step(), events())) {
        let mut table = Table::new(&configuration(0), None);
        let mut now = at(0);
        // The legs that are parked and have no outcome, by the answers of the table.
        let mut waiting: HashMap<String, bool> = HashMap::new();
        let name = |leg: u8| format!("leg{leg}");
        let mut shown = HashMap::new();
        for step in steps {
            let mut ended = None;
            match step.clone() {
                Step::Park { leg, slot: wanted, reserve, other_domain } => {
                    let wanted = wanted.map_or(SlotRequest::Auto, |n| SlotRequest::Slot(slot(&(n + 1).to_string())));
                    let domain = if other_domain { "b.test" } else { DOMAIN };
                    let order = ParkRequest { place: place(domain), entropy: u64::from(leg) * 31, ..request(&name(leg), wanted) };
                    if let Ok(call) = table.park(&order, reserve, now) {
                        prop_assert!(waiting.insert(call.info.uuid.to_string(), reserve).is_none());
                    }
                }
                Step::Arrive(leg) => {
                    if table.arrive(&name(leg), now).is_some() {
                        prop_assert_eq!(waiting.insert(name(leg), false), Some(true));
                    }
                }
                Step::Claim { slot: n, by } => {
                    let _ = table.claim(&place(DOMAIN), &RetrieveTarget::Slot(slot(&(n + 1).to_string())), &format!("r{by}"));
                }
                Step::ClaimOldest(by) => {
                    let lot = LotName::parse("main");
                    let _ = table.claim(&LotSelector { lot, ..place(DOMAIN) }, &RetrieveTarget::Oldest, &format!("r{by}"));
                }
                Step::Release { leg, by } => {
                    table.release(&name(leg), &format!("r{by}"), now);
                }
                Step::Connected(leg) => {
                    let state = table.find_leg(&name(leg)).map(|call| call.state);
                    if matches!(state, Some(State::Retrieving { .. })) {
                        ended = connected(&mut table, &name(leg), now).map(|ended| ended.call.info.uuid.to_string());
                        prop_assert!(ended.is_some());
                    }
                }
                Step::LeaveReason { leg, moved } => {
                    let reserved = waiting.get(&name(leg)).copied();
                    let outcome = table.leave(&name(leg), if moved { LeaveReason::Moved } else { LeaveReason::HungUp }, now);
                    prop_assert_eq!(outcome.is_some(), reserved == Some(false), "not one outcome for each parked call");
                    ended = reserved.map(|_| name(leg));
                }
                Step::Pass(seconds) => {
                    now = now.after(Duration::from_secs(seconds.into()));
                    for due in table.due(now) {
                        let (ended, was_parked) = match due {
                            TimerAction::Lapsed(ended) => (ended, false),
                            TimerAction::Ended(ended, Ended::NOT_ARRIVED) => (ended, true),
                            _ => continue,
                        };
                        let never_parked = waiting.remove(&*ended.call.info.uuid);
                        prop_assert_eq!(never_parked, Some(!was_parked), "not one outcome for each parked call");
                    }
                    let again = table.due(now);
                    prop_assert!(again.iter().all(|due| matches!(due, TimerAction::SlotFree(_))), "an action is due twice");
                    for call in table.calls(None).iter().filter(|call| call.state == State::Parked) {
                        let after = call.info.settings.remind_after;
                        let late = !after.is_zero() && now.since(call.parked_at) >= after;
                        prop_assert_eq!(call.is_late(), late, "after {:?} for {:?}", step, call);
                    }
                }
                Step::RingNow(leg) => {
                    let _ = table.ring_now(&name(leg));
                }
                Step::RingAnswered { leg, attempt, by } => {
                    table.ring_answered(&name(leg), attempt, &format!("r{by}"));
                }
                Step::RingFailed { leg, attempt, busy } => {
                    let before = table.find_leg(&name(leg));
                    let failure = if busy { RecallFailure::Busy } else { NOT_ANSWERED };
                    if let Some(call) = table.ring_failed(&name(leg), attempt, failure, now) {
                        let before = before.unwrap();
                        let repeats = busy && before.busy < 6 && before.can_ring() && !before.info.settings.ringback_busy_retry.is_zero();
                        prop_assert_eq!(call.busy, if repeats { before.busy + 1 } else { 0 });
                        prop_assert_eq!((call.attempt, call.rings_left), (before.attempt, before.rings_left));
                        prop_assert!(!repeats || call.deadline.is_some_and(|at| at > now || Some(at) == call.max_park_end));
                    }
                }
                Step::FallbackFailed(leg) => {
                    table.fallback_failed(&name(leg), now);
                }
                Step::Extend(leg) => {
                    let _ = table.extend(&name(leg), Duration::from_secs(30));
                }
                Step::Keep(leg) => {
                    if let Ok(call) = table.reserve_for_consultation(&request(&name(leg), SlotRequest::Auto), now) {
                        prop_assert_eq!(call.deadline, None, "a reservation must last as long as its leg");
                        prop_assert!(waiting.insert(name(leg), true).is_none());
                    }
                }
                Step::Expect(leg) => prop_assert_eq!(table.expect_replacement(&name(leg), now), waiting.contains_key(&name(leg))),
                Step::TakeOver { kept_by, leg } => {
                    let held = table.find_leg(&name(kept_by)).filter(Call::is_here);
                    let order = request(&name(leg), SlotRequest::Auto);
                    if let Ok(call) = table.take_over(&name(kept_by), &order, now) {
                        if let Some(held) = held {
                            prop_assert!(waiting.remove(&*held.info.uuid).is_some());
                            prop_assert_eq!(&held.info.slot, &call.info.slot, "another slot");
                        }
                        prop_assert!(waiting.insert(call.info.uuid.to_string(), false).is_none());
                    }
                }
                Step::Hear(far) => {
                    let calls: Vec<StoredCall> = far
                        .iter()
                        .map(|(n, slot, is)| StoredCall { is: AFAR[usize::from(*is)], ..absent(&format!("far{n}"), *slot) })
                        .collect();
                    table.replace_remote_calls(&calls, now);
                    let heard: HashSet<_> = table.calls(None).into_iter().filter(|call| call.node().is_some()).map(|call| call.info.uuid.to_string()).collect();
                    prop_assert_eq!(heard, calls.iter().map(|absent| absent.uuid.to_string()).collect::<HashSet<_>>());
                }
                Step::Miss { leg, slot } => table.reserve_for_recovery(&absent(&name(leg), slot), now.after(Duration::from_secs(60)), now),
                Step::Restore { leg, slot: n, left } => {
                    let order = request(&name(leg), SlotRequest::Slot(slot(&(n + 1).to_string())));
                    let left = Duration::from_secs(left.into());
                    let saved = RestoreParams { waited: Duration::from_secs(5), left: Some(left), max_park_left: Some(left * 3), rings_left: 1, ..RestoreParams::default() };
                    if let Ok(call) = table.restore(&order, &saved, now) {
                        prop_assert!(waiting.insert(call.info.uuid.to_string(), false).is_none());
                        prop_assert_eq!(call.deadline, Some(now.after(left)));
                    }
                }
                Step::WaitForSlot { leg, slot: wanted, denied } => {
                    let wanted = wanted.map_or(SlotRequest::Auto, |n| SlotRequest::Slot(slot(&(n + 1).to_string())));
                    let refused = if denied { NoSlotReason::Denied } else { NoSlotReason::Full };
                    if let Ok(call) = table.wait_for_slot(&request(&name(leg), wanted), refused, Duration::ZERO, now) {
                        prop_assert!(call.waits_for_slot() && call.state_name() == "waiting-for-slot");
                        prop_assert!(waiting.insert(call.info.uuid.to_string(), false).is_none());
                    }
                }
                Step::Assign(leg) => {
                    let before = table.find_leg(&name(leg));
                    if let Some(call) = table.assign(&name(leg), now) {
                        let before = before.unwrap();
                        prop_assert!(before.waits_for_slot() && before.refused != Some(NoSlotReason::Denied) && before.state == State::Parked);
                        prop_assert!(!call.waits_for_slot());
                        prop_assert_eq!((before.id, before.parked_at), (call.id, call.parked_at), "another call");
                    }
                }
                Step::Unassign(leg) => {
                    // Only the service does this, with a slot that another node has.
                    if table.find_leg(&name(leg)).is_some_and(|call| call.state == State::Parked && call.refused.is_some()) {
                        table.unassign(&name(leg), now);
                        prop_assert!(table.find_leg(&name(leg)).is_some_and(|call| call.waits_for_slot()));
                    }
                }
                Step::Reload(which, apply) => {
                    table.replace_lots(&configuration(which), None);
                    if apply {
                        table.apply_settings(now);
                    }
                }
            }
            watch(&mut table, &mut shown)?;
            if let Some(uuid) = ended {
                waiting.remove(&uuid);
            }
            if let Err(wrong) = table.check() {
                prop_assert!(false, "after {step:?}: {wrong}");
            }
            let calls: Vec<_> = table.calls(None).into_iter().filter(Call::is_here).collect();
            prop_assert_eq!(calls.len(), waiting.len(), "after {:?} the table has other calls than those that are parked", step);
            let slots: HashSet<_> = calls.iter().map(|call| (call.info.lot.domain.clone(), call.info.slot.clone())).collect();
            prop_assert_eq!(slots.len(), calls.len(), "two callers in one slot");
            for call in &calls {
                prop_assert!(waiting.contains_key(&*call.info.uuid));
                let for_ever = call.info.settings.park_timeout.is_zero() || !(call.info.can_ring() || call.info.settings.fallback.is_some());
                if call.state == State::Parked && !for_ever {
                    prop_assert!(call.deadline.is_some(), "after {:?} there is no timer for {:?}", step, call);
                }
            }
        }
    }
}
