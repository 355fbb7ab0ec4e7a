//! Ringing the parker.

use std::sync::Arc;

use thiserror::Error;

use super::call_log::log_call;
use super::last_dialled::LastDialled;
use super::leg_commands::LegCommand;
use super::template::{filled_in, is_address, is_part_of_address};
use super::wait::log_outcome;
use super::{EventKind, ParkEvent, ParkingService, Retriever, pick_up, voicemail};
use crate::freeswitch::{self, Cancel, Dial, HangupCause, Leg, OriginateError, OutgoingCalls, SessionGuard, guard};
use crate::parking::{
    Call, CallInfo, Ended, LeaveReason, LotSettings, MonotonicTime, Party, RingBack, State, TimerAction, is_name,
};

/// The scheduler comes by once a second; what is due within half of that is due now, so that it is early by as much as it
/// would be late.
const EARLY: std::time::Duration = std::time::Duration::from_millis(500);

/// On a parker's leg: the caller without a slot whom it is to be joined with.
pub(super) const JOIN: &str = "callpark_join";
/// On a waiting leg: why its last recall failed.
pub(super) const RINGBACK_CAUSE: &str = "callpark_ringback_cause";

/// Why a recall failed. The text is what `callpark_ringback_cause` and `CallPark-Cause` say: a hangup cause where there is one.
#[derive(Debug, Error)]
pub(super) enum RecallError {
    #[error("NO_USER")]
    NobodyToRing,
    #[error("UNALLOCATED_NUMBER")]
    NotAUser,
    #[error("ORIGINATOR_CANCEL")]
    CallerGone,
    /// A colleague has picked up, and is on the way to the slot.
    #[error("PICKED_OFF")]
    PickedUp,
    #[error("VOICEMAIL")]
    Voicemail,
    #[error("a bug")]
    Panicked,
    #[error(transparent)]
    NotAnswered(#[from] OriginateError),
}

impl RecallError {
    pub(super) fn is_picked_up(&self) -> bool {
        matches!(self, RecallError::PickedUp | RecallError::NotAnswered(OriginateError::PickedUp(_)))
    }
}

/// What a ringing phone shows, and for how long it rings.
struct Phone<'a> {
    dial: String,
    party: &'a Party,
    prefix: String,
    settings: &'a LotSettings,
}

impl ParkingService {
    /// The scheduler's tick: does what is due, without waiting for anything.
    pub(crate) fn on_tick(self: &Arc<Self>) {
        let due = self.change(|table, now| table.due(MonotonicTime(now.0 + EARLY)));
        for due in due {
            self.act(due);
        }
        // Who hangs up on the way to a slot never gets there to say so.
        let coming = self.table.lock().on_their_way();
        for uuid in coming.into_iter().filter(|uuid| SessionGuard::find(uuid).is_none()) {
            self.change(|table, now| table.left(&uuid, LeaveReason::HungUp, now));
        }
        self.leg_commands.hurry_all();
        self.end_music_of_resumed();
        self.release_unclaimed();
        self.each_observer(|observer| observer.on_tick(self));
    }

    /// A bug that shows here keeps neither that call nor another from what is due next.
    pub(super) fn act(self: &Arc<Self>, due: TimerAction) {
        let about = due.clone();
        let done = guard::fence("due", false, || {
            self.carry_out(due);
            true
        });
        match about {
            _ if done => {}
            TimerAction::RingBack(call) => {
                drop(self.change(|table, now| table.ring_failed(&call.info.uuid, call.attempt, now)))
            }
            TimerAction::Fallback(call) => drop(self.change(|table, now| table.fallback_failed(&call.info.uuid, now))),
            TimerAction::Lost(_) | TimerAction::Fetch(_) | TimerAction::Lapsed(_) | TimerAction::SlotFree(_) => {}
        }
    }

    fn carry_out(self: &Arc<Self>, due: TimerAction) {
        match due {
            TimerAction::RingBack(call) => self.ring_back(call),
            TimerAction::Fallback(call) => {
                let uuid = &call.info.uuid;
                log_call!(Debug, &call, cause = why_fallback(&call); "fallback is due");
                self.rings.cancel(uuid);
                if !self.leg_commands.post(uuid, LegCommand::FallBack) {
                    log_call!(Error, &call; "fallback failed, the leg of the call takes no commands");
                    self.change(|table, now| table.fallback_failed(uuid, now));
                }
            }
            TimerAction::Lost(ended) => self.lost(&ended),
            TimerAction::SlotFree(call) => {
                log_call!(Debug, &call; "a slot is free for the waiting call");
                self.leg_commands.post(&call.info.uuid, LegCommand::SlotFree);
            }
            TimerAction::Fetch(call) => self.fetch(&call),
            TimerAction::Lapsed(ended) => self.lapsed(&ended),
        }
    }

    /// A leg that was sent to a slot and has not come: a script that ran on it may have sent it elsewhere as its bridge ended.
    fn fetch(&self, call: &Call) {
        let CallInfo { uuid, slot, lot, .. } = &*call.info;
        let Some(leg) = SessionGuard::find(uuid) else { return };
        let comes = self.call_of(uuid).is_none_or(|call| call.state != State::Reserved);
        if !comes {
            log_call!(Warning, call; "call did not come to its slot, it is sent there again");
            leg.transfer(&format!("callpark_park:{slot} {lot}"), Some("inline"), None);
        }
    }

    /// A leg that a slot was kept for never came.
    fn lapsed(&self, ended: &Ended) {
        let uuid = &ended.call.info.uuid;
        self.hand_overs.forget(uuid);
        if ended.call.was_parked {
            log_outcome(ended, None, Some("transfer failed"));
            let what = ParkEvent::of(EventKind::Ended(ended.outcome));
            self.notify(&ParkEvent {
                call: Some(&ended.call),
                wait: ended.wait,
                cause: Some("transfer failed"),
                ..what
            });
            return;
        }
        log_call!(Warning, &ended.call; "released slot, nobody came to it");
        if let Some(leg) = SessionGuard::find(uuid).filter(|_| ended.call.fetched) {
            let (call, leg, cause) = (Some(&ended.call), Some(&*leg), Some("went elsewhere"));
            self.notify(&ParkEvent { call, leg, wait: ended.wait, cause, ..ParkEvent::of(EventKind::ParkFailed) });
        }
    }

    /// A caller whom nobody recovered: that is their outcome, and the slot is free.
    pub(super) fn lost(&self, ended: &Ended) {
        log_outcome(ended, None, Some("not recovered"));
        let what = ParkEvent::of(EventKind::Ended(ended.outcome));
        self.notify(&ParkEvent { call: Some(&ended.call), wait: ended.wait, cause: Some("not recovered"), ..what });
    }

    fn ring_back(self: &Arc<Self>, call: Call) {
        let (service, in_vain) = (Arc::clone(self), Arc::clone(self));
        let (uuid, attempt, failed) = (call.info.uuid.clone(), call.attempt, call.clone());
        if let Some(leg) = SessionGuard::find(&uuid) {
            self.notify(&ParkEvent {
                call: Some(&call),
                leg: Some(&leg),
                wait: waited(&call),
                ..ParkEvent::of(EventKind::RingBack)
            });
        }
        log_call!(Info, &call, attempt = attempt, attempts_left = call.rings_left; "started recall");
        let ring = move |cancel: &Cancel| service.ring_for(&call, cancel);
        let spawned = self.rings.spawn(&uuid, ring, move || in_vain.unanswered(&failed, &RecallError::Panicked));
        if !spawned {
            self.change(|table, now| table.ring_failed(&uuid, attempt, now));
        }
    }

    fn ring_for(self: &Arc<Self>, call: &Call, cancel: &Cancel) {
        if call.is_unassigned() {
            return self.ring_for_unassigned(call, cancel);
        }
        let info = &call.info;
        let prefix =
            info.settings.ringback_cid_prefix.replace("${slot}", info.slot.as_str()).replace("${lot}", &info.lot.name);
        let place = format!("{} {}", info.slot, info.lot);
        let answered = self.dial_string(&info.uuid, &info.settings.ringback, &info.parker).and_then(|dial| {
            let phone = Phone { dial, party: &info.caller, prefix, settings: &info.settings };
            let mut variables = vec![("callpark_slot", info.slot.as_str()), ("callpark_lot", &*info.lot.name)];
            variables.extend(pick_up::on_the_ringing_leg(&place, &info.uuid));
            let _noted = LastDialled::note(&phone.dial, &info.uuid);
            call_phone(&self.outgoing, &phone, &variables, cancel)
        });
        let answered = answered.and_then(|peer| pick_up::by_who_was_rung(peer, &place));
        let answered = answered.and_then(|peer| by_a_person(peer, &info.settings, cancel));
        self.rings.over(&info.uuid, cancel);
        match answered {
            Ok(peer) => self.deliver(call, &peer),
            Err(_) if cancel.cancelled() => {}
            Err(failure) if self.is_picked_up(call, &failure) => {}
            Err(failure) => self.unanswered(call, &failure),
        }
        self.intercepts.forget(&info.uuid);
    }

    /// The same for a caller who has no slot: the parker is shown and told why.
    fn ring_for_unassigned(self: &Arc<Self>, call: &Call, cancel: &Cancel) {
        let info = &call.info;
        let answered = self.dial_string(&info.uuid, &info.settings.ringback, &info.parker).and_then(|dial| {
            let prefix = format!("{}: ", call.refused);
            let _noted = LastDialled::note(&dial, &info.uuid);
            let phone = Phone { dial, party: &info.caller, prefix, settings: &info.settings };
            call_phone(&self.outgoing, &phone, &[(JOIN, &info.uuid)], cancel)
        });
        let answered = answered.and_then(|peer| by_a_person(peer, &info.settings, cancel));
        match answered {
            Ok(peer) => self.return_unassigned(call, peer, cancel),
            Err(_) if cancel.cancelled() => {}
            Err(failure) => self.unanswered(call, &failure),
        }
        self.rings.over(&info.uuid, cancel);
    }

    /// The parker answered: the caller is theirs if nobody was quicker.
    fn deliver(&self, call: &Call, peer: &Leg<'_>) {
        let uuid = &call.info.uuid;
        let by = Retriever { user: call.info.parker.to_string(), uuid: peer.uuid() };
        let theirs = self.change(|table, _| table.ring_answered(uuid, call.attempt, &by.uuid));
        log_call!(Debug, call, attempt = call.attempt, answered_by = by.uuid, in_time = theirs; "recall was answered");
        if !theirs {
            peer.hang_up(HangupCause::LoseRace);
        } else if !self.leg_commands.post(uuid, LegCommand::Return(by)) {
            log_call!(Error, call; "recall failed, the leg of the call takes no commands");
            self.change(|table, now| table.release(uuid, &peer.uuid(), now));
            peer.hang_up(HangupCause::LoseRace);
        }
    }

    fn unanswered(self: &Arc<Self>, call: &Call, failure: &RecallError) {
        let failed = self.change(|table, now| table.ring_failed(&call.info.uuid, call.attempt, now));
        let Some(call) = failed else { return };
        let cause = &failure.to_string();
        log_call!(Info, &call, attempt = call.attempt, cause = cause; "recall failed");
        if let Some(leg) = SessionGuard::find(&call.info.uuid) {
            leg.set_var(RINGBACK_CAUSE, cause);
            let what = ParkEvent::of(EventKind::RingBackFailed);
            self.notify(&ParkEvent {
                call: Some(&call),
                leg: Some(&leg),
                wait: waited(&call),
                cause: Some(cause),
                ..what
            });
        }
        self.on_tick();
    }

    /// Whom to ring. `${...}` of a configured dial string are the waiting leg's variables, each taken only if it cannot
    /// change what the dial string says.
    fn dial_string(&self, uuid: &str, ringback: &RingBack, parker: &str) -> Result<String, RecallError> {
        match ringback {
            RingBack::Nobody => Err(RecallError::NobodyToRing),
            RingBack::Parker => dial_user(parker).ok_or(RecallError::NotAUser),
            RingBack::DialString(dial) => {
                let leg = SessionGuard::find(uuid).ok_or(RecallError::CallerGone)?;
                // A dial string that a dialplan has put into a variable; what a phone has put into a header is none.
                let whole =
                    |name: &str, value: &str| is_only_a_variable(dial) && !is_of_the_far_end(name) && is_address(value);
                Ok(filled_in(dial, |name| {
                    leg.var(name).filter(|value| is_part_of_address(value) || whole(name, value))
                }))
            }
        }
    }
}

/// A recall that a mailbox answers has failed, where the lot says so.
fn by_a_person(peer: SessionGuard, settings: &LotSettings, cancel: &Cancel) -> Result<SessionGuard, RecallError> {
    if !settings.ringback_ignore_voicemail || voicemail::is_a_person(&peer, cancel) {
        return Ok(peer);
    }
    peer.hang_up(HangupCause::NormalClearing);
    Err(RecallError::Voicemail)
}

/// Why a call goes to its fallback and does not ring its parker.
fn why_fallback(call: &Call) -> &'static str {
    if call.latest.is_some_and(|latest| latest <= MonotonicTime(freeswitch::now().0 + EARLY)) {
        "max-park-time is over"
    } else if !call.can_ring() {
        "there is nobody to ring"
    } else {
        "no recall is left"
    }
}

fn waited(call: &Call) -> std::time::Duration {
    freeswitch::now().since(call.parked_at)
}

fn call_phone(
    outgoing: &OutgoingCalls,
    phone: &Phone<'_>,
    more: &[(&str, &str)],
    cancel: &Cancel,
) -> Result<SessionGuard, RecallError> {
    let name = displayable(&format!("{}{}", phone.prefix, phone.party.name));
    // The core takes a name for a number and cuts it after every colon and slash (switch_sanitize_number), so these are not
    // in what it is told; sofia shows the whole name all the same, by its own variable.
    let plain = name.replace([':', '/', '@'], " ");
    let number = &phone.party.number;
    let mut variables = vec![
        ("origination_caller_id_name", plain.as_str()),
        ("origination_caller_id_number", number),
        ("sip_from_display", &name),
        // Early media is not an answer.
        ("ignore_early_media", "true"),
    ];
    if phone.party.is_withheld() {
        variables.push(("origination_privacy", "hide_name:hide_number"));
    }
    if phone.settings.ringback_ignore_voicemail {
        // A phone that forwards (302), most often to a mailbox, has not answered.
        variables.push(("outbound_redirect_fatal", "true"));
    }
    if let Some(alert_info) = &phone.settings.ringback_alert_info {
        variables.push(("alert_info", alert_info));
    }
    variables.extend_from_slice(more);
    let dial = Dial {
        to: &phone.dial,
        caller_name: &plain,
        caller_number: number,
        variables: &variables,
        patience: phone.settings.ringback_timeout,
    };
    Ok(outgoing.originate(&dial, cancel)?)
}

/// A name fit for a SIP header, where the core writes it between quotes as it is.
pub(super) fn displayable(name: &str) -> String {
    name.replace(['"', '\\'], "'").replace(char::is_control, " ")
}

/// `${name}`, and nothing else.
fn is_only_a_variable(dial: &str) -> bool {
    dial.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).is_some_and(|name| !name.contains(['{', '}']))
}

/// Whether a variable is one into which an endpoint writes what the far end has sent.
fn is_of_the_far_end(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        "sip_",
        "verto_",
        "rtp_",
        "switch_r_",
        "caller_",
        "destination_number",
        "callee_",
        "dialed_",
        "effective_caller_",
        "origination_caller_",
    ]
    .iter()
    .any(|prefix| name.starts_with(prefix))
}

/// `user/1001@example.com` rings every phone that the user has registered. `None` if that is no user: part of a Referred-By
/// header that somebody wrote must not become a dial string of its own.
fn dial_user(user: &str) -> Option<String> {
    let (name, domain) = user.split_once('@')?;
    (is_part_of_address(name) && is_name(domain)).then(|| format!("user/{user}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_alone_may_be_a_whole_dial_string() {
        assert!(is_only_a_variable("${my_ring}"));
        for more in ["loopback/${x}", "${a}${b}", "${x}/default", "$x", "", "${}${}"] {
            assert!(!is_only_a_variable(more), "{more}");
        }
    }

    #[test]
    fn what_the_far_end_sends_is_no_whole_dial_string() {
        for theirs in
            ["sip_h_X-Ring", "SIP_H_x", "sip_from_user", "verto_dvar_x", "caller_id_name", "destination_number"]
        {
            assert!(is_of_the_far_end(theirs), "{theirs}");
        }
        assert!(!is_of_the_far_end("my_ring") && !is_of_the_far_end("recall_to"));
    }

    #[test]
    fn only_a_user_becomes_a_dial_string() {
        assert_eq!(dial_user("1001@example.com").as_deref(), Some("user/1001@example.com"));
        for bad in ["", "1001", "10,01@x", "[x=y]1001@x", "1001@x,user/1002", "{a=b}1@x", "a/b@x", "1 1@x", "1001@"] {
            assert_eq!(dial_user(bad), None, "{bad}");
        }
    }
}
