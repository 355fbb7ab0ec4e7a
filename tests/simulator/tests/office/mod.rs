//! An office with a receptionist who parks callers, for scenarios with the real module.

use std::time::Duration;

use simulator::{Caller, Leg, Phone, Plan, World};

const CONFIGURATION: &str = r#"<configuration name="callpark.conf" description="Call parking">
  <lots>
    <lot name="main" domain="$${domain}">
      <param name="slots" value="701-705"/>
      <param name="park-timeout" value="30"/>
      <param name="hold-music" value="local_stream://moh"/>
    </lot>
  </lots>
</configuration>"#;

pub(crate) fn office() -> World {
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

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Lets the receptionist (1001) park a caller from outside by a blind transfer, and returns the leg of the caller.
pub(crate) fn parked_caller(world: &World) -> Leg {
    let caller = world.call(&Caller::outside("Mr Chen", "030123"), "1001");
    world.advance(seconds(10));
    let reception = world.leg_to("1001@example.com").unwrap();
    assert!(reception.talks_to(&caller));
    reception.blind_transfer("700", "1001@example.com");
    world.advance(seconds(1));
    caller
}

pub(crate) fn actions(world: &World) -> Vec<String> {
    let events = world.events_of("callpark::info");
    events.iter().map(|event| event.get("CallPark-Action").unwrap_or_default().to_owned()).collect()
}
