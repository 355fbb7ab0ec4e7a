//! The settings of a lot, as the rules use them.

use std::sync::Arc;
use std::time::Duration;

use super::names::Extension;
use super::notify::{Notify, NotifyEvent};
use super::ringback_via::RingBackVia;

/// Which free slot `auto` takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SlotOrder {
    /// The free slot with the lowest number.
    #[default]
    First,
    /// The free slot that follows the one that was taken last.
    Next,
    /// The slot that has been free for longest.
    LongestFree,
    /// Any free slot.
    Random,
}

impl SlotOrder {
    /// The orders, by their names in the file.
    pub const NAMES: [(&'static str, SlotOrder); 4] = [
        ("first", SlotOrder::First),
        ("next", SlotOrder::Next),
        ("longest-free", SlotOrder::LongestFree),
        ("random", SlotOrder::Random),
    ];

    /// Its name in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        SlotOrder::NAMES.iter().find(|(_, order)| *order == self).map_or("", |(name, _)| name)
    }
}

/// What happens to a call that is sent to an occupied slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SlotTaken {
    /// The parker is rung, is told why, and gets the caller back.
    #[default]
    Return,
    /// The call gets a free slot, chosen as by `auto`.
    Next,
}

/// Who is called by a recall.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum RingBack {
    /// The user who parked the call.
    #[default]
    Parker,
    /// Nobody.
    Nobody,
    /// A dial string, in which `${...}` stands for variables of the parked channel.
    DialString(String),
}

impl RingBack {
    /// Whether a recall of this `parker` calls anybody. An empty `parker` is unknown.
    #[must_use]
    pub fn has_somebody(&self, parker: &str) -> bool {
        match self {
            RingBack::Parker => !parker.is_empty(),
            RingBack::Nobody => false,
            RingBack::DialString(_) => true,
        }
    }
}

/// The dialog state that an occupied slot shows on a lamp. Phones display the two differently.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LampState {
    /// Steady on most phones.
    #[default]
    Confirmed,
    /// Blinking on most phones.
    Early,
}

/// The domains whose users may park in a lot, or retrieve from it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum UsersOf {
    /// The lot's own domain.
    #[default]
    OwnDomain,
    /// These domains.
    Domains(Vec<String>),
    /// Every domain.
    Anywhere,
}

impl UsersOf {
    /// Whether a user of `user_domain` is one of them, for a lot in `own_domain`.
    #[must_use]
    pub fn allows(&self, own_domain: &str, user_domain: &str) -> bool {
        match self {
            UsersOf::OwnDomain => own_domain.eq_ignore_ascii_case(user_domain),
            UsersOf::Domains(domains) => domains.iter().any(|domain| domain.eq_ignore_ascii_case(user_domain)),
            UsersOf::Anywhere => true,
        }
    }
}

/// Where a parked caller is sent by the exit key or as the fallback: `<extension> [<dialplan> [<context>]]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Destination {
    /// The extension.
    pub extension: String,
    /// The dialplan; `None` for the one by which the call came.
    pub dialplan: Option<String>,
    /// The context; `None` for the one by which the call came.
    pub context: Option<String>,
}

impl Destination {
    /// Parses a destination. Returns `None` unless `text` is one to three words.
    #[must_use]
    pub fn parse(text: &str) -> Option<Destination> {
        let mut words = text.split_whitespace().map(str::to_owned);
        let destination = Destination { extension: words.next()?, dialplan: words.next(), context: words.next() };
        words.next().is_none().then_some(destination)
    }

    /// Returns the destination of an extension for a call of a lot: in the dialplan and context that the lot's fallback names, otherwise in
    /// those by which the call came. The dialplan `inline` is never used, because it runs every word as an application.
    #[must_use]
    pub fn of_lot(extension: &Extension, settings: &LotSettings) -> Destination {
        let fallback = settings.fallback.as_ref();
        let is_inline = |dialplan: &String| {
            dialplan
                .split(',')
                .any(|one| one.trim().split(':').next().is_some_and(|name| name.eq_ignore_ascii_case("inline")))
        };
        let named = fallback.filter(|to| to.dialplan.as_ref().is_some_and(|dialplan| !is_inline(dialplan)));
        Destination {
            extension: extension.as_str().to_owned(),
            dialplan: named.and_then(|to| to.dialplan.clone()),
            context: named.and_then(|to| to.context.clone()),
        }
    }
}

/// The settings of a lot. A call keeps the settings with which it was parked, unless they are applied to it by `callpark reload apply`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LotSettings {
    /// The slot that is chosen where none is named.
    pub slot_order: SlotOrder,
    /// What happens to a call that is sent to an occupied slot.
    pub slot_taken: SlotTaken,
    /// The lot in which the choice continues when this one is full.
    pub overflow_lot: Option<String>,
    /// How many calls one parker may have parked at a time; 0 means any number.
    pub park_limit_per_user: u32,
    /// The number at which a call is parked in a free slot.
    pub park_extension: Option<Extension>,
    /// The number that retrieves the call that has waited longest.
    pub oldest_extension: Option<Extension>,
    /// The number that asks for the slot and retrieves its call.
    pub ask_extension: Option<Extension>,
    /// The time from parking to the first recall; zero means never.
    pub park_timeout: Duration,
    /// Who is called by a recall.
    pub ringback: RingBack,
    /// How long one recall rings.
    pub ringback_timeout: Duration,
    /// The number of recalls before the fallback.
    pub ringback_attempts: u32,
    /// The time after which a busy parker is called again; zero means that a busy parker has not answered.
    pub ringback_busy_retry: Duration,
    /// How the phones of the parker are called.
    pub ringback_via: RingBackVia,
    /// The dialplan context of [`RingBackVia::Dialplan`]; `None` for the one of the parker in the directory.
    pub ringback_context: Option<String>,
    /// The tone that a parker hears who answers a recall.
    pub ringback_tone: Option<String>,
    /// What is shown before the caller's name during a recall.
    pub ringback_cid_prefix: String,
    /// The Alert-Info header of a recall.
    pub ringback_alert_info: Option<String>,
    /// Whether a recall that a voicemail answers has failed.
    pub ringback_ignore_voicemail: bool,
    /// Where a caller goes whom nobody retrieved.
    pub fallback: Option<Destination>,
    /// The time from parking after which the fallback is due in any case; zero means never.
    pub max_park_time: Duration,
    /// The time from parking after which the caller is late; zero means never.
    pub remind_after: Duration,
    /// The time from one reminder of a late caller to the next; zero means that there is one.
    pub remind_every: Duration,
    /// The music on hold; `None` for the channel's own.
    pub hold_music: Option<String>,
    /// The message that the caller hears at intervals.
    pub comfort_file: Option<String>,
    /// The time from one such message to the next.
    pub comfort_interval: Duration,
    /// The key by which the caller leaves the slot.
    pub exit_key: Option<char>,
    /// Where that key leads.
    pub exit_destination: Option<Destination>,
    /// Whether the parker hears the slot.
    pub announce: bool,
    /// The tone that the parker hears.
    pub park_tone: Option<String>,
    /// The tone that the caller hears before being connected.
    pub retrieve_tone: Option<String>,
    /// The domains whose users may park here. `Anywhere` also allows a leg that belongs to no user.
    pub park_from: UsersOf,
    /// The directory groups whose members may park; empty for all users.
    pub park_groups: Vec<String>,
    /// The domains whose users may retrieve.
    pub retrieve_from: UsersOf,
    /// The PIN that a retriever is asked for.
    pub retrieve_pin: Option<String>,
    /// The directory groups whose members may retrieve; empty for all users.
    pub retrieve_groups: Vec<String>,
    /// Whether a leg that belongs to no user may retrieve.
    pub retrieve_anonymous: bool,
    /// The dialog state of an occupied slot.
    pub lamp_state: LampState,
    /// Whether the lamp shows the caller.
    pub lamp_caller_id: bool,
    /// The notices that are sent about a call.
    pub notify: Vec<Notify>,
    /// What they are sent about.
    pub notify_on: Vec<NotifyEvent>,
    /// Whether the lot is in no configuration, but was made for a request that named it.
    pub is_new_lot: bool,
    /// Whether a caller whose time is over and who has no other fallback goes on in the dialplan.
    pub goes_on: bool,
}

impl LotSettings {
    /// The settings of a lot that is made for a request. The dialplan decides who reaches it and for how long callers wait in it.
    #[must_use]
    pub fn of_new_lot() -> LotSettings {
        LotSettings {
            park_timeout: Duration::ZERO,
            park_from: UsersOf::Anywhere,
            retrieve_from: UsersOf::Anywhere,
            is_new_lot: true,
            ..LotSettings::default()
        }
    }

    /// Whether there is something else to do with a caller than recalls.
    #[must_use]
    pub fn has_fallback(&self) -> bool {
        self.fallback.is_some() || self.goes_on
    }

    /// The longest time after which something is due by these settings.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.park_timeout.max(self.max_park_time)
    }

    /// Whether the same users may retrieve, with the same PIN.
    #[must_use]
    pub fn same_access(&self, other: &LotSettings) -> bool {
        self.retrieve_from == other.retrieve_from
            && self.retrieve_pin == other.retrieve_pin
            && self.retrieve_groups == other.retrieve_groups
            && self.retrieve_anonymous == other.retrieve_anonymous
    }
}

impl Default for LotSettings {
    fn default() -> LotSettings {
        LotSettings {
            slot_order: SlotOrder::default(),
            slot_taken: SlotTaken::default(),
            overflow_lot: None,
            park_limit_per_user: 0,
            park_extension: None,
            oldest_extension: None,
            ask_extension: None,
            park_timeout: Duration::from_secs(90),
            ringback: RingBack::default(),
            ringback_timeout: Duration::from_secs(20),
            ringback_attempts: 1,
            ringback_busy_retry: Duration::from_secs(10),
            ringback_via: RingBackVia::default(),
            ringback_context: None,
            ringback_tone: None,
            ringback_cid_prefix: "Park ${slot}: ".into(),
            ringback_alert_info: None,
            ringback_ignore_voicemail: true,
            fallback: None,
            max_park_time: Duration::ZERO,
            remind_after: Duration::ZERO,
            remind_every: Duration::ZERO,
            hold_music: None,
            comfort_file: None,
            comfort_interval: Duration::ZERO,
            exit_key: None,
            exit_destination: None,
            announce: true,
            park_tone: None,
            retrieve_tone: None,
            park_from: UsersOf::default(),
            park_groups: Vec::new(),
            retrieve_from: UsersOf::default(),
            retrieve_pin: None,
            retrieve_groups: Vec::new(),
            retrieve_anonymous: false,
            lamp_state: LampState::default(),
            lamp_caller_id: false,
            notify: Vec::new(),
            notify_on: vec![NotifyEvent::Park, NotifyEvent::Remind],
            is_new_lot: false,
            goes_on: false,
        }
    }
}

/// The settings of one call that differ from those of its lot.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CallOverrides {
    /// Instead of [`LotSettings::park_timeout`].
    pub park_timeout: Option<Duration>,
    /// Instead of [`LotSettings::ringback`].
    pub ringback: Option<RingBack>,
    /// Instead of [`LotSettings::ringback_timeout`].
    pub ringback_timeout: Option<Duration>,
    /// Instead of [`LotSettings::fallback`].
    pub fallback: Option<Destination>,
    /// Instead of [`LotSettings::hold_music`].
    pub hold_music: Option<String>,
    /// Instead of [`LotSettings::announce`].
    pub announce: Option<bool>,
    /// Instead of [`LotSettings::ringback_attempts`].
    pub ringback_attempts: Option<u32>,
    /// Instead of [`LotSettings::exit_key`] and [`LotSettings::exit_destination`].
    pub exit: Option<(char, Destination)>,
    /// Instead of [`LotSettings::goes_on`].
    pub goes_on: Option<bool>,
}

impl CallOverrides {
    /// Returns the settings of a lot with these changes.
    #[must_use]
    pub fn apply(&self, settings: &Arc<LotSettings>) -> Arc<LotSettings> {
        if *self == CallOverrides::default() {
            return Arc::clone(settings);
        }
        let CallOverrides { park_timeout, ringback, ringback_timeout, fallback, hold_music, announce, .. } =
            self.clone();
        let mut own = LotSettings::clone(settings);
        own.park_timeout = park_timeout.unwrap_or(own.park_timeout);
        own.ringback = ringback.unwrap_or(own.ringback);
        own.ringback_timeout = ringback_timeout.unwrap_or(own.ringback_timeout);
        own.fallback = fallback.or(own.fallback);
        own.hold_music = hold_music.or(own.hold_music);
        own.announce = announce.unwrap_or(own.announce);
        own.ringback_attempts = self.ringback_attempts.unwrap_or(own.ringback_attempts);
        own.goes_on = self.goes_on.unwrap_or(own.goes_on);
        if let Some((key, destination)) = self.exit.clone() {
            (own.exit_key, own.exit_destination) = (Some(key), Some(destination));
        }
        if own == **settings { Arc::clone(settings) } else { Arc::new(own) }
    }

    /// Returns these changes, and those of `other` in what they leave open.
    #[must_use]
    pub fn or(self, other: CallOverrides) -> CallOverrides {
        CallOverrides {
            park_timeout: self.park_timeout.or(other.park_timeout),
            ringback: self.ringback.or(other.ringback),
            ringback_timeout: self.ringback_timeout.or(other.ringback_timeout),
            fallback: self.fallback.or(other.fallback),
            hold_music: self.hold_music.or(other.hold_music),
            announce: self.announce.or(other.announce),
            ringback_attempts: self.ringback_attempts.or(other.ringback_attempts),
            exit: self.exit.or(other.exit),
            goes_on: self.goes_on.or(other.goes_on),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn an_extension_goes_where_the_lot_s_calls_go_and_is_never_an_application() {
        let of_lot = |fallback: &str| {
            let settings = LotSettings { fallback: Destination::parse(fallback), ..LotSettings::default() };
            let to = Destination::of_lot(&Extension::parse("hangup").unwrap(), &settings);
            (to.dialplan, to.context)
        };
        assert_eq!(of_lot("900 XML sales"), (Some("XML".to_owned()), Some("sales".to_owned())));
        for without in ["", "900", "playback:x inline", "playback:x Inline sales", "900 XML,inline:hangup sales"] {
            assert_eq!(of_lot(without), (None, None), "{without}");
        }
    }
}
