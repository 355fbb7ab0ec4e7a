use super::*;
use crate::parking::{Extension, Notify, NotifyEvent, Outcome, UsersOf};

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

fn errors(text: &str) -> String {
    read(text, None).unwrap_err().iter().map(|error| format!("{error}\n")).collect()
}

#[test]
fn a_good_file_is_read_whole() {
    let config = read(GOOD, None).unwrap();
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
fn every_error_is_reported_with_file_lot_key_and_value() {
    let all = errors(
        r#"<configuration name="callpark.conf"><settings><param name="colour" value="red"/></settings><lots>
        <lot name="main" domain="a.b"><param name="slots" value="70x"/><param name="park-timeout" value="-1"/></lot>
        <lot name="two" domain="a.b"><param name="slots" value="1-9"/><param name="slot-order" value="best"/></lot>
        </lots></configuration>"#,
    );
    for part in [
        "callpark.conf.xml: settings: colour=\"red\": unknown setting, expected one of default-lot",
        "callpark.conf.xml: lot main@a.b: slots=\"70x\": \"70x\" is not a slot, expected 1 to 20 digits",
        "lot main@a.b: park-timeout=\"-1\": expected a whole number from 0 to 31536000",
        "lot two@a.b: slot-order=\"best\": expected one of first",
    ] {
        assert!(all.contains(part), "{part} not in\n{all}");
    }
}

#[test]
fn what_is_left_out_is_said_of_the_lot_that_lacks_it() {
    let all = errors(
        r#"<configuration name="callpark.conf"><settings><param name="node-name"/><param name="record-days" value="1"/>
        <param name="record-days" value="2"/></settings><lots>
        <lot name="main" domain="a.b"><param name="slots" value="1-9"/><param name="park-timeout"/><param value="5"/>
        <slot label="x"/></lot><lot name="nowhere"><param name="slots" value="11"/></lot><lot domain="a.b"/></lots></configuration>"#,
    );
    for part in [
        "callpark.conf.xml: settings: node-name: has no value",
        "callpark.conf.xml: settings: record-days=\"2\": given twice",
        "callpark.conf.xml: lot main@a.b: park-timeout: has no value",
        "callpark.conf.xml: lot main@a.b: param=\"5\": a <param> without a name",
        "callpark.conf.xml: lot main@a.b: slot number=\"\": not one of the lot's slots",
        "callpark.conf.xml: lot nowhere@: domain=\"\": not a domain",
        "callpark.conf.xml: lot @a.b: name=\"\": not a name",
        "callpark.conf.xml: lot @a.b: slots: missing",
    ] {
        assert!(all.contains(part), "{part} not in\n{all}");
    }
}

#[test]
fn contradictions_and_collisions_are_errors() {
    for (text, part) in [
        (
            lot(r#"<param name="slots" value="1-2"/><param name="max-park-time" value="60"/>"#),
            "max-park-time=\"60\": has no effect without fallback",
        ),
        (lot(r#"<param name="slots" value="1-2"/><param name="exit-key" value="1"/>"#), "without exit-destination"),
        (
            lot(r#"<param name="slots" value="1-2"/><param name="overflow-lot" value="x"/>"#),
            "there is no such lot in this domain",
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
        let all = errors(&text);
        assert!(all.contains(part), "{part} not in\n{all}");
    }
}

#[test]
fn what_is_not_known_is_named_with_its_lot_and_line() {
    let text = r#"<configuration name="callpark.conf">
  <!-- Two lots,
       and more. -->
  <lots>
    <lot name="main" domain="a.b">
      <param name="slots" value="701-702"/>
      <slot number="701" label="x"/>
      <slot number="702" lable="y"/>
      <bonus/>
    </lot>
    <lot name="two" domain="a.b" colour="red">oops
      <param name="slots" value="711" default="7"/></lot>
  </lots>
  <extras/>
  <settings/><settings/>
</configuration>"#;
    let errors: Vec<String> = read(text, Some(text)).unwrap_err().iter().map(ToString::to_string).collect();
    for expected in [
        "callpark.conf.xml, line 8: lot main@a.b: lable=\"y\": unknown attribute of <slot>, expected number, label",
        "callpark.conf.xml, line 9: lot main@a.b: <bonus>: unknown element in <lot>, expected param, slot",
        "callpark.conf.xml, line 11: lot two@a.b: colour=\"red\": unknown attribute of <lot>, expected name, domain",
        "callpark.conf.xml, line 11: lot two@a.b: text in <lot>, expected elements only",
        "callpark.conf.xml, line 12: lot two@a.b: default=\"7\": unknown attribute of <param>, expected name, value",
        "callpark.conf.xml, line 14: <extras>: unknown element in <configuration>, expected settings, lots, hooks",
        "callpark.conf.xml, line 15: <settings>: given twice, expected once",
    ] {
        assert!(errors.iter().any(|error| error == expected), "{expected} not in\n{errors:#?}");
    }
    assert_eq!(errors.len(), 7, "{errors:#?}");
}

/// Before, a lot with another error was left out of what is checked of all lots together.
#[test]
fn an_error_hides_no_other() {
    let told = errors(
        r#"<configuration><settings><param name="default-lot" value="nowhere"/></settings><lots>
        <lot name="main" domain="a.b"><param name="slots" value="701"/><param name="park-timeout" value="x"/>
          <param name="overflow-lot" value="more"/></lot>
        <lot name="two" domain="a.b"><param name="slots" value="701"/><param name="announce" value="perhaps"/></lot>
        <lot name="two" domain="a.b"><param name="slots" value="801"/></lot></lots></configuration>"#,
    );
    for part in [
        "lot main@a.b: park-timeout=\"x\": expected a whole number",
        "lot main@a.b: overflow-lot=\"more\": there is no such lot",
        "lot two@a.b: announce=\"perhaps\": expected true or false",
        "lot two@a.b: slots=\"701\": slot 701 belongs to lot main@a.b",
        "lot two@a.b: name=\"two\": another lot has this name",
        "settings: default-lot=\"nowhere\": no lot has this name",
    ] {
        assert!(told.contains(part), "{part} not in\n{told}");
    }
    assert_eq!(told.lines().count(), 6, "{told}");
}

#[test]
fn lines_are_those_of_the_file_that_freeswitch_has_read() {
    // Without the comments, variables filled in, another file included in the middle, each element on its line.
    let text = r#"<configuration name="callpark.conf">
<lots>
<lot name="main" domain="example.com">
<param name="slots" value="701"/>
<param name="park-timeout" value="soon"/>
</lot>
<lot name="other" domain="*"><param name="slots" value="801"/><param name="announce" value="?"/></lot>
<lot name="last" domain="*"><param name="slots" value="x"/></lot>
</lots>
</configuration>"#;
    let file = r#"<configuration name="callpark.conf">
  <lots>
    <!-- The lot of
         the house -->
    <lot name="main" domain="$${domain}">
      <param name="slots" value="701"/>

      <param name="park-timeout" value="$${timeout}"/>
    </lot>
    <X-PRE-PROCESS cmd="include" data="other.xml"/>
    <lot name="last" domain="*"><param name="slots" value="x"/></lot>
  </lots>
</configuration>"#;
    let lines = |file| -> Vec<_> { read(text, file).unwrap_err().iter().map(|error| error.line).collect() };
    assert_eq!(lines(Some(file)), [Some(8), None, Some(11)]);
    assert_eq!(lines(None), [None; 3]);
    assert_eq!(lines(Some("<configuration>")), [None; 3], "a file that is no XML tells no lines");
}

#[test]
fn a_cluster_needs_a_database_that_the_nodes_share() {
    let with =
        |more: &str| GOOD.replace("<settings>", &format!(r#"<settings><param name="cluster" value="true"/>{more}"#));
    assert!(errors(&with("")).contains("cluster=\"true\": the nodes of a cluster share"));
    for dsn in ["odbc://callpark:u:secret", "mariadb://Server=db;Pwd=secret", "sqlite:///x.db", "callpark:u:secret"] {
        let told = errors(&with(&format!(r#"<param name="db-dsn" value="{dsn}"/>"#)));
        assert!(told.contains("cluster=\"true\": the nodes of a cluster share") && !told.contains("secret"), "{told}");
    }
    for name in ["a/b", "x,sofia/external/y", "${system id}"] {
        let more = format!(r#"<param name="db-dsn" value="pgsql://host=db"/><param name="node-name" value="{name}"/>"#);
        assert!(errors(&with(&more)).contains("node-name"), "{name}");
    }
    let config = read(&with(r#"<param name="db-dsn" value="pgsql://host=db"/>"#), None).unwrap();
    assert!(config.settings.cluster);
}

#[test]
fn who_may_park_and_retrieve() {
    let params = r#"<param name="slots" value="1-2"/><param name="park-from" value="a.b, c.d"/><param name="park-groups" value="desk,shop"/>
        <param name="retrieve-from" value="*"/><param name="retrieve-anonymous" value="true"/>"#;
    let settings = read(&lot(params), None).unwrap().lots[0].settings.clone();
    assert_eq!(settings.park_from, UsersOf::Domains(vec!["a.b".into(), "c.d".into()]));
    assert_eq!((settings.park_groups.clone(), settings.retrieve_anonymous), (vec!["desk".into(), "shop".into()], true));
    assert_eq!(settings.retrieve_from, UsersOf::Anywhere);
    let usual = read(&lot(r#"<param name="slots" value="1-2"/>"#), None).unwrap().lots[0].settings.clone();
    assert_eq!((&usual.park_from, &usual.retrieve_from), (&UsersOf::OwnDomain, &UsersOf::OwnDomain));
    assert!(!usual.retrieve_anonymous);
    for (name, value, why) in [
        ("park-from", "a b", "expected * or a comma-separated list of domains"),
        ("park-groups", "a,b c", "\"b c\" is not a name"),
        ("retrieve-anonymous", "perhaps", "expected true or false"),
        ("retrieve-trust-from", "true", "no longer a lot parameter; use the setting trusted-proxies"),
    ] {
        let text = lot(&format!(r#"<param name="slots" value="1"/><param name="{name}" value="{value}"/>"#));
        let expected = format!("callpark.conf.xml: lot main@a.b: {name}=\"{value}\": {why}");
        assert!(errors(&text).contains(&expected), "{}", errors(&text));
    }
}

#[test]
fn the_numbers_of_a_lot_are_its_own() {
    let with = |params: &str| lot(&format!(r#"<param name="slots" value="701-702"/>{params}"#));
    let param = |name: &str, number: &str| format!(r#"<param name="{name}" value="{number}"/>"#);
    let good = param("park-extension", "700") + &param("oldest-extension", "*21") + &param("ask-extension", "");
    let settings = read(&with(&good), None).unwrap().lots[0].settings.clone();
    assert_eq!(settings.park_extension.as_ref().map(Extension::as_str), Some("700"));
    assert_eq!(settings.oldest_extension.as_ref().map(Extension::as_str), Some("*21"));
    assert_eq!(settings.ask_extension, None);
    for (params, why) in [
        (param("park-extension", "7 0"), "park-extension=\"7 0\": expected 1 to 64 of"),
        (param("park-extension", "${x}"), "park-extension=\"${x}\": expected 1 to 64 of"),
        (param("park-extension", "702"), "park-extension=\"702\": is a slot of lot main@a.b already"),
        (
            param("park-extension", "700") + &param("ask-extension", "700"),
            "ask-extension=\"700\": is the park-extension of lot main@a.b already",
        ),
    ] {
        assert!(errors(&with(&params)).contains(why), "{}", errors(&with(&params)));
    }
    let two = |domains: [&str; 2]| {
        let lots = domains.iter().zip(["1-2", "8-9"]).enumerate().map(|(nth, (domain, slots))| {
            format!(
                r#"<lot name="lot{nth}" domain="{domain}"><param name="slots" value="{slots}"/>
                <param name="park-extension" value="700"/></lot>"#
            )
        });
        format!(r#"<configuration name="callpark.conf"><lots>{}</lots></configuration>"#, lots.collect::<String>())
    };
    assert!(read(&two(["a.b", "c.d"]), None).is_ok(), "in two domains");
    for domains in [["a.b", "a.b"], ["*", "a.b"], ["a.b", "*"]] {
        assert!(errors(&two(domains)).contains("is the park-extension of lot lot0@"), "{domains:?}");
    }
}

#[test]
fn trusted_proxies_are_acl_lists_or_networks() {
    let with = |value: &str| {
        GOOD.replace("<settings>", &format!(r#"<settings><param name="trusted-proxies" value="{value}"/>"#))
    };
    let config = read(&with("proxies, loopback.auto,10.0.0.0/24,2001:db8::/32"), None).unwrap();
    assert_eq!(*config.settings.trusted_proxies, ["proxies", "loopback.auto", "10.0.0.0/24", "2001:db8::/32"]);
    assert!(read(GOOD, None).unwrap().settings.trusted_proxies.is_empty());
    for value in ["10.0.0.0/33", "a b", "x/y", "${list}"] {
        assert!(errors(&with(value)).contains("is not the name of an ACL list or a network"), "{value}");
    }
}

#[test]
fn notices_are_split_where_a_kind_begins() {
    let value = "message:parker, page:[leg_timeout=3]user/1,user/2,api:luarun x.lua ${slot},1";
    let text = lot(&format!(r#"<param name="slots" value="1-2"/><param name="notify" value="{value}"/>"#));
    let notify = |kind: fn(String) -> Notify, what: &str| kind(what.to_owned());
    assert_eq!(
        read(&text, None).unwrap().lots[0].settings.notify,
        [
            notify(Notify::Message, "parker"),
            notify(Notify::Page, "[leg_timeout=3]user/1,user/2"),
            notify(Notify::Api, "luarun x.lua ${slot},1"),
        ]
    );
    for (value, why) in
        [("mail:x", "\"mail:x\" is not one of"), ("page:", "is not one of"), ("x,message:1", "\"x\" is not one of")]
    {
        let text = lot(&format!(r#"<param name="slots" value="1"/><param name="notify" value="{value}"/>"#));
        assert!(errors(&text).contains(why), "{value}: {}", errors(&text));
    }
}

#[test]
fn notices_are_about_the_named_events() {
    let settings =
        |value: &str| lot(&format!(r#"<param name="slots" value="1"/><param name="notify-on" value="{value}"/>"#));
    let events = [NotifyEvent::NoSlot, NotifyEvent::Ended(Outcome::Abandoned)];
    assert_eq!(read(&settings("no-slot, abandoned"), None).unwrap().lots[0].settings.notify_on, events);
    let wrong = errors(&settings("park,taken"));
    assert!(wrong.contains("\"taken\" is not some of park, remind, no-slot, retrieved"), "{wrong}");
}

#[test]
fn a_lamp_is_confirmed_or_early() {
    let wrong = lot(r#"<param name="slots" value="1"/><param name="lamp-state" value="blue"/>"#);
    assert!(errors(&wrong).contains("expected one of confirmed"));
}

#[test]
fn the_emergency_lot_is_usable() {
    assert_eq!(emergency().lots[0].slots.len(), 20);
}

#[test]
fn a_secret_is_in_no_error() {
    let errors = |params: &str| {
        let text = format!(
            r#"<configuration name="callpark.conf"><settings><param name="db-dsnx" value="pgsql://x password=s3cr3t"/></settings>
               <lots><lot name="main" domain="*"><param name="slots" value="701"/>{params}</lot></lots></configuration>"#
        );
        read(&text, None).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    for wrong in [
        r#"<param name="retrieve-pin" value="12s3cr3t"/>"#,
        r#"<param name="retrieve-pins" value="s3cr3t"/>"#,
        r#"<param name="retrieve-pin" value="12"/><param name="retrieve-pin" value="s3cr3t"/>"#,
        r#"<param name="retrieve-pin" vlaue="s3cr3t"/>"#,
    ] {
        let errors = errors(wrong);
        assert_eq!(
            errors.len(),
            if wrong.contains("value=\"12\"") || wrong.contains("vlaue") { 3 } else { 2 },
            "{errors:?}"
        );
        assert!(errors.iter().all(|error| !error.contains("s3cr3t")), "{errors:?}");
        assert!(errors.iter().any(|error| !error.contains("dsn") && error.contains("=\"***\"")), "{errors:?}");
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
            let with_default = read(&text, None).unwrap_or_else(|errors| panic!("{}: {errors:?}", setting.name));
            assert_eq!(with_default.settings, Settings::default(), "{}", setting.name);
            checked += 1;
        }
    }
    assert!(checked > 30, "{checked} defaults were checked");
}
