//! What a waiting caller hears: music, and a message now and then.

use std::ffi::CStr;
use std::sync::Arc;
use std::time::Duration;

use super::call_log::log_call;
use super::leg_commands::LegCommands;
use crate::freeswitch::{self, Heard, Leg, Listener, Played, SetAside, Waker};
use crate::moh::{self, Listened, SharedMusic, WaitControl};
use crate::parking::{LotSettings, MonotonicTime};

/// The core's own music on hold.
pub(super) const MUSIC: &str = "local_stream://moh";
/// Heard where no music can be played: two short notes now and then say that the line is alive. Needs no file.
const LAST_RESORT: &str = "tone_stream://%(180,120,523.25);%(260,5500,659.25);loops=-1";

/// Music that could not be played is tried again after so long, then after twice as long, and so on up to the second.
const RETRY: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(30)];
/// What ends sooner by itself is no music: to begin it again and again would cost more than it is worth.
const SHORTEST: Duration = Duration::from_millis(250);
/// A leg may be without media for so long, because it is being changed or somebody wants it so; then it is asked for again.
const WITHOUT_MEDIA: Duration = Duration::from_secs(2);
/// How often a leg that has no media, or to which nothing can be played, looks again.
const LOOK: Duration = Duration::from_millis(100);

/// Channel variables by which the core's player would end the music early, or not ask whether to stop.
const LIMITS: [&CStr; 3] = [c"playback_timeout_sec", c"playback_timeout_sec_cumulative", c"timer_name"];

/// One kind of music.
struct Choice {
    music: String,
    /// Not tried before, since it could not be played.
    not_before: MonotonicTime,
    /// So long it is left alone when it cannot be played.
    pause: Duration,
}

impl Choice {
    fn new(music: String) -> Choice {
        // `silence` is how channels ask for none; as a file name it would not play.
        let music = if music == "silence" { "silence_stream://-1".into() } else { music };
        Choice { music, not_before: MonotonicTime::default(), pause: RETRY[0] }
    }

    fn put_off(&mut self, leg: &Leg<'_>) {
        if self.pause == RETRY[0] {
            log_call!(Warning, leg, music = self.music; "hold music cannot be played, the next choice is tried");
        }
        self.not_before = freeswitch::now().after(self.pause);
        self.pause = (self.pause * 2).min(RETRY[1]);
    }
}

/// What a waiting caller hears: the first of these that plays. None is given up for good.
pub(super) struct Music<'a> {
    shared: &'a SharedMusic,
    choices: Vec<Choice>,
    exit_key: Option<char>,
    pressed: bool,
    /// Media is asked for again then, if there is none.
    fetch_at: Option<MonotonicTime>,
}

impl<'a> Music<'a> {
    pub(super) fn choose(shared: &'a SharedMusic, leg: &Leg<'_>, settings: &LotSettings) -> Music<'a> {
        let asked = [settings.hold_music.clone(), leg.hold_music()];
        let mut choices: Vec<String> = asked.into_iter().flatten().collect();
        choices.push(MUSIC.into());
        choices.push(LAST_RESORT.into());
        choices.dedup();
        let choices = choices.into_iter().map(Choice::new).collect();
        Music { shared, choices, exit_key: settings.exit_key, pressed: false, fetch_at: None }
    }

    pub(super) fn key_pressed(&mut self) -> bool {
        std::mem::take(&mut self.pressed)
    }

    /// Plays until there is a command, the exit key, a comfort message is due, or the leg is wanted elsewhere.
    pub(super) fn play(&mut self, leg: &Leg<'_>, commands: &LegCommands, comfort: Option<&Comfort>) {
        self.play_to(leg, commands, comfort.and_then(Comfort::when));
    }

    fn play_to(&mut self, leg: &Leg<'_>, commands: &LegCommands, end: Option<MonotonicTime>) {
        if !leg.has_media() {
            return self.wait_for_media(leg);
        }
        self.fetch_at = None;
        let began = freeswitch::now();
        let last = self.choices.len().saturating_sub(1);
        let at = self.choices.iter().position(|choice| choice.not_before <= began).unwrap_or(last);
        let better = self.choices.iter().take(at).map(|choice| choice.not_before).min();
        let Some(choice) = self.choices.get_mut(at) else { return leg.sleep(LOOK) };
        // A better one is tried again where that does not tear what is heard now.
        let end = end.into_iter().chain(better.filter(|_| moh::can_be_shared(&choice.music))).min();
        let mut waiting = Waiting { commands, end, exit_key: self.exit_key, pressed: false };
        let played = play_shared_or_alone(self.shared, leg, &choice.music, &mut waiting);
        self.pressed = waiting.pressed;
        let too_short = played == Played::ToItsEnd && freeswitch::now().since(began) < SHORTEST;
        if self.pressed || commands.has_command() || !leg.ready() || !leg.has_media() {
            return;
        }
        if played == Played::Not || too_short {
            choice.put_off(leg);
            if at == last {
                leg.sleep(LOOK);
            }
        } else {
            choice.pause = RETRY[0];
        }
    }

    fn wait_for_media(&mut self, leg: &Leg<'_>) {
        let now = freeswitch::now();
        let at = *self.fetch_at.get_or_insert(now.after(WITHOUT_MEDIA));
        if now >= at {
            log_call!(Info, leg; "leg has no media, it is asked for again");
            leg.answer_and_anchor_media();
            self.fetch_at = Some(freeswitch::now().after(WITHOUT_MEDIA));
        }
        leg.sleep(LOOK);
    }
}

/// Plays to one leg, together with others if possible.
fn play_shared_or_alone(shared: &SharedMusic, leg: &Leg<'_>, music: &str, waiting: &mut Waiting<'_>) -> Played {
    if shared.listen(leg, music, waiting) == Listened::Heard {
        return Played::Stopped;
    }
    let _limits = SetAside::take(leg, &LIMITS);
    shared.alone(|| leg.play_file(music, waiting))
}

/// Listens while something plays to a waiting caller.
struct Waiting<'a> {
    commands: &'a LegCommands,
    end: Option<MonotonicTime>,
    exit_key: Option<char>,
    pressed: bool,
}

impl Waiting<'_> {
    fn is_over(&self) -> bool {
        self.commands.has_command() || self.end.is_some_and(|end| freeswitch::now() >= end)
    }
}

impl Listener for Waiting<'_> {
    fn frame(&mut self) -> Heard {
        if self.is_over() { Heard::Stop } else { Heard::GoOn }
    }

    fn key(&mut self, key: char) -> Heard {
        self.pressed = self.exit_key == Some(key);
        if self.pressed { Heard::Stop } else { Heard::GoOn }
    }
}

/// The same for music that others hear too.
impl WaitControl for Waiting<'_> {
    fn waker(&self) -> &Arc<Waker> {
        self.commands.waker()
    }

    fn nap(&mut self, time: Duration) -> bool {
        let time = self.end.map_or(time, |end| time.min(end.since(freeswitch::now())));
        if !time.is_zero() && !self.commands.has_command() {
            self.waker().sleep(time);
        }
        self.is_over()
    }

    fn wants_keys(&self) -> bool {
        self.exit_key.is_some()
    }

    fn key(&mut self, key: char) -> bool {
        Listener::key(self, key) == Heard::Stop
    }
}

/// The message that a waiting caller hears now and then.
pub(super) struct Comfort {
    file: Option<String>,
    interval: Duration,
    next: MonotonicTime,
    pressed: bool,
    failed: bool,
}

impl Comfort {
    pub(super) fn of(settings: &LotSettings) -> Comfort {
        let interval = settings.comfort_interval;
        let file = settings.comfort_file.clone().filter(|_| !interval.is_zero());
        Comfort { file, interval, next: freeswitch::now().after(interval), pressed: false, failed: false }
    }

    fn when(&self) -> Option<MonotonicTime> {
        self.file.as_ref().map(|_| self.next)
    }

    pub(super) fn due(&self) -> bool {
        self.when().is_some_and(|when| freeswitch::now() >= when)
    }

    pub(super) fn key_pressed(&mut self) -> bool {
        std::mem::take(&mut self.pressed)
    }

    pub(super) fn play(&mut self, leg: &Leg<'_>, commands: &LegCommands, exit_key: Option<char>) {
        let Some(file) = &self.file else { return };
        let mut waiting = Waiting { commands, end: None, exit_key, pressed: false };
        let _limits = SetAside::take(leg, &LIMITS);
        let played = leg.play(file, &mut waiting);
        if !played && leg.ready() && leg.has_media() && !commands.has_command() && !self.failed {
            log_call!(Warning, leg, file = file; "comfort message cannot be played");
            self.failed = true;
        }
        self.pressed = waiting.pressed;
        self.next = freeswitch::now().after(self.interval);
    }
}
