//! Puts a leg into its slot.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::attended_transfer::show_slot;
use crate::freeswitch::{self, HangupCause, Leg, PlaybackControl, SessionGuard};
use crate::parking::Call;
use crate::service::call_log::log_call;
use crate::service::recall::RINGBACK_CAUSE;
use crate::service::wait::leg_commands::LegCommands;
use crate::service::{AppResult, EventKind, ParkEvent, ParkingService, Prompt, identity};

/// How a leg arrived in its slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::service) enum Coming {
    /// By a transfer, a feature code or a command.
    Sent,
    /// Its far end dialled.
    Dialled,
    /// It replaces a leg that was parked there.
    Replacing,
    /// It was there when FreeSWITCH died.
    Recovered,
}

impl Coming {
    fn kind(self) -> EventKind {
        match self {
            Coming::Sent | Coming::Dialled => EventKind::Park,
            Coming::Replacing => EventKind::HandOver,
            Coming::Recovered => EventKind::Recover,
        }
    }

    fn log(self, call: &Call) {
        match self {
            Coming::Sent | Coming::Dialled => log_call!(Notice, call; "parked call"),
            Coming::Replacing => log_call!(Info, call; "parked call in place of another leg"),
            Coming::Recovered => log_call!(Info, call, attempt = call.attempt; "recovered call"),
        }
    }
}

impl ParkingService {
    /// Puts a leg into its slot. Returns when the leg leaves the slot.
    pub(in crate::service) fn enter_slot(self: &Arc<Self>, leg: &Leg<'_>, call: &Call, coming: Coming) -> AppResult {
        let info = &call.info;
        let commands = self.leg_commands.open(&info.uuid);
        describe_on_channel(leg, call);
        // The label of a slot must not follow the caller to another slot.
        if !call.label.is_empty() && !self.table.lock().is_label_of_slot(call) {
            leg.set_var("callpark_label", &call.label);
        }
        self.offer_hand_over(leg, call);
        let is_told = coming == Coming::Dialled && self.is_told(leg, call);
        if is_told {
            show_slot(leg, call);
        }
        // The core saves a leg as it is answered.
        let saved = if leg.answered() { None } else { self.write_snapshot(leg) };
        let audible = leg.answer_and_anchor_media();
        let wait = freeswitch::now().since(call.parked_at);
        release_transferor(leg);
        if coming == Coming::Recovered {
            self.tell_history(|history| history.take_back(call));
        }
        self.publish(&ParkEvent { call: Some(call), leg: Some(leg), wait, ..ParkEvent::of(coming.kind()) });
        // Logging and saving come after the event, because a program may wait for the event, and both are slow: FreeSWITCH's log
        // has one lock, and saving writes the whole leg as XML.
        coming.log(call);
        if audible {
            self.save(leg, saved);
        }
        if matches!(coming, Coming::Sent | Coming::Dialled) {
            self.notify_waiting(call);
        }
        if is_told && info.settings.announce && leg.ready() {
            // A retriever does not wait until the slot is announced.
            self.say(leg, Prompt::AnnounceSlot, info.slot.as_str(), &mut UntilCommand(&commands));
        }
        self.wait_loop(leg, call, &commands);
        AppResult::Parked
    }
}

impl ParkingService {
    /// Whether the far end of a leg that dialled a slot hears and sees the slot: a user, or somebody with another call, which may be transferred to the
    /// slot. Any other caller was parked by the dialplan, and is told only if the dialplan says so for this call.
    fn is_told(&self, leg: &Leg<'_>, call: &Call) -> bool {
        call.info.overrides.announce == Some(true) || !self.user_of(leg).is_empty() || self.other_call(leg).is_some()
    }
}

/// Releases a phone that waits for the result of its transfer, because the caller is in the slot.
fn release_transferor(leg: &Leg<'_>) {
    if let Some(phone) = leg.confirm_transfer().and_then(|uuid| SessionGuard::find(&uuid)) {
        log_call!(Debug, leg, transferred_by = phone.uuid(); "confirmed the transfer");
        phone.hang_up(HangupCause::NormalClearing);
    }
}

/// Plays until there is a command for the leg.
struct UntilCommand<'a>(&'a LegCommands);

impl PlaybackControl for UntilCommand<'_> {
    fn frame(&mut self) -> ControlFlow<()> {
        if self.0.has_command() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn key(&mut self, _: char) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Sets the variables of the parked leg, which the CDR contains.
fn describe_on_channel(leg: &Leg<'_>, call: &Call) {
    let info = &call.info;
    leg.make_profile_inert();
    name_slot(leg, call);
    leg.set_var("callpark_parked_at", &info.parked_at_ms.to_string());
    // FreeSWITCH hangs a leg up at its 70th transfer (`switch_ivr.c`), to end loops. A caller who waited in a slot is in no loop,
    // so the count starts again.
    leg.unset_var("max_forwards");
    for name in ["callpark_outcome", "callpark_retriever", "callpark_wait_ms", RINGBACK_CAUSE] {
        leg.unset_var(name);
    }
    identity::note_parker(leg, &info.parker);
}

/// Sets the variables that name the slot of a call, on the parked leg or on that of its parker.
pub(super) fn name_slot(leg: &Leg<'_>, call: &Call) {
    let info = &call.info;
    leg.set_var("callpark_result", "parked");
    leg.set_var("callpark_lot", &info.lot.name);
    leg.set_var("callpark_domain", &info.lot.domain);
    leg.set_var("callpark_slot", info.slot.as_str());
}
