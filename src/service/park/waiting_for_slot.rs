//! Handles callers for whom there is no slot. The parker is called back at once, hears the reason and gets the caller back. If the parker does not
//! answer, the caller goes to the fallback. Without a fallback the caller waits on, the recall is repeated, and a slot that comes free is taken.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use crate::freeswitch::{self, CancelToken, Leg, PlayToEnd, PlaybackControl, SessionGuard};
use crate::parking::{Call, MonotonicTime, NoSlotReason, ParkRequest, Table};
use crate::service::call_log::{About, log_call};
use crate::service::prompts::prompt_of;
use crate::service::recall::JOIN;
use crate::service::wait::leg_commands::LegCommand;
use crate::service::{AppResult, EventKind, ParkEvent, ParkingService, Retriever, identity};

/// How long a parker may hear the reason before the call is released.
const EXPLANATION_TIMEOUT: Duration = Duration::from_secs(60);
/// The application by which the leg of a parker joins the caller.
const JOIN_CALLER: &str = "callpark_retrieve:join";
/// The longest part of a `ringback-tone` that is played, because the caller waits meanwhile.
const MAX_RINGBACK_TONE: Duration = Duration::from_secs(10);
/// How often this is checked.
const EXPLANATION_CHECK_INTERVAL: Duration = Duration::from_millis(100);

impl ParkingService {
    /// Lets a caller wait for a slot. Returns when the call has its outcome and the leg was moved or has hung up. `refused` is the reason why there
    /// is no slot; `waited` is how long the caller has waited for a slot already.
    pub(in crate::service) fn wait_for_slot(
        self: &Arc<Self>,
        leg: &Leg<'_>,
        request: &ParkRequest,
        refused: NoSlotReason,
        waited: Option<Duration>,
    ) {
        let commands = self.leg_commands.open(&request.uuid);
        let waits = |table: &mut Table, now| table.wait_for_slot(request, refused, waited.unwrap_or_default(), now);
        let call = match self.change(waits) {
            Ok(call) => call,
            Err(why) => return log_call!(Error, request, cause = why; "call cannot wait for a slot"),
        };
        identity::note_parker(leg, &request.parker);
        leg.set_var("callpark_domain", &call.info.lot.domain);
        leg.answer_and_anchor_media();
        log_call!(Warning, &call, cause = refused.name(); "call waits for a slot");
        let kind = if waited.is_some() { EventKind::Recover } else { EventKind::NoSlot };
        if kind == EventKind::Recover {
            self.tell_history(|history| history.take_back(&call));
        }
        self.publish(&ParkEvent {
            call: Some(&call),
            leg: Some(leg),
            cause: Some(refused.name()),
            ..ParkEvent::of(kind)
        });
        if kind == EventKind::NoSlot {
            self.notify_waiting(&call);
        }
        self.save(leg, None);
        // The parker is rung now.
        self.execute_due();
        self.wait_loop(leg, &call, &commands);
    }

    /// Takes a slot that has come free, unless another call was faster.
    pub(in crate::service) fn take_free_slot(&self, uuid: &str) -> Option<Call> {
        let undo = |table: &mut Table, now| table.unassign(uuid, now);
        let taken = self.take_for_all(uuid, |table, now| table.assign(uuid, now).ok_or(()), undo).ok().flatten();
        match &taken {
            Some(call) => log_call!(Debug, call; "assigned a slot that came free"),
            None => log_call!(Debug, About::channel(uuid); "no slot was assigned, another call was quicker"),
        }
        taken
    }

    /// Runs the application on the leg of a parker, who has answered and claimed the call, that says why there is no slot or plays the
    /// `ringback-tone`, and joins the leg with the caller.
    pub(in crate::service) fn send_to_join(self: &Arc<Self>, call: &Call, peer: SessionGuard, cancel: &CancelToken) {
        let reason = call.reason_to_wait().map_or("", NoSlotReason::name);
        peer.set_var(JOIN, &call.info.uuid);
        let application = format!("{JOIN_CALLER} {reason}");
        let parker = peer.uuid();
        let sent = peer.transfer(application.trim_end(), Some("inline"), None);
        drop(peer);
        if !(sent && wait_for_join(&parker, cancel)) {
            log_call!(Info, call; "parker hung up before the call was returned");
            self.change(|table, now| table.release(&call.info.uuid, &parker, now));
            self.execute_due();
        }
    }

    /// Tells a parker who answered a recall the reason for which there is no slot (`join <reason>`), or plays the `ringback-tone`, and connects the leg
    /// with the caller. Returns `None` if it is not such a leg.
    pub(crate) fn join_caller(&self, leg: &Leg<'_>, data: &str) -> Option<AppResult> {
        let uuid = leg.var(JOIN)?;
        if let Some(prompt) = data.split_once(' ').and_then(|(_, reason)| prompt_of(reason)) {
            self.say(leg, prompt, "", &mut PlayToEnd);
            if !leg.ready() {
                return Some(AppResult::LegGone);
            }
        }
        leg.unset_var(JOIN);
        let parker = Retriever { user: self.user_of(leg), uuid: leg.uuid() };
        // After `EXPLANATION_TIMEOUT` the claim was released; the call is claimed again if nobody else has it.
        let call = self.call_of(&uuid).filter(|call| call.is_claimed_by(&parker.uuid));
        let call = call.or_else(|| self.change(|table, _| table.claim_leg(&uuid, &parker.uuid)).ok());
        let Some(call) = call else { return Some(AppResult::LegGone) };
        if let Some(tone) = &call.info.settings.ringback_tone {
            let until = freeswitch::now().after(MAX_RINGBACK_TONE);
            leg.play(tone, &mut WhileClaimed { service: self, caller: &uuid, parker: &parker.uuid, until });
        }
        if !self.leg_commands.post(&uuid, LegCommand::Return(parker.clone())) {
            self.change(|table, now| table.release(&uuid, &parker.uuid, now));
            return Some(AppResult::LegGone);
        }
        Some(if self.wait_for_caller(leg, &call, &parker) { AppResult::Retrieved } else { AppResult::LegGone })
    }
}

/// Plays while a parker has the claim, until a time.
struct WhileClaimed<'a> {
    service: &'a ParkingService,
    caller: &'a str,
    parker: &'a str,
    until: MonotonicTime,
}

impl PlaybackControl for WhileClaimed<'_> {
    fn frame(&mut self) -> ControlFlow<()> {
        let claimed = self.service.call_of(self.caller).is_some_and(|call| call.is_claimed_by(self.parker));
        if claimed && freeswitch::now() < self.until { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn key(&mut self, _: char) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Waits until the leg of a parker begins to join the caller. Returns false if the leg hung up before or was moved, so that it never runs the
/// application that would connect it.
fn wait_for_join(parker: &str, cancel: &CancelToken) -> bool {
    let until = freeswitch::now().after(EXPLANATION_TIMEOUT);
    while freeswitch::now() < until && !cancel.cancelled() {
        match SessionGuard::find(parker) {
            Some(leg) if leg.hung_up() => return false,
            Some(leg) if leg.var(JOIN).is_none() => return true,
            Some(_) => std::thread::sleep(EXPLANATION_CHECK_INTERVAL),
            None => return false,
        }
    }
    false
}
