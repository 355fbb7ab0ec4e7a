//! The simulator during a scenario, with the people who call each other, and what is checked after the last step.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use simulator::{Caller, Event, Leg, Phone, Plan, Route, Sound, World};

pub(crate) const DOMAIN: &str = "callpark.test";
const CALLERS: [&str; 3] = ["Alice", "Bob", "Carol"];
const USERS: [&str; 3] = ["1001", "1002", "1003"];
/// What is played, and the frequency of its tone.
const SOUNDS: [(&str, u32); 4] = [("music", 440), ("comfort", 1000), ("reception", 1300), ("onward", 1700)];
/// The actions that end a parked call, and the outcome of each.
const OUTCOMES: [(&str, &str); 5] = [
    ("retrieve", "retrieved"),
    ("return", "returned"),
    ("fallback", "fallback"),
    ("transfer", "transferred"),
    ("abandon", "abandoned"),
];
const MAX_SILENCE: Duration = Duration::from_millis(300);
/// The variable that says whose leg it is.
const WHOSE: &str = "scenario_person";

/// `Err` says why a step fails.
pub(crate) type Checked<T = ()> = Result<T, String>;

pub(crate) struct Stage {
    pub(crate) world: World,
    /// The wall clock at the start, in seconds.
    began: i64,
}

impl Stage {
    pub(crate) fn new(configuration: &str) -> Stage {
        let world = World::new();
        world.set_global("domain", DOMAIN);
        world.set_config("callpark.conf", configuration);
        world.set_dialplan(dialplan);
        for (_, frequency) in SOUNDS {
            world.set_length(&tone(frequency), Duration::from_secs(60));
        }
        // The FreeSWITCH of the live tests has no prompts installed: a short tone is heard.
        world.set_length("callpark_announce_slot", Duration::from_millis(40));
        for user in USERS {
            world.set_phone(&address(user), Phone::Silent);
        }
        world.load(simulator::built_module()).unwrap();
        let answer = world.command("callpark reload");
        assert!(answer.starts_with("+OK"), "{answer}");
        Stage { began: world.wall_clock(), world }
    }

    pub(crate) fn call(&self, who: &str, number: &str) -> Checked {
        let caller = match USERS.contains(&known(who)?) {
            true => Caller::user(&address(who), who).var("sip_from_user", who),
            false => Caller::outside(who, &format!("030{}", who.len())),
        };
        self.world.call(&caller.var(WHOSE, who), number);
        Ok(())
    }

    /// The legs of a person that are up, in the order in which they came.
    pub(crate) fn legs(&self, who: &str) -> Checked<Vec<Leg>> {
        known(who)?;
        let is_theirs = |leg: &Leg| [WHOSE, "dialed_user"].iter().any(|name| leg.var(name).as_deref() == Some(who));
        Ok(self.world.legs().into_iter().filter(is_theirs).collect())
    }

    pub(crate) fn leg(&self, who: &str) -> Checked<Leg> {
        self.legs(who)?.pop().ok_or_else(|| format!("{who} is in no call"))
    }

    pub(crate) fn ringing(&self, user: &str) -> Checked<Leg> {
        let leg = self.legs(user)?.into_iter().find(|leg| leg.var(WHOSE).is_none() && !leg.is_answered());
        leg.ok_or_else(|| format!("the phone of {user} does not ring"))
    }

    pub(crate) fn talk(&self, one: &str, other: &str) -> Checked {
        let (ones, others) = (self.legs(one)?, self.legs(other)?);
        let talk = ones.iter().any(|leg| others.iter().any(|peer| leg.talks_to(peer)));
        ensure(talk, || format!("{one}: {ones:?}, {other}: {others:?}"))
    }

    pub(crate) fn is_heard(&self, what: &str, sound: Option<&Sound>) -> Checked<bool> {
        if let Some((_, frequency)) = SOUNDS.iter().find(|(name, _)| *name == what) {
            return Ok(matches!(sound, Some(Sound::Playing(file)) if file.contains(&format!(",{frequency})"))));
        }
        let legs = self.legs(what)?;
        Ok(matches!(sound, Some(Sound::Talking(uuid)) if legs.iter().any(|leg| leg.uuid() == *uuid)))
    }

    pub(crate) fn rows(&self) -> Vec<Value> {
        serde_json::from_str(&self.world.command("callpark list as json")).unwrap()
    }

    pub(crate) fn events(&self, who: &str) -> Vec<Event> {
        let events = self.world.events_of("callpark::info").into_iter();
        events.filter(|event| event.get("Caller-Caller-ID-Name") == Some(who)).collect()
    }

    pub(crate) fn actions(&self, who: &str) -> Vec<String> {
        self.events(who).iter().map(|event| action_of(event).to_owned()).collect()
    }

    pub(crate) fn lamps_on(&self) -> Vec<String> {
        let mut last = BTreeMap::new();
        for event in self.world.events().iter().filter(|event| event.get("proto") == Some("park")) {
            last.insert(
                event.get("from").unwrap_or_default().to_owned(),
                event.get("answer-state") != Some("terminated"),
            );
        }
        last.into_iter().filter(|(_, on)| *on).map(|(lamp, _)| lamp).collect()
    }

    /// Everybody hangs up. Then each parked call has one outcome, no caller has sat in silence, and no lamp is on.
    pub(crate) fn close(&self) -> Checked {
        CALLERS.iter().try_for_each(|who| self.check_silence(who))?;
        for _ in 0..3 {
            self.world.legs().iter().for_each(Leg::hang_up);
            self.world.advance(Duration::from_secs(6));
        }
        CALLERS.iter().chain(&USERS).try_for_each(|who| self.check_outcomes(who))?;
        ensure(self.rows().is_empty(), || format!("listed: {:?}", self.rows()))?;
        ensure(self.lamps_on().is_empty(), || format!("lamps on: {:?}", self.lamps_on()))
    }

    /// Checks that nothing is left, with a panic.
    pub(crate) fn finish(self) {
        self.world.finish();
    }

    /// From the moment when the caller was parked.
    fn check_silence(&self, who: &str) -> Checked {
        let parked =
            self.events(who).iter().find(|event| ["park", "no-slot"].contains(&action_of(event))).map(|event| event.at);
        let legs = self.world.all_legs().into_iter().filter(|leg| leg.var(WHOSE).as_deref() == Some(who));
        let heard: Vec<_> =
            legs.flat_map(|leg| leg.heard()).filter(|heard| parked.is_some_and(|at| heard.from >= at)).collect();
        let silent = heard.iter().find(|heard| heard.sound.is_silence() && heard.to - heard.from >= MAX_SILENCE);
        ensure(silent.is_none(), || format!("{who} heard nothing: {heard:?}"))
    }

    fn check_outcomes(&self, who: &str) -> Checked {
        let mut waits = false;
        for event in self.events(who) {
            let action = action_of(&event);
            if let Some((_, outcome)) = OUTCOMES.iter().find(|(known, _)| *known == action) {
                ensure(waits, || format!("{who} has two outcomes: {:?}", self.actions(who)))?;
                self.check_outcome(&event, outcome)?;
                waits = false;
            }
            waits |= ["park", "no-slot"].contains(&action);
        }
        ensure(!waits, || format!("{who} has no outcome: {:?}", self.actions(who)))
    }

    fn check_outcome(&self, event: &Event, outcome: &str) -> Checked {
        let get = |name| event.get(name).unwrap_or_default();
        ensure(get("variable_callpark_outcome") == outcome, || {
            format!("outcome {}, expected {outcome}", get("variable_callpark_outcome"))
        })?;
        let number = |name| get(name).parse::<i64>().map_err(|_| format!("{name} is `{}`", get(name)));
        let waited = self.began * 1000 + event.at.as_millis() as i64 - number("CallPark-Parked-At")?;
        let told = number("CallPark-Wait-Ms")?;
        // A slot is reserved for a call that leaves a conversation up to 300 ms before its wait begins, and the prompt of its parker takes 40 ms.
        ensure((waited - told).abs() <= 340, || format!("a wait of {waited} ms is told as {told} ms"))
    }
}

/// The part of the dialplan in `tests/live/conf/freeswitch.xml` that scenarios use.
fn dialplan(route: &Route) -> Option<Plan> {
    let run = |application: &str, data: &str| (application.to_owned(), data.to_owned());
    let play = |frequency| [run("answer", ""), run("playback", &tone(frequency))];
    let parts: Vec<&str> = route.extension.splitn(3, '-').collect();
    Some(match parts[..] {
        ["700"] => vec![run("callpark_park", "auto")],
        ["reception"] => play(1300).to_vec(),
        ["do", what, data] => {
            let park =
                [run("set", "hangup_after_bridge=true"), run(&format!("callpark_{what}"), &data.replacen('_', " ", 1))];
            [park, play(1700)].concat()
        }
        ["via", to] => vec![run("transfer", to)],
        ["broken"] => vec![run("answer", ""), run("frobnicate", "")],
        [user] if USERS.contains(&user) => vec![run("bridge", &format!("user/{}", address(user)))],
        [slot] if slot.chars().all(|c| c.is_ascii_digit() || c == '*') => vec![run("callpark_slot", slot)],
        _ => return None,
    })
}

fn tone(frequency: u32) -> String {
    format!("tone_stream://%(60000,0,{frequency})")
}

pub(crate) fn known(who: &str) -> Checked<&str> {
    let people = || CALLERS.iter().chain(&USERS);
    ensure(people().any(|name| *name == who), || {
        format!("nobody is called `{who}`; there are {:?}", people().collect::<Vec<_>>())
    })?;
    Ok(who)
}

pub(crate) fn address(user: &str) -> String {
    format!("{user}@{DOMAIN}")
}

pub(crate) fn action_of(event: &Event) -> &str {
    event.get("CallPark-Action").unwrap_or_default()
}

/// Checks fields, each written as `slot=701`.
pub(crate) fn agree(fields: &[&str], get: impl Fn(&str) -> Option<String>) -> Checked {
    for field in fields {
        let (name, value) = field.split_once('=').ok_or_else(|| format!("`{field}` has no value"))?;
        let wanted = if ["parker", "retriever"].contains(&name) && !value.is_empty() {
            address(value)
        } else {
            value.to_owned()
        };
        let found = get(name).ok_or_else(|| format!("there is no field `{name}`"))?;
        ensure(found == wanted, || format!("{name} is `{found}`, expected `{wanted}`"))?;
    }
    Ok(())
}

pub(crate) fn ensure(holds: bool, why: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(why()) }
}
