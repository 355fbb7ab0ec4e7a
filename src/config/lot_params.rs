//! The table of the parameters of a lot, from which they are parsed, checked and documented.

use std::time::Duration;

use super::error::{ConfigErrorKind, ValueError};
use crate::parking::{Destination, LampState, LotSettings, Notify, RingBack, SlotOrder, SlotTaken, UsersOf, is_name};

/// One parameter of a lot.
#[derive(Debug)]
pub struct LotParam {
    /// Its name in the file.
    pub name: &'static str,
    /// The default for the manual: a value in backticks, `empty`, or a phrase.
    pub default: &'static str,
    /// The text in the manual, in Markdown.
    pub meaning: &'static str,
    /// Parses a value and changes the settings.
    set: fn(&mut LotSettings, &str) -> Result<(), ValueError>,
}

const fn row(
    name: &'static str,
    default: &'static str,
    meaning: &'static str,
    set: fn(&mut LotSettings, &str) -> Result<(), ValueError>,
) -> LotParam {
    LotParam { name, default, meaning, set }
}

/// The text in the manual for `slots`, which is parsed with the lot because it is no setting of a call.
#[cfg(test)]
pub(crate) const SLOTS_MEANING: &str =
    "Numbers and ranges: `701-720,750`, `*5901-*5999`. A slot consists of 1 to 20 digits, `*` and `#`.";

/// All parameters except `slots`.
pub const LOT_PARAMS: &[LotParam] = &[
    row(
        "slot-order",
        "`first`",
        "The free slot that `auto` uses: `first` (the lowest number), `next` (the one after the slot that was used last), `longest-free` or `random`.",
        |settings, value| {
            settings.slot_order = choice(
                value,
                &[
                    ("first", SlotOrder::First),
                    ("next", SlotOrder::Next),
                    ("longest-free", SlotOrder::LongestFree),
                    ("random", SlotOrder::Random),
                ],
            )?;
            Ok(())
        },
    ),
    row(
        "slot-taken",
        "`return`",
        "What happens to a call that is transferred to an occupied slot: `return` (the parker is called back at once and is told why) or `next` (the call gets the next free slot).",
        |settings, value| {
            settings.slot_taken = choice(value, &[("return", SlotTaken::Return), ("next", SlotTaken::Next)])?;
            Ok(())
        },
    ),
    row(
        "overflow-lot",
        "empty",
        "The lot in which `auto` looks for a slot when this lot is full.",
        |settings, value| {
            settings.overflow_lot = optional(value);
            Ok(())
        },
    ),
    row(
        "park-limit-per-user",
        "`0`",
        "The number of calls that one parker may have parked at the same time. `0`: there is no limit.",
        |settings, value| {
            settings.park_limit_per_user = number(value, 0, 100_000)?;
            Ok(())
        },
    ),
    row(
        "park-timeout",
        "`90`",
        "Seconds until the recall, or until the fallback if there is no recall. `0`: there is neither; only `max-park-time` ends the wait.",
        |settings, value| {
            settings.park_timeout = seconds(value, 0)?;
            Ok(())
        },
    ),
    row("ringback", "`parker`", "Who is called back: `parker`, `none` or a dial string.", |settings, value| {
        settings.ringback = parse_ringback(value)?;
        Ok(())
    }),
    row("ringback-timeout", "`20`", "Seconds for which one recall rings.", |settings, value| {
        settings.ringback_timeout = seconds(value, 1)?;
        Ok(())
    }),
    row("ringback-attempts", "`1`", "The number of recalls before the fallback.", |settings, value| {
        settings.ringback_attempts = number(value, 0, 1000)?;
        Ok(())
    }),
    row(
        "ringback-cid-prefix",
        "`Park ${slot}: `",
        "The text before the caller's name on the phone that a recall rings.",
        |settings, value| {
            settings.ringback_cid_prefix = value.into();
            Ok(())
        },
    ),
    row("ringback-alert-info", "empty", "The Alert-Info header of a recall.", |settings, value| {
        settings.ringback_alert_info = optional(value);
        Ok(())
    }),
    row(
        "ringback-ignore-voicemail",
        "`true`",
        "Whether a recall that a mailbox answers counts as unanswered.",
        |settings, value| {
            settings.ringback_ignore_voicemail = parse_bool(value)?;
            Ok(())
        },
    ),
    row(
        "fallback",
        "empty",
        "The destination of a call that nobody retrieves: `<extension> [<dialplan> [<context>]]`. Empty: waiting and recalls alternate.",
        |settings, value| {
            settings.fallback = destination(value)?;
            Ok(())
        },
    ),
    row(
        "max-park-time",
        "`0`",
        "Seconds after which the call goes to the fallback in any case. `0`: there is no such limit.",
        |settings, value| {
            settings.max_park_time = seconds(value, 0)?;
            Ok(())
        },
    ),
    row(
        "hold-music",
        "empty",
        "The music on hold: any file or stream. Empty: the channel's own music on hold.",
        |settings, value| {
            settings.hold_music = optional(value);
            Ok(())
        },
    ),
    row(
        "comfort-file",
        "empty",
        "A file that is played to the caller every `comfort-interval` seconds.",
        |settings, value| {
            settings.comfort_file = optional(value);
            Ok(())
        },
    ),
    row("comfort-interval", "`0`", "Seconds between two comfort messages. `0`: there are none.", |settings, value| {
        settings.comfort_interval = seconds(value, 0)?;
        Ok(())
    }),
    row(
        "exit-key",
        "empty",
        "A key by which the caller leaves the slot for the `exit-destination`.",
        |settings, value| {
            settings.exit_key = key(value)?;
            Ok(())
        },
    ),
    row(
        "exit-destination",
        "empty",
        "The destination of the exit key: `<extension> [<dialplan> [<context>]]`.",
        |settings, value| {
            settings.exit_destination = destination(value)?;
            Ok(())
        },
    ),
    row("announce", "`true`", "Whether the slot is announced to the parker.", |settings, value| {
        settings.announce = parse_bool(value)?;
        Ok(())
    }),
    row("park-tone", "empty", "A tone or file that the parker hears when the call is parked.", |settings, value| {
        settings.park_tone = optional(value);
        Ok(())
    }),
    row(
        "retrieve-tone",
        "empty",
        "A tone or file that the caller hears when the call is retrieved.",
        |settings, value| {
            settings.retrieve_tone = optional(value);
            Ok(())
        },
    ),
    row(
        "park-from",
        "the lot's own domain",
        "Domains whose users may park. `*`: anybody may, also an outside caller who reaches the park extension through a menu.",
        |settings, value| {
            settings.park_from = users_of(value)?;
            Ok(())
        },
    ),
    row(
        "park-groups",
        "empty",
        "Directory groups whose members may park. Empty: membership is not checked.",
        |settings, value| {
            settings.park_groups = names(value)?;
            Ok(())
        },
    ),
    row(
        "retrieve-from",
        "the lot's own domain",
        "Domains whose users may retrieve. `*`: users of any domain may.",
        |settings, value| {
            settings.retrieve_from = users_of(value)?;
            Ok(())
        },
    ),
    row("retrieve-pin", "empty", "Digits that the retriever is asked for.", |settings, value| {
        settings.retrieve_pin = pin(value)?;
        Ok(())
    }),
    row(
        "retrieve-groups",
        "empty",
        "Directory groups whose members may retrieve. Empty: membership is not checked.",
        |settings, value| {
            settings.retrieve_groups = names(value)?;
            Ok(())
        },
    ),
    row(
        "retrieve-anonymous",
        "`false`",
        "Whether a leg that belongs to no user may retrieve. With a `retrieve-pin` such a leg may retrieve in any case, after the PIN.",
        |settings, value| {
            settings.retrieve_anonymous = parse_bool(value)?;
            Ok(())
        },
    ),
    row(
        "lamp-state",
        "`confirmed`",
        "The dialog state of an occupied slot: `confirmed` or `early`.",
        |settings, value| {
            settings.lamp_state = choice(value, &[("confirmed", LampState::Confirmed), ("early", LampState::Early)])?;
            Ok(())
        },
    ),
    row("lamp-caller-id", "`false`", "Whether the lamp shows the caller.", |settings, value| {
        settings.lamp_caller_id = parse_bool(value)?;
        Ok(())
    }),
    row(
        "notify",
        "empty",
        "What is sent when a call is parked: `message:<user>`, `page:<dial string>`, `api:<command>`; see [below](#notices).",
        |settings, value| {
            settings.notify = notify(value)?;
            Ok(())
        },
    ),
];

/// Parameters of earlier versions, and what to use instead.
const REPLACED: &[(&str, &str)] = &[(
    "retrieve-trust-from",
    "the setting trusted-proxies, which names the ACL lists of the proxies that authenticate users for this server",
)];

/// Applies one parameter. The error says why the name or the value is wrong.
pub(super) fn set(name: &str, value: &str, settings: &mut LotSettings) -> Result<(), ConfigErrorKind> {
    if let Some((_, instead)) = REPLACED.iter().find(|(old, _)| *old == name) {
        return Err(ConfigErrorKind::Replaced(instead));
    }
    let Some(param) = LOT_PARAMS.iter().find(|param| param.name == name) else {
        let known = LOT_PARAMS.iter().map(|param| param.name).collect::<Vec<_>>().join(", ");
        return Err(ConfigErrorKind::UnknownParam { of: "lot parameter", known: format!("slots, {known}") });
    };
    Ok((param.set)(settings, value)?)
}

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

fn choice<T: Clone>(value: &str, choices: &[(&str, T)]) -> Result<T, ValueError> {
    let found = choices.iter().find(|(name, _)| *name == value.trim()).map(|(_, choice)| choice.clone());
    let names = || choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    found.ok_or_else(|| ValueError::NotOneOf(names()))
}

fn optional(value: &str) -> Option<String> {
    Some(value.trim()).filter(|value| !value.is_empty()).map(str::to_owned)
}

fn destination(value: &str) -> Result<Option<Destination>, ValueError> {
    optional(value).map(|value| parse_destination(&value)).transpose()
}

/// Parses the parameter `fallback`, or the variable `callpark_fallback` of a channel.
pub(crate) fn parse_destination(value: &str) -> Result<Destination, ValueError> {
    Destination::parse(value).ok_or(ValueError::Expected("<extension> [<dialplan> [<context>]]"))
}

fn key(value: &str) -> Result<Option<char>, ValueError> {
    let mut keys = value.trim().chars();
    match (keys.next(), keys.next()) {
        (None, _) => Ok(None),
        (Some(key), None) if key.is_ascii_digit() || matches!(key, '*' | '#') => Ok(Some(key)),
        _ => Err(ValueError::Expected("one key: a digit, * or #")),
    }
}

fn pin(value: &str) -> Result<Option<String>, ValueError> {
    let pin = optional(value);
    let good = pin.as_ref().is_none_or(|pin| pin.len() <= 32 && pin.chars().all(|c| c.is_ascii_digit() || c == '*'));
    if good { Ok(pin) } else { Err(ValueError::Expected("1 to 32 digits or *")) }
}

fn users_of(value: &str) -> Result<UsersOf, ValueError> {
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
fn notify(value: &str) -> Result<Vec<Notify>, ValueError> {
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

fn notify_one(part: &str) -> Result<Notify, ValueError> {
    const EXPECTED: &str = "one of message:<user>, page:<dial string>, api:<command> <args>";
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
        _ => Err(wrong()),
    }
}

fn names(value: &str) -> Result<Vec<String>, ValueError> {
    let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
    let not_a_name = |name: &str| ValueError::Part { part: name.to_owned(), expected: "a name" };
    names.map(|name| if is_name(name) { Ok(name.to_owned()) } else { Err(not_a_name(name)) }).collect()
}
