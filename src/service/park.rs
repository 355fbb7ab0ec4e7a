//! Parking: this leg, or the one it talks to.

use std::sync::Arc;
use std::time::Duration;

use super::attended_transfer::show_slot;
use super::call_log::log_call;
use super::hand_over::following;
use super::identity::{Arrival, Parker};
use super::leg_commands::LegCommands;
use super::ring::RINGBACK_CAUSE;
use super::{ActionError, AppResult, EventKind, ParkEvent, ParkingService, entropy, identity};
use crate::config::{ValueError, parse_bool, parse_destination, parse_ringback, seconds};
use crate::freeswitch::{self, HangupCause, Heard, Leg, Listener, PlayToEnd, SessionGuard};
use crate::parking::{
    Call, CallOverrides, LotName, LotSettings, ParkRequest, Refusal, RingBack, Slot, SlotRequest, State,
};

/// For how long a caller who is sent to a slot may take to leave the bridge.
const LEAVING: Duration = Duration::from_millis(300);

/// What an application or a command asks for.
#[derive(Clone, Debug)]
pub(crate) struct ParkOrder {
    pub(crate) wanted: SlotRequest,
    pub(crate) lot: Option<LotName>,
}

/// Which leg a command means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Whose {
    ItsOwn,
    Partner,
}

/// How a leg comes into its slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Coming {
    /// By a transfer, a feature code or a command.
    Sent,
    /// Its far end dialled.
    Dialled,
    /// It takes the place of a leg that was parked there.
    Replacing,
    /// It was there when FreeSWITCH died.
    Recovered,
}

impl Coming {
    fn what(self) -> EventKind {
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
    /// The application: on a leg in a bridge parks the other party, tells this one the slot and lets it go; otherwise
    /// parks this leg, and comes back when it is wanted elsewhere.
    pub(crate) fn park(self: &Arc<Self>, leg: &Leg<'_>, order: &ParkOrder) -> AppResult {
        match leg.partner() {
            Some(partner) => self.park_partner(leg, &partner, order),
            None => match self.replaces(leg) {
                Some(holder) => self.park_in_place_of(leg, &holder, order),
                None => match self.consultation(leg) {
                    Some(other) => self.consult(leg, other, order),
                    None => self.park_here(leg, order),
                },
            },
        }
    }

    /// The slot of a leg whose application runs within the one that looks after it in that slot.
    pub(crate) fn slot_it_waits_in(&self, leg: &Leg<'_>) -> Option<Slot> {
        let call = self.call_of(&leg.uuid())?;
        let waits = matches!(call.state, State::Parked | State::RingingBack | State::Retrieving { .. });
        waits.then(|| call.info.slot.clone())
    }

    /// A user who dials a park extension beside another call does not want to be parked: that call is to follow.
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
                let verdict = self.refuse_to_park(leg, &request, refusal);
                let (slot, lot) = (order.wanted.slot(), self.lot_of_order(leg, order));
                let explain = || self.without_slot(leg, &request, verdict, !dialled);
                if dialled { following(leg, "callpark_park", slot, lot.as_deref(), explain) } else { explain() }
            }
        }
    }

    /// The slot of the leg whose place this one takes, or, where it has none any more, as ordered.
    fn park_in_place_of(self: &Arc<Self>, leg: &Leg<'_>, holder: &str, order: &ParkOrder) -> AppResult {
        let request = self.request_on(leg, order, Arrival::Transferred, self.parker_of(leg));
        match self.take_over(holder, &request) {
            Ok((call, true)) => self.enter_slot(leg, &call, Coming::Replacing),
            Ok((call, false)) => self.enter_slot(leg, &call, Coming::Sent),
            Err(refusal) => {
                let verdict = self.refuse_to_park(leg, &request, refusal);
                self.without_slot(leg, &request, verdict, true)
            }
        }
    }

    /// The lot that an order means, `main@example.com`.
    pub(super) fn lot_of_order(&self, leg: &Leg<'_>, order: &ParkOrder) -> Option<String> {
        let place = self.place(leg, order.lot.clone(), None);
        self.table.lock().resolve(&place, order.wanted.slot()).ok().map(|lot| lot.to_string())
    }

    /// From here on the call is in its slot. Comes back when it is wanted elsewhere.
    pub(super) fn enter_slot(self: &Arc<Self>, leg: &Leg<'_>, call: &Call, coming: Coming) -> AppResult {
        let info = &call.info;
        let commands = self.leg_commands.open(&info.uuid);
        describe_on_channel(leg, call);
        // The label of a slot is not the caller's to keep in the next one.
        if !call.label.is_empty() && !self.table.lock().is_label_of_slot(call) {
            leg.set_var("callpark_label", &call.label);
        }
        self.offer_hand_over(leg, call);
        if coming == Coming::Dialled {
            show_slot(leg, call);
        }
        // The core saves a leg as it is answered.
        let saved = if leg.answered() { None } else { self.write_stay(leg) };
        let audible = leg.answer_and_anchor_media();
        let wait = freeswitch::now().since(call.parked_at);
        self.notify(&ParkEvent { call: Some(call), leg: Some(leg), wait, ..ParkEvent::of(coming.what()) });
        // After the event, for which somebody may wait: the core's log has one lock for all, and saving a leg writes all of it, as XML.
        coming.log(call);
        if audible {
            self.save(leg, saved);
        }
        if matches!(coming, Coming::Sent | Coming::Dialled) {
            self.send_notifications(call);
        }
        if coming == Coming::Dialled && info.settings.announce && leg.ready() {
            // Whoever takes the call at once need not hear the slot out.
            leg.say(c"callpark_announce_slot", info.slot.as_str(), &mut UntilLetter(&commands));
        }
        self.wait_loop(leg, call, &commands);
        AppResult::Parked
    }

    /// There is no slot for a leg. One that was transferred goes back to its parker, or to the fallback, until there is a slot;
    /// one whose parker is not known goes on in its dialplan, if that has anything for it but to be hung up. A leg that dialled
    /// is told why.
    pub(super) fn without_slot(
        self: &Arc<Self>,
        leg: &Leg<'_>,
        request: &ParkRequest,
        verdict: AppResult,
        transferred: bool,
    ) -> AppResult {
        let nowhere = matches!(verdict.word(), "full" | "taken" | "limit" | "invalid" | "denied");
        let has_a_way = || {
            let settings = self.terms_of(request);
            settings.ringback.has_somebody(&request.parker) || settings.fallback.is_some()
        };
        if transferred && nowhere && (has_a_way() || !leg.has_next_application()) {
            self.wait_for_slot(leg, request, verdict.word(), None);
            verdict
        } else {
            self.leg_commands.close(&request.uuid);
            self.explain(leg, verdict, request.wanted.slot())
        }
    }

    /// The lot's terms, as the leg's own variables change them.
    pub(super) fn terms_of(&self, request: &ParkRequest) -> Arc<LotSettings> {
        let settings = self.table.lock().settings_at(&request.place, request.wanted.slot());
        request.overrides.apply(&settings)
    }

    pub(super) fn refuse_to_park(&self, leg: &Leg<'_>, request: &ParkRequest, refusal: Refusal) -> AppResult {
        let lot = self.lot_named(&request.place).ok();
        self.refuse(leg, "parking", AppResult::Refused(refusal), lot.as_ref(), request.wanted.slot())
    }

    fn park_partner(&self, leg: &Leg<'_>, partner: &str, order: &ParkOrder) -> AppResult {
        match self.send_to_slot(partner, order, self.parker_on(leg), Some(leg), Arrival::Transferred) {
            Ok(call) => {
                leg.set_var("callpark_result", "parked");
                leg.set_var("callpark_slot", call.info.slot.as_str());
                leg.set_var("callpark_lot", &call.info.lot.name);
                leg.set_var("callpark_domain", &call.info.lot.domain);
                freeswitch::api("uuid_display", &format!("{} Park {slot}|{slot}", leg.uuid(), slot = call.info.slot));
                // The bridge that the caller leaves breaks off whatever is being played to this leg as it ends
                // (audio_bridge_thread in switch_ivr_bridge.c), about 0.1 s from now.
                leg.sleep(LEAVING);
                if let Some(tone) = call.info.settings.park_tone.as_deref().filter(|_| leg.ready()) {
                    leg.play(tone, &mut PlayToEnd);
                }
                if call.info.settings.announce && leg.ready() {
                    leg.say(c"callpark_announce_slot", call.info.slot.as_str(), &mut PlayToEnd);
                }
                leg.hang_up(HangupCause::NormalClearing);
                AppResult::Parked
            }
            // The conversation goes on; the other party hears nothing of it.
            Err(refusal) => {
                let slot = order.wanted.slot();
                let verdict = self.refuse(leg, "parking", AppResult::Refused(refusal), None, slot);
                self.explain(leg, verdict, slot)
            }
        }
    }

    /// The command: parks a leg, or its partner, wherever it is now.
    pub(crate) fn park_by_command(&self, uuid: &str, whose: Whose, order: &ParkOrder) -> Result<Call, ActionError> {
        let leg = SessionGuard::find(uuid).ok_or_else(|| ActionError::NoSuchChannel(uuid.to_owned()))?;
        let partner = leg.partner();
        let (target, other) = match whose {
            Whose::ItsOwn => (uuid.to_owned(), partner),
            Whose::Partner => (partner.ok_or_else(|| ActionError::NotBridged(uuid.to_owned()))?, Some(uuid.to_owned())),
        };
        let other = other.and_then(|other| SessionGuard::find(&other));
        let parker = Parker::named_on(&leg).or_else(|| other.as_deref().map(|other| self.parker_on(other)));
        let parker = parker.unwrap_or_default();
        drop(leg);
        Ok(self.send_to_slot(&target, order, parker, other.as_deref(), Arrival::Moved)?)
    }

    /// Keeps a slot for a leg and sends the leg there; its own thread does the rest. `parker`'s leg tells the domain
    /// where the parked one does not.
    pub(super) fn send_to_slot(
        &self,
        uuid: &str,
        order: &ParkOrder,
        parker: Parker,
        by: Option<&Leg<'_>>,
        arrival: Arrival,
    ) -> Result<Call, Refusal> {
        let gone = || Refusal::Empty(format!("channel {uuid}"));
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
            self.change(|table, now| table.left(uuid, crate::parking::LeaveReason::HungUp, now));
            Err(gone())
        }
    }

    /// What is asked of the rules for a leg that came here itself. A user transfers into a lot of their own domain, whoever the
    /// caller is.
    pub(super) fn request_on(&self, leg: &Leg<'_>, order: &ParkOrder, arrival: Arrival, parker: Parker) -> ParkRequest {
        let theirs = parker.domain.clone().filter(|_| arrival == Arrival::Transferred && parker.is_proven_user());
        let mut request = self.request(leg, order, parker, None);
        request.place.domains.splice(0..0, theirs);
        request
    }

    /// What is asked of the rules for a leg. `by`: the leg of the conversation from which it is parked.
    pub(super) fn request(
        &self,
        leg: &Leg<'_>,
        order: &ParkOrder,
        parker: Parker,
        by: Option<&Leg<'_>>,
    ) -> ParkRequest {
        let mut request = ParkRequest {
            uuid: leg.uuid().into(),
            place: self.place(leg, order.lot.clone(), parker.domain),
            wanted: order.wanted.clone(),
            caller: identity::party(leg).into(),
            parker: parker.name.into(),
            label: leg.var("callpark_label").unwrap_or_default(),
            overrides: overrides(leg),
            parked_at_ms: freeswitch::epoch_ms(),
            entropy: entropy(),
        };
        if let Some(by) = by {
            // The parker's domain counts before that of an outside caller, who may have come in by another tenant's number.
            request.place.domains.insert(0, self.domain_of(by));
            request.place.any &= identity::own_domain(by).is_none();
        }
        if let Some(way) = parker.way.filter(|_| self.terms_of(&request).ringback == RingBack::Parker) {
            request.overrides.ringback = Some(RingBack::DialString(way));
        }
        request
    }
}

/// Stops what is played as soon as somebody wants the call.
struct UntilLetter<'a>(&'a LegCommands);

impl Listener for UntilLetter<'_> {
    fn frame(&mut self) -> Heard {
        if self.0.has_command() { Heard::Stop } else { Heard::GoOn }
    }

    fn key(&mut self, _: char) -> Heard {
        Heard::GoOn
    }
}

/// What the leg's own variables change in the lot's terms. One that will not do is left out and said in the log: a typing
/// error in a dialplan must not keep a caller from being parked.
fn overrides(leg: &Leg<'_>) -> CallOverrides {
    CallOverrides {
        park_timeout: amended(leg, "callpark_timeout", |value| seconds(value, 0)),
        ringback: amended(leg, "callpark_ringback", parse_ringback),
        ringback_timeout: amended(leg, "callpark_ringback_timeout", |value| seconds(value, 1)),
        fallback: amended(leg, "callpark_fallback", parse_destination),
        hold_music: leg.var("callpark_hold_music"),
        announce: amended(leg, "callpark_announce", parse_bool),
    }
}

fn amended<T>(leg: &Leg<'_>, name: &str, read: impl Fn(&str) -> Result<T, ValueError>) -> Option<T> {
    let value = leg.var(name)?;
    let ignored =
        |cause| log_call!(Warning, leg, variable = name, value = value, cause = cause; "ignored channel variable");
    read(&value).map_err(ignored).ok()
}

/// What the parked leg carries, so that it reaches the CDR.
fn describe_on_channel(leg: &Leg<'_>, call: &Call) {
    let info = &call.info;
    leg.make_profile_inert();
    leg.set_var("callpark_result", "parked");
    leg.set_var("callpark_lot", &info.lot.name);
    leg.set_var("callpark_domain", &info.lot.domain);
    leg.set_var("callpark_slot", info.slot.as_str());
    leg.set_var("callpark_parked_at", &info.parked_at_ms.to_string());
    // The core counts a leg's transfers and hangs it up at the seventieth (switch_ivr.c), against loops. Who waited in a slot
    // is in none.
    leg.unset_var("max_forwards");
    for name in ["callpark_outcome", "callpark_retriever", "callpark_wait_ms", RINGBACK_CAUSE] {
        leg.unset_var(name);
    }
    identity::note_parker(leg, &info.parker);
}

pub(super) fn millis(wait: Duration) -> String {
    wait.as_millis().to_string()
}
