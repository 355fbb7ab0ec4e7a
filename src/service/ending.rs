//! Ends parked calls. Each end of a call passes through `end_call`, once.
//!
//! The rules say that a call has ended, and with which outcome ([`Ended`]). A call that continues on another node has not ended, nor has one
//! that lost its slot to another node.

use std::fmt::Display;

use super::call_log::About;
use super::notify::notify_ended;
use super::{EventKind, ParkEvent, ParkingService, Retriever};
use crate::freeswitch::{Leg, LogLevel, guard};
use crate::parking::{Call, Ended, LeaveReason, LotId, Outcome};

/// The details of an end besides its outcome.
#[derive(Clone, Copy, Default)]
pub(super) struct Ending<'a> {
    /// The parked leg, if it still exists.
    pub(super) leg: Option<&'a Leg<'a>>,
    pub(super) retriever: Option<&'a Retriever>,
    pub(super) cause: Option<&'a str>,
}

/// The history of ended calls. Nothing here waits.
pub(crate) trait History: Send + Sync {
    /// Records the outcome of a call that was on `node`.
    /// `actor` is who acted last on it by HTTP.
    fn record(&self, ended: &Ended, retriever: Option<&Retriever>, actor: Option<&str>, node: String);
    /// Removes the outcome of a call, because its caller was recovered after the call had been given up.
    fn take_back(&self, call: &Call);
    /// Counts a call for which a lot had no slot.
    fn count_refused(&self, lot: &LotId);
}

impl ParkingService {
    /// Gives something to the history. A panic in it does not affect the call.
    pub(super) fn tell_history(&self, tell: impl Fn(&dyn History)) {
        guard::fence("history", (), || tell(&*self.history));
    }

    /// Carries out what follows from the end of a call: the recall stops, the slot is not handed over, and the outcome is written to the leg, the
    /// log, the history and the events.
    pub(super) fn end_call(&self, ended: &Ended, ending: Ending<'_>) {
        let uuid = &ended.call.info.uuid;
        // The leg may be in a slot again by now, or here while another node's call of it has ended.
        if self.call_of(uuid).is_none() {
            self.hand_overs.forget(uuid);
            // The phone that has answered is a part of the conversation.
            if ended.outcome != Outcome::Returned {
                self.rings.cancel(uuid);
            }
        }
        if let Some(leg) = ending.leg {
            leg.set_var("callpark_outcome", &ended.outcome.to_string());
            leg.set_var("callpark_wait_ms", &ended.wait.as_millis().to_string());
            if let Some(retriever) = ending.retriever {
                leg.set_var("callpark_retriever", &retriever.user);
            }
        }
        if ended.outcome.ends_the_wait() {
            guard::fence("slot store", (), || self.slot_store.forget_leg(uuid));
        }
        let kind = EventKind::Ended(ended.outcome);
        let connected = ending.retriever.map(|retriever| retriever.uuid.as_str());
        let (actor, causer) = self.take_actors(uuid, kind, connected);
        log_outcome(ended, &ending, causer.as_deref());
        self.tell_history(|history| {
            let node = ended.call.node().map_or_else(|| self.node_name(), |node| node.to_string());
            history.record(ended, ending.retriever, actor.as_deref(), node);
        });
        self.publish(&ParkEvent {
            call: Some(&ended.call),
            leg: ending.leg,
            wait: ended.wait,
            retriever: ending.retriever,
            cause: ending.cause,
            actor: causer.as_deref(),
            ..ParkEvent::of(kind)
        });
        notify_ended(ended, ending.retriever);
    }

    /// Ends the reservation of a leg that vanished on its way to the slot. A call that was parked before ends with it.
    pub(super) fn end_on_the_way(&self, uuid: &str) {
        if let Some(ended) = self.change(|table, now| table.leave(uuid, LeaveReason::HungUp, now)) {
            self.end_call(&ended, Ending { cause: Some(Ended::NOT_ARRIVED), ..Ending::default() });
        }
    }
}

/// Logs the outcome of a call, and who has caused it by HTTP.
fn log_outcome(ended: &Ended, ending: &Ending<'_>, actor: Option<&str>) {
    let phrase = match ended.outcome {
        Outcome::Retrieved => "retrieved call",
        Outcome::Returned => "returned call to its parker",
        Outcome::Fallback => "sent call to the fallback",
        Outcome::Transferred => "transferred call",
        Outcome::Abandoned => "abandoned call",
    };
    let wait = format!("{}s", ended.wait.as_secs());
    let mut keys: Vec<(&str, &dyn Display)> = Vec::new();
    if let Some(Retriever { user, .. }) = ending.retriever {
        keys.push(("retriever", user));
    }
    keys.push(("wait", &wait));
    match (ending.retriever, &ending.cause) {
        (Some(Retriever { uuid, .. }), _) => keys.push(("retriever_uuid", uuid)),
        (None, Some(cause)) => keys.push(("cause", cause)),
        (None, None) => {}
    }
    if let Some(actor) = &actor {
        keys.push(("actor", actor));
    }
    About::from(&ended.call).log(LogLevel::Notice, &keys, format_args!("{phrase}"));
}
