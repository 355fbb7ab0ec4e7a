//! The terms on which a lot parks calls: its settings, as the rules use them.

use std::sync::Arc;
use std::time::Duration;

use super::names::Extension;

/// Which free slot `auto` takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SlotOrder {
    /// The lowest number.
    #[default]
    First,
    /// The one after the last one taken.
    Next,
    /// The one that has been free for longest.
    LongestFree,
    Random,
}

/// What becomes of a call that is sent to a slot that is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SlotTaken {
    /// Back to who sent it, who is told why.
    #[default]
    Return,
    /// Into the next free slot.
    Next,
}

/// Whom a parked call rings when its time is up.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum RingBack {
    #[default]
    Parker,
    Nobody,
    /// A dial string; `${...}` in it are the parked channel's variables.
    DialString(String),
}

impl RingBack {
    /// Whether there is anybody to ring, where this is the parker; empty: nobody knows who.
    #[must_use]
    pub fn has_somebody(&self, parker: &str) -> bool {
        match self {
            RingBack::Parker => !parker.is_empty(),
            RingBack::Nobody => false,
            RingBack::DialString(_) => true,
        }
    }
}

/// The dialog state that lights a lamp: phones differ in what they make of each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LampState {
    /// Steady on most phones.
    #[default]
    Confirmed,
    /// Blinking on most phones.
    Early,
}

/// Whose users may do something in a lot: park there, or retrieve from it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum UsersOf {
    /// The lot's own domain.
    #[default]
    OwnDomain,
    Domains(Vec<String>),
    Anywhere,
}

impl UsersOf {
    #[must_use]
    pub fn allows(&self, own_domain: &str, user_domain: &str) -> bool {
        match self {
            UsersOf::OwnDomain => own_domain.eq_ignore_ascii_case(user_domain),
            UsersOf::Domains(domains) => domains.iter().any(|domain| domain.eq_ignore_ascii_case(user_domain)),
            UsersOf::Anywhere => true,
        }
    }
}

/// Where the parked caller gets to by a key, or when nobody takes the call: `<extension> [<dialplan> [<context>]]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Destination {
    pub extension: String,
    pub dialplan: Option<String>,
    pub context: Option<String>,
}

impl Destination {
    /// `None` unless `text` is one to three words.
    #[must_use]
    pub fn parse(text: &str) -> Option<Destination> {
        let mut words = text.split_whitespace().map(str::to_owned);
        let destination = Destination { extension: words.next()?, dialplan: words.next(), context: words.next() };
        words.next().is_none().then_some(destination)
    }

    /// An extension for a call of a lot: in the dialplan and context that the lot's fallback names, else in those that the call
    /// came by. The dialplan `inline` has no extensions: there, any word is an application.
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

/// One thing that is done as a call is parked. `${...}` in it stand for facts of the call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notify {
    /// A SIP MESSAGE to a user; `parker` is whoever parked the call.
    Message(String),
    /// A call to this dial string that is answered by itself and says the slot.
    Page(String),
    /// A command of FreeSWITCH's.
    Api(String),
}

/// Every setting of a lot that the rules or the service go by. A call keeps the terms it was parked under.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LotSettings {
    pub slot_order: SlotOrder,
    pub slot_taken: SlotTaken,
    pub overflow_lot: Option<String>,
    /// Most calls that one parker may hold at once; 0 = any number.
    pub park_limit_per_user: u32,
    /// Until the first ring back; zero = never.
    pub park_timeout: Duration,
    pub ringback: RingBack,
    pub ringback_timeout: Duration,
    pub ringback_attempts: u32,
    pub ringback_cid_prefix: String,
    pub ringback_alert_info: Option<String>,
    pub ringback_ignore_voicemail: bool,
    pub fallback: Option<Destination>,
    /// After which the fallback is due whatever happens; zero = never.
    pub max_park_time: Duration,
    pub hold_music: Option<String>,
    pub comfort_file: Option<String>,
    pub comfort_interval: Duration,
    pub exit_key: Option<char>,
    pub exit_destination: Option<Destination>,
    pub announce: bool,
    pub park_tone: Option<String>,
    pub retrieve_tone: Option<String>,
    /// Whose users may park here. `Anywhere` also lets somebody park who belongs to no user.
    pub park_from: UsersOf,
    /// Directory groups whose members may park; empty = all.
    pub park_groups: Vec<String>,
    pub retrieve_from: UsersOf,
    /// Digits asked of a retriever.
    pub retrieve_pin: Option<String>,
    /// Directory groups whose members may retrieve; empty = all.
    pub retrieve_groups: Vec<String>,
    /// Whether a leg that belongs to no user may retrieve.
    pub retrieve_anonymous: bool,
    pub lamp_state: LampState,
    /// Whether the lamp tells who is parked.
    pub lamp_caller_id: bool,
    /// What is done as a call is parked.
    pub notify: Vec<Notify>,
}

impl LotSettings {
    /// The longest time after which something is due under these terms.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.park_timeout.max(self.max_park_time)
    }
}

impl Default for LotSettings {
    fn default() -> LotSettings {
        LotSettings {
            slot_order: SlotOrder::default(),
            slot_taken: SlotTaken::default(),
            overflow_lot: None,
            park_limit_per_user: 0,
            park_timeout: Duration::from_secs(90),
            ringback: RingBack::default(),
            ringback_timeout: Duration::from_secs(20),
            ringback_attempts: 1,
            ringback_cid_prefix: "Park ${slot}: ".into(),
            ringback_alert_info: None,
            ringback_ignore_voicemail: true,
            fallback: None,
            max_park_time: Duration::ZERO,
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
        }
    }
}

/// Terms of one call that differ from its lot's.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CallOverrides {
    pub park_timeout: Option<Duration>,
    pub ringback: Option<RingBack>,
    pub ringback_timeout: Option<Duration>,
    pub fallback: Option<Destination>,
    pub hold_music: Option<String>,
    pub announce: Option<bool>,
}

impl CallOverrides {
    /// The lot's terms with these changes.
    #[must_use]
    pub fn apply(&self, settings: &Arc<LotSettings>) -> Arc<LotSettings> {
        if *self == CallOverrides::default() {
            return Arc::clone(settings);
        }
        let CallOverrides { park_timeout, ringback, ringback_timeout, fallback, hold_music, announce } = self.clone();
        let mut own = LotSettings::clone(settings);
        own.park_timeout = park_timeout.unwrap_or(own.park_timeout);
        own.ringback = ringback.unwrap_or(own.ringback);
        own.ringback_timeout = ringback_timeout.unwrap_or(own.ringback_timeout);
        own.fallback = fallback.or(own.fallback);
        own.hold_music = hold_music.or(own.hold_music);
        own.announce = announce.unwrap_or(own.announce);
        if own == **settings { Arc::clone(settings) } else { Arc::new(own) }
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
        let named = |dialplan: &str, context: &str| (Some(dialplan.to_owned()), Some(context.to_owned()));
        assert_eq!(of_lot("900 XML sales"), named("XML", "sales"));
        for without in ["", "900", "playback:x inline", "playback:x Inline sales", "900 XML,inline:hangup sales"] {
            assert_eq!(of_lot(without), (None, None), "{without}");
        }
    }
}
