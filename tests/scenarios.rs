//! Tests of the real module that only the simulator can run: races in every order, injected faults, clock steps, and long times. Scenarios
//! that also run on a real FreeSWITCH are in the table `tests/scenarios.toml`.
//!
//! After each test: exactly one outcome, no leg that sat in silence, and (by `World::finish`) no lock, thread, task or leg left.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use simulator::{Caller, Event, Leg, Phone, World};

const PARKER: &str = "1001@example.com";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn configuration(params: &str) -> String {
    format!(
        r#"<configuration name="callpark.conf"><lots><lot name="main" domain="*">
        <param name="slots" value="701-705"/><param name="hold-music" value="local_stream://moh"/>{params}
        </lot></lots></configuration>"#
    )
}

const RINGS: &str = r#"<param name="park-timeout" value="30"/><param name="ringback-timeout" value="10"/>"#;
const FALLS: &str = r#"<param name="park-timeout" value="30"/><param name="ringback" value="none"/><param name="fallback" value="900"/>"#;

fn office(params: &str) -> World {
    let world = World::new();
    world.set_global("domain", "example.com");
    world.set_config("callpark.conf", &configuration(params));
    world.set_dialplan(|route| {
        let run = |application: &str, data: &str| Some(vec![(application.to_owned(), data.to_owned())]);
        match route.extension.as_str() {
            "700" => run("callpark_park", "auto"),
            "900" => run("playback", "local_stream://reception"),
            slot if slot.starts_with('7') => run("callpark_slot", slot),
            user if user.starts_with('1') => run("bridge", &format!("user/{user}@example.com")),
            _ => None,
        }
    });
    world.set_phone(PARKER, Phone::Answers(seconds(1)));
    world.load(simulator::built_module()).unwrap();
    world
}

/// A caller from outside, parked by 1001, whose phone does `then` from here on when it rings.
fn parked(world: &World, then: Phone) -> Leg {
    let caller = world.call(&Caller::outside("Mr Chen", "030123"), "1001");
    assert!(world.advance_until(seconds(5), || world.leg_to(PARKER).is_some_and(|leg| leg.talks_to(&caller))));
    world.leg_to(PARKER).unwrap().blind_transfer("700", PARKER);
    assert!(world.advance_until(seconds(2), || actions(world) == ["park"]));
    world.set_phone(PARKER, then);
    caller
}

fn colleague(world: &World) -> Leg {
    world.call(&Caller::user("1002@example.com", "Bob"), "701")
}

fn actions(world: &World) -> Vec<String> {
    let events = world.events_of("callpark::info");
    events.iter().map(|event| event.get("CallPark-Action").unwrap_or_default().to_owned()).collect()
}

const OUTCOMES: [&str; 5] = ["retrieve", "return", "fallback", "transfer", "abandon"];

fn outcomes(world: &World) -> Vec<String> {
    actions(world).into_iter().filter(|action| OUTCOMES.contains(&action.as_str())).collect()
}

/// Lamps that were last told to be on.
fn lamps_on(world: &World) -> Vec<String> {
    let mut last = BTreeMap::new();
    for event in world.events().iter().filter(|event| event.get("proto") == Some("park")) {
        let lamp = event.get("from").unwrap_or_default().to_owned();
        last.insert(lamp, event.get("answer-state") != Some("terminated"));
    }
    assert!(!last.is_empty(), "no lamp was told anything");
    last.into_iter().filter(|(_, on)| *on).map(|(lamp, _)| lamp).collect()
}

/// Everybody hangs up; then exactly one outcome, one of those expected, and nothing left behind. All actions of the call.
fn close(world: World, caller: &Leg, expected: &[&str], what: &str) -> String {
    assert!(caller.longest_silence() < millis(300), "{what}: {:?}", caller.heard());
    world.legs().iter().for_each(Leg::hang_up);
    world.advance(seconds(15));
    world.legs().iter().for_each(Leg::hang_up);
    world.advance(seconds(1));
    let outcomes = outcomes(&world);
    assert_eq!(outcomes.len(), 1, "{what}: {:?}", actions(&world));
    assert!(expected.contains(&outcomes[0].as_str()), "{what}: {:?}", actions(&world));
    assert_eq!(actions(&world)[0], "park", "{what}");
    assert_eq!(world.command("callpark list as json").trim(), "[]", "{what}");
    assert_eq!(lamps_on(&world), [] as [String; 0], "{what}");
    let all = actions(&world).join(" ");
    world.finish();
    all
}

/// Under a sanitizer all is slow, and each thing is done a few times.
fn thorough() -> bool {
    std::env::var_os("CALLPARK_BRIEFLY").is_none()
}

/// Runs a race at many moments around `at` seconds, each with many orders of the threads. `orders`: the actions of a call, each of which
/// must have been seen, and no others but `rare`, which hardly any run meets.
fn around(at: u64, params: &str, phone: Phone, orders: &[&str], rare: &[&str], act: impl Fn(&World, &Leg)) {
    let (step, seeds) = if thorough() { (125, 3) } else { (1000, 1) };
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for offset in (0..3000).step_by(step) {
        for seed in 0..seeds {
            let world = office(params);
            let caller = parked(&world, phone);
            world.shuffle(seed);
            world.advance(seconds(at) - millis(1500) + millis(offset));
            act(&world, &caller);
            world.advance(seconds(20));
            let order = close(world, &caller, &OUTCOMES, &format!("{offset} ms, seed {seed}"));
            *seen.entry(order).or_default() += 1;
        }
    }
    let strange = seen.keys().find(|order| !orders.contains(&order.as_str()) && !rare.contains(&order.as_str()));
    assert_eq!(strange, None, "{seen:?}");
    let missed = orders.iter().find(|order| thorough() && !seen.contains_key(**order));
    assert_eq!(missed, None, "{seen:?}");
}

#[test]
fn expiry_and_retrieval() {
    around(30, RINGS, Phone::Silent, &["park retrieve", "park ringback retrieve"], &[], |world, caller| {
        let bob = colleague(world);
        world.advance(seconds(2));
        assert!(bob.talks_to(caller));
    });
}

#[test]
fn ring_back_answered_and_retrieval() {
    around(
        33,
        RINGS,
        Phone::Answers(seconds(3)),
        &["park ringback retrieve", "park ringback return"],
        &[],
        |world, caller| {
            colleague(world);
            world.advance(seconds(3));
            assert!(caller.partner().is_some(), "with one of the two");
        },
    );
}

#[test]
fn ring_back_answered_and_the_caller_hangs_up() {
    around(
        33,
        RINGS,
        Phone::Answers(seconds(3)),
        &["park ringback return", "park ringback abandon"],
        &[],
        |_, caller| caller.hang_up(),
    );
}

/// Before, nobody noticed that the parked leg's thread was no longer there to connect them: the parker, on whose leg no application runs,
/// waited in silence until hanging up.
#[test]
fn a_parker_who_answers_as_the_caller_leaves_is_hung_up() {
    const ANSWER: Duration = Duration::from_secs(3);
    let mut answered = 0;
    for nth in (1..60).step_by(if thorough() { 1 } else { 6 }) {
        let world = office(RINGS);
        let caller = parked(&world, Phone::Answers(ANSWER));
        let rings = world.advance_until(seconds(40), || world.leg_to(PARKER).is_some());
        assert!(
            rings,
            "call {nth}: nobody is rung: {:?} {:?} {:?}",
            world.now(),
            world.events_of("callpark::info"),
            world.log()
        );
        let parker = world.leg_to(PARKER).unwrap();
        world.advance(ANSWER - millis(500));
        // A thread stands still at this call until the parker has answered: that of the caller's leg, which is about to leave.
        world.at_any_call(nth).happens(|| std::thread::sleep(seconds(1)));
        caller.hang_up();
        world.advance(seconds(3));
        assert!(!parker.is_up(), "call {nth}: the parker waits in silence: {:?}", actions(&world));
        answered += usize::from(parker.is_answered());
        close(world, &caller, &["return", "abandon"], &format!("call {nth}"));
    }
    assert!(answered > 0, "the parker never answered in that moment");
}

/// As before, for a colleague who takes the call: it is the retriever's own application that finds out.
#[test]
fn a_retriever_who_comes_as_the_caller_leaves_is_told() {
    let mut results: BTreeMap<String, usize> = BTreeMap::new();
    let step = if thorough() { 6 } else { 30 };
    for seed in 0..2 {
        for nth in (1..260).step_by(step) {
            let world = office(RINGS);
            let caller = parked(&world, Phone::Silent);
            world.shuffle(seed);
            world.at_any_call(nth).hangs_up(&caller);
            let bob = colleague(&world);
            world.advance(seconds(5));
            let what = format!("call {nth}, seed {seed}");
            assert!(!caller.is_up(), "{what}: too few calls to the host");
            let told = bob.var("callpark_result").unwrap_or_default();
            assert!(!bob.is_up(), "{what}: they wait for a caller who is gone: {bob:?}");
            close(world, &caller, &["retrieve", "abandon"], &what);
            *results.entry(told).or_default() += 1;
        }
    }
    // Without a result: the two were being connected, and the retriever's leg ends with the caller's.
    let strange = results.keys().find(|told| !["", "empty", "gone", "retrieved"].contains(&told.as_str()));
    assert_eq!(strange, None, "{results:?}");
    let both = ["empty", "gone"].iter().all(|told| results.contains_key(*told));
    assert!(!thorough() || both, "before the retriever came, and after: {results:?}");
}

#[test]
fn the_parker_answers_and_hangs_up_at_once() {
    // Rare: they were being connected, and the caller waits on.
    let (orders, rare) = (["park ringback return", "park ringback ringback-failed abandon"], ["park ringback abandon"]);
    around(33, RINGS, Phone::Answers(seconds(3)), &orders, &rare, |world, _| {
        if let Some(parker) = world.leg_to(PARKER) {
            parker.hang_up();
        }
    });
}

#[test]
fn fallback_and_retrieval() {
    around(30, FALLS, Phone::Silent, &["park fallback", "park retrieve"], &[], |world, caller| {
        let bob = colleague(world);
        world.advance(seconds(2));
        let at_reception = caller.hears().is_some_and(|sound| format!("{sound:?}").contains("reception"));
        assert!(bob.talks_to(caller) != at_reception, "one of the two");
    });
}

/// What is left of a parked call after a crash: the variables of its leg, and the wall clock.
struct Remains {
    snapshot: String,
    wall_clock: i64,
}

/// A caller is parked, and FreeSWITCH dies.
fn crashed(params: &str) -> Remains {
    let world = office(params);
    let caller = parked(&world, Phone::Silent);
    let snapshot = caller.var("callpark_stay").expect("a parked leg carries what a recovery needs");
    let remains = Remains { snapshot, wall_clock: world.wall_clock() };
    caller.hang_up();
    world.advance(seconds(1));
    world.finish();
    remains
}

/// As `sofia recover` does: a leg with the variables that it had, whose last extension runs again. What is due of it is due at once, and
/// a thread of the host stands still at the `nth` call until it is.
fn recovered(remains: &Remains, fallback: bool, nth: u64) -> (World, Leg) {
    let world = office(FALLS);
    world.set_dialplan(move |route| {
        let run = |application: &str, data: &str| Some(vec![(application.to_owned(), data.to_owned())]);
        match route.extension.as_str() {
            "700" => run("callpark_park", "auto"),
            "900" => run("playback", "local_stream://reception").filter(|_| fallback),
            slot => run("callpark_slot", slot),
        }
    });
    world.set_wall_clock(remains.wall_clock + 60);
    world.at_any_call(nth).happens(|| std::thread::sleep(millis(1500)));
    let caller = world.call(&Caller::outside("Mr Chen", "030123").var("callpark_stay", &remains.snapshot), "700");
    (world, caller)
}

fn each_moment_of_a_recovery(act: impl Fn(&Remains, u64)) {
    let remains = crashed(FALLS);
    (1..150).step_by(if thorough() { 2 } else { 30 }).for_each(|nth| act(&remains, nth));
}

/// Before, the fallback of a caller who came back overdue could be due before their leg's queue was open: the order was lost, and they
/// were on the way to the fallback for ever, where nobody could take them.
#[test]
fn a_recovered_caller_who_is_overdue_goes_to_the_fallback() {
    each_moment_of_a_recovery(|remains, nth| {
        let (world, caller) = recovered(remains, true, nth);
        world.advance(seconds(5));
        assert_eq!(actions(&world), ["recover", "fallback"], "call {nth}: {}", world.command("callpark list"));
        assert!(hears(&caller, "reception"), "call {nth}: {:?}", caller.heard());
        caller.hang_up();
        world.advance(seconds(2));
        assert_eq!(outcomes(&world), ["fallback"], "call {nth}");
        world.finish();
    });
}

#[test]
fn a_recovered_caller_whose_fallback_cannot_be_reached_waits_on_in_the_slot() {
    each_moment_of_a_recovery(|remains, nth| {
        let (world, caller) = recovered(remains, false, nth);
        world.advance(seconds(100));
        assert_eq!(actions(&world), ["recover"], "call {nth}");
        let list = world.command("callpark list");
        assert!(list.contains(" 701 ") && list.contains(" parked "), "call {nth}: {list}");
        assert!(hears(&caller, "moh"), "call {nth}: {:?}", caller.heard());
        let bob = colleague(&world);
        world.advance(seconds(2));
        assert!(bob.talks_to(&caller), "call {nth}: {}", world.command("callpark list"));
        world.legs().iter().for_each(Leg::hang_up);
        world.advance(seconds(2));
        assert_eq!(outcomes(&world), ["retrieve"], "call {nth}");
        world.finish();
    });
}

/// FreeSWITCH dies while the parker is busy and is to be called again: that is still the same recall afterwards.
#[test]
fn a_recovered_caller_waits_on_for_a_busy_parker() {
    let world = office(RINGS);
    let caller = parked(&world, Phone::Busy);
    assert!(world.advance_until(seconds(35), || actions(&world).contains(&"ringback-failed".to_owned())));
    let snapshot = caller.var("callpark_stay").expect("a parked leg carries what a recovery needs");
    let wall_clock = world.wall_clock();
    close(world, &caller, &["abandon"], "before the crash");

    let world = office(RINGS);
    world.set_wall_clock(wall_clock + 5);
    let caller = world.call(&Caller::outside("Mr Chen", "030123").var("callpark_stay", &snapshot), "700");
    let rings = |world: &World| actions(world).iter().filter(|action| *action == "ringback").count();
    assert!(world.advance_until(seconds(10), || rings(&world) == 1), "{:?}", world.command("callpark list"));
    assert!(world.advance_until(seconds(5), || world.leg_to(PARKER).is_some_and(|leg| leg.talks_to(&caller))));
    let events = world.events_of("callpark::info");
    let returned = events.iter().find(|event| event.get("CallPark-Action") == Some("return")).unwrap();
    assert_eq!(returned.get("CallPark-Attempt"), Some("1"), "the same attempt");
    world.legs().iter().for_each(Leg::hang_up);
    world.advance(seconds(2));
    world.finish();
}

/// A busy parker for an hour: the caller is never lost, and nobody is called more often than the lot allows.
#[test]
fn a_parker_who_stays_busy_is_called_seven_times_in_each_turn() {
    let world = office(RINGS);
    world.set_frame(millis(500));
    let caller = parked(&world, Phone::Busy);
    world.advance(seconds(3600));
    let rings = actions(&world).iter().filter(|action| *action == "ringback").count();
    // Each turn takes 30 s until the recall, and 6 times 10 s for its repetitions.
    assert!((7 * 39..=7 * 40).contains(&rings), "{rings}");
    assert!(hears(&caller, "moh"));
    close(world, &caller, &["abandon"], "busy for an hour");
}

#[test]
fn a_recall_goes_through_the_dialplan() {
    let params = r#"<param name="park-timeout" value="30"/><param name="ringback-via" value="dialplan"/><param name="ringback-context" value="sales"/>"#;
    let world = office(params);
    let caller = parked(&world, Phone::Silent);
    world.set_phone("loopback/1001/sales/XML", Phone::Answers(seconds(1)));
    assert!(world.advance_until(seconds(40), || caller.partner().is_some()), "{:?}", actions(&world));
    close(world, &caller, &["return"], "through the dialplan");
}

#[test]
fn two_retrievals() {
    let mut won = [0, 0];
    for seed in 0..if thorough() { 60 } else { 4 } {
        let world = office(RINGS);
        world.shuffle(seed);
        let caller = parked(&world, Phone::Silent);
        // Both come to the module at the same moment, and the seed has who is first.
        world.set_length("a second", seconds(1));
        world.set_dialplan(|route| {
            let run = |application: &str, data: &str| (application.to_owned(), data.to_owned());
            Some(vec![run("playback", "a second"), run("callpark_slot", &route.extension)])
        });
        let (bob, carla) = (colleague(&world), world.call(&Caller::user("1003@example.com", "Carla"), "701"));
        world.advance(seconds(4));
        assert_ne!(bob.talks_to(&caller), carla.talks_to(&caller), "seed {seed}");
        won[usize::from(carla.talks_to(&caller))] += 1;
        let told: Vec<_> = [&bob, &carla].iter().filter_map(|leg| leg.var("callpark_result")).collect();
        assert!(told.contains(&"retrieved".to_owned()) && told.len() == 2, "seed {seed}: {told:?}");
        close(world, &caller, &["retrieve"], &format!("seed {seed}"));
    }
    assert!(!thorough() || won.iter().all(|count| *count > 0), "each of the two is quicker at times: {won:?}");
}

#[test]
fn reload_and_expiry() {
    let orders = ["park reload ringback return", "park ringback reload return", "park ringback return reload"];
    around(30, RINGS, Phone::Answers(seconds(1)), &orders, &[], |world, _| {
        world.set_config("callpark.conf", &configuration(r#"<param name="park-timeout" value="5"/>"#));
        assert!(world.command("callpark reload").starts_with("+OK"));
    });
}

#[test]
fn unload_and_expiry() {
    let rung = [Cell::new(0), Cell::new(0)];
    around(30, RINGS, Phone::Silent, &["park ringback ringback-failed abandon"], &[], |world, caller| {
        let rang = &rung[usize::from(actions(world).len() > 1)];
        rang.set(rang.get() + 1);
        assert!(world.unload().is_err(), "somebody is parked");
        assert!(caller.is_up());
    });
    assert!(!thorough() || rung.iter().all(|count| count.get() > 0), "before and after the recall: {rung:?}");
    // With nobody parked, and a phone of ours still ringing the moment before.
    for seed in 0..if thorough() { 20 } else { 4 } {
        let world = office(RINGS);
        let caller = parked(&world, Phone::Silent);
        world.shuffle(seed);
        assert!(world.advance_until(seconds(40), || world.leg_to(PARKER).is_some()));
        caller.hang_up();
        assert!(world.advance_until(seconds(5), || world.unload().is_ok()), "seed {seed}");
        world.legs().iter().for_each(Leg::hang_up);
        world.finish();
    }
}

#[test]
fn a_bridge_that_fails_leaves_the_caller_in_the_slot() {
    let world = office(RINGS);
    let caller = parked(&world, Phone::Silent);
    world.at_call("switch_ivr_multi_threaded_bridge", 1).fails();
    let bob = colleague(&world);
    world.advance(seconds(2));
    assert!(!bob.talks_to(&caller) && caller.is_up());
    assert!(world.command("callpark list").contains(" parked "));
    bob.hang_up();
    let again = colleague(&world);
    world.advance(seconds(1));
    assert!(again.talks_to(&caller));
    close(world, &caller, &["retrieve"], "failed bridge");
}

/// Variables by which the core moves a caller when a bridge ends, here one that was never made.
#[test]
fn a_retriever_who_leaves_at_the_last_moment_leaves_the_caller_in_the_slot() {
    const AFTER: [(&str, &str); 5] = [
        ("hangup_after_bridge", "true"),
        ("park_after_bridge", "true"),
        ("park_after_early_bridge", "true"),
        ("transfer_after_bridge", "900"),
        ("transfer_after_early_bridge", "900"),
    ];
    for (name, value) in AFTER {
        let world = office(RINGS);
        let caller = parked(&world, Phone::Silent);
        caller.set_var(name, value);
        let bob = colleague(&world);
        world.at_call("switch_ivr_multi_threaded_bridge", 1).hangs_up(&bob);
        world.advance(seconds(2));
        assert!(!bob.is_up() && caller.is_up(), "{name}");
        assert!(world.command("callpark list").contains(" parked "), "{name}: the caller is not in the slot");
        assert_eq!(caller.var(name).as_deref(), Some(value), "{name} is there again");
        caller.hang_up();
        world.advance(seconds(2));
        close(world, &caller, &["abandon"], name);
    }
}

#[test]
fn a_step_of_the_clock_fires_nothing_early_and_nothing_late() {
    for step in [-86_400, -3600, -2, 2, 3600, 86_400] {
        for moment in (0..1000).step_by(if thorough() { 100 } else { 500 }) {
            let world = office(&format!(r#"{RINGS}<param name="fallback" value="900"/>"#));
            let caller = parked(&world, Phone::Silent);
            let what = format!("{step} s at {moment} ms");
            world.advance(seconds(5) + millis(moment));
            world.set_wall_clock(world.wall_clock() + step);
            world.advance(seconds(23) - millis(moment));
            assert_eq!(actions(&world), ["park"], "{what}: before it is due");
            world.advance(seconds(3));
            assert_eq!(actions(&world), ["park", "ringback"], "{what}");
            world.set_wall_clock(world.wall_clock() - 2 * step);
            world.advance(seconds(11));
            assert_eq!(actions(&world), ["park", "ringback", "ringback-failed", "fallback"], "{what}");
            close(world, &caller, &["fallback"], &what);
        }
    }
}

/// What one subscription was told last, by an event for all or by one for it alone.
fn lamp_of(world: &World, lamp: &str, call_id: &str) -> Option<String> {
    let meant = |event: &Event| {
        let of_lamp = event.get("proto") == Some("park") && event.get("from") == Some(lamp);
        of_lamp && event.get("call-id").is_none_or(|id| id == call_id)
    };
    let told = world.events().into_iter().rev().find(meant);
    told.and_then(|event| event.get("answer-state").map(str::to_owned))
}

/// In a crowd a lamp is told late, or not at all if the slot is free again by then. Before, a phone that subscribed meanwhile was
/// told that the slot is taken, and nobody told it that it is free.
#[test]
fn a_phone_that_subscribes_before_a_late_lamp_is_told_does_not_stay_lit() {
    let lot = r#"<configuration name="callpark.conf"><lots><lot name="main" domain="*"><param name="slots" value="701-780"/>
        </lot></lots></configuration>"#;
    let world = office("");
    world.set_config("callpark.conf", lot);
    assert!(world.command("callpark reload").starts_with("+OK"));
    let callers: Vec<Leg> = (0..80).map(|n| world.call(&Caller::outside("C", &n.to_string()), "700")).collect();
    let lit = || (701..781).find(|slot| lamp_of(&world, &format!("{slot}@example.com"), "late").is_none());
    assert!(world.advance_until(seconds(1), || world.command("callpark list").contains(" 780 ")));
    let lamp = format!("{}@example.com", lit().expect("a lamp that is told late"));
    world.subscribe(&lamp, "late");
    assert_eq!(lamp_of(&world, &lamp, "late").as_deref(), Some("confirmed"));
    callers.iter().for_each(Leg::hang_up);
    world.advance(seconds(3));
    assert_eq!(lamp_of(&world, &lamp, "late").as_deref(), Some("terminated"));
    world.finish();
}

#[test]
fn a_phone_that_subscribes_to_what_is_not_there_is_told_that_nobody_is_parked() {
    let world = office("");
    for lamp in ["799@example.com", "nowhere@example.com", "<&>@example.com", "799@example.org"] {
        world.subscribe(lamp, "one");
        assert_eq!(lamp_of(&world, lamp, "one").as_deref(), Some("terminated"), "{lamp}");
        assert_eq!(lamp_of(&world, lamp, "another"), None, "{lamp}: others are told, too");
    }
    world.finish();
}

#[test]
fn a_thousand_are_rung_back_in_time() {
    let world = office("");
    let lot = r#"<configuration name="callpark.conf"><lots><lot name="main" domain="*"><param name="slots" value="70001-71000"/>
        <param name="park-timeout" value="30"/><param name="ringback" value="user/1001@example.com"/></lot></lots></configuration>"#;
    world.set_config("callpark.conf", lot);
    assert!(world.command("callpark reload").starts_with("+OK"));
    world.set_phone(PARKER, Phone::Busy);
    world.set_frame(millis(500));
    let callers: Vec<Leg> = (0..1000).map(|n| world.call(&Caller::outside("C", &n.to_string()), "700")).collect();
    let count = |action: &str| actions(&world).iter().filter(|found| *found == action).count();
    assert!(world.advance_until(seconds(10), || count("park") == 1000));
    world.advance(millis(31_500));
    assert_eq!(count("ringback"), 1000, "all within 1.5 s of their time");
    callers.iter().for_each(Leg::hang_up);
    world.advance(seconds(2));
    world.finish();
}

fn hears(leg: &Leg, what: &str) -> bool {
    leg.hears().is_some_and(|sound| format!("{sound:?}").contains(what))
}

#[test]
fn who_is_in_a_conversation_leaves_it_for_a_parked_call_that_is_there() {
    let world = office(RINGS);
    let caller = parked(&world, Phone::Answers(seconds(1)));
    let other = world.call(&Caller::outside("Ms Diaz", "030999"), "1001");
    assert!(world.advance_until(seconds(5), || world.leg_to(PARKER).is_some_and(|leg| leg.talks_to(&other))));
    let taker = world.leg_to(PARKER).unwrap();
    taker.feature("callpark_retrieve", "702");
    let told = || taker.var("callpark_result").as_deref() == Some("empty") && taker.talks_to(&other);
    assert!(world.advance_until(seconds(10), told), "nobody is in 702");
    taker.feature("callpark_retrieve", "701");
    assert!(world.advance_until(seconds(5), || taker.talks_to(&caller) && caller.talks_to(&taker)));
    close(world, &caller, &["retrieve"], "out of a conversation");
}

/// Before, the end of the conversation was taken for a second retrieval: of the new call, whose slot was free then.
#[test]
fn a_retriever_who_parks_the_caller_again_has_not_retrieved_them_twice() {
    let world = office(RINGS);
    let caller = parked(&world, Phone::Silent);
    let bob = colleague(&world);
    assert!(world.advance_until(seconds(5), || bob.talks_to(&caller)));
    bob.feature("callpark_park", "702");
    assert!(world.advance_until(seconds(5), || world.command("callpark list").contains(" 702 ")));
    world.advance(seconds(3));
    assert_eq!(actions(&world), ["park", "retrieve", "park"]);
    assert!(world.command("callpark list").contains(" parked ") && hears(&caller, "moh"));
    caller.hang_up();
    world.advance(seconds(1));
    assert_eq!(actions(&world), ["park", "retrieve", "park", "abandon"]);
    bob.hang_up();
    world.advance(seconds(1));
    world.finish();
}

#[test]
fn the_command_has_the_files_read_again() {
    let world = office("");
    let size = || world.command("callpark lots as json").contains("\"size\":2");
    let reloads = || actions(&world).iter().filter(|action| *action == "reload").count();
    let two = configuration("").replace("701-705", "701-702");
    world.set_config("callpark.conf", &two);
    world.at_call("switch_xml_reload", 1).fails();
    let answer = world.command("callpark reload");
    assert!(answer.starts_with("-ERR nothing changed: ") && answer.contains("near line 7"), "{answer}");
    assert!(!size());
    world.reload_xml();
    world.advance(seconds(1));
    assert!(size() && reloads() == 2, "somebody else's is taken in all the same");
    world.set_config("callpark.conf", &configuration(""));
    assert_eq!(world.command("callpark reload").trim(), "+OK");
    world.advance(seconds(1));
    assert!(!size() && reloads() == 3, "and its own once: {:?}", actions(&world));
    world.finish();
}

#[test]
fn a_faulty_file_at_load_leaves_nobody_without_a_slot() {
    let world = World::new();
    world.set_global("domain", "example.com");
    world.set_config("callpark.conf", "<configuration><lots><lot name=\"main\" domain=\"*\"/></lots></configuration>");
    world.set_dialplan(|_| Some(vec![("callpark_park".into(), "auto".into())]));
    world.load(simulator::built_module()).unwrap();
    let caller = world.call(&Caller::outside("Mr Chen", "030123"), "700");
    world.advance(seconds(2));
    assert!(world.command("callpark list").contains("Mr Chen"));
    assert!(world.command("callpark status").contains("callpark.conf.xml has 1 error, not in force"));
    close(world, &caller, &["abandon"], "emergency");
}

// --- The feature code

const CODE: &str = r#"<settings><param name="feature-code" value="*5"/></settings>"#;

fn office_with_code() -> World {
    let world = office("");
    world.set_config("callpark.conf", &configuration("").replace("<lots>", &format!("{CODE}<lots>")));
    assert!(world.command("callpark reload").starts_with("+OK"));
    world
}

/// A caller from outside in a conversation with 1001. Returns both legs.
fn conversation(world: &World) -> (Leg, Leg) {
    let caller = world.call(&Caller::outside("Mr Chen", "030123"), "1001");
    assert!(world.advance_until(seconds(5), || world.leg_to(PARKER).is_some_and(|leg| leg.talks_to(&caller))));
    (caller, world.leg_to(PARKER).unwrap())
}

/// Ends all calls, so that the next ones can be made in the same world.
fn clear(world: &World) {
    world.legs().iter().for_each(Leg::hang_up);
    world.advance(seconds(3));
}

/// The digits come at many moments around the end of the pause, after which a lone `*` is passed on, and in many orders of the threads. Either the
/// caller is parked and gets no digit, or the caller gets both in order.
#[test]
fn the_second_digit_of_the_code_comes_at_the_end_of_the_pause() {
    let (world, mut seen) = (office_with_code(), BTreeMap::new());
    for offset in (0..400).step_by(if thorough() { 20 } else { 100 }) {
        for seed in 0..(if thorough() { 4 } else { 1 }) {
            let (caller, user) = conversation(&world);
            world.shuffle(seed);
            user.press("*");
            world.advance(millis(1300 + offset));
            user.press("5");
            world.advance(seconds(4));
            let is_parked = world.command("callpark list as json").contains(&caller.uuid());
            *seen.entry(is_parked).or_insert(0) += 1;
            assert_eq!(caller.digits(), if is_parked { "" } else { "*5" }, "{offset} ms, seed {seed}");
            clear(&world);
        }
    }
    world.finish();
    assert_eq!(seen.len(), 2, "both orders: {seen:?}");
}

/// Digits that follow at once, from another thread than the one that releases the `*`, do not overtake it.
#[test]
fn no_digit_overtakes_another_one() {
    let world = office_with_code();
    for seed in 0..(if thorough() { 60 } else { 3 }) {
        let (caller, user) = conversation(&world);
        world.shuffle(seed);
        user.press("*");
        world.advance(millis(1500));
        user.press("1");
        user.press("*23**6*");
        world.advance(seconds(2));
        assert_eq!(caller.digits(), "*1*23**6*", "seed {seed}");
        clear(&world);
    }
    world.finish();
}

/// The conversation ends at each moment between the code and the slot. The user, who is in no conversation any more, is not parked instead.
#[test]
fn the_other_party_hangs_up_as_the_code_is_pressed() {
    let mut seen = BTreeMap::new();
    let world = office_with_code();
    for nth in (5..500).step_by(if thorough() { 12 } else { 99 }) {
        let (caller, user) = conversation(&world);
        let before = actions(&world).len();
        let leaves = caller.clone();
        world.at_any_call(nth).happens(move || leaves.hang_up());
        user.press("*5");
        world.advance(seconds(4));
        assert!(!world.command("callpark list as json").contains(&user.uuid()), "call {nth}: the user is parked");
        let all = actions(&world).split_off(before);
        assert!(
            all.is_empty() || all == ["park", "abandon"] || all == ["abandon"] || all == ["park"],
            "call {nth}: {all:?}"
        );
        *seen.entry(all).or_insert(0) += 1;
        clear(&world);
    }
    world.finish();
    assert!(seen.len() > 2 || !thorough(), "before, on the way and in the slot: {seen:?}");
}

/// A user presses a digit that may begin the code, and the module is unloaded before the pause is over: the digit is passed on, and no leg calls
/// the module any more.
#[test]
fn the_module_is_unloaded_while_it_keeps_a_digit() {
    let world = office_with_code();
    let (caller, user) = conversation(&world);
    user.press("*");
    assert_eq!(caller.digits(), "");
    assert_eq!(world.unload(), Ok(()));
    world.advance(millis(100));
    assert_eq!(caller.digits(), "*");
    user.press("*5");
    world.advance(seconds(2));
    assert_eq!(caller.digits(), "**5");
    assert!(caller.talks_to(&user));
    world.load(simulator::built_module()).unwrap();
    user.press("*5");
    world.advance(seconds(4));
    assert_eq!(caller.digits(), "**5");
    assert_eq!(actions(&world).last().map(String::as_str), Some("park"));
    clear(&world);
    world.finish();
}

/// Each of the two users parks the other one, and if both press at once, one of them is parked.
#[test]
fn both_users_of_a_conversation_press_the_code_at_once() {
    let world = office_with_code();
    for seed in 0..(if thorough() { 40 } else { 3 }) {
        let bob = world.call(&Caller::user("1002@example.com", "Bob"), "1001");
        assert!(world.advance_until(seconds(5), || world.leg_to(PARKER).is_some_and(|leg| leg.talks_to(&bob))));
        let user = world.leg_to(PARKER).unwrap();
        world.shuffle(seed);
        user.press("*5");
        bob.press("*5");
        world.advance(seconds(4));
        let parked = world.command("callpark list as json").matches("\"uuid\"").count();
        let up = [&bob, &user].iter().filter(|leg| leg.is_up()).count();
        assert_eq!((parked, up), (1, 1), "seed {seed}: {}", world.command("callpark list"));
        clear(&world);
    }
    world.finish();
}
