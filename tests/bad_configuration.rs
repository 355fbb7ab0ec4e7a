//! Tests 1,500 hostile values in `callpark.conf.xml`: each is used within its limits, or an error names the section, the value and the reason.

use std::time::Duration;

use mod_callpark::config::{ConfigErrorKind, ConfigSection, LOT_PARAMS, SETTINGS, read};
use mod_callpark::parking::LotId;

const PIECES: &[&str] = &[
    "${canary}",
    "$${system(touch x)}",
    "'; DROP TABLE calls; --",
    "%n%s%x",
    "-1",
    "1e9",
    "0x10",
    "99999999999999999999",
    "4294967296",
    "\u{661}",
    "701-",
    "-701",
    "720-701",
    "*-*",
    "701,701",
    "0-99999999",
    "true",
    "tRuE?",
    "message:",
    "page:user/1",
    "api:",
    "hook",
    "a b c d",
    "\u{202e}\u{0}\u{1b}[2J",
    "\u{1f642}",
    "<x y='z'>&\"",
    ",",
    "*",
    "#",
    "@",
    "[::1]",
    ":99999",
    "127.0.0.1:1:1",
    "pgsql://host=x password=s3cr3t",
    "XML",
    "inline:system:id",
];

/// A generator that returns the same numbers in each run.
struct Generator(u64);

impl Generator {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % end
    }

    fn value(&mut self) -> String {
        let mut value = String::new();
        for _ in 0..=self.below(3) {
            let piece: Vec<char> = PIECES[self.below(PIECES.len())].chars().collect();
            let length = if self.below(3) == 0 { self.below(piece.len() + 1) } else { piece.len() };
            value.extend(piece.iter().take(length));
        }
        if self.below(50) == 0 { value.repeat(500) } else { value }
    }
}

fn escaped(text: &str) -> String {
    // FreeSWITCH itself refuses the characters that XML cannot have.
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

fn file(settings: &str, lot: &str) -> String {
    format!(
        r#"<configuration name="callpark.conf"><settings>{settings}</settings><lots><lot name="main" domain="*">
           <param name="slots" value="701-720"/>{lot}</lot></lots></configuration>"#
    )
}

#[test]
fn every_hostile_value_is_bounded_or_named_with_its_reason() {
    let (mut entropy, mut refused, mut accepted) = (Generator(1), 0, 0);
    let rows = LOT_PARAMS.len() + SETTINGS.len();
    for n in 0..1500 {
        let value = entropy.value();
        let of_lot = n % rows < LOT_PARAMS.len();
        let name = if of_lot { LOT_PARAMS[n % rows].name } else { SETTINGS[n % rows - LOT_PARAMS.len()].name };
        let param = format!(r#"<param name="{name}" value="{}"/>"#, escaped(&value));
        let text = if of_lot { file("", &param) } else { file(&param, "") };
        match read(&text, None) {
            Ok(config) => {
                accepted += 1;
                let year = Duration::from_secs(31_536_000);
                for lot in &config.lots {
                    assert!(
                        lot.settings.park_timeout <= year && lot.settings.ringback_timeout <= year,
                        "{name}={value:?}"
                    );
                    assert!(lot.settings.ringback_attempts <= 1000 && lot.slots.len() == 20, "{name}={value:?}");
                }
            }
            Err(errors) => {
                refused += 1;
                for error in errors {
                    let message = error.to_string();
                    assert!(message.starts_with("callpark.conf.xml: "), "{message}");
                    let section =
                        if of_lot { ConfigSection::Lot(LotId::new("main", "*")) } else { ConfigSection::Settings };
                    assert!(error.section == section && error.key == name, "{name}={value:?}: {message}");
                    let secret = name.contains("pin") || name.contains("dsn");
                    assert!(!(secret && message.contains("s3cr3t")), "the message has a secret: {message}");
                }
            }
        }
    }
    assert!(refused > 300 && accepted > 300, "{refused} refused, {accepted} accepted");
}

#[test]
fn an_unknown_name_is_reported_with_the_known_names() {
    let mut entropy = Generator(2);
    for _ in 0..200 {
        let name = entropy.value();
        let param = format!(r#"<param name="{}" value="1"/>"#, escaped(&name));
        for (text, known) in [(file("", &param), "slots"), (file(&param, ""), "db-dsn")] {
            let errors = read(&text, None).unwrap_err();
            let error = &errors[0].kind;
            assert!(*error == ConfigErrorKind::NoName || error.to_string().contains(known), "{name:?}: {error}");
        }
    }
}

#[test]
fn a_damaged_file_has_errors_and_does_not_panic() {
    let good = file(r#"<param name="default-lot" value="main"/>"#, r#"<slot number="701" label="x"/>"#);
    assert!(read(&good, None).is_ok());
    let (mut entropy, mut refused) = (Generator(3), 0);
    for _ in 0..500 {
        let mut bytes = good.clone().into_bytes();
        match entropy.below(3) {
            0 => bytes.truncate(entropy.below(good.len())),
            1 => bytes[entropy.below(good.len())] = u8::try_from(entropy.below(128)).unwrap(),
            _ => drop(bytes.splice(entropy.below(good.len()).., entropy.value().into_bytes())),
        }
        if let Err(errors) = read(&String::from_utf8_lossy(&bytes), None) {
            refused += 1;
            assert!(!errors.is_empty());
            assert!(errors.iter().all(|error| error.to_string().starts_with("callpark.conf.xml: ")));
        }
    }
    assert!(refused > 300, "{refused} refused");
}
