//! Bridges two legs, each on its own thread (`switch_ivr_bridge.c`).

use std::ffi::c_void;

use crate::cause::Cause;
use crate::core::{Core, enter};
use crate::ffi::{
    self, switch_core_session_message_types_t as Message, switch_event_types_t as Kind,
    switch_input_callback_function_t as InputCallback, switch_status_t as Status,
};
use crate::kernel::Micros;
use crate::leg::{ChannelState, LegId, Session, Sound, status};

/// The two messages that follow INDICATE_BRIDGE in FreeSWITCH's enum.
const UNBRIDGE: Message = Message(Message::SWITCH_MESSAGE_INDICATE_BRIDGE.0 + 1);
pub(crate) const TRANSFER: Message = Message(Message::SWITCH_MESSAGE_INDICATE_BRIDGE.0 + 2);

/// The time for which a leg waits until the other leg is in the bridge.
const PATIENCE: Micros = 10_000_000;

impl Core {
    /// Passes a message to all hooks of the leg, also if the leg has hung up.
    pub(crate) fn tell(&self, to: LegId, kind: Message, text: Option<&str>) -> Status {
        let (session, hooks) = self.leg(to, |leg| (leg.session.as_ptr(), leg.hooks.clone()));
        let string = text.map_or(std::ptr::null_mut(), |text| self.leg(to, |leg| leg.session.strdup(text)));
        let mut message =
            ffi::switch_core_session_message_t { message_id: kind, string_arg: string, ..Default::default() };
        for hook in hooks.into_iter().flatten() {
            // SAFETY: the module's function, which it removes before it is unloaded; the message lives through the call.
            let answer = unsafe { hook(session, &mut message) };
            if answer != Status::SWITCH_STATUS_SUCCESS {
                return answer;
            }
        }
        Status::SWITCH_STATUS_SUCCESS
    }

    /// Bridges `caller`, whose thread calls this, with `peer`, until the bridge ends. Returns false if they were never bridged.
    pub(crate) fn bridge(&self, caller: LegId, peer: LegId) -> bool {
        if self.leg(caller, |leg| leg.bypassed) {
            self.misuse("bridged a leg in bypassed media: signal bridges are not simulated");
        }
        if self.leg(peer, |leg| leg.answered) {
            self.answer(caller);
        }
        let peer_has_media = self.leg(peer, |leg| leg.answered || leg.early_media);
        let outcome = if peer_has_media { self.joined(caller, peer) } else { Outcome::Failed };
        if outcome == Outcome::Failed {
            self.hang_up(peer, Cause::NO_ANSWER);
        }
        let (caller_uuid, peer_uuid) = (self.uuid(caller), self.uuid(peer));
        self.tell(peer, UNBRIDGE, Some(&caller_uuid));
        self.tell(caller, UNBRIDGE, Some(&peer_uuid));
        self.after_bridge(caller, peer, outcome);
        outcome != Outcome::Failed
    }

    fn uuid(&self, id: LegId) -> String {
        self.leg(id, |leg| leg.uuid.clone())
    }

    fn abort(&self, caller: LegId, peer: LegId) -> Outcome {
        let cause = self.leg(caller, |leg| leg.cause);
        self.hang_up(peer, if cause == Cause::NONE { Cause::ORIGINATOR_CANCEL } else { cause });
        Outcome::Aborted
    }

    fn joined(&self, caller: LegId, peer: LegId) -> Outcome {
        if !self.leg(caller, |leg| leg.is_ready()) {
            return self.abort(caller, peer);
        }
        self.set_state(peer, ChannelState::ConsumeMedia);
        let (caller_uuid, peer_uuid) = (self.uuid(caller), self.uuid(peer));
        if self.locate(&peer_uuid).is_none() {
            return Outcome::Failed;
        }
        for (id, other) in [(caller, &peer_uuid), (peer, &caller_uuid)] {
            self.leg(id, |leg| {
                leg.set_variable("bridge_to", Some(other));
                leg.set_variable("last_bridge_to", Some(other));
            });
        }
        let outcome = self.joined_locked(caller, peer, &caller_uuid, &peer_uuid);
        self.unlock(peer);
        outcome
    }

    fn joined_locked(&self, caller: LegId, peer: LegId, caller_uuid: &str, peer_uuid: &str) -> Outcome {
        if !self.leg(caller, |leg| leg.is_ready()) {
            return self.abort(caller, peer);
        }
        let bridge = Message::SWITCH_MESSAGE_INDICATE_BRIDGE;
        let both = [(peer, caller_uuid), (caller, peer_uuid)];
        for (id, other) in both {
            if self.tell(id, bridge, Some(other)) != Status::SWITCH_STATUS_SUCCESS {
                self.abort(caller, peer);
                return Outcome::Failed;
            }
        }
        for (id, other) in both {
            self.leg(id, |leg| {
                leg.set_variable("bridge_uuid", Some(other));
                leg.set_variable("signal_bond", Some(other));
            });
        }
        let header = |name: &str, uuid: &str| (name.to_owned(), uuid.to_owned());
        let who = [header("Bridge-A-Unique-ID", caller_uuid), header("Bridge-B-Unique-ID", peer_uuid)];
        self.announce(Kind::SWITCH_EVENT_CHANNEL_BRIDGE, "", &who);
        self.leg(peer, |leg| leg.bridge_with = Some(caller));
        self.set_state(peer, ChannelState::ExchangeMedia);
        let clean = self.watching(peer, || {
            let clean = self.converse(caller, peer);
            while self.leg(peer, |leg| leg.state == ChannelState::ExchangeMedia) {
                self.wait(None, "for the other leg to leave the bridge");
            }
            clean
        });
        for (id, other) in [(peer, caller), (caller, peer)] {
            let cause = self.leg(other, |leg| leg.cause);
            if cause != Cause::NONE {
                self.leg(id, |leg| leg.set_variable("bridge_hangup_cause", Some(cause.name())));
            }
        }
        Outcome::Talked { clean }
    }

    /// The peer's side of the bridge, on the peer's thread.
    pub(crate) fn exchange_media(&self, id: LegId) {
        let Some(caller) = self.leg(id, |leg| leg.bridge_with.take()) else {
            return self.hang_up(id, Cause::DESTINATION_OUT_OF_ORDER);
        };
        let clean = self.watching(caller, || self.converse(id, caller));
        let (state, transferred) = self.leg(id, |leg| (leg.state, leg.transferred));
        if state != ChannelState::ExchangeMedia {
            return;
        }
        if !transferred && !clean {
            if self.leg(id, |leg| leg.is_true("park_after_bridge")) {
                return self.set_state(id, ChannelState::Park);
            }
            if self.transfer_after_bridge(id, "transfer_after_bridge") {
                return;
            }
            let answered = self.leg(id, |leg| leg.answered);
            self.hang_up(id, if answered { Cause::NORMAL_CLEARING } else { Cause::ORIGINATOR_CANCEL });
        }
        // There is nothing else to do: FreeSWITCH leaves it in its parking state for a moment.
        if self.leg(id, |leg| leg.state == ChannelState::ExchangeMedia) {
            self.set_state(id, ChannelState::Park);
        }
    }

    /// One leg's side of the conversation, on its own thread. Returns true if this leg was taken out of the bridge.
    fn converse(&self, me: LegId, other: LegId) -> bool {
        let other_uuid = self.uuid(other);
        if self.locate(&other_uuid).is_none() {
            return false;
        }
        self.leg(me, |leg| leg.bridged = true);
        self.changed(me);
        let clean = if self.both_there(me, other) {
            self.hear(me, Sound::Talking(other_uuid));
            self.talk(me, other)
        } else {
            false
        };
        self.leg(me, |leg| {
            leg.set_variable("bridge_to", None);
            leg.bridged = false;
        });
        self.hear_nothing(me);
        self.changed(me);
        self.unlock(other);
        clean
    }

    fn both_there(&self, me: LegId, other: LegId) -> bool {
        let until = self.kernel.now() + PATIENCE;
        loop {
            if self.leg(other, |leg| leg.bridged) {
                return true;
            }
            let hopeless = self.leg(other, |leg| leg.is_down()) || !self.leg(me, |leg| leg.is_ready());
            if hopeless || self.kernel.now() >= until {
                break;
            }
            self.wait(Some(until), "for the other leg to come into the bridge");
        }
        if !self.leg(other, |leg| leg.transferred) {
            self.hang_up(other, Cause::DESTINATION_OUT_OF_ORDER);
        }
        false
    }

    fn talk(&self, me: LegId, other: LegId) -> bool {
        loop {
            if self.leg(me, |leg| leg.transferred) {
                return true;
            }
            if self.leg(other, |leg| leg.transferred || !leg.bridged) {
                return false;
            }
            if !self.leg(me, |leg| leg.is_ready()) {
                return self.leg(me, |leg| !leg.is_down());
            }
            if self.leg(other, |leg| leg.is_down()) {
                return false;
            }
            self.pass_digits(me, other);
            match self.leg(me, |leg| leg.asides.pop_front()) {
                Some((application, data)) => self.aside(me, other, &application, &data),
                None => {
                    self.wait(None, "talks");
                }
            }
        }
    }

    /// Runs an application during the conversation. The other party does not hear it.
    fn aside(&self, me: LegId, other: LegId, application: &str, data: &str) {
        let other_uuid = self.uuid(other);
        self.tell(me, UNBRIDGE, Some(&other_uuid));
        self.hear_nothing(me);
        // Its result is in the state of the leg.
        self.leg(me, |leg| leg.runs_aside = true);
        let _ = self.run_application(me, application, data);
        self.leg(me, |leg| leg.runs_aside = false);
        self.tell(me, Message::SWITCH_MESSAGE_INDICATE_BRIDGE, Some(&other_uuid));
        if self.leg(me, |leg| leg.is_ready()) && self.leg(other, |leg| leg.bridged) {
            self.hear(me, Sound::Talking(other_uuid));
        }
    }

    /// Decides by the variables of the leg that made the bridge what happens to it.
    fn after_bridge(&self, caller: LegId, peer: LegId, outcome: Outcome) {
        let (transferred, state) = self.leg(caller, |leg| (leg.transferred, leg.state));
        if transferred || matches!(outcome, Outcome::Talked { clean: true }) {
            return;
        }
        let (answered, early, cause) = self.leg(peer, |leg| (leg.answered, leg.early_media, leg.cause));
        let cause = if cause == Cause::NONE { Cause::NORMAL_CLEARING } else { cause };
        let hangup = self.leg(caller, |leg| leg.variable("hangup_after_bridge").map(str::to_owned));
        if hangup.is_some_and(|word| word.eq_ignore_ascii_case("explicit")) {
            self.hang_up(caller, cause);
        }
        if !(answered || early) || state >= ChannelState::HungUp {
            return;
        }
        let is_true = |name: &str| self.leg(caller, |leg| leg.is_true(name));
        if (answered && is_true("park_after_bridge")) || is_true("park_after_early_bridge") {
            self.set_state(caller, ChannelState::Park);
        } else if (answered && self.transfer_after_bridge(caller, "transfer_after_bridge"))
            || self.transfer_after_bridge(caller, "transfer_after_early_bridge")
        {
        } else if answered && is_true("hangup_after_bridge") {
            self.hang_up(caller, cause);
        }
    }

    /// Returns false if the variable has no destination.
    fn transfer_after_bridge(&self, id: LegId, variable: &str) -> bool {
        let Some(to) = self.leg(id, |leg| leg.variable(variable).map(str::to_owned)) else {
            return false;
        };
        self.leg(id, |leg| leg.set_variable(variable, None));
        let mut parts = to.splitn(3, ':');
        let extension = parts.next().unwrap_or_default().to_owned();
        self.transfer(id, &extension, parts.next(), parts.next());
        true
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Failed,
    /// One of the legs ended before they were bridged.
    Aborted,
    /// `clean`: the caller was taken out of the bridge.
    Talked {
        clean: bool,
    },
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn switch_ivr_multi_threaded_bridge(
    session: *mut ffi::switch_core_session_t,
    peer: *mut ffi::switch_core_session_t,
    _input: InputCallback,
    _session_data: *mut c_void,
    _peer_data: *mut c_void,
) -> Status {
    let call = enter("switch_ivr_multi_threaded_bridge");
    // SAFETY: the module's handles are sessions of the simulator.
    let (session, peer) = unsafe { (Session::of(session, &call), Session::of(peer, &call)) };
    call.core.check_thread(session.id, "bridges");
    if call.core.leg(peer.id, |leg| leg.locks.is_empty()) {
        call.core.misuse("bridged with a leg whose session it has not read-locked");
    }
    if call.fails {
        call.core.hang_up(peer.id, Cause::NO_ANSWER);
        return Status::SWITCH_STATUS_FALSE;
    }
    status(call.core.bridge(session.id, peer.id))
}
