//! Calls the parker back.

pub(super) mod dial;
pub(super) mod intercept;
mod last_dialled;
pub(super) mod pick_up;
pub(super) mod ring_threads;
mod voicemail;

use std::sync::Arc;

use super::call_log::log_call;
use super::error::RecallError;
use super::wait::leg_commands::LegCommand;
use super::{EventKind, ParkEvent, ParkingService, Retriever};
use crate::freeswitch::{self, CancelToken, HangupCause, SessionGuard};
use crate::parking::{Call, CallInfo, LotSettings, RecallFailure};
use dial::{Phone, call_phone};
use last_dialled::LastDialled;

/// The variable of a parker's leg with the UUID of the caller with whom the application of that leg is to connect it.
pub(super) const JOIN: &str = "callpark_join";
/// The variable of a waiting leg with the reason for which its last recall failed.
pub(super) const RINGBACK_CAUSE: &str = "callpark_ringback_cause";

impl ParkingService {
    pub(super) fn start_recall(self: &Arc<Self>, call: Call) {
        let (service, on_failure) = (Arc::clone(self), Arc::clone(self));
        let (uuid, attempt, failed) = (call.info.uuid.clone(), call.attempt, call.clone());
        if let Some(leg) = SessionGuard::find(&uuid) {
            self.publish(&ParkEvent {
                call: Some(&call),
                leg: Some(&leg),
                wait: waited(&call),
                ..ParkEvent::of(EventKind::RingBack)
            });
        }
        log_call!(Info, &call, attempt = attempt, attempts_left = call.rings_left; "started recall");
        let ring = move |cancel: &CancelToken| service.ring_for(&call, cancel);
        let spawned = self.rings.spawn(&uuid, ring, move || on_failure.recall_failed(&failed, &RecallError::Panicked));
        if !spawned {
            self.change(|table, now| table.ring_failed(&uuid, attempt, RecallFailure::NotAnswered, now));
        }
    }

    fn ring_for(self: &Arc<Self>, call: &Call, cancel: &CancelToken) {
        let info = &call.info;
        let pick_up = pick_up::argument(&info.uuid);
        let answered = self.dial_string(info).and_then(|dial| {
            let _noted = LastDialled::note(&dial, &info.uuid);
            let (party, settings) = (&info.caller, &info.settings);
            let phone = Phone { dial, party, prefix: prefix_of(call), settings, domain: domain_of(info) };
            let mut variables = vec![("callpark_slot", info.slot.as_str()), ("callpark_lot", &*info.lot.name)];
            variables.extend(pick_up::ringing_leg_variables(&pick_up, &info.uuid));
            call_phone(&self.outgoing, &phone, &variables, cancel)
        });
        let answered = answered.and_then(|peer| pick_up::unless_picked_up(peer, &info.uuid));
        match answered.and_then(|peer| unless_voicemail(peer, &info.settings, cancel)) {
            Ok(peer) => self.return_to_parker(call, peer, cancel),
            Err(_) if cancel.cancelled() => {}
            Err(failure) if self.is_picked_up(call, &failure) => {}
            Err(failure) => self.recall_failed(call, &failure),
        }
        self.rings.finish(&info.uuid, cancel);
        self.intercepts.forget(&info.uuid);
    }

    /// Connects a parker who has answered with the caller, unless a retriever was faster.
    fn return_to_parker(self: &Arc<Self>, call: &Call, peer: SessionGuard, cancel: &CancelToken) {
        let uuid = &call.info.uuid;
        let by = Retriever { user: call.info.parker.to_string(), uuid: peer.uuid() };
        let theirs = self.change(|table, _| table.ring_answered(uuid, call.attempt, &by.uuid));
        log_call!(Debug, call, attempt = call.attempt, answered_by = by.uuid, in_time = theirs; "recall was answered");
        if !theirs {
            peer.hang_up(HangupCause::LoseRace);
        } else if call.waits_for_slot() || call.info.settings.ringback_tone.is_some() {
            self.send_to_join(call, peer, cancel);
        } else if !self.leg_commands.post(uuid, LegCommand::Return(by)) {
            log_call!(Error, call; "recall failed, the leg of the call takes no commands");
            self.change(|table, now| table.release(uuid, &peer.uuid(), now));
            peer.hang_up(HangupCause::LoseRace);
        }
    }

    fn recall_failed(self: &Arc<Self>, call: &Call, failure: &RecallError) {
        let failed = self.change(|table, now| table.ring_failed(&call.info.uuid, call.attempt, failure.kind(), now));
        let Some(call) = failed else { return };
        let cause = &failure.to_string();
        log_call!(Info, &call, attempt = call.attempt, cause = cause; "recall failed");
        if call.waits_for_busy_parker() {
            let again = format!("{}s", call.info.settings.ringback_busy_retry.as_secs());
            log_call!(Info, &call, times_busy = call.busy, again_in = again; "parker is busy, the recall is repeated");
        }
        if let Some(leg) = SessionGuard::find(&call.info.uuid) {
            leg.set_var(RINGBACK_CAUSE, cause);
            let event = ParkEvent::of(EventKind::RingBackFailed);
            self.publish(&ParkEvent {
                call: Some(&call),
                leg: Some(&leg),
                wait: waited(&call),
                cause: Some(cause),
                ..event
            });
        }
        self.execute_due();
    }
}

/// Hangs up a recall that a mailbox answered, if the lot has `ringback-ignore-voicemail`.
pub(super) fn unless_voicemail(
    peer: SessionGuard,
    settings: &LotSettings,
    cancel: &CancelToken,
) -> Result<SessionGuard, RecallError> {
    if !settings.ringback_ignore_voicemail || voicemail::is_a_person(&peer, cancel) {
        return Ok(peer);
    }
    peer.hang_up(HangupCause::NormalClearing);
    Err(RecallError::Voicemail)
}

/// Returns what the parker's phone shows before the name of the caller. It shows a reason if there is no slot.
fn prefix_of(call: &Call) -> String {
    let CallInfo { settings, slot, lot, .. } = &*call.info;
    match call.reason_to_wait() {
        Some(reason) => format!("{}: ", reason.name()),
        None => settings.ringback_cid_prefix.replace("${slot}", slot.as_str()).replace("${lot}", &lot.name),
    }
}

fn domain_of(info: &CallInfo) -> &str {
    info.parker.rsplit_once('@').map_or(&*info.lot.domain, |(_, domain)| domain)
}

fn waited(call: &Call) -> std::time::Duration {
    freeswitch::now().since(call.parked_at)
}
