//! A leg hangs up at any moment of a retrieval. Each world loads its own copy of the module, which takes one of the 1,024 thread-local keys that a process
//! has for all its life, so each test that needs hundreds of worlds is a program of its own.

use simulator::{Caller, HeardSound, Leg, Sound};

use crate::office::{actions, office, parked_caller, seconds};

/// A leg hangs up at each call that the module makes to FreeSWITCH, one after the other. Each time the caller has one outcome, `retrieve` if the two
/// were connected; until then the caller is never in silence; and nothing is left behind.
pub(crate) fn hang_up_at_any_moment(who: fn(&Leg, &Leg) -> Leg) {
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
