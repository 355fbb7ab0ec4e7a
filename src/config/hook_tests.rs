use super::*;
use crate::parking::{LotName, Notify, NotifyEvent, Outcome};

fn file(lot_params: &str, hooks: &str) -> String {
    format!(
        r#"<configuration name="callpark.conf"><lots><lot name="main" domain="*"><param name="slots" value="701"/>{lot_params}</lot>
        </lots><hooks>{hooks}</hooks></configuration>"#
    )
}

fn errors(text: &str) -> String {
    read(text, None).unwrap_err().iter().map(|error| format!("{error}\n")).collect()
}

#[test]
fn a_hook_is_read_whole() {
    let hooks = r#"<hook name="chat" url="https://chat.example.com/hooks/1" format="slack" events="park, abandoned" lots="main@a.test" secret="s3cret"/>
        <hook name="crm" url="http://crm.example.com"/>"#;
    let config = read(&file(r#"<param name="notify" value="hook:chat,message:1,hook:crm"/>"#, hooks), None).unwrap();
    let [chat, crm] = config.hooks.as_slice() else { panic!("{config:?}") };
    assert_eq!((chat.name.as_str(), chat.url.as_str()), ("chat", "https://chat.example.com/hooks/1"));
    assert_eq!(chat.format, HookFormat::Slack);
    assert_eq!(chat.events, [NotifyEvent::Park, NotifyEvent::Ended(Outcome::Abandoned)]);
    assert_eq!(chat.lots, [LotName::parse("main@a.test").unwrap()]);
    assert_eq!(chat.secret.as_ref().unwrap().reveal(), "s3cret");
    assert_eq!((crm.format, crm.events.len(), crm.lots.len(), &crm.secret), (HookFormat::Json, 8, 0, &None));
    assert_eq!(
        config.lots[0].settings.notify,
        [Notify::Hook("chat".into()), Notify::Message("1".into()), Notify::Hook("crm".into())]
    );
    assert!(!format!("{config:?}").contains("s3cret") && !format!("{config:?}").contains("hooks/1"), "{config:?}");
}

#[test]
fn each_error_names_hook_key_and_value() {
    for (hooks, why) in [
        (
            r#"<hook name="a" url="ftp://x"/>"#,
            r#"callpark.conf.xml: hook a: url="ftp://x": expected http:// or https://"#,
        ),
        (r#"<hook name="a"/>"#, "hook a: url: missing"),
        (r#"<hook url="http://x"/>"#, r#"hook : name="": not a name"#),
        (r#"<hook name="a" url="http://x"/><hook name="a" url="http://y"/>"#, r#"hook a: name="a": another hook"#),
        (r#"<hook name="a" url="http://x" format="xml"/>"#, r#"hook a: format="xml": expected one of json, slack"#),
        (
            r#"<hook name="a" url="http://x" events="park,gone"/>"#,
            r#"hook a: events="park,gone": "gone" is not some of"#,
        ),
        (
            r#"<hook name="a" url="http://x" lots="main,more"/>"#,
            r#"hook a: lots="main,more": no lot has the name more"#,
        ),
        (r#"<hook name="a" url="http://x" lots="a b"/>"#, r#"hook a: lots="a b": "a b" is not the name of a lot"#),
        (r#"<hook name="a" url="http://x" colour="red"/>"#, r#"hook a: colour="red": unknown attribute of <hook>"#),
        (r#"<hook name="a" url="http://x"><param/></hook>"#, "hook a: <param>: unknown element"),
        (r#"<hoook name="a"/>"#, "<hoook>: unknown element in <hooks>"),
    ] {
        let all = errors(&file("", hooks));
        assert!(all.contains(why), "{why} not in\n{all}");
    }
    let all = errors(&file(r#"<param name="notify" value="hook:b"/>"#, r#"<hook name="a" url="http://x"/>"#));
    assert!(all.contains(r#"lot main@*: notify="hook:b": there is no such hook, expected one of a"#), "{all}");
}

#[test]
fn a_secret_is_in_no_error_of_a_hook() {
    for hook in [
        r#"<hook name="a" url="x" secret="hush"/>"#,
        r#"<hook name="a" url="http://x" Secret="hush"/>"#,
        r#"<hook name="a" url="http://x" secrets="hush"/>"#,
    ] {
        let all = errors(&file("", hook));
        assert!(!all.contains("hush"), "{all}");
    }
}

#[test]
fn the_url_of_the_dashboard_has_no_slash_at_its_end() {
    let url = |value: &str| {
        read(&GOOD.replace("</settings>", &format!(r#"<param name="http-url" value="{value}"/></settings>"#)), None)
    };
    assert_eq!(url("https://park.example.com/desk/").unwrap().settings.http_url, "https://park.example.com/desk");
    assert_eq!(url("").unwrap().settings.http_url, "");
    assert!(url("park.example.com").is_err());
}

const GOOD: &str = r#"<configuration><settings></settings><lots><lot name="main" domain="*"><param name="slots" value="1"/></lot></lots></configuration>"#;
