//! Reads one `<hook>`: where events are posted to, in which form, and which.

use std::fmt;

use http::Uri;

use super::document::Element;
use super::error::{ConfigError, ConfigErrorKind, ConfigSection, ValueError};
use super::values::{choice, notify_on, optional};
use crate::parking::{LotId, LotName, NotifyEvent, is_name};

/// A receiver of events over HTTP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HookPlan {
    /// Its name.
    pub name: String,
    /// Where its messages are posted to.
    pub url: HookUrl,
    /// The form of its messages.
    pub format: HookFormat,
    /// The events that it gets of its lots.
    pub events: Vec<NotifyEvent>,
    /// Its lots; empty for all.
    pub lots: Vec<LotName>,
    /// The key with which its messages are signed.
    pub secret: Option<Secret>,
}

impl HookPlan {
    /// Whether the hook gets this event of a lot, also if no lot names the hook.
    #[must_use]
    pub fn wants(&self, event: NotifyEvent, lot: &LotId) -> bool {
        self.events.contains(&event) && (self.lots.is_empty() || self.lots.iter().any(|name| names(name, lot)))
    }
}

fn names(name: &LotName, lot: &LotId) -> bool {
    name.name == *lot.name && name.domain.as_ref().is_none_or(|domain| **domain == *lot.domain)
}

/// A URL, of which only the receiver is shown: the path is often a password.
#[derive(Clone, PartialEq, Eq)]
pub struct HookUrl(String);

impl HookUrl {
    pub(crate) fn parse(text: &str) -> Result<HookUrl, ValueError> {
        const EXPECTED: ValueError =
            ValueError::Expected("http:// or https://, a host, and no other than ASCII characters");
        let url: Uri = text.parse().map_err(|_| EXPECTED)?;
        let known = matches!(url.scheme_str(), Some("http" | "https"));
        let has_host = url.host().is_some_and(|host| !host.is_empty());
        if known && has_host { Ok(HookUrl(text.to_owned())) } else { Err(EXPECTED) }
    }

    /// The whole URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or_default();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        write!(f, "{scheme}://{host}")
    }
}

impl fmt::Debug for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Secret {
        Secret(text.to_owned())
    }

    /// The text itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The form of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum HookFormat {
    /// All fields, for programs.
    #[default]
    Json,
    /// A card for an incoming webhook of Slack.
    Slack,
    /// A card for an incoming webhook of Mattermost.
    Mattermost,
    /// A card for a webhook of Workflows in Microsoft Teams.
    Teams,
}

impl HookFormat {
    const NAMES: [(&'static str, HookFormat); 4] = [
        ("json", HookFormat::Json),
        ("slack", HookFormat::Slack),
        ("mattermost", HookFormat::Mattermost),
        ("teams", HookFormat::Teams),
    ];
}

/// An attribute of `<hook>`, for the manual: its name, its default, and its meaning.
pub(crate) const HOOK_ATTRIBUTES: [(&str, &str, &str); 6] = [
    ("name", "required", "The name by which `notify`, the log, the metrics and `callpark status` know the hook."),
    ("url", "required", "Where each message is posted to: `http://` or `https://`. The log shows its host only."),
    ("format", "`json`", "The form of a message: `json`, `slack`, `mattermost` or `teams`."),
    (
        "events",
        "all",
        "What the hook gets: any of `park`, `remind`, `no-slot`, `retrieved`, `returned`, `fallback`, `transferred` and `abandoned`. Empty: nothing but what a lot sends by `notify` = `hook:<name>`.",
    ),
    ("lots", "all", "The lots of which it gets these events: `main`, or `main@example.com`."),
    ("secret", "empty", "The key of the [signature](#signature). It is never shown."),
];

/// Reads a hook. Returns `None` if it is of no use.
pub(super) fn read(element: &Element, errors: &mut Vec<ConfigError>) -> Option<HookPlan> {
    let before = errors.len();
    let name = element.attribute("name").unwrap_or_default();
    let section = ConfigSection::Hook(name.to_owned());
    element.reject_unknown(&section, &HOOK_ATTRIBUTES.map(|(name, ..)| name), &[], errors);
    if !is_name(name) {
        errors.push(element.error(&section, "name", Some(name), ConfigErrorKind::HookName));
    }
    let mut url = None;
    match element.attribute("url").map(str::trim) {
        None => errors.push(element.error(&section, "url", None, ConfigErrorKind::NoUrl)),
        Some(text) => match HookUrl::parse(text) {
            Ok(parsed) => url = Some(parsed),
            Err(why) => errors.push(element.error(&section, "url", Some(text), why)),
        },
    }
    let format = attribute(element, &section, "format", errors, |text| choice(text, &HookFormat::NAMES));
    let events = attribute(element, &section, "events", errors, notify_on);
    let lots = attribute(element, &section, "lots", errors, lot_names);
    (errors.len() == before).then_some(())?;
    Some(HookPlan {
        name: name.to_owned(),
        url: url?,
        format: format.unwrap_or_default(),
        events: events.unwrap_or_else(|| NotifyEvent::ALL.to_vec()),
        lots: lots.unwrap_or_default(),
        secret: element.attribute("secret").and_then(optional).map(Secret),
    })
}

/// Parses an attribute, if the element has it.
fn attribute<T>(
    element: &Element,
    section: &ConfigSection,
    key: &str,
    errors: &mut Vec<ConfigError>,
    parse: impl FnOnce(&str) -> Result<T, ValueError>,
) -> Option<T> {
    let text = element.attribute(key)?;
    parse(text).map_err(|why| errors.push(element.error(section, key, Some(text), why))).ok()
}

fn lot_names(value: &str) -> Result<Vec<LotName>, ValueError> {
    const EXPECTED: &str = "the name of a lot, such as main or main@example.com";
    let lot =
        |text: &str| LotName::parse(text).ok_or_else(|| ValueError::Part { part: text.to_owned(), expected: EXPECTED });
    value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(lot).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_url_only_the_receiver_is_shown() {
        for (url, shown) in [
            ("https://hooks.example.com/services/T0/B0/secret", "https://hooks.example.com"),
            ("http://user:password@10.0.0.1:8080?token=x", "http://10.0.0.1:8080"),
        ] {
            assert_eq!(format!("{:?}", HookUrl::parse(url).unwrap()), shown);
        }
        for wrong in ["", "chat.example.com", "ftp://x/y", "https://", "https:///x", "https://x y/", "/x", "https://é/"]
        {
            assert!(HookUrl::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_lot_is_named_with_or_without_its_domain() {
        let lots = lot_names("main, other@A.test").unwrap();
        let is_named = |lot: LotId| lots.iter().any(|name| names(name, &lot));
        assert!(is_named(LotId::new("main", "b.test")) && is_named(LotId::new("other", "a.test")));
        assert!(!is_named(LotId::new("other", "b.test")) && !is_named(LotId::new("more", "a.test")));
    }
}
