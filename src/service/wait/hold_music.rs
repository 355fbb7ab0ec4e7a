//! Plays music on hold and the comfort message to a waiting caller.

use std::ffi::CStr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::leg_commands::LegCommands;
use crate::freeswitch::{self, Leg, PlayResult, PlaybackControl, SuspendedVariables, Waker};
use crate::moh::{self, FarEnd, ListenResult, SharedMusic, WaitControl};
use crate::parking::{LotSettings, MonotonicTime};
use crate::service::call_log::log_call;
use crate::service::template::fill_in_from_leg;

/// The default music on hold of the core.
pub(super) const DEFAULT_MUSIC: &str = "local_stream://moh";
/// Two short tones at intervals, which need no file, if no music can be played.
const LAST_RESORT_TONES: &str = "tone_stream://%(180,120,523.25);%(260,5500,659.25);loops=-1";

/// The first and the longest delay after which music that could not be played is tried again. The delay doubles each time.
const RETRY_DELAYS: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(30)];
/// Music that ends sooner than this has failed, because starting it again and again would use too much processor time.
const MIN_PLAY_TIME: Duration = Duration::from_millis(250);
/// How long a leg may be without media before a re-INVITE asks for it again.
const MAX_WITHOUT_MEDIA: Duration = Duration::from_secs(2);
/// How often a leg that has no media, or to which nothing can be played, is checked.
const MEDIA_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Channel variables that would make the core's player end the music early, or not ask whether to stop.
const PLAYBACK_LIMIT_VARIABLES: [&CStr; 3] =
    [c"playback_timeout_sec", c"playback_timeout_sec_cumulative", c"timer_name"];

/// A music that may be played.
struct MusicChoice {
    music: String,
    /// When it is tried again, if it could not be played.
    not_before: MonotonicTime,
    /// The delay after the next failure.
    pause: Duration,
}

impl MusicChoice {
    fn new(music: String) -> MusicChoice {
        // `silence` means no music, and is not a file.
        let music = if music == "silence" { "silence_stream://-1".into() } else { music };
        MusicChoice { music, not_before: MonotonicTime::default(), pause: RETRY_DELAYS[0] }
    }

    fn postpone(&mut self, leg: &Leg<'_>) {
        if self.pause == RETRY_DELAYS[0] {
            log_call!(Warning, leg, music = self.music; "hold music cannot be played, the next choice is tried");
        }
        self.not_before = freeswitch::now().after(self.pause);
        self.pause = (self.pause * 2).min(RETRY_DELAYS[1]);
    }
}

/// The music of a waiting caller: the first of these choices that can be played. Each is tried again.
pub(in crate::service) struct Music<'a> {
    shared: &'a SharedMusic,
    choices: Vec<MusicChoice>,
    far_end: FarEnd,
    exit_key: Option<char>,
    pressed: bool,
    /// When media is asked for again, if there is none.
    fetch_at: Option<MonotonicTime>,
}

impl<'a> Music<'a> {
    pub(in crate::service) fn choose(shared: &'a SharedMusic, leg: &Leg<'_>, settings: &LotSettings) -> Music<'a> {
        let asked = [music_of_lot(leg, settings), leg.hold_music()];
        let mut choices: Vec<String> = asked.into_iter().flatten().collect();
        choices.push(DEFAULT_MUSIC.into());
        choices.push(LAST_RESORT_TONES.into());
        choices.dedup();
        let choices = choices.into_iter().map(MusicChoice::new).collect();
        let far_end = FarEnd::new();
        Music { shared, choices, far_end, exit_key: settings.exit_key, pressed: false, fetch_at: None }
    }

    pub(super) fn key_pressed(&mut self) -> bool {
        std::mem::take(&mut self.pressed)
    }

    /// Plays until there is a command, the exit key is pressed, a comfort message is due, or the channel is not ready any more.
    pub(in crate::service) fn play(&mut self, leg: &Leg<'_>, commands: &LegCommands, comfort: Option<&Comfort>) {
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
        let Some(choice) = self.choices.get_mut(at) else { return leg.sleep(MEDIA_CHECK_INTERVAL) };
        // A better choice is tried again, if that does not interrupt what is heard now.
        let end = end.into_iter().chain(better.filter(|_| moh::can_be_shared(&choice.music))).min();
        let mut waiting = Waiting { commands, end, exit_key: self.exit_key, pressed: false };
        let played = play_shared_or_alone(self.shared, leg, &choice.music, &mut self.far_end, &mut waiting);
        self.pressed = waiting.pressed;
        let too_short = played == PlayResult::Finished && freeswitch::now().since(began) < MIN_PLAY_TIME;
        if self.pressed || commands.has_command() || !leg.ready() || !leg.has_media() {
            return;
        }
        if played == PlayResult::Failed || too_short {
            choice.postpone(leg);
            if at == last {
                leg.sleep(MEDIA_CHECK_INTERVAL);
            }
        } else {
            choice.pause = RETRY_DELAYS[0];
        }
    }

    fn wait_for_media(&mut self, leg: &Leg<'_>) {
        let now = freeswitch::now();
        let at = *self.fetch_at.get_or_insert(now.after(MAX_WITHOUT_MEDIA));
        if now >= at {
            log_call!(Info, leg; "leg has no media, it is asked for again");
            leg.answer_and_anchor_media();
            self.fetch_at = Some(freeswitch::now().after(MAX_WITHOUT_MEDIA));
        }
        leg.sleep(MEDIA_CHECK_INTERVAL);
    }
}

/// Returns the `hold-music` of a lot, with the variables of the caller's leg filled in.
pub(super) fn music_of_lot(leg: &Leg<'_>, settings: &LotSettings) -> Option<String> {
    settings.hold_music.as_deref().map(|music| fill_in_from_leg(music, leg))
}

/// Plays to one leg, together with others if possible.
fn play_shared_or_alone(
    shared: &SharedMusic,
    leg: &Leg<'_>,
    music: &str,
    far_end: &mut FarEnd,
    waiting: &mut Waiting<'_>,
) -> PlayResult {
    if shared.listen(leg, music, far_end, waiting) == ListenResult::Heard {
        return PlayResult::Stopped;
    }
    let _limits = SuspendedVariables::take(leg, &PLAYBACK_LIMIT_VARIABLES);
    shared.play_alone(|| leg.play_file(music, waiting))
}

/// Listens while something plays to a waiting caller.
struct Waiting<'a> {
    commands: &'a LegCommands,
    end: Option<MonotonicTime>,
    exit_key: Option<char>,
    pressed: bool,
}

impl PlaybackControl for Waiting<'_> {
    fn frame(&mut self) -> ControlFlow<()> {
        if self.is_over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn key(&mut self, key: char) -> ControlFlow<()> {
        self.pressed = self.exit_key == Some(key);
        if self.pressed { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// The same for shared music.
impl WaitControl for Waiting<'_> {
    fn waker(&self) -> &Arc<Waker> {
        self.commands.waker()
    }

    fn sleep(&mut self, time: Duration) -> bool {
        let time = self.end.map_or(time, |end| time.min(end.since(freeswitch::now())));
        !self.commands.has_command() && self.waker().sleep(time)
    }

    fn is_over(&self) -> bool {
        self.commands.has_command() || self.end.is_some_and(|end| freeswitch::now() >= end)
    }

    fn wants_keys(&self) -> bool {
        self.exit_key.is_some()
    }

    fn key(&mut self, key: char) -> bool {
        PlaybackControl::key(self, key) == ControlFlow::Break(())
    }
}

/// The message that a waiting caller hears at intervals.
pub(in crate::service) struct Comfort {
    file: Option<String>,
    interval: Duration,
    next: MonotonicTime,
    pressed: bool,
    failed: bool,
}

impl Comfort {
    pub(in crate::service) fn of(settings: &LotSettings) -> Comfort {
        let interval = settings.comfort_interval;
        let file = settings.comfort_file.clone().filter(|_| !interval.is_zero());
        Comfort { file, interval, next: freeswitch::now().after(interval), pressed: false, failed: false }
    }

    fn when(&self) -> Option<MonotonicTime> {
        self.file.as_ref().map(|_| self.next)
    }

    pub(in crate::service) fn due(&self) -> bool {
        self.when().is_some_and(|when| freeswitch::now() >= when)
    }

    pub(super) fn key_pressed(&mut self) -> bool {
        std::mem::take(&mut self.pressed)
    }

    pub(in crate::service) fn play(&mut self, leg: &Leg<'_>, commands: &LegCommands, exit_key: Option<char>) {
        let Some(file) = &self.file else { return };
        let mut waiting = Waiting { commands, end: None, exit_key, pressed: false };
        let _limits = SuspendedVariables::take(leg, &PLAYBACK_LIMIT_VARIABLES);
        let played = leg.play(file, &mut waiting);
        if !played && leg.ready() && leg.has_media() && !commands.has_command() && !self.failed {
            log_call!(Warning, leg, file = file; "comfort message cannot be played");
            self.failed = true;
        }
        self.pressed = waiting.pressed;
        self.next = freeswitch::now().after(self.interval);
    }
}
