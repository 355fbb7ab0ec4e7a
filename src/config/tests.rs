use super::*;

const GOOD: &str = r#"<configuration name="callpark.conf" description="Call parking">
  <settings><param name="default-lot" value="main"/></settings>
  <lots>
    <lot name="main" domain="Example.com">
      <param name="slots" value="701-720,750"/>
      <slot number="701" label="Front &amp; desk"/>
      <param name="park-timeout" value="30"/>
      <slot number="750" label="Lab"/>
      <param name="fallback" value="1000 XML default"/>
    </lot>
    <lot name="star" domain="*"><param name="slots" value="*5901-*5910"/></lot>
  </lots>
</configuration>"#;

fn lot(params: &str) -> String {
    format!(
        r#"<configuration name="callpark.conf"><lots><lot name="main" domain="a.b">{params}</lot></lots></configuration>"#
    )
}

fn faults(text: &str) -> String {
    read(text).unwrap_err().iter().map(|fault| format!("{fault}\n")).collect()
}

#[test]
fn a_good_file_is_read_whole() {
    let config = read(GOOD).unwrap();
    assert_eq!(config.default_lot.as_deref(), Some("main"));
    let main = &config.lots[0];
    assert_eq!(main.id.to_string(), "main@example.com");
    assert_eq!(main.slots.len(), 21);
    assert_eq!(main.terms.park_timeout.as_secs(), 30);
    assert_eq!(main.terms.fallback.as_ref().unwrap().context.as_deref(), Some("default"));
    assert_eq!(main.labels.values().cloned().collect::<Vec<_>>(), ["Front & desk", "Lab"]);
    assert_eq!(&*config.lots[1].id.domain, "*");
}

#[test]
fn every_fault_is_reported_with_file_lot_key_and_value() {
    let all = faults(
        r#"<configuration name="callpark.conf"><settings><param name="colour" value="red"/></settings><lots>
        <lot name="main" domain="a.b"><param name="slots" value="70x"/><param name="park-timeout" value="-1"/></lot>
        <lot name="two" domain="a.b"><param name="slots" value="1-9"/><param name="slot-order" value="best"/></lot>
        </lots></configuration>"#,
    );
    for part in [
        "callpark.conf.xml: settings: colour=\"red\": no such setting",
        "callpark.conf.xml: lot main@a.b: slots=\"70x\": '70x' is not a slot",
        "lot main@a.b: park-timeout=\"-1\": not a whole number",
        "lot two@a.b: slot-order=\"best\": not one of first",
    ] {
        assert!(all.contains(part), "{part} not in\n{all}");
    }
}

#[test]
fn contradictions_and_collisions_are_faults() {
    for (text, part) in [
        (
            lot(r#"<param name="slots" value="1-2"/><param name="max-park-time" value="60"/>"#),
            "max-park-time=\"60\": has no effect without fallback",
        ),
        (lot(r#"<param name="slots" value="1-2"/><param name="exit-key" value="1"/>"#), "without exit-destination"),
        (
            lot(r#"<param name="slots" value="1-2"/><param name="overflow-lot" value="x"/>"#),
            "no such lot in this domain",
        ),
        (lot(r#"<param name="slots" value="1-2"/><param name="slots" value="3"/>"#), "given twice"),
        (lot(r#"<param name="slots" value="1-2"/><slot number="3" label="x"/>"#), "not one of the lot's slots"),
        (lot(""), "a lot needs slots"),
        (lot(r#"<param name="slots" value="1-2"/><bonus/>"#), "bonus"),
        ("<configuration><lots/></configuration>".into(), "nowhere to park"),
        ("<configuration><lots>".into(), "callpark.conf.xml: "),
        (GOOD.replace("*5901-*5910", "720-730"), "slot 720 belongs to lot main@example.com already"),
        (
            GOOD.replace("name=\"star\" domain=\"*\"", "name=\"main\" domain=\"example.com\""),
            "another lot has this name",
        ),
        (GOOD.replace("value=\"main\"", "value=\"other\""), "default-lot=\"other\": no lot has this name"),
    ] {
        let all = faults(&text);
        assert!(all.contains(part), "{part} not in\n{all}");
    }
}

#[test]
fn what_has_no_effect_yet_is_said() {
    let config = read(&lot(r#"<param name="slots" value="1-2"/><param name="lamp-state" value="early"/>"#)).unwrap();
    assert_eq!(config.without_effect, ["lamp-state"]);
    assert!(
        faults(&lot(r#"<param name="slots" value="1"/><param name="lamp-state" value="blue"/>"#))
            .contains("not one of confirmed")
    );
}

#[test]
fn the_emergency_lot_is_usable() {
    assert_eq!(emergency().lots[0].slots.len(), 20);
}
