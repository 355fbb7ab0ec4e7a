use super::*;
use crate::parking::{Notify, UsersOf};

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
    assert_eq!(main.settings.park_timeout.as_secs(), 30);
    assert_eq!(main.settings.fallback.as_ref().unwrap().context.as_deref(), Some("default"));
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
fn what_is_left_out_is_said_of_the_lot_that_lacks_it() {
    let all = faults(
        r#"<configuration name="callpark.conf"><settings><param name="node-name"/><param name="record-days" value="1"/>
        <param name="record-days" value="2"/></settings><lots>
        <lot name="main" domain="a.b"><param name="slots" value="1-9"/><param name="park-timeout"/><param value="5"/>
        <slot label="x"/></lot><lot name="nowhere"><param name="slots" value="11"/></lot><lot domain="a.b"/></lots></configuration>"#,
    );
    for part in [
        "callpark.conf.xml: settings: node-name=\"\": has no value",
        "callpark.conf.xml: settings: record-days=\"2\": given twice",
        "callpark.conf.xml: lot main@a.b: park-timeout=\"\": has no value",
        "callpark.conf.xml: lot main@a.b: param=\"5\": has no name",
        "callpark.conf.xml: lot main@a.b: slot number=\"\": not one of the lot's slots",
        "callpark.conf.xml: lot nowhere@: domain=\"\": not a domain",
        "callpark.conf.xml: lot @a.b: name=\"\": not a name",
        "callpark.conf.xml: lot @a.b: slots=\"\": missing",
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
fn a_cluster_needs_a_database_that_the_nodes_share() {
    let with =
        |more: &str| GOOD.replace("<settings>", &format!(r#"<settings><param name="cluster" value="true"/>{more}"#));
    assert!(faults(&with("")).contains("cluster=\"true\": the nodes of a cluster share"));
    for dsn in ["odbc://callpark:u:secret", "mariadb://Server=db;Pwd=secret", "sqlite:///x.db", "callpark:u:secret"] {
        let told = faults(&with(&format!(r#"<param name="db-dsn" value="{dsn}"/>"#)));
        assert!(told.contains("cluster=\"true\": the nodes of a cluster share") && !told.contains("secret"), "{told}");
    }
    for name in ["a/b", "x,sofia/external/y", "${system id}"] {
        let more = format!(r#"<param name="db-dsn" value="pgsql://host=db"/><param name="node-name" value="{name}"/>"#);
        assert!(faults(&with(&more)).contains("node-name"), "{name}");
    }
    let config = read(&with(r#"<param name="db-dsn" value="pgsql://host=db"/>"#)).unwrap();
    assert!(config.settings.cluster);
}

#[test]
fn who_may_park_and_retrieve() {
    let params = r#"<param name="slots" value="1-2"/><param name="park-from" value="a.b, c.d"/><param name="park-groups" value="desk,shop"/>
        <param name="retrieve-from" value="*"/><param name="retrieve-anonymous" value="true"/>"#;
    let settings = read(&lot(params)).unwrap().lots[0].settings.clone();
    assert_eq!(settings.park_from, UsersOf::Domains(vec!["a.b".into(), "c.d".into()]));
    assert_eq!((settings.park_groups.clone(), settings.retrieve_anonymous), (vec!["desk".into(), "shop".into()], true));
    assert_eq!(settings.retrieve_from, UsersOf::Anywhere);
    let usual = read(&lot(r#"<param name="slots" value="1-2"/>"#)).unwrap().lots[0].settings.clone();
    assert_eq!((&usual.park_from, &usual.retrieve_from), (&UsersOf::OwnDomain, &UsersOf::OwnDomain));
    assert!(!usual.retrieve_anonymous);
    for (name, value, why) in [
        ("park-from", "a b", "not * nor a comma-separated list of domains"),
        ("park-groups", "a,b c", "'b c' is not a name"),
        ("retrieve-anonymous", "perhaps", "neither true nor false"),
        ("retrieve-trust-from", "true", "no longer a lot parameter; use the setting trusted-proxies"),
    ] {
        let text = lot(&format!(r#"<param name="slots" value="1"/><param name="{name}" value="{value}"/>"#));
        let expected = format!("callpark.conf.xml: lot main@a.b: {name}=\"{value}\": {why}");
        assert!(faults(&text).contains(&expected), "{}", faults(&text));
    }
}

#[test]
fn trusted_proxies_are_acl_lists_or_networks() {
    let with = |value: &str| {
        GOOD.replace("<settings>", &format!(r#"<settings><param name="trusted-proxies" value="{value}"/>"#))
    };
    let config = read(&with("proxies, loopback.auto,10.0.0.0/24,2001:db8::/32")).unwrap();
    assert_eq!(*config.settings.trusted_proxies, ["proxies", "loopback.auto", "10.0.0.0/24", "2001:db8::/32"]);
    assert!(read(GOOD).unwrap().settings.trusted_proxies.is_empty());
    for value in ["10.0.0.0/33", "a b", "x/y", "${list}"] {
        assert!(faults(&with(value)).contains("is neither the name of an ACL list nor a network"), "{value}");
    }
}

#[test]
fn notices_are_split_where_a_kind_begins() {
    let value = "message:parker, page:[leg_timeout=3]user/1,user/2,api:luarun x.lua ${slot},1";
    let text = lot(&format!(r#"<param name="slots" value="1-2"/><param name="notify" value="{value}"/>"#));
    let notify = |kind: fn(String) -> Notify, what: &str| kind(what.to_owned());
    assert_eq!(
        read(&text).unwrap().lots[0].settings.notify,
        [
            notify(Notify::Message, "parker"),
            notify(Notify::Page, "[leg_timeout=3]user/1,user/2"),
            notify(Notify::Api, "luarun x.lua ${slot},1"),
        ]
    );
    for (value, why) in [("mail:x", "'mail:x' is none of"), ("page:", "is none of"), ("x,message:1", "'x' is none of")]
    {
        let text = lot(&format!(r#"<param name="slots" value="1"/><param name="notify" value="{value}"/>"#));
        assert!(faults(&text).contains(why), "{value}: {}", faults(&text));
    }
}

#[test]
fn a_lamp_is_confirmed_or_early() {
    let wrong = lot(r#"<param name="slots" value="1"/><param name="lamp-state" value="blue"/>"#);
    assert!(faults(&wrong).contains("not one of confirmed"));
}

#[test]
fn the_emergency_lot_is_usable() {
    assert_eq!(emergency().lots[0].slots.len(), 20);
}

#[test]
fn a_secret_is_in_no_fault() {
    let faults = |params: &str| {
        let text = format!(
            r#"<configuration name="callpark.conf"><settings><param name="db-dsnx" value="pgsql://x password=s3cr3t"/></settings>
               <lots><lot name="main" domain="*"><param name="slots" value="701"/>{params}</lot></lots></configuration>"#
        );
        read(&text).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    for wrong in [
        r#"<param name="retrieve-pin" value="12s3cr3t"/>"#,
        r#"<param name="retrieve-pins" value="s3cr3t"/>"#,
        r#"<param name="retrieve-pin" value="12"/><param name="retrieve-pin" value="s3cr3t"/>"#,
    ] {
        let faults = faults(wrong);
        assert_eq!(faults.len(), if wrong.contains("value=\"12\"") { 3 } else { 2 }, "{faults:?}");
        assert!(faults.iter().all(|fault| !fault.contains("s3cr3t")), "{faults:?}");
        assert!(faults.iter().any(|fault| fault.contains("retrieve-pin") && fault.contains("=\"***\"")), "{faults:?}");
    }
}

/// A default that is written in the manual, as one writes it in the file; `None` for a phrase such as "the first lot".
fn written(default: &str) -> Option<&str> {
    let quoted = default.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
    if default == "empty" { Some("") } else { quoted }
}

#[test]
fn the_defaults_of_the_manual_are_those_that_hold() {
    let mut checked = 0;
    for param in LOT_PARAMS {
        if let Some(default) = written(param.default) {
            let mut settings = LotSettings::default();
            lot_params::set(param.name, default, &mut settings).unwrap();
            assert_eq!(settings, LotSettings::default(), "{}", param.name);
            checked += 1;
        }
    }
    for setting in SETTINGS {
        if let Some(default) = written(setting.default) {
            let param = format!(r#"<settings><param name="{}" value="{default}"/></settings>"#, setting.name);
            let text = GOOD.replace(r#"<settings><param name="default-lot" value="main"/></settings>"#, &param);
            let with_default = read(&text).unwrap_or_else(|faults| panic!("{}: {faults:?}", setting.name));
            assert_eq!(with_default.settings, Settings::default(), "{}", setting.name);
            checked += 1;
        }
    }
    assert!(checked > 30, "{checked} defaults were checked");
}
