//! Runs each scenario of `tests/scenarios.toml` on the simulator; `tests/live/test_scenarios.py` runs the same scenarios on a real FreeSWITCH.
//! docs/testing.md describes the table.

mod stage;
mod steps;

use std::collections::BTreeMap;

use libtest_mimic::{Arguments, Trial};
use serde::Deserialize;

use stage::Stage;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    defaults: Params,
    scenario: BTreeMap<String, Scenario>,
}

/// Parameters of a lot.
type Params = BTreeMap<String, String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    about: String,
    #[serde(default = "lot_main")]
    lots: BTreeMap<String, Params>,
    steps: String,
}

fn lot_main() -> BTreeMap<String, Params> {
    BTreeMap::from([("main".to_owned(), Params::new())])
}

impl Scenario {
    fn configuration(&self, defaults: &Params) -> String {
        let param = |(name, value): (&String, &String)| format!(r#"<param name="{name}" value="{value}"/>"#);
        let lot = |(name, own): (&String, &Params)| {
            let defaults = defaults.iter().filter(|(name, _)| !own.contains_key(*name));
            format!(r#"<lot name="{name}" domain="*">{}</lot>"#, defaults.chain(own).map(param).collect::<String>())
        };
        let lots: String = self.lots.iter().map(lot).collect();
        format!(r#"<configuration name="callpark.conf"><lots>{lots}</lots></configuration>"#)
    }

    /// Fails with a panic, after which the simulator does not complain of what is left.
    fn play(&self, name: &str, defaults: &Params) {
        let stage = Stage::new(&self.configuration(defaults));
        let failed = |at: &str, why| panic!("scenario {name} ({}), {at}: {why}", self.about);
        for (line, number) in self.steps.trim().split(['\n', ';']).map(str::trim).zip(1..) {
            stage.step(line).unwrap_or_else(|why| failed(&format!("step {number}, `{line}`"), why));
        }
        stage.close().unwrap_or_else(|why| failed("at its end", why));
        stage.finish();
    }
}

fn table(text: &str) -> Result<Table, toml::de::Error> {
    toml::from_str(text)
}

/// A word that the runner does not know is an error that names it.
fn mistyped_words_are_named() {
    let wrong = |text: &str| table(text).err().unwrap().to_string();
    assert!(wrong("default = {}").contains("unknown field `default`"));
    assert!(wrong("defaults = {}\n[scenario.x]\nstep = ''").contains("unknown field `step`"));
    let empty = table("defaults = { slots = '701' }\n[scenario.x]\nabout = ''\nsteps = ''").unwrap();
    let stage = Stage::new(&empty.scenario["x"].configuration(&empty.defaults));
    for (step, named) in [
        ("Alice phones 1001", "Alice phones 1001"),
        ("Alcie calls 1001", "Alcie"),
        ("phone 1001 sleeps", "sleeps"),
        ("listed nobdy", "nobdy"),
        ("lamp 701 is dark", "lamp 701 is dark"),
        ("Alice hears musik", "musik"),
    ] {
        let why = stage.step(step).expect_err(step);
        assert!(why.contains(named), "{step}: {why}");
    }
}

fn main() {
    let text = include_str!("../scenarios.toml");
    let Table { defaults, scenario } = table(text).unwrap_or_else(|why| panic!("tests/scenarios.toml: {why}"));
    let test = |name: &str, run: Box<dyn FnOnce() + Send>| {
        Trial::test(name, move || {
            run();
            Ok(())
        })
    };
    let mut tests = vec![test("mistyped_words_are_named", Box::new(mistyped_words_are_named))];
    for (name, scenario) in scenario {
        let defaults = defaults.clone();
        tests.push(test(&name.clone(), Box::new(move || scenario.play(&name, &defaults))));
    }
    libtest_mimic::run(&Arguments::from_args(), tests).exit();
}
