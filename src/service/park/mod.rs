//! Parks a leg, or the leg to which it is bridged.

pub(super) mod announce;
mod attended_transfer;
pub(super) mod conversations;
pub(super) mod enter_slot;
pub(super) mod hand_over;
mod held;
mod park_or_retrieve;
mod request;
pub(super) mod talking_legs;
mod waiting_for_slot;

use std::sync::Arc;
use std::time::Duration;

use super::call_log::log_call;
use super::identity::Parker;
use super::{ActionError, AppResult, ParkingService, identity};
use crate::config::parse_bool;
use crate::freeswitch::{self, Leg, SessionGuard};
use crate::parking::{
    Arrival, Call, CallOverrides, LotName, ParkRequest, Refusal, Slot, SlotRequest, State, should_wait_for_slot,
};
use enter_slot::Coming;
use hand_over::with_transfer_target;

/// How long the core may take to connect a caller with the phone whose transfer has failed.
const RETURN_TIME: Duration = Duration::from_secs(2);
/// How often this is checked.
const RETURN_CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// The slot and the lot that an application or a command asks for.
#[derive(Clone, Debug)]
pub(crate) struct ParkOrder {
    pub(crate) wanted: SlotRequest,
    pub(crate) lot: Option<LotName>,
    /// What the order itself changes of the lot's settings.
    pub(crate) overrides: CallOverrides,
}

impl ParkOrder {
    pub(crate) fn new(wanted: SlotRequest, lot: Option<LotName>) -> ParkOrder {
        ParkOrder { wanted, lot, overrides: CallOverrides::default() }
    }
}

/// The leg that a command parks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TargetLeg {
    Own,
    Partner,
}

impl ParkingService {
    /// Runs `callpark_park`. On a leg in a bridge, parks the other party, announces the slot and hangs this leg up. Otherwise
    /// parks this leg, and returns when it leaves the slot.
    pub(crate) fn park(self: &Arc<Self>, leg: &Leg<'_>, order: &ParkOrder) -> AppResult {
        match leg.partner() {
            Some(partner) => self.park_partner(leg, &partner, order),
            None => match self.take_replaced_leg(leg) {
                Some(holder) => self.park_in_place_of(leg, &holder, order),
                None => match self.consultation(leg) {
                    Some(other) => self.consult(leg, other, order),
                    None => self.park_here(leg, order),
                },
            },
        }
    }

    /// Returns the slot in which a leg waits, if a second application was started on that leg.
    pub(crate) fn slot_of_waiting_leg(&self, leg: &Leg<'_>) -> Option<Slot> {
        let call = self.call_of(&leg.uuid())?;
        let waits = matches!(call.state, State::Parked | State::RingingBack | State::Retrieving { .. });
        waits.then(|| call.info.slot.clone())
    }

    /// Returns the other call of a user who dials a park extension during it. The user wants to park that call, not this leg.
    fn consultation(&self, leg: &Leg<'_>) -> Option<SessionGuard> {
        let dialled = !identity::was_transferred(leg) && self.call_of(&leg.uuid()).is_none();
        dialled.then(|| self.other_call_of_user(leg)).flatten()
    }

    fn park_here(self: &Arc<Self>, leg: &Leg<'_>, order: &ParkOrder) -> AppResult {
        let uuid = leg.uuid();
        if leg.still_rings() {
            return self.refuse(leg, "parking", AppResult::Refused(Refusal::NotAnswered(uuid)), None, None);
        }
        self.leg_commands.open(&uuid);
        if let Some(call) = self.change(|table, now| table.arrive(&uuid, now)) {
            return self.enter_slot(leg, &call, Coming::Sent);
        }
        let left_behind = leg.var(super::cluster::LEFT_BEHIND).is_some();
        let arrival = if left_behind { Arrival::Moved } else { Arrival::of(leg) };
        let dialled = !arrival.by_others();
        let parker = self.parker_of(leg);
        let request = self.request_on(leg, order, arrival, parker.clone());
        let allowed = self.may_park(leg, &request, arrival, &parker);
        let taken = allowed.and_then(|()| self.take_here(&request, |table, now| table.park(&request, false, now)));
        match taken {
            Ok(call) => self.enter_slot(leg, &call, if dialled { Coming::Dialled } else { Coming::Sent }),
            Err(refusal) => {
                let result = self.refuse_to_park(leg, &request, refusal);
                let (slot, lot) = (order.wanted.slot(), self.lot_of_order(leg, order));
                let explain = || self.without_slot(leg, &request, result, !dialled);
                if dialled {
                    with_transfer_target(leg, "callpark_park", slot, lot.as_deref(), explain)
                } else {
                    explain()
                }
            }
        }
    }

    /// Parks a leg in the slot of the leg that it replaces; if that one has no slot any more, as the order says.
    fn park_in_place_of(self: &Arc<Self>, leg: &Leg<'_>, holder: &str, order: &ParkOrder) -> AppResult {
        let request = self.request_on(leg, order, Arrival::Transferred, self.parker_of(leg));
        match self.take_over(holder, &request) {
            Ok((call, true)) => self.enter_slot(leg, &call, Coming::Replacing),
            Ok((call, false)) => self.enter_slot(leg, &call, Coming::Sent),
            Err(refusal) => {
                let result = self.refuse_to_park(leg, &request, refusal);
                self.without_slot(leg, &request, result, true)
            }
        }
    }

    /// Handles a leg for which there is no slot. A transferred leg returns to its parker or goes to the fallback, and meanwhile
    /// waits for a slot. If its parker is not known and there is no fallback, it continues in its dialplan if an application
    /// follows there. A leg that dialled hears the reason.
    pub(super) fn without_slot(
        self: &Arc<Self>,
        leg: &Leg<'_>,
        request: &ParkRequest,
        result: AppResult,
        transferred: bool,
    ) -> AppResult {
        let (settings, goes_on) = (self.settings_for(request), leg.has_next_application() || leg.is_run_by_script());
        let waits = should_wait_for_slot(transferred, &request.parker, &settings, goes_on);
        match result.no_slot().filter(|_| waits) {
            Some(_) if returns_to_transferor(leg) => {
                self.leg_commands.close(&request.uuid);
                result
            }
            Some(reason) => {
                self.wait_for_slot(leg, request, reason, None);
                result
            }
            None => {
                self.leg_commands.close(&request.uuid);
                self.explain(leg, result, request.wanted.slot())
            }
        }
    }

    pub(super) fn refuse_to_park(&self, leg: &Leg<'_>, request: &ParkRequest, refusal: Refusal) -> AppResult {
        let lot = self.lot_named(&request.place).ok();
        self.refuse(leg, "parking", AppResult::Refused(refusal), lot.as_ref(), request.wanted.slot())
    }

    pub(in crate::service) fn park_partner(&self, leg: &Leg<'_>, partner: &str, order: &ParkOrder) -> AppResult {
        let sent = self.send_to_slot(partner, order, self.parker_on(leg), Some(leg), Arrival::Transferred);
        self.end_press(partner);
        match sent {
            Ok(call) => self.release_parker(leg, &call),
            // The conversation continues, and the other party does not hear the reason.
            Err(refusal) => {
                let slot = order.wanted.slot();
                let result = self.refuse(leg, "parking", AppResult::Refused(refusal), None, slot);
                self.explain(leg, result, slot)
            }
        }
    }

    /// Parks a leg or its partner, for the command.
    pub(crate) fn park_by_command(
        &self,
        uuid: &str,
        target: TargetLeg,
        order: &ParkOrder,
    ) -> Result<Call, ActionError> {
        let leg = SessionGuard::find(uuid).ok_or_else(|| ActionError::NoSuchChannel(uuid.to_owned()))?;
        let partner = leg.partner();
        let (target, other) = match target {
            TargetLeg::Own => (uuid.to_owned(), partner),
            TargetLeg::Partner => {
                (partner.ok_or_else(|| ActionError::NotBridged(uuid.to_owned()))?, Some(uuid.to_owned()))
            }
        };
        let other = other.and_then(|other| SessionGuard::find(&other));
        let parker = Parker::named_on(&leg).or_else(|| other.as_deref().map(|other| self.parker_on(other)));
        let parker = parker.unwrap_or_default();
        drop(leg);
        Ok(self.send_to_slot(&target, order, parker, other.as_deref(), Arrival::Moved)?)
    }

    /// Reserves a slot for a leg and sends the leg there. The lot is first looked for in the domain of the leg `by`, then in
    /// those of the parked leg.
    pub(super) fn send_to_slot(
        &self,
        uuid: &str,
        order: &ParkOrder,
        parker: Parker,
        by: Option<&Leg<'_>>,
        arrival: Arrival,
    ) -> Result<Call, Refusal> {
        let gone = || Refusal::NoSuchChannel(uuid.to_owned());
        let leg = SessionGuard::find(uuid).ok_or_else(gone)?;
        if leg.still_rings() {
            return Err(Refusal::NotAnswered(uuid.into()));
        }
        let request = self.request(&leg, order, parker.clone(), by);
        self.may_park(&leg, &request, arrival, &parker)?;
        let call = self.take(&request, |table, now| table.park(&request, true, now))?;
        // As mod_sofia does for a transfer by REFER.
        if let Some(by) =
            by.filter(|by| by.var("recording_follow_transfer").is_some_and(|follow| parse_bool(&follow) == Ok(true)))
        {
            by.hand_recordings_to(&leg);
        }
        let extension = format!("callpark_park:{} {}", call.info.slot, call.info.lot);
        if leg.transfer(&extension, Some("inline"), None) {
            Ok(call)
        } else {
            self.end_on_the_way(uuid);
            Err(gone())
        }
    }
}

/// Tells a phone that waits for the result of its transfer that there is no slot. The core connects it with the caller again. Returns false if
/// no phone waits, or has hung up meanwhile.
fn returns_to_transferor(leg: &Leg<'_>) -> bool {
    if !leg.refuse_transfer() {
        return false;
    }
    log_call!(Debug, leg; "refused the transfer, the phone gets the caller back");
    let until = freeswitch::now().after(RETURN_TIME);
    while leg.ready() && freeswitch::now() < until {
        leg.sleep(RETURN_CHECK_INTERVAL);
    }
    !leg.ready()
}
