//! Serves a parked call on the thread of its leg: plays music, executes commands, connects the retriever, and ends the call.

pub(super) mod hold_music;
pub(super) mod leg_commands;
mod panic_recovery;

use std::ffi::CStr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::call_log::log_call;
use super::ending::Ending;
use super::park::enter_slot::Coming;
use super::recall::dial::displayable;
use super::{ParkingService, Retriever, identity};
use crate::freeswitch::{self, Bridged, HangupCause, Leg, PlaybackControl, SessionGuard, SuspendedVariables};
use crate::parking::{Call, Claimant, LeaveReason, MonotonicTime, Outcome, Party};
use hold_music::{Comfort, DEFAULT_MUSIC, Music, music_of_lot};
use leg_commands::{LegCommand, LegCommands};

/// The variables by which the core would hang up or move a leg when a bridge ends. They are removed while a retriever is being connected, because the
/// caller waits on if that fails, and while a leg is on the way to its slot.
pub(in crate::service) const AFTER_BRIDGE_VARIABLES: [&CStr; 5] = [
    c"hangup_after_bridge",
    c"park_after_bridge",
    c"park_after_early_bridge",
    c"transfer_after_bridge",
    c"transfer_after_early_bridge",
];

/// The longest part of a tone that is played at retrieval, because the retriever hears nothing meanwhile.
const MAX_RETRIEVE_TONE: Duration = Duration::from_secs(10);

impl ParkingService {
    /// Serves a parked call until it has its outcome and the leg was moved or has hung up.
    pub(super) fn wait_loop(self: &Arc<Self>, leg: &Leg<'_>, call: &Call, commands: &LegCommands) {
        let settings = &call.info.settings;
        let mut music = Music::choose(&self.music, leg, settings);
        let mut comfort = Comfort::of(settings);
        loop {
            match commands.take(leg) {
                Some(LegCommand::Connect(retriever) | LegCommand::Return(retriever)) => {
                    if self.connect(leg, call, &retriever) {
                        // The conversation is over. The applications after `callpark_park` are for calls that could not be parked.
                        if leg.ready() {
                            leg.hang_up(HangupCause::NormalClearing);
                        }
                        return;
                    }
                }
                // The dialplan has something else for the caller.
                Some(LegCommand::FallBack) if settings.goes_on => return self.on_left_slot(leg, call),
                Some(LegCommand::FallBack) => self.fall_back(leg, call),
                Some(LegCommand::Forget) => return idle_until_hangup(leg),
                Some(LegCommand::SlotFree) => {
                    if let Some(call) = self.take_free_slot(&call.info.uuid) {
                        return drop(self.enter_slot(leg, &call, Coming::Sent));
                    }
                }
                None if commands.is_lost(leg) => return self.on_left_slot(leg, call),
                None if comfort.due() => comfort.play(leg, commands, settings.exit_key),
                None => music.play(leg, commands, Some(&comfort)),
            }
            if music.key_pressed() || comfort.key_pressed() {
                leave_by_exit_key(self, leg, call);
            }
        }
    }

    /// Connects the caller with a retriever, and returns when their conversation is over. Returns false if they were not connected.
    fn connect(&self, leg: &Leg<'_>, call: &Call, retriever: &Retriever) -> bool {
        let other = SessionGuard::find(&retriever.uuid);
        let talked = match other
            .as_ref()
            .filter(|other| self.is_claimed(call, retriever, other) && leg.answer_and_anchor_media())
        {
            None => false,
            Some(other) => {
                if let Some(tone) = &call.info.settings.retrieve_tone {
                    leg.play(tone, &mut UntilDeadline(freeswitch::now().after(MAX_RETRIEVE_TONE), other));
                }
                let retriever_party = identity::party(other);
                self.is_claimed(call, retriever, other)
                    && self.bridge(leg, other, &call.info.caller, &retriever_party, &mut || {
                        self.connected(leg, other, call, retriever);
                        if leg.holding() {
                            let music = leg.hold_music().or_else(|| music_of_lot(leg, &call.info.settings));
                            self.held_conversations.begin(leg, other, music.as_deref().unwrap_or(DEFAULT_MUSIC));
                        }
                    })
            }
        };
        if let Some(other) = other.as_ref().filter(|_| talked) {
            // This has no effect, unless a panic prevented it when they were connected.
            self.connected(leg, other, call, retriever);
        } else {
            let (user, uuid) = (&retriever.user, &retriever.uuid);
            log_call!(Warning, call, retriever = user, retriever_uuid = uuid; "retriever was not connected, the caller waits on");
            self.give_up(call, retriever, other.as_deref());
        }
        talked
    }

    /// Whether this retriever still has the claim, and its leg can be connected. A leg that gave up may run something else.
    fn is_claimed(&self, call: &Call, retriever: &Retriever, other: &Leg<'_>) -> bool {
        other.ready() && self.call_of(&call.info.uuid).is_some_and(|call| call.is_claimed_by(&retriever.uuid))
    }

    /// Lets the caller wait on. The application of a retriever reports the failure there; a parker who answered a recall has no application and is
    /// hung up.
    fn give_up(&self, call: &Call, retriever: &Retriever, other: Option<&Leg<'_>>) {
        let claimant = self.release_retriever(&call.info.uuid, &retriever.uuid);
        if let (Some(Claimant::Parker), Some(other)) = (claimant, other) {
            other.hang_up(HangupCause::NormalClearing);
        }
    }

    /// Bridges a waiting caller, on whose thread this runs, with another leg. `connected` is called when they hear each other. Returns whether
    /// they did.
    pub(super) fn bridge(
        &self,
        leg: &Leg<'_>,
        other: &Leg<'_>,
        caller: &Party,
        retriever_party: &Party,
        connected: &mut dyn FnMut(),
    ) -> bool {
        let (caller_name, retriever_name) = (displayable(&caller.name), displayable(&retriever_party.name));
        other.set_caller_ids((&caller_name, &caller.number), (&retriever_name, &retriever_party.number));
        let mut set_aside = SuspendedVariables::take(leg, &AFTER_BRIDGE_VARIABLES);
        // The core would run them before the bridge.
        leg.drop_queued_applications();
        let outcome = leg.bridge(other, &mut || {
            // A retriever who has just hung up has not heard the caller.
            if other.hung_up() {
                return false;
            }
            set_aside.give_back();
            // The core's event of the bridge may come when the retriever has transferred the caller and hung up.
            self.note_peers(leg, other);
            connected();
            Self::save_joined(leg, other);
            true
        });
        outcome == Bridged::Talked
    }

    /// Sends the caller to the fallback. If it cannot be reached, the caller waits on in the same slot.
    fn fall_back(&self, leg: &Leg<'_>, call: &Call) {
        let Some(fallback) = &call.info.settings.fallback else { return };
        if let Err(why) = self.send_if_reachable(leg, fallback) {
            let to = &fallback.extension;
            log_call!(Error, call, fallback = to, cause = why; "fallback failed, the caller waits on");
            self.change(|table, now| table.fallback_failed(&call.info.uuid, now));
        }
    }

    fn connected(&self, leg: &Leg<'_>, other: &Leg<'_>, call: &Call, retriever: &Retriever) {
        let Some(ended) = self.change(|table, now| table.connected(call.id, now)) else { return };
        self.leg_commands.close(&call.info.uuid);
        Self::remove_snapshot(leg);
        self.withdraw_hand_over(leg);
        other.set_var("callpark_result", "retrieved");
        if call.waits_for_slot() {
            leg.set_var("callpark_result", Outcome::Returned.name());
        }
        // The headers of this transfer do not belong to a later one.
        for name in ["sip_h_Referred-By", "sip_refer_to"] {
            leg.unset_var(name);
        }
        self.end_call(&ended, Ending { leg: Some(leg), retriever: Some(retriever), cause: None });
    }

    fn on_left_slot(&self, leg: &Leg<'_>, call: &Call) {
        self.leg_commands.close(&call.info.uuid);
        Self::remove_snapshot(leg);
        if self.leaves_slot_to_next(leg) {
            return;
        }
        self.withdraw_hand_over(leg);
        let how = if leg.hung_up() { LeaveReason::HungUp } else { LeaveReason::Moved };
        self.rings.cancel(&call.info.uuid);
        let retriever = self.intercepted_by(leg);
        let how = if retriever.is_some() { LeaveReason::Intercepted } else { how };
        if let Some(ended) = self.change(|table, now| table.leave(&call.info.uuid, how, now)) {
            self.end_call(&ended, Ending { leg: Some(leg), retriever: retriever.as_ref(), cause: None });
        }
    }
}

/// Waits until the leg is hung up, because its far end is connected to another node.
fn idle_until_hangup(leg: &Leg<'_>) {
    ParkingService::remove_snapshot(leg);
    while leg.ready() {
        leg.sleep(Duration::from_millis(200));
    }
}

/// Sends a caller who pressed the exit key to the destination of the lot, if that exists.
fn leave_by_exit_key(service: &ParkingService, leg: &Leg<'_>, call: &Call) {
    let Some(destination) = &call.info.settings.exit_destination else { return };
    log_call!(Debug, call, destination = destination.extension; "caller pressed the exit key");
    if let Err(why) = service.send_if_reachable(leg, destination) {
        let to = &destination.extension;
        log_call!(Error, call, destination = to, cause = why; "exit failed, the caller waits on");
    }
}

/// Plays until a time, or until the other leg hangs up or is moved.
struct UntilDeadline<'a>(MonotonicTime, &'a Leg<'a>);

impl PlaybackControl for UntilDeadline<'_> {
    fn frame(&mut self) -> ControlFlow<()> {
        if freeswitch::now() >= self.0 || !self.1.ready() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn key(&mut self, _: char) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
