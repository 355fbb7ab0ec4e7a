//! Parses the values of parameters.

use std::time::Duration;

use super::error::ValueError;
use crate::parking::{Destination, Extension, FeatureCode, Notify, NotifyEvent, RingBack, UsersOf, is_name};

/// Parses the parameter `ringback`, or the variable `callpark_ringback` of a channel.
pub(crate) fn parse_ringback(value: &str) -> Result<RingBack, ValueError> {
    Ok(match value.trim() {
        "" => return Err(ValueError::Expected("parker, none or a dial string")),
        "parker" => RingBack::Parker,
        "none" => RingBack::Nobody,
        dial => RingBack::DialString(dial.into()),
    })
}

/// Parses seconds, from `least` up to a year.
pub(crate) fn seconds(value: &str, least: u32) -> Result<Duration, ValueError> {
    number(value, least, 31_536_000).map(|seconds| Duration::from_secs(seconds.into()))
}

pub(crate) fn parse_bool(value: &str) -> Result<bool, ValueError> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" | "enabled" => Ok(true),
        "false" | "no" | "off" | "0" | "disabled" => Ok(false),
        _ => Err(ValueError::Expected("true or false")),
    }
}

pub(super) fn number(value: &str, least: u32, most: u32) -> Result<u32, ValueError> {
    let number = value.trim().parse::<u32>().ok().filter(|number| (least..=most).contains(number));
    number.ok_or(ValueError::OutOfRange { least, most })
}

pub(super) fn choice<T: Clone>(value: &str, choices: &[(&str, T)]) -> Result<T, ValueError> {
    let found = choices.iter().find(|(name, _)| *name == value.trim()).map(|(_, choice)| choice.clone());
    let names = || choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    found.ok_or_else(|| ValueError::NotOneOf(names()))
}

pub(super) fn optional(value: &str) -> Option<String> {
    Some(value.trim()).filter(|value| !value.is_empty()).map(str::to_owned)
}

pub(super) fn destination(value: &str) -> Result<Option<Destination>, ValueError> {
    optional(value).map(|value| parse_destination(&value)).transpose()
}

/// Parses the parameter `fallback`, or the variable `callpark_fallback` of a channel.
pub(crate) fn parse_destination(value: &str) -> Result<Destination, ValueError> {
    Destination::parse(value).ok_or(ValueError::Expected("<extension> [<dialplan> [<context>]]"))
}

pub(super) fn extension(value: &str) -> Result<Option<Extension>, ValueError> {
    let parse = |text: String| Extension::parse(&text).ok_or(ValueError::Expected(Extension::FORM));
    optional(value).map(parse).transpose()
}

pub(super) fn feature_code(value: &str) -> Result<Option<FeatureCode>, ValueError> {
    let parse = |text: String| FeatureCode::parse(&text).ok_or(ValueError::Expected(FeatureCode::FORM));
    optional(value).map(parse).transpose()
}

pub(super) fn context(value: &str) -> Result<Option<String>, ValueError> {
    let check = |text: String| if is_name(&text) { Ok(text) } else { Err(ValueError::Expected("a dialplan context")) };
    optional(value).map(check).transpose()
}

pub(super) fn key(value: &str) -> Result<Option<char>, ValueError> {
    let mut keys = value.trim().chars();
    match (keys.next(), keys.next()) {
        (None, _) => Ok(None),
        (Some(key), None) if key.is_ascii_digit() || matches!(key, '*' | '#') => Ok(Some(key)),
        _ => Err(ValueError::Expected("one key: a digit, * or #")),
    }
}

pub(super) fn pin(value: &str) -> Result<Option<String>, ValueError> {
    let pin = optional(value);
    let good = pin.as_ref().is_none_or(|pin| pin.len() <= 32 && pin.chars().all(|c| c.is_ascii_digit() || c == '*'));
    if good { Ok(pin) } else { Err(ValueError::Expected("1 to 32 digits or *")) }
}

pub(super) fn users_of(value: &str) -> Result<UsersOf, ValueError> {
    let domains: Vec<&str> = value.split(',').map(str::trim).filter(|domain| !domain.is_empty()).collect();
    match domains.as_slice() {
        [] => Ok(UsersOf::OwnDomain),
        ["*"] => Ok(UsersOf::Anywhere),
        some if some.iter().all(|domain| is_name(domain)) => {
            Ok(UsersOf::Domains(some.iter().map(|domain| (*domain).to_owned()).collect()))
        }
        _ => Err(ValueError::Expected("* or a comma-separated list of domains")),
    }
}

/// Parses `message:1000, page:group/all, api:...`. A dial string may contain commas, so a new notification begins only at its kind.
pub(super) fn notify(value: &str) -> Result<Vec<Notify>, ValueError> {
    const KINDS: [&str; 4] = ["message:", "page:", "api:", "hook:"];
    let mut parts: Vec<String> = Vec::new();
    for piece in value.split(',') {
        let begins = KINDS.iter().any(|kind| piece.trim_start().starts_with(kind));
        match parts.last_mut() {
            Some(part) if !begins => part.push_str(&format!(",{piece}")),
            _ => parts.push(piece.to_owned()),
        }
    }
    parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()).map(notify_one).collect()
}

fn notify_one(part: &str) -> Result<Notify, ValueError> {
    const EXPECTED: &str = "one of message:<user>, page:<dial string>, api:<command> <args>, hook:<name>";
    let wrong = || ValueError::Part { part: part.to_owned(), expected: EXPECTED };
    let (kind, what) = part.split_once(':').ok_or_else(wrong)?;
    let what = what.trim();
    if what.is_empty() {
        return Err(wrong());
    }
    match kind {
        "message" => Ok(Notify::Message(what.into())),
        "page" => Ok(Notify::Page(what.into())),
        "api" => Ok(Notify::Api(what.into())),
        "hook" => Ok(Notify::Hook(what.into())),
        _ => Err(wrong()),
    }
}

/// Parses `park, retrieved`.
pub(super) fn notify_on(value: &str) -> Result<Vec<NotifyEvent>, ValueError> {
    const EXPECTED: &str = "some of park, remind, no-slot, retrieved, returned, fallback, transferred, abandoned";
    let event = |name: &str| {
        NotifyEvent::named(name).ok_or_else(|| ValueError::Part { part: name.to_owned(), expected: EXPECTED })
    };
    value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(event).collect()
}

pub(super) fn names(value: &str) -> Result<Vec<String>, ValueError> {
    let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
    let not_a_name = |name: &str| ValueError::Part { part: name.to_owned(), expected: "a name" };
    names.map(|name| if is_name(name) { Ok(name.to_owned()) } else { Err(not_a_name(name)) }).collect()
}
