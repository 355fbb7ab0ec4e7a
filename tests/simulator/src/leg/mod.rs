//! Simulates legs, each with a thread of its own that runs the states of the channel.

mod channel;
mod handle;
mod list;
mod profile;
mod session;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use channel::*;
pub use handle::{HeardSound, Leg};
pub(crate) use list::*;
pub(crate) use profile::*;
pub(crate) use session::*;

use crate::cause::Cause;
use crate::core::{Core, me};
use crate::digits::Dtmf;
use crate::ffi;
use crate::kernel::TaskId;

/// The state of a leg, with FreeSWITCH's numbers (`switch_channel_state_t`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ChannelState {
    Init = 1,
    Routing = 2,
    Execute = 4,
    ExchangeMedia = 5,
    Park = 6,
    ConsumeMedia = 7,
    HungUp = 10,
}

const _: () = assert!(ChannelState::HungUp as u32 == ffi::switch_channel_state_t::CS_HANGUP.0);

/// The sound that a leg hears.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sound {
    /// No sound on an answered leg. A caller must never hear this for long.
    Silence,
    /// The leg is not answered yet.
    Ringing,
    /// A file or stream with this name.
    Playing(String),
    /// A phrase macro and its data.
    Phrase(String, String),
    /// The other party, whose leg has this UUID.
    Talking(String),
}

impl Sound {
    /// Whether the leg is answered and there is no sound.
    pub fn is_silence(&self) -> bool {
        match self {
            Sound::Silence => true,
            Sound::Playing(file) => file.starts_with("silence_stream://"),
            _ => false,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct LegId(usize);

#[derive(Default)]
pub(crate) struct Legs(Vec<LegState>);

pub(crate) struct LegState {
    pub(crate) uuid: String,
    pub(crate) session: Box<Session>,
    pub(crate) task: Option<TaskId>,
    pub(crate) outbound: bool,
    pub(crate) profile: Profile,
    pub(crate) originator: Option<Profile>,
    pub(crate) originatee: Option<Profile>,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) state: ChannelState,
    /// The state that the leg's thread runs.
    pub(crate) running: ChannelState,
    pub(crate) cause: Cause,
    pub(crate) answered: bool,
    pub(crate) early_media: bool,
    pub(crate) bridged: bool,
    pub(crate) transferred: bool,
    /// Whether it is in bypass media.
    pub(crate) bypassed: bool,
    /// Whether the far end has put it on hold.
    pub(crate) holding: bool,
    /// Whether applications see it as being transferred.
    pub(crate) interrupted: bool,
    /// Whether the far end refuses an answer.
    pub(crate) refuses_answer: bool,
    pub(crate) keys: VecDeque<char>,
    pub(crate) dtmf: Dtmf,
    /// The read locks, with the thread that holds each.
    pub(crate) locks: Vec<TaskId>,
    pub(crate) hooks: Vec<ffi::switch_receive_message_hook_t>,
    /// The threads that are poked at every change.
    pub(crate) watchers: Vec<TaskId>,
    /// The leg with which this leg is bridged when it begins to exchange media.
    pub(crate) bridge_with: Option<LegId>,
    /// The applications of the leg's extension that are still to run.
    pub(crate) plan: VecDeque<(String, String)>,
    /// The applications to run during the bridge.
    pub(crate) asides: VecDeque<(String, String)>,
    pub(crate) runs_aside: bool,
    pub(crate) application: Option<String>,
    pub(crate) hears: Sound,
    pub(crate) hears_since: Duration,
    pub(crate) heard: Vec<HeardSound>,
    pub(crate) destroyed: bool,
}

impl LegState {
    fn new(uuid: String, session: Box<Session>, outbound: bool, profile: Profile, now: Duration) -> LegState {
        LegState {
            session,
            task: None,
            outbound,
            profile,
            originator: None,
            originatee: None,
            variables: vec![("uuid".into(), uuid.clone())],
            uuid,
            state: ChannelState::Init,
            running: ChannelState::Init,
            cause: Cause::NONE,
            answered: false,
            early_media: false,
            bridged: false,
            transferred: false,
            bypassed: false,
            holding: false,
            interrupted: false,
            refuses_answer: false,
            keys: VecDeque::new(),
            dtmf: Dtmf::default(),
            locks: Vec::new(),
            hooks: Vec::new(),
            watchers: Vec::new(),
            bridge_with: None,
            plan: VecDeque::new(),
            asides: VecDeque::new(),
            runs_aside: false,
            application: None,
            hears: Sound::Ringing,
            hears_since: now,
            heard: Vec::new(),
            destroyed: false,
        }
    }

    pub(crate) fn is_down(&self) -> bool {
        self.state >= ChannelState::HungUp
    }

    /// Whether an application may continue (`switch_channel_test_ready`).
    pub(crate) fn is_ready(&self) -> bool {
        self.state > ChannelState::Routing
            && !self.is_down()
            && !self.transferred
            && !self.interrupted
            && self.state == self.running
    }

    pub(crate) fn media_ready(&self) -> bool {
        (self.answered || self.early_media) && !self.bypassed
    }

    /// The variable with this name, which is case-insensitive (`switch_event_get_header`).
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Sets a variable. An empty value deletes it, as in FreeSWITCH.
    pub(crate) fn set_variable(&mut self, name: &str, value: Option<&str>) {
        self.variables.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.variables.push((name.to_owned(), value.to_owned()));
        }
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.variable(name).is_some_and(|value| {
            ["yes", "on", "true", "t", "enabled", "active", "allow"].iter().any(|word| value.eq_ignore_ascii_case(word))
                || value.parse::<i64>().is_ok_and(|number| number != 0)
        })
    }

    fn hear(&mut self, now: Duration, sound: Sound) {
        if sound == self.hears {
            return;
        }
        let before = std::mem::replace(&mut self.hears, sound);
        let since = std::mem::replace(&mut self.hears_since, now);
        if now > since {
            self.heard.push(HeardSound { from: since, to: now, sound: before });
        }
    }
}

impl Legs {
    pub(crate) fn get_mut(&mut self, id: LegId) -> &mut LegState {
        &mut self.0[id.0]
    }

    pub(crate) fn find(&self, uuid: &str) -> Option<LegId> {
        self.0.iter().rposition(|leg| !leg.destroyed && leg.uuid == uuid).map(LegId)
    }

    /// All legs, in the order in which they were made.
    pub(crate) fn all(&self) -> impl Iterator<Item = (LegId, &LegState)> {
        self.0.iter().enumerate().map(|(at, leg)| (LegId(at), leg))
    }
}

impl Core {
    pub(crate) fn leg<R>(&self, id: LegId, what: impl FnOnce(&mut LegState) -> R) -> R {
        what(self.state().legs.get_mut(id))
    }

    /// Makes a leg, whose thread is not started.
    pub(crate) fn new_leg(&self, outbound: bool, mut profile: Profile) -> LegId {
        let now = self.since_start();
        let mut state = self.state();
        let id = LegId(state.legs.0.len());
        let uuid = format!("00000000-0000-4000-8000-{:012x}", id.0 + 1);
        profile.set("uuid", &uuid);
        profile.set("profile_index", "1");
        let session = Session::new(id, &uuid);
        state.legs.0.push(LegState::new(uuid, session, outbound, profile, now));
        id
    }

    pub(crate) fn begin_leg(self: &Arc<Core>, id: LegId) {
        let name = self.leg(id, |leg| format!("leg {} ({})", leg.uuid, leg.profile.field("caller_id_name")));
        let task = self.spawn(&name, move |core| {
            // In real-time mode the thread may run before the next line.
            core.leg(id, |leg| leg.task = Some(me()));
            core.live(id);
        });
        self.leg(id, |leg| leg.task = Some(task));
    }

    /// Pokes the leg's own thread and all threads that watch it, after a change.
    pub(crate) fn changed(&self, id: LegId) {
        let threads: Vec<TaskId> = self.leg(id, |leg| leg.task.iter().chain(&leg.watchers).copied().collect());
        for thread in threads {
            self.kernel.poke(thread);
        }
    }

    /// Runs `what` while every change of `id` pokes the calling thread.
    pub(crate) fn watching<R>(&self, id: LegId, what: impl FnOnce() -> R) -> R {
        let me = me();
        self.leg(id, |leg| leg.watchers.push(me));
        let result = what();
        self.leg(id, |leg| {
            if let Some(at) = leg.watchers.iter().position(|watcher| *watcher == me) {
                leg.watchers.remove(at);
            }
        });
        result
    }

    /// Sets the state as `switch_channel_set_state` does: a leg that has hung up stays in that state.
    pub(crate) fn set_state(&self, id: LegId, state: ChannelState) {
        self.leg(id, |leg| {
            if !leg.is_down() {
                leg.state = state;
            }
        });
        self.changed(id);
    }

    /// Hangs up the leg. Only the first cause counts.
    pub(crate) fn hang_up(&self, id: LegId, cause: Cause) {
        let now = self.since_start();
        let first = self.leg(id, |leg| {
            let first = !leg.is_down();
            if first {
                leg.state = ChannelState::HungUp;
                leg.cause = cause;
                leg.hear(now, Sound::Silence);
            }
            first
        });
        if first {
            self.changed(id);
        }
    }

    pub(crate) fn hear(&self, id: LegId, sound: Sound) {
        let now = self.since_start();
        self.leg(id, |leg| {
            if !leg.is_down() {
                leg.hear(now, sound);
            }
        });
    }

    /// The sound of a leg to which nothing is played.
    pub(crate) fn hear_nothing(&self, id: LegId) {
        let quiet = self.leg(id, |leg| if leg.answered || leg.early_media { Sound::Silence } else { Sound::Ringing });
        self.hear(id, quiet);
    }

    pub(crate) fn mark_answered(&self, id: LegId) {
        let was_ringing = self.leg(id, |leg| {
            leg.answered = true;
            leg.hears == Sound::Ringing
        });
        if was_ringing {
            self.hear_nothing(id);
        }
        self.changed(id);
    }

    /// The function of the leg's thread (`switch_core_session_run`).
    fn live(self: &Arc<Core>, id: LegId) {
        loop {
            let state = self.leg(id, |leg| {
                leg.running = leg.state;
                leg.transferred = false;
                leg.state
            });
            self.changed(id);
            match state {
                ChannelState::HungUp => break,
                ChannelState::Init => {
                    self.tell_state_handlers(id);
                    self.set_state(id, ChannelState::Routing);
                }
                ChannelState::Routing => self.route(id),
                ChannelState::Execute => self.execute(id),
                ChannelState::ExchangeMedia => self.exchange_media(id),
                ChannelState::ConsumeMedia | ChannelState::Park => self.hear_nothing(id),
            }
            while self.leg(id, |leg| leg.state == leg.running) {
                self.wait(None, "in its state");
            }
        }
        while self.leg(id, |leg| !leg.locks.is_empty()) {
            self.wait(None, "hung up, but still read-locked");
        }
        self.leg(id, |leg| {
            leg.destroyed = true;
            leg.session.free_pool();
        });
    }
}
