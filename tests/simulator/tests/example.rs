//! An example of scenarios with the real module, a caller, a receptionist and a colleague.

use std::time::Duration;

use simulator::{Caller, HeardSound, Leg, Phone, Plan, Sound, World};

const CONFIGURATION: &str = r#"<configuration name="callpark.conf" description="Call parking">
  <lots>
    <lot name="main" domain="$${domain}">
      <param name="slots" value="701-705"/>
      <param name="park-timeout" value="30"/>
      <param name="hold-music" value="local_stream://moh"/>
    </lot>
  </lots>
</configuration>"#;

fn office() -> World {
    let world = World::new();
    world.set_global("domain", "example.com");
    world.set_config("callpark.conf", CONFIGURATION);
    world.set_dialplan(|route| {
        let run = |application: &str, data: &str| -> Option<Plan> { Some(vec![(application.into(), data.into())]) };
        match route.extension.as_str() {
            "700" => run("callpark_park", "auto"),
            // The sleep gives the test time to inject a fault.
            "soon" => Some(vec![("sleep".into(), "1000".into()), ("callpark_slot".into(), "701".into())]),
            slot if slot.starts_with('7') => run("callpark_slot", slot),
            user if user.starts_with('1') => run("bridge", &format!("user/{user}@example.com")),
            _ => None,
        }
    });
    world.set_phone("1001@example.com", Phone::Answers(seconds(3)));
    world.load(simulator::built_module()).unwrap();
    world
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An outside caller whom 1001 has parked by a blind transfer.
fn parked_caller(world: &World) -> Leg {
    let caller = world.call(&Caller::outside("Mr Chen", "030123"), "1001");
    world.advance(seconds(10));
    let reception = world.leg_to("1001@example.com").unwrap();
    assert!(reception.talks_to(&caller));
    reception.blind_transfer("700", "1001@example.com");
    world.advance(seconds(1));
    caller
}

fn actions(world: &World) -> Vec<String> {
    let events = world.events_of("callpark::info");
    events.iter().map(|event| event.get("CallPark-Action").unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_colleague_retrieves_the_caller_who_never_hears_silence() {
    let world = office();
    let caller = parked_caller(&world);
    assert!(world.command("callpark list").contains("Mr Chen"));
    assert_eq!(world.complete("callpark show "), ["701"]);
    let colleague = world.call(&Caller::user("1002@example.com", "Bob"), "701");
    world.advance(seconds(1));
    assert!(colleague.talks_to(&caller));
    assert!(caller.longest_silence() < Duration::from_millis(100), "{:?}", caller.heard());
    colleague.hang_up();
    assert!(!caller.is_up());
    assert_eq!(actions(&world), ["park", "retrieve"]);
    world.finish();
}

#[test]
fn without_a_retrieval_the_recall_rings_the_parker() {
    let world = office();
    let caller = parked_caller(&world);
    assert!(world.advance_until(seconds(60), || world.leg_to("1001@example.com").is_some()), "the parker is not rung");
    world.advance(seconds(4));
    assert!(world.leg_to("1001@example.com").unwrap().talks_to(&caller));
    caller.hang_up();
    assert_eq!(actions(&world), ["park", "ringback", "return"]);
    world.finish();
}

/// A leg hangs up at each call that the module makes to FreeSWITCH, one after the other. Each time the caller has one outcome, `retrieve` if the two
/// were connected; until then the caller is never in silence; and nothing is left behind.
fn hang_up_at_any_moment(who: fn(&Leg, &Leg) -> Leg) {
    for nth in 1.. {
        let world = office();
        let caller = parked_caller(&world);
        let colleague = world.call(&Caller::user("1002@example.com", "Bob"), "soon");
        let before = world.calls();
        world.at_any_call(nth).hangs_up(&who(&caller, &colleague));
        world.advance(seconds(10));
        let past_the_last = world.calls() - before < nth;
        let waits = actions(&world) == ["park"];
        assert!(!waits || caller.hears().is_some_and(|sound| !sound.is_silence()), "at call {nth}: {caller:?}");
        caller.hang_up();
        colleague.hang_up();
        let talked = |heard: &HeardSound| heard.sound == Sound::Talking(colleague.uuid());
        let outcomes = actions(&world).split_off(1);
        match outcomes.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["retrieve"] => {}
            ["abandon"] => assert!(!caller.heard().iter().any(talked), "at call {nth}"),
            _ => panic!("at call {nth}: {outcomes:?}"),
        }
        world.finish();
        if past_the_last {
            break;
        }
    }
}

#[test]
fn the_caller_may_hang_up_at_any_moment() {
    hang_up_at_any_moment(|caller, _| caller.clone());
}

#[test]
fn the_colleague_may_hang_up_at_any_moment() {
    hang_up_at_any_moment(|_, colleague| colleague.clone());
}

/// Two colleagues dial the slot at the same time, with different orders of their threads.
#[test]
fn only_one_of_two_who_dial_at_once_gets_the_caller() {
    for seed in 0..50 {
        let world = office();
        world.shuffle(seed);
        let caller = parked_caller(&world);
        let [bob, carla] =
            ["1002@example.com", "1003@example.com"].map(|user| world.call(&Caller::user(user, user), "701"));
        world.advance(seconds(1));
        assert_ne!(bob.talks_to(&caller), carla.talks_to(&caller), "seed {seed}");
        caller.hang_up();
        world.advance(seconds(20));
        assert_eq!(actions(&world), ["park", "retrieve"], "seed {seed}");
        world.legs().iter().for_each(Leg::hang_up);
        world.finish();
    }
}
