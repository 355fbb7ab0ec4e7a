//! Runs the module with many threads in real time. `make sanitize` builds it with sanitizers. Without one, it tests that nothing hangs and that no
//! caller is lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use simulator::{Caller, Leg, Phone, World};

const PARKER: &str = "1001@a.test";
/// The time for which the threads run. With a sanitizer everything is slower.
const LONG: Duration = Duration::from_secs(10);

fn office() -> World {
    let world = World::real_time();
    world.set_global("domain", "a.test");
    let configuration = r#"<configuration name="callpark.conf"><lots><lot name="main" domain="*">
        <param name="slots" value="701-716"/><param name="park-timeout" value="2"/><param name="ringback-timeout" value="1"/>
        <param name="slot-order" value="next"/></lot></lots></configuration>"#;
    world.set_config("callpark.conf", configuration);
    world.set_phone(PARKER, Phone::Busy);
    world.set_dialplan(|route| {
        let run = |application: &str, data: &str| Some(vec![(application.to_owned(), data.to_owned())]);
        match route.extension.as_str() {
            "700" => run("callpark_park", "auto"),
            "799" => run("callpark_retrieve", "oldest"),
            _ => None,
        }
    });
    world.load(simulator::built_module()).unwrap();
    world
}

fn caller(world: &World) -> Leg {
    world.call(&Caller::outside("Mr Chen", "030123").var("callpark_parker", PARKER), "700")
}

#[test]
fn real_threads_lose_nobody() {
    let world = office();
    let over = AtomicBool::new(false);
    let doing = |what: &dyn Fn(usize)| {
        let mut turn = 0;
        while !over.load(Ordering::Relaxed) {
            what(turn);
            turn += 1;
        }
        turn
    };
    let turns: Vec<usize> = std::thread::scope(|scope| {
        let callers = || {
            doing(&|_| {
                let leg = caller(&world);
                std::thread::sleep(Duration::from_millis(300));
                leg.hang_up();
            })
        };
        let patient = || {
            doing(&|_| {
                let leg = caller(&world);
                std::thread::sleep(Duration::from_millis(4500));
                leg.hang_up();
            })
        };
        let colleagues = || {
            doing(&|_| {
                let leg = world.call(&Caller::user("1002@a.test", "Bob"), "799");
                std::thread::sleep(Duration::from_millis(120));
                leg.hang_up();
            })
        };
        let operators = || {
            doing(&|turn| {
                let slot = 701 + turn % 16;
                for line in ["list as json", "lots", "status", "reload apply", "history 5"] {
                    world.command(&format!("callpark {line}"));
                }
                for line in [
                    format!("label {slot} x"),
                    format!("extend {slot} 1"),
                    format!("ringback {slot}"),
                    format!("show {slot}"),
                ] {
                    world.command(&format!("callpark {line}"));
                }
                world.complete("callpark show ");
                world.reload_xml();
            })
        };
        let threads = [
            scope.spawn(callers),
            scope.spawn(callers),
            scope.spawn(callers),
            scope.spawn(patient),
            scope.spawn(patient),
            scope.spawn(colleagues),
            scope.spawn(colleagues),
            scope.spawn(operators),
            scope.spawn(operators),
        ];
        std::thread::sleep(LONG);
        over.store(true, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(turns.iter().all(|turns| *turns > 0), "{turns:?}");
    let began = Instant::now();
    while world.command("callpark list as json").trim() != "[]" && began.elapsed() < LONG {
        world.legs().iter().for_each(Leg::hang_up);
        world.advance(Duration::from_millis(100));
    }
    let actions = |wanted: &[&str]| {
        let events = world.events_of("callpark::info");
        events.iter().filter(|event| wanted.contains(&event.get("CallPark-Action").unwrap_or_default())).count()
    };
    let parked = actions(&["park"]);
    assert!(parked > 20 && actions(&["retrieve"]) > 0 && actions(&["ringback"]) > 0, "{parked} parked");
    assert_eq!(
        parked,
        actions(&["retrieve", "return", "fallback", "transfer", "abandon"]),
        "not one outcome for each park"
    );
    world.advance(Duration::from_secs(1));
    world.finish();
}

/// In a build with fault injection, the sanitizer must end this test.
#[test]
#[ignore = "an injected fault, for scripts/sanitize"]
fn an_injected_fault() {
    let world = office();
    world.set_global("callpark_inject_fault", &std::env::var("CALLPARK_INJECT_FAULT").unwrap());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..200 {
                    world.command("callpark list");
                }
            });
        }
    });
    world.set_global("callpark_inject_fault", "");
    world.finish();
}
