//! A simulated FreeSWITCH with parked calls in two domains, which is kept from one input to the next.

use std::time::Duration;

use simulator::{Caller, Phone, World};

const CONFIGURATION: &str = r#"<configuration name="callpark.conf"><settings><param name="default-lot" value="main"/></settings>
    <lots><lot name="main" domain="*"><param name="slots" value="701-705"/><param name="fallback" value="900"/></lot></lots>
    </configuration>"#;

pub(crate) struct ParkedCalls(World);

impl ParkedCalls {
    pub(crate) fn open() -> ParkedCalls {
        let world = World::real_time();
        world.set_global("domain", "a.test");
        world.set_config("callpark.conf", CONFIGURATION);
        // Long frames, because audio does not matter here.
        world.set_frame(Duration::from_millis(200));
        world.set_phone("1001@a.test", Phone::Busy);
        world.set_dialplan(|route| match route.extension.as_str() {
            "900" => Some(vec![("hangup".into(), String::new())]),
            place => Some(vec![("callpark_park".into(), place.into())]),
        });
        // SAFETY: the table of the module that is linked in here.
        unsafe { world.load_linked(mod_callpark::fuzzing::table()) }.expect("the module loads");
        ParkedCalls(world)
    }

    /// Parks the calls again that an earlier input has ended.
    pub(crate) fn fill(&self) {
        for place in ["701 main@a.test", "702 main@a.test", "701 main@b.test"] {
            let taken = self.0.legs().iter().any(|leg| leg.var("place").as_deref() == Some(place));
            if !taken {
                let leg = self.0.call(&Caller::outside("Mr Chen", "030123").var("place", place), place);
                let parked = self.0.advance_until(Duration::from_secs(5), || leg.var("callpark_slot").is_some());
                assert!(parked || !leg.is_up(), "{place}: {leg:?}");
            }
        }
        assert!(self.0.misuse().is_empty(), "{:?}", self.0.misuse());
        self.0.forget_the_past();
    }

    pub(crate) fn visit<R>(&self, what: impl FnOnce() -> R) -> R {
        self.0.visit(what)
    }

    #[allow(dead_code, reason = "one target names legs, the other does not")]
    pub(crate) fn uuids(&self) -> Vec<String> {
        self.0.legs().iter().map(simulator::Leg::uuid).collect()
    }
}
