//! Tests the simulator itself: it detects the misuses of `faulty_module.c`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use simulator::{Caller, Cause, Leg, Phone, Sound, World};

fn build(name: &str, defines: &[&str]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let (module, root) = (folder.join("mod_faulty.so"), Path::new(env!("CARGO_MANIFEST_DIR")));
    let done = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
        .args(["-shared", "-fPIC", "-w", "-include", "stdio.h", "-o"])
        .arg(&module)
        .arg("-I")
        .arg(root.join("../../freeswitch-headers"))
        .args(defines)
        .arg(root.join("tests/faulty_module.c"))
        .status();
    assert!(done.unwrap().success(), "faulty_module.c compiles");
    module
}

fn faulty_module() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("faulty", &[]))
}

/// A world with the faulty module, in which an extension is an application and its data: `play:tone.wav`.
fn world() -> World {
    let world = World::new();
    world.set_global("domain", "example.com");
    world.set_config("faulty.conf", "<configuration/>");
    world.set_dialplan(|route| {
        let (application, data) = route.extension.split_once(':').unwrap_or((&route.extension, ""));
        Some(vec![("answer".into(), String::new()), (application.into(), data.into())])
    });
    world.load(faulty_module()).unwrap();
    world
}

fn ann() -> Caller {
    Caller::outside("Ann", "030123")
}

fn second() -> Duration {
    Duration::from_secs(1)
}

/// The problems that the world reports at its end.
fn problems(world: World) -> String {
    let end = catch_unwind(AssertUnwindSafe(|| world.finish()));
    let panic = end.expect_err("the world reports a problem");
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn a_module_that_leaves_nothing_behind_has_no_problems() {
    let world = world();
    let leg = world.call(&ann(), "sleep:500");
    world.advance(second());
    assert_eq!((leg.cause(), leg.is_gone()), (Cause::NORMAL_CLEARING, true));
    world.finish();
}

#[test]
fn each_thing_left_behind_is_named() {
    for (application, word) in [
        ("hold", "read locks are left"),
        ("let_go_twice", "was not locked"),
        ("event", "1 events are neither fired nor destroyed"),
        ("xml", "1 XML trees are not freed"),
        ("task", "the scheduler task faulty is left"),
        ("hook", "left a message hook"),
        ("format:%d", "logged with the format"),
        ("foreign", "on another thread than its own"),
    ] {
        let world = world();
        world.call(&ann(), application);
        world.advance(second());
        let problems = problems(world);
        assert!(problems.contains(word), "{application}: {problems}");
    }
}

#[test]
fn a_leg_that_is_still_up_is_named() {
    let world = world();
    world.call(&ann(), "wait");
    assert!(problems(world).contains("still up"));
}

#[test]
fn a_module_in_use_is_not_unloaded() {
    let world = world();
    let leg = world.call(&ann(), "wait");
    assert_eq!(world.unload(), Err("Module in use.".into()));
    leg.hang_up();
    assert_eq!(world.unload(), Ok(()));
    world.call(&ann(), "wait");
    assert_eq!(world.legs(), [], "the application of the unloaded module still exists");
}

#[test]
fn a_module_that_freeswitch_would_refuse_is_not_loaded() {
    let world = World::new();
    assert!(world.load(build("old", &["-DFAULTY_VERSION=4"])).unwrap_err().contains("out of date"));
    let unresolved = world.load(build("missing", &["-DFAULTY_MISSING"])).unwrap_err();
    assert!(unresolved.contains("switch_no_such_function"), "{unresolved}");
    assert!(world.load("/nowhere/mod_faulty.so").is_err());
}

fn played(file: &str, then: impl FnOnce(&World, &Leg)) -> (Option<String>, Leg) {
    let world = world();
    world.set_length("long.wav", 3 * second());
    world.remove_sound("missing.wav");
    let leg = world.call(&ann(), &format!("play:{file}"));
    world.advance(second());
    then(&world, &leg);
    world.advance(4 * second());
    leg.hang_up();
    (leg.var("played"), leg)
}

#[test]
fn a_callback_is_called_fifty_times_a_second_until_the_end_of_a_file() {
    let (played, leg) = played("long.wav", |_, _| {});
    assert_eq!(played.as_deref(), Some("150 frames, status 0"));
    let heard = leg.heard();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!((heard[0].to - heard[0].from, &heard[0].sound), (3 * second(), &Sound::Playing("long.wav".into())));
    assert_eq!(leg.longest_silence(), Duration::ZERO);
}

#[test]
fn a_digit_a_transfer_a_hangup_and_a_missing_file_end_a_playback() {
    let status = |file, then: fn(&World, &Leg)| played(file, then).0;
    let until_the_end = "250 frames, status 0";
    assert_eq!(status("missing.wav", |_, _| {}).as_deref(), Some("0 frames, status 14"));
    assert_eq!(status("local_stream://moh", |_, leg| leg.press("1")).as_deref(), Some(until_the_end), "another digit");
    assert_eq!(status("local_stream://moh", |_, leg| leg.press("12#")).as_deref(), Some("50 frames, status 11"));
    let transfer = |_: &World, leg: &Leg| assert!(leg.transfer("sleep:2000"));
    assert_eq!(status("local_stream://moh", transfer).as_deref(), Some("50 frames, status 1"));
    assert_eq!(status("local_stream://moh", |_, leg| leg.hang_up()).as_deref(), Some("50 frames, status 0"));
}

#[test]
fn a_bridge_ends_for_both_and_a_transferred_leg_continues() {
    let world = world();
    world.set_phone("1001@example.com", Phone::Answers(2 * second()));
    let caller = world.call(&ann(), "bridge:user/1001");
    world.advance(3 * second());
    let callee = world.leg_to("1001@example.com").unwrap();
    assert!(caller.talks_to(&callee));
    assert!(callee.transfer("wait"));
    world.advance(second());
    assert!(callee.is_up() && !caller.is_up(), "{callee:?} {caller:?}");
    callee.hang_up();

    let caller = world.call(&ann(), "bridge:user/1001");
    world.advance(3 * second());
    let callee = world.leg_to("1001@example.com").unwrap();
    assert!(caller.transfer("wait"));
    assert_eq!((caller.is_up(), callee.cause()), (true, Cause::NORMAL_CLEARING));
    caller.hang_up();
    world.finish();
}

#[test]
fn phones_behave_as_the_test_says() {
    let world = world();
    for (phone, cause) in [
        (Phone::Busy, Cause::USER_BUSY),
        (Phone::Rejects, Cause::CALL_REJECTED),
        (Phone::RejectsAfter(second()), Cause::CALL_REJECTED),
        (Phone::Unregistered, Cause::USER_NOT_REGISTERED),
        (Phone::Silent, Cause::NO_ANSWER),
    ] {
        world.set_phone("1001@example.com", phone);
        let caller = world.call(&ann(), "bridge:user/1001");
        world.advance(61 * second());
        assert_eq!(caller.cause(), cause, "{phone:?}");
    }
    let caller = world.call(&ann(), "bridge:user/1009|error/user_busy");
    assert_eq!(caller.cause(), Cause::USER_BUSY, "not the cause of the last attempt");
    world.finish();
}

#[test]
fn the_wall_clock_can_be_set_and_the_monotonic_clock_does_not_change() {
    let world = world();
    world.set_wall_clock(1_000_000_000);
    world.advance(90 * second());
    assert_eq!((world.wall_clock(), world.now()), (1_000_000_090, 90 * second()));
    world.finish();
}
