//! Legs: one side of a call, each with a thread of its own that goes from state to state.

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
use crate::ffi;
use crate::kernel::TaskId;

/// Where a leg is in its life, with the host's numbers (`switch_channel_state_t`).
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

/// What somebody hears.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sound {
    /// Nothing at all, on a line that is up: what a caller must never hear for long.
    Silence,
    /// The line is not answered yet.
    Ringing,
    /// A file or stream, by its name.
    Playing(String),
    /// A phrase macro, with its data.
    Phrase(String, String),
    /// Whoever has the leg of that UUID.
    Talking(String),
}

impl Sound {
    /// The line is up, and nothing is to be heard.
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
    /// The state that the leg's thread has taken up.
    pub(crate) running: ChannelState,
    pub(crate) cause: Cause,
    pub(crate) answered: bool,
    pub(crate) early_media: bool,
    pub(crate) bridged: bool,
    pub(crate) transferred: bool,
    /// Its media goes past the host.
    pub(crate) bypassed: bool,
    /// The far end has put it on hold.
    pub(crate) holding: bool,
    /// To applications it looks as if it were wanted elsewhere.
    pub(crate) interrupted: bool,
    /// An answer from the host is refused by the far end.
    pub(crate) refuses_answer: bool,
    pub(crate) keys: VecDeque<char>,
    /// Read locks, by the thread that holds each.
    pub(crate) locks: Vec<TaskId>,
    pub(crate) hooks: Vec<ffi::switch_receive_message_hook_t>,
    /// Threads to be told of every change.
    pub(crate) watchers: Vec<TaskId>,
    /// Whom this leg is to be bridged with when it takes up the exchange of media.
    pub(crate) bridge_with: Option<LegId>,
    /// Applications still to be run in the extension that the leg is in.
    pub(crate) plan: VecDeque<(String, String)>,
    /// Applications that somebody wants run in the middle of a bridge.
    pub(crate) asides: VecDeque<(String, String)>,
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
            locks: Vec::new(),
            hooks: Vec::new(),
            watchers: Vec::new(),
            bridge_with: None,
            plan: VecDeque::new(),
            asides: VecDeque::new(),
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

    /// An application may go on (`switch_channel_test_ready`).
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

    /// A variable, by its name in whatever case (`switch_event_get_header`).
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// An empty value deletes it, as in the host.
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

    /// In the order in which they came.
    pub(crate) fn all(&self) -> impl Iterator<Item = (LegId, &LegState)> {
        self.0.iter().enumerate().map(|(at, leg)| (LegId(at), leg))
    }
}

impl Core {
    pub(crate) fn leg<R>(&self, id: LegId, what: impl FnOnce(&mut LegState) -> R) -> R {
        what(self.state().legs.get_mut(id))
    }

    /// A leg whose thread has not begun yet.
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
            // At large it may be quicker than the line below.
            core.leg(id, |leg| leg.task = Some(me()));
            core.live(id);
        });
        self.leg(id, |leg| leg.task = Some(task));
    }

    /// Something about this leg is no longer as it was: its own thread and all who watch it look again.
    pub(crate) fn changed(&self, id: LegId) {
        let threads: Vec<TaskId> = self.leg(id, |leg| leg.task.iter().chain(&leg.watchers).copied().collect());
        for thread in threads {
            self.kernel.poke(thread);
        }
    }

    /// Runs `what` while the calling thread is told of every change of `id`.
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

    /// As `switch_channel_set_state`: a leg that is hung up stays so.
    pub(crate) fn set_state(&self, id: LegId, state: ChannelState) {
        self.leg(id, |leg| {
            if !leg.is_down() {
                leg.state = state;
            }
        });
        self.changed(id);
    }

    /// Only the first cause counts.
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

    /// What a leg hears when nothing is played to it.
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

    /// The leg's thread, from beginning to end (`switch_core_session_run`).
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
                ChannelState::Init => self.set_state(id, ChannelState::Routing),
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
