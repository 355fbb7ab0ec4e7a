//! Asks a leg for digits.

use std::ops::ControlFlow;
use std::time::Duration;

use super::{ParkingService, Prompt};
use crate::freeswitch::{self, Leg, PlaybackControl};
use crate::parking::MonotonicTime;

/// How long each key is waited for.
const KEY_TIMEOUT: Duration = Duration::from_secs(10);

/// The silence that the leg hears while keys are collected.
const SILENCE: &str = "silence_stream://30000";

/// Says `prompt` and collects keys until `#`, `most` keys, the time-out, or until `is_complete`. The first key ends the prompt. Returns `None` if there
/// was no key.
pub(crate) fn collect_digits(
    service: &ParkingService,
    leg: &Leg<'_>,
    prompt: Prompt,
    most: usize,
    is_complete: &dyn Fn(&str) -> bool,
) -> Option<String> {
    ask_digits(leg, most, KEY_TIMEOUT, is_complete, |keys| service.say(leg, prompt, "", keys))
}

/// Does the same with a prompt that `play` plays, and waits for each key for `key_timeout`. Keys are also collected if it cannot be played.
pub(crate) fn ask_digits(
    leg: &Leg<'_>,
    most: usize,
    key_timeout: Duration,
    is_complete: &dyn Fn(&str) -> bool,
    play: impl FnOnce(&mut dyn PlaybackControl),
) -> Option<String> {
    let mut keys = DigitCollector {
        typed: String::new(),
        most,
        key_timeout,
        is_complete,
        complete: false,
        prompting: true,
        until: MonotonicTime::default(),
    };
    play(&mut keys);
    keys.prompting = false;
    keys.until = freeswitch::now().after(key_timeout);
    while !keys.complete && leg.ready() && freeswitch::now() < keys.until && leg.play(SILENCE, &mut keys) {}
    Some(keys.typed).filter(|typed| !typed.is_empty())
}

struct DigitCollector<'a> {
    typed: String,
    most: usize,
    key_timeout: Duration,
    is_complete: &'a dyn Fn(&str) -> bool,
    complete: bool,
    prompting: bool,
    until: MonotonicTime,
}

impl PlaybackControl for DigitCollector<'_> {
    fn frame(&mut self) -> ControlFlow<()> {
        if !self.prompting && freeswitch::now() >= self.until {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn key(&mut self, key: char) -> ControlFlow<()> {
        self.until = freeswitch::now().after(self.key_timeout);
        if key == '#' {
            self.complete = true;
        } else {
            self.typed.push(key);
            self.complete = self.typed.len() >= self.most || (self.is_complete)(&self.typed);
        }
        if self.complete || self.prompting { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
