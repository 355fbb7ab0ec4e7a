//! Carries out the actions of commands and of the HTTP API on a parked call.

use std::sync::Arc;
use std::time::Duration;

use super::template::fill_in_from_leg;
use super::transfer_dialplan::DIALPLAN;
use super::{ActionError, EventKind, ParkEvent, ParkingService};
use crate::freeswitch::{self, Leg, SessionGuard};
use crate::parking::{Call, Destination, Refusal, State};

impl ParkingService {
    /// Starts the recall now, before the time-out.
    pub(crate) fn recall_now(self: &Arc<Self>, call: &Call, actor: Option<&str>) -> Result<(), Refusal> {
        let due = self.change(|table, _| table.ring_now(&call.info.uuid))?;
        self.note_actor(&call.info.uuid, actor, EventKind::RingBack);
        self.execute(due);
        Ok(())
    }

    /// Postpones the next time-out.
    pub(crate) fn extend(&self, call: &Call, more: Duration, actor: Option<&str>) -> Result<Call, Refusal> {
        let extended = self.change(|table, _| table.extend(&call.info.uuid, more))?;
        self.note_actor(&call.info.uuid, actor, EventKind::Extend);
        let (leg, wait) = (SessionGuard::find(&call.info.uuid), freeswitch::now().since(extended.parked_at));
        self.publish(&ParkEvent {
            call: Some(&extended),
            leg: leg.as_deref(),
            wait,
            ..ParkEvent::of(EventKind::Extend)
        });
        Ok(extended)
    }

    /// Sets the label.
    pub(crate) fn label(&self, call: &Call, text: &str, actor: Option<&str>) -> Result<(), Refusal> {
        let call = self.change(|table, _| table.set_label(&call.info.uuid, text))?;
        self.note_actor(&call.info.uuid, actor, EventKind::Label);
        if let Some(leg) = SessionGuard::find(&call.info.uuid) {
            leg.set_var("callpark_label", text);
            let wait = freeswitch::now().since(call.parked_at);
            self.publish(&ParkEvent { call: Some(&call), leg: Some(&leg), wait, ..ParkEvent::of(EventKind::Label) });
        }
        Ok(())
    }

    /// Transfers the parked caller, unless somebody is retrieving the call.
    pub(crate) fn transfer(&self, call: &Call, to: &Destination, actor: Option<&str>) -> Result<(), ActionError> {
        call.must_be_here()?;
        if matches!(call.state, State::Retrieving { .. }) {
            return Err(Refusal::Gone(call.info.slot.clone()).into());
        }
        let uuid = &call.info.uuid;
        let leg = SessionGuard::find(uuid).ok_or(ActionError::CallerGone)?;
        self.note_actor(uuid, actor, EventKind::TRANSFERRED);
        self.send_if_reachable(&leg, to).inspect_err(|_| drop(self.withdraw_actor(uuid, EventKind::TRANSFERRED)))
    }

    /// Sends a leg to a destination that exists.
    pub(super) fn send_if_reachable(&self, leg: &Leg<'_>, to: &Destination) -> Result<(), ActionError> {
        let to = &filled_in(to, leg);
        let is_ours = || self.number_of(leg, std::iter::once((to.extension.as_str(), false))).is_some();
        leg.can_reach(to, (DIALPLAN, &is_ours))?;
        let sent = leg.transfer(&to.extension, to.dialplan.as_deref(), to.context.as_deref());
        sent.then_some(()).ok_or_else(|| ActionError::TransferRefused(to.extension.clone()))
    }
}

/// Fills the variables of the leg in a destination of the configuration. No variable can name a dialplan, and the core itself fills them in applications
/// of the dialplan `inline`.
fn filled_in(to: &Destination, leg: &Leg<'_>) -> Destination {
    let is_inline = to.dialplan.as_deref().is_some_and(|dialplan| dialplan.eq_ignore_ascii_case("inline"));
    let fill = |text: &str| if is_inline { text.to_owned() } else { fill_in_from_leg(text, leg) };
    Destination {
        extension: fill(&to.extension),
        dialplan: to.dialplan.clone(),
        context: to.context.as_deref().map(fill),
    }
}
