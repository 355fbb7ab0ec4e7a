//! An example of scenarios with the real module, a caller, a receptionist and a colleague.

mod office;

use std::time::Duration;

use simulator::{Caller, Leg};

use office::{actions, office, parked_caller, seconds};

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
