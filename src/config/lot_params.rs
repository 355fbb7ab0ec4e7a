//! The parameters of a lot: one table that reading, checking and the manual share.

use std::time::Duration;

use crate::parking::{Destination, LampState, Notify, RingBack, SlotOrder, SlotTaken, Terms, UsersOf, is_name};

/// One parameter of a lot.
#[derive(Debug)]
pub struct LotParam {
    pub name: &'static str,
    pub default: &'static str,
    pub meaning: &'static str,
    /// Checks a value and puts it into the terms.
    set: fn(&mut Terms, &str) -> Result<(), String>,
}

const fn row(
    name: &'static str,
    default: &'static str,
    meaning: &'static str,
    set: fn(&mut Terms, &str) -> Result<(), String>,
) -> LotParam {
    LotParam { name, default, meaning, set }
}

/// Every parameter but `slots`, which the reader takes itself.
pub const LOT_PARAMS: &[LotParam] = &[
    row("slot-order", "first", "which free slot auto takes: first, next, longest-free, random", |terms, value| {
        terms.slot_order = choice(
            value,
            &[
                ("first", SlotOrder::First),
                ("next", SlotOrder::Next),
                ("longest-free", SlotOrder::LongestFree),
                ("random", SlotOrder::Random),
            ],
        )?;
        Ok(())
    }),
    row("slot-taken", "return", "a transfer to a slot that is taken: return or next", |terms, value| {
        terms.slot_taken = choice(value, &[("return", SlotTaken::Return), ("next", SlotTaken::Next)])?;
        Ok(())
    }),
    row("overflow-lot", "", "where auto goes on when this lot is full", |terms, value| {
        terms.overflow_lot = optional(value);
        Ok(())
    }),
    row("park-limit-per-user", "0", "most calls that one parker may hold at once; 0 = any number", |terms, value| {
        terms.park_limit_per_user = number(value, 0, 100_000)?;
        Ok(())
    }),
    row("park-timeout", "90", "seconds until ring back; 0 = never", |terms, value| {
        terms.park_timeout = seconds(value, 0)?;
        Ok(())
    }),
    row("ringback", "parker", "parker, none, or a dial string", |terms, value| {
        terms.ringback = parse_ringback(value)?;
        Ok(())
    }),
    row("ringback-timeout", "20", "seconds that one ring back rings", |terms, value| {
        terms.ringback_timeout = seconds(value, 1)?;
        Ok(())
    }),
    row("ringback-attempts", "1", "ring backs before the fallback", |terms, value| {
        terms.ringback_attempts = number(value, 0, 1000)?;
        Ok(())
    }),
    row(
        "ringback-cid-prefix",
        "Park ${slot}: ",
        "put before the caller's name on the ringing phone",
        |terms, value| {
            terms.ringback_cid_prefix = value.into();
            Ok(())
        },
    ),
    row("ringback-alert-info", "", "Alert-Info of the ring back", |terms, value| {
        terms.ringback_alert_info = optional(value);
        Ok(())
    }),
    row("ringback-ignore-voicemail", "true", "a ring back that a mailbox answers is not an answer", |terms, value| {
        terms.ringback_ignore_voicemail = truth(value)?;
        Ok(())
    }),
    row("fallback", "", "<extension> [<dialplan> [<context>]] for a call that nobody takes", |terms, value| {
        terms.fallback = destination(value)?;
        Ok(())
    }),
    row("max-park-time", "0", "seconds after which the fallback is due whatever happens; 0 = never", |terms, value| {
        terms.max_park_time = seconds(value, 0)?;
        Ok(())
    }),
    row("hold-music", "", "any file or stream; empty = the channel's own", |terms, value| {
        terms.hold_music = optional(value);
        Ok(())
    }),
    row("comfort-file", "", "played to the parked caller every comfort-interval", |terms, value| {
        terms.comfort_file = optional(value);
        Ok(())
    }),
    row("comfort-interval", "0", "seconds between comfort messages; 0 = none", |terms, value| {
        terms.comfort_interval = seconds(value, 0)?;
        Ok(())
    }),
    row("exit-key", "", "a key that takes the parked caller to exit-destination", |terms, value| {
        terms.exit_key = key(value)?;
        Ok(())
    }),
    row("exit-destination", "", "<extension> [<dialplan> [<context>]] for the exit key", |terms, value| {
        terms.exit_destination = destination(value)?;
        Ok(())
    }),
    row("announce", "true", "say the slot to the parker", |terms, value| {
        terms.announce = truth(value)?;
        Ok(())
    }),
    row("park-tone", "", "tone or file for the parker at park", |terms, value| {
        terms.park_tone = optional(value);
        Ok(())
    }),
    row("retrieve-tone", "", "tone or file for the parked caller at retrieval", |terms, value| {
        terms.retrieve_tone = optional(value);
        Ok(())
    }),
    row(
        "park-from",
        "the lot's own domain",
        "domains whose users may park; * = anybody, also a caller who gets there through a menu and is no user",
        |terms, value| {
            terms.park_from = users_of(value)?;
            Ok(())
        },
    ),
    row("park-groups", "", "directory groups whose members may park; empty = all", |terms, value| {
        terms.park_groups = names(value)?;
        Ok(())
    }),
    row("retrieve-from", "the lot's own domain", "domains whose users may retrieve; * = any", |terms, value| {
        terms.retrieve_from = users_of(value)?;
        Ok(())
    }),
    row("retrieve-pin", "", "digits asked of the retriever", |terms, value| {
        terms.retrieve_pin = pin(value)?;
        Ok(())
    }),
    row("retrieve-groups", "", "directory groups whose members may retrieve; empty = all", |terms, value| {
        terms.retrieve_groups = names(value)?;
        Ok(())
    }),
    row(
        "retrieve-anonymous",
        "false",
        "a leg that belongs to no user may retrieve; with a retrieve-pin it may in any case, after the PIN",
        |terms, value| {
            terms.retrieve_anonymous = truth(value)?;
            Ok(())
        },
    ),
    row("lamp-state", "confirmed", "dialog state of a taken slot: confirmed or early", |terms, value| {
        terms.lamp_state = choice(value, &[("confirmed", LampState::Confirmed), ("early", LampState::Early)])?;
        Ok(())
    }),
    row("lamp-caller-id", "false", "put the parked caller into the lamp's dialog-info", |terms, value| {
        terms.lamp_caller_id = truth(value)?;
        Ok(())
    }),
    row("notify", "", "message:<user>, page:<dial string>, api:<command> as a call is parked", |terms, value| {
        terms.notify = notify(value)?;
        Ok(())
    }),
];

/// Parameters of earlier versions, and what to use instead.
const REPLACED: &[(&str, &str)] = &[(
    "retrieve-trust-from",
    "the setting trusted-proxies, which names the ACL lists of the proxies that authenticate users for this server",
)];

/// Applies one parameter. The error says why the value, or the name, will not do.
pub(super) fn set(name: &str, value: &str, terms: &mut Terms) -> Result<(), String> {
    if let Some((_, instead)) = REPLACED.iter().find(|(old, _)| *old == name) {
        return Err(format!("no longer a lot parameter; use {instead}"));
    }
    let Some(param) = LOT_PARAMS.iter().find(|param| param.name == name) else {
        return Err(format!(
            "no such lot parameter; there are: slots, {}",
            LOT_PARAMS.iter().map(|param| param.name).collect::<Vec<_>>().join(", ")
        ));
    };
    (param.set)(terms, value)
}

/// `ringback` of the configuration, `callpark_ringback` of a channel.
pub(crate) fn parse_ringback(value: &str) -> Result<RingBack, String> {
    Ok(match value.trim() {
        "" => return Err("empty; give parker, none or a dial string".into()),
        "parker" => RingBack::Parker,
        "none" => RingBack::Nobody,
        dial => RingBack::DialString(dial.into()),
    })
}

/// Seconds, from `least` up to a year.
pub(crate) fn seconds(value: &str, least: u32) -> Result<Duration, String> {
    number(value, least, 31_536_000).map(|seconds| Duration::from_secs(seconds.into()))
}

pub(crate) fn truth(value: &str) -> Result<bool, String> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" | "enabled" => Ok(true),
        "false" | "no" | "off" | "0" | "disabled" => Ok(false),
        _ => Err("neither true nor false".into()),
    }
}

pub(super) fn number(value: &str, least: u32, most: u32) -> Result<u32, String> {
    let number = value.trim().parse::<u32>().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("not a whole number from {least} to {most}"))
}

fn choice<T: Clone>(value: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let found = choices.iter().find(|(name, _)| *name == value.trim()).map(|(_, choice)| choice.clone());
    found.ok_or_else(|| format!("not one of {}", choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")))
}

fn optional(value: &str) -> Option<String> {
    Some(value.trim()).filter(|value| !value.is_empty()).map(str::to_owned)
}

fn destination(value: &str) -> Result<Option<Destination>, String> {
    match optional(value) {
        None => Ok(None),
        Some(value) => match Destination::parse(&value) {
            Some(destination) => Ok(Some(destination)),
            None => Err("not <extension> [<dialplan> [<context>]]".into()),
        },
    }
}

fn key(value: &str) -> Result<Option<char>, String> {
    let mut keys = value.trim().chars();
    match (keys.next(), keys.next()) {
        (None, _) => Ok(None),
        (Some(key), None) if key.is_ascii_digit() || matches!(key, '*' | '#') => Ok(Some(key)),
        _ => Err("not one key (a digit, * or #)".into()),
    }
}

fn pin(value: &str) -> Result<Option<String>, String> {
    let pin = optional(value);
    let good = pin.as_ref().is_none_or(|pin| pin.len() <= 32 && pin.chars().all(|c| c.is_ascii_digit() || c == '*'));
    if good { Ok(pin) } else { Err("not 1 to 32 digits or *".into()) }
}

fn users_of(value: &str) -> Result<UsersOf, String> {
    let domains: Vec<&str> = value.split(',').map(str::trim).filter(|domain| !domain.is_empty()).collect();
    match domains.as_slice() {
        [] => Ok(UsersOf::OwnDomain),
        ["*"] => Ok(UsersOf::Anywhere),
        some if some.iter().all(|domain| is_name(domain)) => {
            Ok(UsersOf::Domains(some.iter().map(|domain| (*domain).to_owned()).collect()))
        }
        _ => Err("not * nor a comma-separated list of domains".into()),
    }
}

/// `message:1000, page:group/all, api:...`. Dial strings have commas of their own, so a new one begins only where its kind is
/// written.
fn notify(value: &str) -> Result<Vec<Notify>, String> {
    const KINDS: [&str; 3] = ["message:", "page:", "api:"];
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

fn notify_one(part: &str) -> Result<Notify, String> {
    let wrong = || format!("'{part}' is none of message:<user>, page:<dial string>, api:<command> <args>");
    let (kind, what) = part.split_once(':').ok_or_else(wrong)?;
    let what = what.trim();
    if what.is_empty() {
        return Err(wrong());
    }
    match kind {
        "message" => Ok(Notify::Message(what.into())),
        "page" => Ok(Notify::Page(what.into())),
        "api" => Ok(Notify::Api(what.into())),
        _ => Err(wrong()),
    }
}

fn names(value: &str) -> Result<Vec<String>, String> {
    let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| if is_name(name) { Ok(name.to_owned()) } else { Err(format!("'{name}' is not a name")) }).collect()
}
