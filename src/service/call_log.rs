//! Lines in the log about one call. All of them carry the same keys, in the same order, and are logged on the call's channel.

use std::borrow::Cow;
use std::fmt::{self, Display};

use crate::freeswitch::{Leg, LogLevel, UUID, log_line};
use crate::parking::{Call, CallInfo, ParkRequest};

/// What a line is about.
pub(crate) struct About<'a> {
    pub(super) slot: Option<&'a dyn Display>,
    pub(super) lot: Option<&'a dyn Display>,
    pub(super) caller: Option<&'a str>,
    pub(super) parker: Option<&'a str>,
    pub(super) uuid: Cow<'a, str>,
}

impl About<'_> {
    /// A channel of which nothing else is known.
    pub(crate) fn channel(uuid: &str) -> About<'_> {
        About { slot: None, lot: None, caller: None, parker: None, uuid: uuid.into() }
    }

    /// Writes the line: the keys of the call, then `more`.
    #[track_caller]
    pub(crate) fn log(&self, level: LogLevel, more: &[(&str, &dyn Display)], phrase: fmt::Arguments<'_>) {
        let mut keys: Vec<(&str, &dyn Display)> = vec![(UUID, &self.uuid)];
        keys.extend(self.slot.map(|slot| ("slot", slot)));
        keys.extend(self.lot.map(|lot| ("lot", lot)));
        keys.extend(self.caller.as_ref().map(|caller| ("caller", caller as &dyn Display)));
        keys.extend(self.parker.as_ref().map(|parker| ("parker", parker as &dyn Display)));
        keys.extend_from_slice(more);
        log_line(level, &keys, phrase);
    }
}

impl<'a> From<&'a CallInfo> for About<'a> {
    fn from(info: &'a CallInfo) -> About<'a> {
        About {
            slot: Some(&info.slot),
            lot: Some(&info.lot),
            caller: Some(&info.caller.number),
            parker: Some(&info.parker),
            uuid: (&*info.uuid).into(),
        }
    }
}

impl<'a> From<&'a Call> for About<'a> {
    fn from(call: &'a Call) -> About<'a> {
        About::from(&*call.info)
    }
}

/// A call that has no slot yet.
impl<'a> From<&'a ParkRequest> for About<'a> {
    fn from(request: &'a ParkRequest) -> About<'a> {
        About { caller: Some(&request.caller.number), parker: Some(&request.parker), ..About::channel(&request.uuid) }
    }
}

impl From<&Leg<'_>> for About<'_> {
    fn from(leg: &Leg<'_>) -> Self {
        About { slot: None, lot: None, caller: None, parker: None, uuid: leg.uuid().into() }
    }
}

/// Logs a line about a call: `log_call!(Info, call, attempt = 1, cause = cause; "recall failed")`. The second argument is a [`Call`], a
/// [`CallInfo`], a [`ParkRequest`], a [`Leg`] or an [`About`].
macro_rules! log_call {
    ($level:ident, $about:expr $(, $key:ident = $value:expr)* ; $($phrase:tt)+) => {
        $crate::service::About::from($about).log(
            $crate::freeswitch::LogLevel::$level,
            &[$((stringify!($key), &$value as &dyn std::fmt::Display)),*],
            format_args!($($phrase)+),
        )
    };
}
pub(crate) use log_call;
