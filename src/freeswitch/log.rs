//! Writes the records of the `log` crate to FreeSWITCH's console and log file.
//!
//! A line is a phrase followed by `key=value`. A record with the key [`UUID`] is about a channel: it is logged on that channel, so that
//! FreeSWITCH's own filters by UUID find it (`uuid` in logfile.conf.xml, `/uuid` in fs_cli), and obeys the channel's own log level.

use std::ffi::{CStr, c_char, c_int};
use std::fmt::{self, Display, Write};
use std::panic::Location;
use std::ptr;

use log::kv::{self, Key, Value, VisitSource};

use super::session::SessionGuard;
use super::text::to_c;
use crate::ffi::{self, switch_log_level_t as HostLevel, switch_text_channel_t as Channel};

/// The key that names the channel of a line. It is not written as text.
pub(crate) const UUID: &str = "uuid";
/// The key of a reason or an error text.
const CAUSE: &str = "cause";
/// The target of a record that is logged as a NOTICE, a level that the `log` crate does not have.
const NOTICE: &str = "mod_callpark::notice";
/// The maximum numbers of characters of a phrase and of one value, because text from a stranger may be longer.
const MAX_PHRASE_CHARS: usize = 1000;
const MAX_VALUE_CHARS: usize = 200;
/// The same for the value of [`CAUSE`], which may list what was expected.
const MAX_CAUSE_CHARS: usize = 600;
/// The maximum number of bytes of a line. mod_logfile cuts a line off at 2,048, including its own prefix, the UUID and the line break.
const MAX_LINE_BYTES: usize = 1800;

/// The levels of a log line, as FreeSWITCH has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LogLevel {
    /// An operator must act.
    Error,
    /// Something is degraded.
    Warning,
    /// A call was parked, or has its outcome.
    Notice,
    /// Another change.
    Info,
    /// A decision and its reason.
    Debug,
}

/// Writes one line. `keys` are written in their order; one of them may be [`UUID`].
#[track_caller]
pub(crate) fn log_line(level: LogLevel, keys: &[(&str, &dyn Display)], phrase: fmt::Arguments<'_>) {
    let (level, target) = match level {
        LogLevel::Error => (log::Level::Error, "mod_callpark"),
        LogLevel::Warning => (log::Level::Warn, "mod_callpark"),
        LogLevel::Notice => (log::Level::Info, NOTICE),
        LogLevel::Info => (log::Level::Info, "mod_callpark"),
        LogLevel::Debug => (log::Level::Debug, "mod_callpark"),
    };
    let (keys, from) = (KeyValues(keys), Location::caller());
    let mut record = log::Record::builder();
    record.level(level).target(target).file(Some(from.file())).line(Some(from.line()));
    log::logger().log(&record.key_values(&keys).args(phrase).build());
}

struct KeyValues<'a>(&'a [(&'a str, &'a dyn Display)]);

impl kv::Source for KeyValues<'_> {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), kv::Error> {
        self.0
            .iter()
            .try_for_each(|(key, value)| visitor.visit_pair(Key::from_str(key), Value::from_dyn_display(value)))
    }
}

struct Console;

impl log::Log for Console {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        // The records of libraries are not written to the log of the operator.
        metadata.target().starts_with("mod_callpark") && host_level(metadata).0 <= core_level().0
    }

    fn log(&self, record: &log::Record<'_>) {
        if !record.target().starts_with("mod_callpark") {
            return;
        }
        let uuid = record.key_values().get(Key::from_str(UUID)).map(|uuid| uuid.to_string());
        let leg = uuid.as_deref().and_then(SessionGuard::find);
        let level = host_level(record.metadata());
        let leg_level = leg.as_ref().map_or(HostLevel::SWITCH_LOG_DISABLE, |leg| leg.log_level());
        // Nothing is formatted for a line that is not wanted.
        if level.0 > core_level().0.max(leg_level.0) {
            return;
        }
        let uuid = uuid.as_deref().map(to_c);
        let (channel, userdata): (_, *const c_char) = match (&leg, &uuid) {
            (Some(leg), _) => (Channel::SWITCH_CHANNEL_ID_SESSION, leg.as_ptr().cast_const().cast()),
            (None, Some(uuid)) => (Channel::SWITCH_CHANNEL_ID_LOG, uuid.as_ptr()),
            (None, None) => (Channel::SWITCH_CHANNEL_ID_LOG, ptr::null()),
        };
        let file = to_c(record.file().unwrap_or("mod_callpark"));
        let line = c_int::try_from(record.line().unwrap_or(0)).unwrap_or(0);
        let text = to_c(&format!("callpark: {}\n", text_of(record)));
        // SAFETY: every pointer is a C string that lives through the call, or with SWITCH_CHANNEL_ID_SESSION a session whose lock `leg`
        // holds (`switch_log_meta_vprintf` in switch_log.c); the only conversion in the constant format is %s, so text from callers is
        // never a format.
        unsafe {
            ffi::switch_log_printf(
                channel,
                file.as_ptr(),
                c"callpark".as_ptr(),
                line,
                userdata,
                level,
                FORMAT.as_ptr(),
                text.as_ptr(),
            );
        }
    }

    fn flush(&self) {}
}

const FORMAT: &CStr = c"%s";

fn host_level(metadata: &log::Metadata<'_>) -> HostLevel {
    match metadata.level() {
        log::Level::Error => HostLevel::SWITCH_LOG_ERROR,
        log::Level::Warn => HostLevel::SWITCH_LOG_WARNING,
        log::Level::Info if metadata.target() == NOTICE => HostLevel::SWITCH_LOG_NOTICE,
        log::Level::Info => HostLevel::SWITCH_LOG_INFO,
        log::Level::Debug | log::Level::Trace => HostLevel::SWITCH_LOG_DEBUG,
    }
}

/// Returns the level above which FreeSWITCH drops each line, except lines about a channel with a level of its own.
fn core_level() -> HostLevel {
    // A value below SWITCH_LOG_DISABLE reads the level and sets nothing (`switch_core_session_ctl` in switch_core.c).
    let mut level: c_int = -2;
    // SAFETY: for this command the core reads and writes one int, which lives through the call.
    unsafe { ffi::switch_core_session_ctl(ffi::switch_session_ctl_t::SCSC_LOGLEVEL, ptr::from_mut(&mut level).cast()) };
    // The core does not answer while it shuts down. Then it gets every line.
    if level == -2 { HostLevel::SWITCH_LOG_DEBUG } else { HostLevel(level) }
}

/// Returns the phrase and the keys of a record as one line.
fn text_of(record: &log::Record<'_>) -> String {
    struct Pairs(String);
    impl<'kvs> VisitSource<'kvs> for Pairs {
        fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
            if key.as_str() != UUID {
                let most = if key.as_str() == CAUSE { MAX_CAUSE_CHARS } else { MAX_VALUE_CHARS };
                write!(self.0, " {key}={}", quoted(&value.to_string(), most))?;
            }
            Ok(())
        }
    }
    let mut pairs = Pairs(in_one_line(&record.args().to_string()));
    // Writing to a string cannot fail, nor does a source of this module.
    let _ = record.key_values().visit(&mut pairs);
    let mut text = pairs.0;
    if text.len() > MAX_LINE_BYTES {
        let end = (0..=MAX_LINE_BYTES).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Returns a phrase without line breaks and control characters.
fn in_one_line(phrase: &str) -> String {
    let mut line = String::new();
    for c in phrase.trim_end().chars().take(MAX_PHRASE_CHARS) {
        match c {
            '\n' | '\r' | '\t' => line.push(' '),
            '"' | '\'' => line.push(c),
            c => push_escaped(&mut line, c),
        }
    }
    line
}

/// Returns a value as it stands behind its key: at most `most` characters, in quotes and with escapes if it is not one word.
fn quoted(value: &str, most: usize) -> String {
    let mut written = String::new();
    for c in value.chars().take(most) {
        push_escaped(&mut written, c);
    }
    if value.chars().nth(most).is_some() {
        written.push('…');
    }
    let is_one_word = !written.is_empty() && !written.contains([' ', '=', '\\']);
    if is_one_word { written } else { format!("\"{written}\"") }
}

/// Adds a character, as `\u{a}` if it is not printable or a backslash. The shorter escapes cannot be used, because mod_logfile makes a line break of a
/// backslash and an `n`, and a quote of a backslash and a quote (`cleanup_separated_string` in switch_utils.c). A double quote becomes a single
/// one, which is easier to read than an escape.
fn push_escaped(text: &mut String, c: char) {
    match c {
        '"' | '\'' => text.push('\''),
        '\\' => text.extend(c.escape_unicode()),
        c if c.escape_debug().count() > 1 => text.extend(c.escape_unicode()),
        c => text.push(c),
    }
}

/// Sends the records of the `log` crate to FreeSWITCH. A second call does nothing, because a reloaded module may still have its old statics.
pub(crate) fn install() {
    if log::set_logger(&Console).is_ok() {
        log::set_max_level(log::LevelFilter::Debug);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_one_word_or_stands_in_quotes() {
        for plain in ["701", "*5901", "main@example.com", "+4930123", "12s", "Müller", "a/b;c,d", "O'Neil"] {
            assert_eq!(quoted(plain, MAX_VALUE_CHARS), plain);
        }
        for (value, written) in [
            ("", r#""""#),
            ("front desk", r#""front desk""#),
            ("a=b", r#""a=b""#),
            ("a\" slot=9", r#""a' slot=9""#),
            ("a\\nb", r#""a\u{5c}nb""#),
            ("a\r\n2026-01-01 [ERR] b", r#""a\u{d}\u{a}2026-01-01 [ERR] b""#),
            ("\u{1b}[31mred", r#""\u{1b}[31mred""#),
            ("\u{9b}2J", r#""\u{9b}2J""#),
            ("\u{202e}txet", r#""\u{202e}txet""#),
            ("\u{2028}line", r#""\u{2028}line""#),
        ] {
            assert_eq!(quoted(value, MAX_VALUE_CHARS), written);
        }
        assert_eq!(quoted(&"x".repeat(100_000), MAX_VALUE_CHARS).chars().count(), MAX_VALUE_CHARS + 1);
    }

    #[test]
    fn a_phrase_stays_in_its_line() {
        assert_eq!(in_one_line("it's \"odd\"\n"), "it's \"odd\"");
        assert_eq!(in_one_line("a\nb\tc\u{1b}[2Jd\u{0}"), "a b c\\u{1b}[2Jd\\u{0}");
        assert_eq!(in_one_line("a\\nb"), "a\\u{5c}nb");
        assert_eq!(in_one_line(&"x".repeat(5000)).len(), MAX_PHRASE_CHARS);
    }

    #[test]
    fn keys_follow_the_phrase_in_their_order() {
        let keys: [(&str, &dyn Display); 3] = [("slot", &"701"), (UUID, &"7e57"), ("caller", &"a b")];
        let keys = KeyValues(&keys);
        let record = log::Record::builder().args(format_args!("parked call")).key_values(&keys).build();
        assert_eq!(text_of(&record), "parked call slot=701 caller=\"a b\"");
    }
}
