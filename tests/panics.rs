//! Tests a panic in each place where one is caught: the call continues or ends properly, `callpark status` counts the panic, and FreeSWITCH
//! survives. `make rules` runs them on a build with injected faults.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use simulator::{Caller, Leg, Phone, World};

const PARKER: &str = "1001@example.com";

/// The name of each panic fence, and the test of a panic there.
const FENCES: &[(&str, fn())] = &[
    ("callpark_park", the_dialplan_continues),
    ("callpark_retrieve", the_dialplan_continues_for_a_retriever),
    ("callpark_slot", the_dialplan_continues_for_a_slot),
    ("valet_park", the_dialplan_continues_after_valet_park),
    ("valet_info", valet_info_answers_with_an_error),
    ("after a bug", the_dialplan_continues_after_two_panics),
    ("callpark_feature_code", the_conversation_continues),
    ("digit", a_digit_reaches_the_other_party),
    ("kept digits", digits_are_passed_on_at_the_next_tick),
    ("due digits", a_digit_is_lost),
    ("feature code", the_code_is_passed_on),
    ("dialplan", the_next_dialplan_is_asked),
    ("new leg", the_leg_is_called_all_the_same),
    ("callpark", a_command_answers_with_an_error),
    ("completion", there_are_no_completions),
    ("event", an_event_is_ignored),
    ("tick", the_recall_is_late),
    ("timers", the_scheduler_ticks_instead),
    ("due", a_due_recall_is_repeated),
    ("listener frame", the_music_continues),
    ("listener key", a_digit_has_no_effect),
    ("bridge message", the_two_legs_are_connected),
    ("database row", an_incomplete_answer_is_an_error),
    ("storage", rows_are_written_later),
    ("storage worker", the_worker_is_started_again),
    ("storage reader", the_history_is_read_later),
    ("history query", an_interrupted_query_is_an_error),
    ("recall", the_recall_has_failed),
    ("failed recall", the_caller_can_still_be_retrieved),
    ("observer", no_caller_is_lost_without_an_event),
    ("slot store", no_caller_is_lost_without_the_slot_store),
    ("history", no_caller_is_lost_without_the_history),
    ("http", calls_do_not_need_the_dashboard),
    ("http request", the_request_fails),
    ("http work", the_action_fails),
    ("hook", the_thread_of_a_hook_is_started_again),
    ("hook message", a_message_is_lost_and_the_next_one_is_sent),
    ("load", the_module_is_not_loaded),
    ("undone load", the_module_is_not_loaded_after_two_panics),
    ("shutdown", the_module_stays_until_it_can_be_unloaded),
];

/// Fences that the simulator does not reach: its legs have no RTP, so music is never shared, and it recovers no leg.
const ONLY_LIVE: &[&str] = &["music", "signal", "recovered leg"];
/// Fences that are reached only after another panic, or when a thread starts.
const ONLY_HERE: &[&str] =
    &["after a bug", "failed recall", "undone load", "storage worker", "storage reader", "timers", "hook"];

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn world() -> World {
    let world = World::new();
    world.set_global("domain", "example.com");
    let configuration = r#"<configuration name="callpark.conf"><settings><param name="feature-code" value="*5"/></settings><lots><lot name="main" domain="*">
        <param name="slots" value="701-705"/><param name="hold-music" value="local_stream://moh"/>
        <param name="park-timeout" value="30"/><param name="ringback-timeout" value="10"/>
        <param name="ringback-busy-retry" value="0"/>
        <param name="fallback" value="900"/><param name="exit-key" value="0"/>
        <param name="exit-destination" value="900"/></lot></lots></configuration>"#;
    world.set_config("callpark.conf", configuration);
    world.set_dialplan(|route| {
        let run = |application: &str, data: &str| (application.to_owned(), data.to_owned());
        let reception = run("playback", "local_stream://reception");
        match route.extension.as_str() {
            "700" => Some(vec![run("callpark_park", "auto"), reception]),
            "900" => Some(vec![reception]),
            "6001" => Some(vec![run("valet_park", "valet 6001"), reception]),
            "799" => Some(vec![run("callpark_retrieve", "oldest"), reception]),
            slot if slot.starts_with('7') => Some(vec![run("callpark_slot", slot), reception]),
            user if user.starts_with('1') => Some(vec![run("bridge", &format!("user/{user}@example.com"))]),
            _ => None,
        }
    });
    world.set_phone(PARKER, Phone::Answers(seconds(1)));
    world
}

fn office() -> World {
    let world = world();
    world.load(simulator::built_module()).unwrap();
    world
}

fn inject(world: &World, bugs: &str) {
    world.set_global("callpark_inject_fault", bugs);
}

fn inject_panic(world: &World, fence: &str) {
    inject(world, &format!("panic 0 {fence}"));
}

fn cleared(world: &World) -> u64 {
    inject(world, "");
    caught(world)
}

fn caught(world: &World) -> u64 {
    let status = world.command("callpark status");
    let line = status.lines().find(|line| line.starts_with("panics caught")).unwrap_or_default();
    line.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{status}"))
}

fn outside(world: &World) -> Leg {
    world.call(&Caller::outside("Mr Chen", "030123"), "1001")
}

/// A caller from outside whom 1001 transfers to an extension.
fn sent(world: &World, extension: &str) -> Leg {
    let caller = outside(world);
    assert!(world.advance_until(seconds(5), || world.leg_to(PARKER).is_some_and(|leg| leg.talks_to(&caller))));
    world.leg_to(PARKER).unwrap().blind_transfer(extension, PARKER);
    world.advance(seconds(1));
    caller
}

fn parked(world: &World) -> Leg {
    let caller = sent(world, "700");
    assert!(is_parked(world), "{}", world.command("callpark list"));
    caller
}

fn is_parked(world: &World) -> bool {
    world.command("callpark list").contains(" parked ")
}

fn hears(leg: &Leg, what: &str) -> bool {
    leg.hears().is_some_and(|sound| format!("{sound:?}").contains(what))
}

fn bob(world: &World, extension: &str) -> Leg {
    world.call(&Caller::user("1002@example.com", "Bob"), extension)
}

/// Retrieves the caller from slot 701.
fn taken(world: &World, caller: &Leg) {
    let bob = bob(world, "701");
    world.advance(seconds(2));
    assert!(bob.talks_to(caller), "{}", world.command("callpark list"));
}

fn all_hang_up(world: &World) {
    for _ in 0..3 {
        world.legs().iter().for_each(Leg::hang_up);
        world.advance(seconds(6));
    }
    assert_eq!(world.command("callpark list as json").trim(), "[]");
}

/// Hangs up all legs and checks that nothing remains.
fn close(world: World) {
    inject(&world, "");
    all_hang_up(&world);
    world.finish();
}

fn records(world: &World) -> usize {
    world.advance(seconds(4));
    let history = world.command("callpark history as json");
    history.matches("\"uuid\"").count()
}

fn the_dialplan_continues() {
    let world = office();
    inject_panic(&world, "callpark_park");
    let caller = sent(&world, "700");
    assert!(hears(&caller, "reception"));
    assert_eq!(cleared(&world), 2, "the application was not tried twice");
    close(world);
}

fn the_dialplan_continues_for_a_retriever() {
    let world = office();
    let caller = parked(&world);
    inject_panic(&world, "callpark_retrieve");
    let bob = bob(&world, "799");
    world.advance(seconds(1));
    assert!(hears(&bob, "reception") && hears(&caller, "moh"));
    assert_eq!(cleared(&world), 2);
    taken(&world, &caller);
    close(world);
}

fn the_dialplan_continues_for_a_slot() {
    let world = office();
    inject_panic(&world, "callpark_slot");
    let caller = sent(&world, "702");
    assert!(hears(&caller, "reception"));
    assert_eq!(cleared(&world), 2);
    close(world);
}

fn the_dialplan_continues_after_valet_park() {
    let world = office();
    inject_panic(&world, "valet_park");
    let caller = sent(&world, "6001");
    assert!(hears(&caller, "reception"));
    assert_eq!(cleared(&world), 2);
    close(world);
}

fn valet_info_answers_with_an_error() {
    let world = office();
    inject_panic(&world, "valet_info");
    assert_eq!(world.command("valet_info"), "-ERR internal error, see the log\n");
    assert_eq!(cleared(&world), 1);
    close(world);
}

fn the_dialplan_continues_after_two_panics() {
    let world = office();
    inject(&world, "panic 0 callpark_park;panic 0 after a bug");
    let caller = sent(&world, "700");
    assert!(hears(&caller, "reception"));
    assert_eq!(cleared(&world), 4);
    close(world);
}

fn the_next_dialplan_is_asked() {
    let world = office();
    let caller = outside(&world);
    assert!(world.advance_until(seconds(5), || world.leg_to(PARKER).is_some_and(|leg| leg.talks_to(&caller))));
    inject_panic(&world, "dialplan");
    assert!(caller.transfer_to("900", Some("callpark,XML"), None));
    world.advance(seconds(1));
    assert!(hears(&caller, "reception"));
    assert_eq!(cleared(&world), 1);
    close(world);
}

fn the_leg_is_called_all_the_same() {
    let world = office();
    inject_panic(&world, "new leg");
    let caller = outside(&world);
    assert!(world.advance_until(seconds(5), || world.leg_to(PARKER).is_some_and(|leg| leg.talks_to(&caller))));
    assert_eq!(cleared(&world), 8, "the caller and the phone are two legs, each with four callbacks");
    close(world);
}

/// A caller from outside in a conversation with 1001. Returns both legs.
fn conversation(world: &World) -> (Leg, Leg) {
    let caller = outside(world);
    assert!(world.advance_until(seconds(5), || world.leg_to(PARKER).is_some_and(|leg| leg.talks_to(&caller))));
    (caller, world.leg_to(PARKER).unwrap())
}

/// Injects a panic while 1001 presses keys. Returns what the other party got of them, after `time`.
fn pressed(fence: &str, keys: &str, time: Duration) -> String {
    let world = office();
    let (caller, user) = conversation(&world);
    inject_panic(&world, fence);
    user.press(keys);
    world.advance(time);
    assert!(cleared(&world) > 0, "{fence}");
    assert!(caller.talks_to(&user), "the conversation goes on");
    let before = caller.digits();
    user.press("7");
    world.advance(seconds(1));
    assert_eq!(caller.digits(), format!("{before}7"));
    user.press("*5");
    world.advance(seconds(3));
    assert!(is_parked(&world), "the next time, the code has its effect");
    close(world);
    before
}

fn the_conversation_continues() {
    assert_eq!(pressed("callpark_feature_code", "*5", seconds(1)), "");
}

fn a_digit_reaches_the_other_party() {
    assert_eq!(pressed("digit", "*5", seconds(1)), "*5");
}

fn digits_are_passed_on_at_the_next_tick() {
    assert_eq!(pressed("kept digits", "*", seconds(3)), "*");
}

fn a_digit_is_lost() {
    assert_eq!(pressed("due digits", "*", seconds(3)), "");
}

fn the_code_is_passed_on() {
    assert_eq!(pressed("feature code", "*5", seconds(6)), "*5");
}

fn a_command_answers_with_an_error() {
    let world = office();
    inject_panic(&world, "callpark");
    assert_eq!(world.command("callpark list"), "-ERR internal error, see the log\n");
    assert_eq!(cleared(&world), 1);
    close(world);
}

fn there_are_no_completions() {
    let world = office();
    let caller = parked(&world);
    inject_panic(&world, "completion");
    let offered = world.complete("callpark show ");
    assert!(!offered.iter().any(|word| word.contains("701")), "{offered:?}");
    assert!(cleared(&world) >= 1);
    assert!(world.complete("callpark show ").iter().any(|word| word.contains("701")));
    taken(&world, &caller);
    close(world);
}

fn an_event_is_ignored() {
    let world = office();
    let caller = parked(&world);
    inject_panic(&world, "event");
    world.reload_xml();
    world.advance(seconds(1));
    assert_eq!(cleared(&world), 1);
    taken(&world, &caller);
    close(world);
}

fn the_recall_is_late() {
    let world = office();
    let caller = parked(&world);
    inject_panic(&world, "tick");
    world.advance(seconds(35));
    assert!(is_parked(&world) && hears(&caller, "moh"));
    assert!(cleared(&world) > 30);
    world.advance(seconds(3));
    assert!(world.leg_to(PARKER).is_some_and(|parker| parker.talks_to(&caller)));
    close(world);
}

fn the_scheduler_ticks_instead() {
    let world = world();
    inject_panic(&world, "timers");
    world.load(simulator::built_module()).unwrap();
    world.advance(seconds(1));
    assert_eq!(cleared(&world), 1);
    let caller = parked(&world);
    world.advance(seconds(33));
    assert!(world.leg_to(PARKER).is_some_and(|parker| parker.talks_to(&caller)));
    close(world);
}

fn a_due_recall_is_repeated() {
    let world = office();
    let caller = parked(&world);
    inject_panic(&world, "due");
    world.advance(seconds(32));
    assert!(is_parked(&world) && hears(&caller, "moh"), "{}", world.command("callpark list"));
    assert!(cleared(&world) >= 1);
    world.advance(seconds(35));
    assert!(world.leg_to(PARKER).is_some_and(|parker| parker.talks_to(&caller)), "neither recall nor fallback worked");
    close(world);
}

fn the_music_continues() {
    let world = office();
    let caller = parked(&world);
    inject_panic(&world, "listener frame");
    world.advance(seconds(5));
    assert!(is_parked(&world));
    assert!(cleared(&world) > 10);
    assert!(caller.longest_silence() < Duration::from_millis(100));
    taken(&world, &caller);
    close(world);
}

fn a_digit_has_no_effect() {
    let world = office();
    let caller = parked(&world);
    inject_panic(&world, "listener key");
    caller.press("0");
    world.advance(seconds(1));
    assert!(is_parked(&world) && hears(&caller, "moh"));
    assert_eq!(cleared(&world), 1);
    caller.press("0");
    world.advance(seconds(1));
    assert!(hears(&caller, "reception"));
    close(world);
}

fn the_two_legs_are_connected() {
    let world = office();
    let caller = parked(&world);
    inject_panic(&world, "bridge message");
    let bob = bob(&world, "701");
    world.advance(seconds(2));
    assert!(bob.talks_to(&caller));
    assert_eq!(cleared(&world), 1);
    bob.hang_up();
    world.advance(seconds(2));
    assert!(!caller.is_up() && !is_parked(&world));
    assert_eq!(records(&world), 1);
    close(world);
}

fn an_incomplete_answer_is_an_error() {
    let world = office();
    parked(&world).hang_up();
    assert_eq!(records(&world), 1);
    inject_panic(&world, "database row");
    assert!(world.command("callpark history as json").starts_with("-ERR"));
    assert!(cleared(&world) >= 1);
    assert_eq!(records(&world), 1);
    close(world);
}

fn rows_are_written_later() {
    the_history_row_is_written_later();
    the_slot_is_written_later();
}

fn the_history_row_is_written_later() {
    let world = office();
    let caller = parked(&world);
    inject_panic(&world, "storage");
    caller.hang_up();
    world.advance(seconds(5));
    assert!(cleared(&world) >= 1);
    assert_eq!(records(&world), 1);
    close(world);
}

fn the_slot_is_written_later() {
    let world = office();
    inject_panic(&world, "storage");
    let caller = parked(&world);
    world.advance(seconds(3));
    assert!(cleared(&world) >= 1);
    taken(&world, &caller);
    close(world);
}

/// The thread ends when the module is loaded, and the tick a second later starts it again.
fn the_worker_is_started_again() {
    let world = world();
    inject_panic(&world, "storage worker");
    world.load(simulator::built_module()).unwrap();
    assert!(cleared(&world) >= 1);
    parked(&world).hang_up();
    assert_eq!(records(&world), 1);
    close(world);
}

fn the_history_is_read_later() {
    let world = office();
    parked(&world).hang_up();
    world.advance(seconds(4));
    inject_panic(&world, "storage reader");
    assert!(world.command("callpark history as json").starts_with("-ERR"));
    assert_eq!(cleared(&world), 1);
    assert_eq!(records(&world), 1);
    close(world);
}

fn an_interrupted_query_is_an_error() {
    let world = office();
    parked(&world).hang_up();
    assert_eq!(records(&world), 1);
    inject_panic(&world, "history query");
    assert!(world.command("callpark history as json").starts_with("-ERR"));
    assert_eq!(cleared(&world), 1);
    assert_eq!(records(&world), 1);
    close(world);
}

fn the_recall_has_failed() {
    let world = office();
    let caller = parked(&world);
    inject_panic(&world, "recall");
    world.advance(seconds(31));
    assert!(cleared(&world) >= 1);
    world.advance(seconds(1));
    assert!(hears(&caller, "reception"), "the fallback follows: {}", world.command("callpark list"));
    close(world);
}

fn the_caller_can_still_be_retrieved() {
    let world = office();
    let caller = parked(&world);
    inject(&world, "panic 0 recall;panic 0 failed recall");
    world.advance(seconds(31));
    assert!(cleared(&world) >= 2);
    assert!(hears(&caller, "moh"));
    taken(&world, &caller);
    close(world);
}

fn no_caller_is_lost_without_an_event() {
    let world = office();
    inject_panic(&world, "observer");
    let caller = parked(&world);
    taken(&world, &caller);
    assert!(cleared(&world) > 10);
    // Before: without the observers, the outcome was not recorded.
    assert_eq!(records(&world), 1);
    close(world);
}

fn no_caller_is_lost_without_the_slot_store() {
    let world = office();
    inject_panic(&world, "slot store");
    let caller = parked(&world);
    taken(&world, &caller);
    assert!(cleared(&world) >= 3);
    close(world);
}

fn no_caller_is_lost_without_the_history() {
    let world = office();
    inject_panic(&world, "history");
    let caller = parked(&world);
    taken(&world, &caller);
    assert_eq!(cleared(&world), 1);
    assert_eq!(records(&world), 0);
    close(world);
}

const TOKEN: &str = "reception-0123456789";

/// An office with a dashboard, and the address of the dashboard.
fn office_with_dashboard() -> (World, String, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    fs::write(&tokens, format!("{TOKEN} view,act *\n")).unwrap();
    fs::set_permissions(&tokens, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let world = world();
    let configuration = format!(
        r#"<configuration name="callpark.conf"><settings><param name="http-listen" value="{free}"/>
        <param name="http-token-file" value="{}"/></settings><lots><lot name="main" domain="*">
        <param name="slots" value="701-705"/></lot></lots></configuration>"#,
        tokens.display()
    );
    world.set_config("callpark.conf", &configuration);
    (world, free, folder)
}

/// The status of the answer; 0 if there is none.
fn ask(world: &World, address: &str, request: &str) -> u16 {
    let (address, request) = (
        address.to_owned(),
        format!(
            "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 0\r\n\r\n"
        ),
    );
    let client = std::thread::spawn(move || {
        let mut answer = String::new();
        if let Ok(mut stream) = TcpStream::connect(address) {
            let _ = stream.write_all(request.as_bytes());
            let _ = stream.read_to_string(&mut answer);
        }
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    });
    while !client.is_finished() {
        world.advance(Duration::from_millis(20));
    }
    client.join().unwrap()
}

fn calls_do_not_need_the_dashboard() {
    let (world, address, _folder) = office_with_dashboard();
    inject_panic(&world, "http");
    world.load(simulator::built_module()).unwrap();
    let caller = parked(&world);
    assert_eq!(ask(&world, &address, "GET /healthz"), 0);
    assert!(cleared(&world) >= 1);
    taken(&world, &caller);
    world.advance(seconds(2));
    assert_eq!(ask(&world, &address, "GET /healthz"), 200, "the HTTP server was not started again");
    close(world);
}

fn the_request_fails() {
    let (world, address, _folder) = office_with_dashboard();
    world.load(simulator::built_module()).unwrap();
    inject_panic(&world, "http request");
    assert_eq!(ask(&world, &address, "GET /api/v1/calls"), 500);
    assert_eq!(cleared(&world), 1);
    assert_eq!(ask(&world, &address, "GET /api/v1/calls"), 200);
    close(world);
}

fn the_action_fails() {
    let (world, address, _folder) = office_with_dashboard();
    world.load(simulator::built_module()).unwrap();
    let caller = parked(&world);
    inject_panic(&world, "http work");
    assert_eq!(ask(&world, &address, "POST /api/v1/calls/example.com/701/ringback"), 500);
    assert_eq!(ask(&world, &address, "GET /api/v1/history"), 500);
    assert_eq!(cleared(&world), 2);
    assert_eq!(ask(&world, &address, "GET /api/v1/history"), 200);
    taken(&world, &caller);
    close(world);
}

/// An office with a hook, and the receiver of the hook, which says `204` to all requests and returns what it got.
fn office_with_hook() -> (World, std::sync::mpsc::Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let world = world();
    let configuration = format!(
        r#"<configuration name="callpark.conf"><lots><lot name="main" domain="*"><param name="slots" value="701-705"/></lot></lots>
        <hooks><hook name="chat" url="http://{}/" events="park,abandoned"/></hooks></configuration>"#,
        listener.local_addr().unwrap()
    );
    world.set_config("callpark.conf", &configuration);
    let (got, messages) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = Vec::new();
            let mut piece = [0; 4096];
            while !request.ends_with(b"}") {
                match stream.read(&mut piece) {
                    Ok(length) if length > 0 => request.extend_from_slice(&piece[..length]),
                    _ => break,
                }
            }
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
            if got.send(String::from_utf8_lossy(&request).into_owned()).is_err() {
                return;
            }
        }
    });
    (world, messages)
}

fn receives(messages: &std::sync::mpsc::Receiver<String>, event: &str) {
    let message = messages.recv_timeout(seconds(10)).unwrap();
    assert!(message.contains(&format!(r#""event":"{event}""#)), "{message}");
}

fn a_message_is_lost_and_the_next_one_is_sent() {
    let (world, messages) = office_with_hook();
    world.load(simulator::built_module()).unwrap();
    inject_panic(&world, "hook message");
    let caller = parked(&world);
    world.advance_until(seconds(5), || {
        std::thread::sleep(Duration::from_millis(20));
        world.command("callpark status").contains("1 failed")
    });
    assert_eq!(cleared(&world), 1);
    caller.hang_up();
    world.advance(seconds(1));
    receives(&messages, "abandoned");
    close(world);
}

fn the_thread_of_a_hook_is_started_again() {
    let (world, messages) = office_with_hook();
    inject_panic(&world, "hook");
    world.load(simulator::built_module()).unwrap();
    world.advance_until(seconds(5), || {
        std::thread::sleep(Duration::from_millis(20));
        caught(&world) > 0
    });
    assert!(cleared(&world) >= 1);
    world.advance(seconds(2));
    parked(&world);
    receives(&messages, "park");
    close(world);
}

fn the_module_is_not_loaded() {
    let world = world();
    inject_panic(&world, "load");
    assert!(world.load(simulator::built_module()).is_err());
    inject(&world, "");
    world.load(simulator::built_module()).unwrap();
    close(world);
}

fn the_module_is_not_loaded_after_two_panics() {
    let world = world();
    inject(&world, "panic 0 load;panic 0 undone load");
    assert!(world.load(simulator::built_module()).is_err());
    world.finish();
}

fn the_module_stays_until_it_can_be_unloaded() {
    let world = office();
    inject_panic(&world, "shutdown");
    assert!(world.unload().is_err());
    assert_eq!(cleared(&world), 1);
    let caller = parked(&world);
    taken(&world, &caller);
    close(world);
}

#[test]
fn every_fence_catches_its_panic() {
    for (fence, seen) in FENCES {
        eprintln!("behind the fence {fence}:");
        seen();
    }
}

/// Checks that each caller is in a slot, with a person, at the reception, or has hung up.
fn nobody_is_lost(world: &World, what: &str) {
    for leg in world.legs().iter().filter(|leg| leg.var("caller").is_some()) {
        let listed = world.command("callpark list").contains(&leg.uuid());
        let elsewhere = leg.partner().is_some() || hears(leg, "reception");
        assert!(listed || elsewhere, "{what}: {leg:?} hears {:?}\n{}", leg.hears(), world.command("callpark list"));
    }
}

/// Panics at each step inside a fence in turn, while one caller is parked, recalled and retrieved, and a second one goes to the fallback.
fn at_each_step(fence: &str) {
    let world = office();
    world.set_frame(Duration::from_millis(100));
    let (mut step, mut caught_before) = (0, 0);
    loop {
        step += 1;
        let what = format!("{fence}, step {step}");
        world.set_phone(PARKER, Phone::Answers(seconds(1)));
        inject(&world, &format!("panic {step} {fence}"));
        let first = sent(&world, "700");
        first.set_var("caller", "1");
        nobody_is_lost(&world, &what);
        let second = sent(&world, "703");
        second.set_var("caller", "1");
        world.set_phone(PARKER, Phone::Busy);
        world.advance(seconds(20));
        let bob = bob(&world, "701");
        world.advance(seconds(3));
        nobody_is_lost(&world, &what);
        world.advance(seconds(60));
        nobody_is_lost(&world, &what);
        let count = cleared(&world);
        bob.hang_up();
        // A caller who is still parked can be retrieved, or goes to the fallback.
        for slot in ["701", "702", "703"] {
            world.call(&Caller::user("1003@example.com", "Carla"), slot);
            world.advance(seconds(3));
        }
        let waiting = world.command("callpark list");
        assert!(!waiting.contains("Mr Chen"), "{what}: {waiting}");
        all_hang_up(&world);
        if count == caught_before {
            assert!(step > 1, "{fence}: it was never behind it");
            break close(world);
        }
        caught_before = count;
    }
}

#[test]
fn no_caller_is_lost_by_a_panic_while_parking() {
    at_each_step("callpark_park");
}

#[test]
fn no_caller_is_lost_by_a_panic_while_retrieving() {
    at_each_step("callpark_slot");
}

#[test]
fn no_caller_is_lost_by_a_panic_during_a_recall() {
    at_each_step("recall");
    at_each_step("due");
    at_each_step("tick");
}

#[test]
fn no_caller_is_lost_by_a_panic_while_writing() {
    at_each_step("storage");
    at_each_step("observer");
}

#[test]
fn no_caller_is_lost_by_a_panic_while_connecting() {
    at_each_step("bridge message");
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The texts between `before` and the next quote in the source.
fn quoted_after(text: &str, before: &str) -> Vec<String> {
    text.split(before).skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

/// Names that are not literals. The test below finds them where they are passed.
const NAMED_ELSEWHERE: &[&str] = &["A::NAME.to_str()", "C::NAME.to_str()", "name,"];

/// Checks that each fence has a test.
#[test]
fn every_fence_is_tested_and_every_callback_fenced() {
    let mut found = BTreeSet::from(["callpark".to_owned()]);
    for path in sources(Path::new("src")).into_iter().filter(|path| !path.ends_with("guard.rs")) {
        let text = fs::read_to_string(&path).unwrap();
        for call in text.split("fence(").skip(1) {
            match call.trim_start().strip_prefix('"') {
                Some(rest) => drop(found.insert(rest.split('"').next().unwrap().to_owned())),
                None => assert!(
                    NAMED_ELSEWHERE.iter().any(|name| call.trim_start().starts_with(name)),
                    "{}: what is the fence({} called?",
                    path.display(),
                    call.lines().next().unwrap()
                ),
            }
        }
        found.extend(quoted_after(&text, "guard::log_panic(\""));
        found.extend(quoted_after(&text, "Worker::start(\""));
        found.extend(quoted_after(&text, "call_control(\""));
        let applications = quoted_after(&text, "const NAME: &'static CStr = c\"").into_iter();
        found.extend(
            applications
                .filter(|_| ["impl Application for", "impl Command for"].iter().any(|kind| text.contains(kind))),
        );
        for callback in text.split("extern \"C\" fn ").skip(1) {
            let body = callback.split("\n}").next().unwrap();
            let name = callback.split(['(', '<']).next().unwrap();
            assert!(
                body.contains("fence(") || body.contains("call_control("),
                "{}: {name} has no fence",
                path.display()
            );
        }
    }
    let tested = FENCES.iter().map(|(name, _)| *name).chain(ONLY_LIVE.iter().copied());
    assert_eq!(found, tested.map(str::to_owned).collect());
    let live = fs::read_to_string("tests/live/test_panics.py").unwrap();
    for name in found.iter().filter(|name| !ONLY_HERE.contains(&name.as_str())) {
        assert!(live.contains(&format!("{name}\"")), "{name} is not in tests/live/test_panics.py");
    }
}
