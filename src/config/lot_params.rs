//! The table of the parameters of a lot, from which they are parsed, checked and documented.

use super::error::{ConfigErrorKind, ValueError};
use super::values::{
    choice, context, destination, extension, key, names, notify, notify_on, number, optional, parse_bool,
    parse_ringback, pin, seconds, users_of,
};
use crate::parking::{LampState, LotSettings, RingBackVia, SlotOrder, SlotTaken};

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
            settings.slot_order = choice(value, &SlotOrder::NAMES)?;
            Ok(())
        },
    ),
    row(
        "slot-taken",
        "`return`",
        "What happens to a call that is transferred to an occupied slot: `return` (the parker is called back at once and is told why) or `next` (the call gets a free slot, chosen as by `auto`).",
        |settings, value| {
            settings.slot_taken = choice(value, &[("return", SlotTaken::Return), ("next", SlotTaken::Next)])?;
            Ok(())
        },
    ),
    row(
        "overflow-lot",
        "empty",
        "The lot from which a call gets a slot when this lot is full; see [below](#a-full-lot).",
        |settings, value| {
            settings.overflow_lot = optional(value);
            Ok(())
        },
    ),
    row(
        "park-limit-per-user",
        "`0`",
        "The number of calls that one parker may have parked at the same time, in all lots and on all nodes; see [below](#a-full-lot). `0`: there is no limit.",
        |settings, value| {
            settings.park_limit_per_user = number(value, 0, 100_000)?;
            Ok(())
        },
    ),
    row(
        "park-extension",
        "empty",
        "The number at which the [`callpark` dialplan](dialplan.md#the-callpark-dialplan) parks a call in a free slot.",
        |settings, value| {
            settings.park_extension = extension(value)?;
            Ok(())
        },
    ),
    row(
        "oldest-extension",
        "empty",
        "The number that retrieves the call that has waited longest, in the same dialplan.",
        |settings, value| {
            settings.oldest_extension = extension(value)?;
            Ok(())
        },
    ),
    row(
        "ask-extension",
        "empty",
        "The number that asks for a slot and retrieves its call, in the same dialplan.",
        |settings, value| {
            settings.ask_extension = extension(value)?;
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
        "ringback-busy-retry",
        "`10`",
        "Seconds after which a parker who is busy (SIP 486 or 600) is called again, at most 6 times in a row. This is the same attempt. `0`: a busy parker has not answered.",
        |settings, value| {
            settings.ringback_busy_retry = seconds(value, 0)?;
            Ok(())
        },
    ),
    row(
        "ringback-via",
        "`user`",
        "How a parker who is a user is called: `user` (the registered phones) or `dialplan` (the user's extension in the dialplan, which may wake a phone by a push message, or follow the user); see [below](#recall-and-fallback).",
        |settings, value| {
            settings.ringback_via = choice(value, &[("user", RingBackVia::User), ("dialplan", RingBackVia::Dialplan)])?;
            Ok(())
        },
    ),
    row(
        "ringback-context",
        "empty",
        "The context for `ringback-via` = `dialplan`. Empty: the variable `user_context` of the parker in the directory, or else `default`.",
        |settings, value| {
            settings.ringback_context = context(value)?;
            Ok(())
        },
    ),
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
        "The destination of a call that nobody retrieves: `<extension> [<dialplan> [<context>]]`; `${...}` in extension and context stands for a variable of the caller's leg. Empty: waiting and recalls alternate.",
        |settings, value| {
            settings.fallback = destination(value)?;
            Ok(())
        },
    ),
    row(
        "max-park-time",
        "`0`",
        "Seconds after which the call goes to the fallback in any case. It needs a `fallback`. `0`: there is no such limit.",
        |settings, value| {
            settings.max_park_time = seconds(value, 0)?;
            Ok(())
        },
    ),
    row(
        "remind-after",
        "`0`",
        "Seconds after which a caller is late; see [below](#late-callers). `0`: never.",
        |settings, value| {
            settings.remind_after = seconds(value, 0)?;
            Ok(())
        },
    ),
    row(
        "remind-every",
        "`0`",
        "Seconds from one reminder of a late caller to the next. It needs a `remind-after`. `0`: there is one reminder.",
        |settings, value| {
            settings.remind_every = seconds(value, 0)?;
            Ok(())
        },
    ),
    row(
        "hold-music",
        "empty",
        "The music on hold: any file or stream. `${...}` stands for a variable of the caller's leg. Empty: the channel's own music on hold.",
        |settings, value| {
            settings.hold_music = optional(value);
            Ok(())
        },
    ),
    row(
        "comfort-file",
        "empty",
        "A file that is played to the caller every `comfort-interval` seconds. It needs a `comfort-interval`.",
        |settings, value| {
            settings.comfort_file = optional(value);
            Ok(())
        },
    ),
    row(
        "comfort-interval",
        "`0`",
        "Seconds between two comfort messages. It needs a `comfort-file`. `0`: there are none.",
        |settings, value| {
            settings.comfort_interval = seconds(value, 0)?;
            Ok(())
        },
    ),
    row(
        "exit-key",
        "empty",
        "A key by which the caller leaves the slot for the `exit-destination`. It needs one.",
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
    row(
        "announce",
        "`true`",
        "Whether the slot is announced to the parker. An outside caller whom the dialplan parks is told only with `callpark_announce` = `true`.",
        |settings, value| {
            settings.announce = parse_bool(value)?;
            Ok(())
        },
    ),
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
        "ringback-tone",
        "empty",
        "A tone or file that a parker who answers a recall hears before the caller. Its first 10 seconds are played.",
        |settings, value| {
            settings.ringback_tone = optional(value);
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
        "The notices about a call: `message:<user>`, `page:<dial string>`, `api:<command>`, `hook:<name>`; see [below](#notices).",
        |settings, value| {
            settings.notify = notify(value)?;
            Ok(())
        },
    ),
    row(
        "notify-on",
        "`park,remind`",
        "What they are about: any of `park`, `remind`, `no-slot`, and the outcomes `retrieved`, `returned`, `fallback`, `transferred` and `abandoned`.",
        |settings, value| {
            settings.notify_on = notify_on(value)?;
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
