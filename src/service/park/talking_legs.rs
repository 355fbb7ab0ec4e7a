//! Finds the other call of a user. A user who dials a slot during another call wants to park that call.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::freeswitch::{self, Binding, CoreEvent, EventRef, Leg, OnEvent, SessionGuard, StateLookup};
use crate::parking::{MonotonicTime, Party};
use crate::service::ParkingService;
use crate::service::identity::LegUser;

pub(crate) fn on_bridge<W: StateLookup<ParkingService>>() -> Option<Binding> {
    Binding::bind::<OnBridge, W>()
}

pub(crate) fn on_hangup<W: StateLookup<ParkingService>>() -> Option<Binding> {
    Binding::bind::<OnHangup, W>()
}

/// The legs that are or were in a conversation, by the party at their far end.
#[derive(Debug, Default)]
pub(in crate::service) struct TalkingLegs(Mutex<Legs>);

#[derive(Debug, Default)]
struct Legs {
    /// The UUIDs by each name of a party.
    by_name: HashMap<String, Vec<String>>,
    /// The names of each leg, and when its conversation began.
    names: HashMap<String, (Vec<String>, MonotonicTime)>,
}

impl TalkingLegs {
    /// Returns another leg of the same party that is in a conversation: of `user`, or if that is empty, of the party that the leg names.
    pub(super) fn other_call(&self, leg: &Leg<'_>, user: &str) -> Option<SessionGuard> {
        let uuid = leg.uuid();
        let name = if user.is_empty() { own_name(leg)? } else { user.to_owned() };
        let legs = self.0.lock().by_name.get(&name).cloned().unwrap_or_default();
        let others = legs.iter().filter(|other| **other != uuid);
        others.filter_map(|other| SessionGuard::find(other)).find(|other| other.ready() && other.partner().is_some())
    }

    /// Returns another leg of `user` that holds a conversation; of several, the one whose conversation began last.
    pub(super) fn held_call(&self, leg: &Leg<'_>, user: &str) -> Option<SessionGuard> {
        let uuid = leg.uuid();
        let legs = self.0.lock().by_name.get(user).cloned().unwrap_or_default();
        let others = legs.iter().rev().filter(|other| **other != uuid).filter_map(|other| SessionGuard::find(other));
        others.into_iter().find(|other| other.ready() && other.holding() && other.partner().is_some())
    }

    /// Adds a leg. `user` is its user, if that is reliable.
    fn note(&self, leg: &Leg<'_>, user: Option<String>) {
        let uuid = leg.uuid();
        let names: Vec<String> = user.into_iter().chain(own_name(leg)).collect();
        let mut legs = self.0.lock();
        legs.forget(&uuid);
        for name in &names {
            legs.by_name.entry(name.clone()).or_default().push(uuid.clone());
        }
        legs.names.insert(uuid, (names, freeswitch::now()));
    }

    /// Returns the legs of these users, each with the time when its conversation began.
    pub(super) fn legs_of(&self, is_meant: impl Fn(&str) -> bool) -> Vec<(String, MonotonicTime)> {
        let legs = self.0.lock();
        let meant = legs.by_name.iter().filter(|(name, _)| !name.starts_with('?') && is_meant(name));
        let uuids = meant.flat_map(|(_, uuids)| uuids);
        uuids.filter_map(|uuid| legs.names.get(uuid).map(|(_, since)| (uuid.clone(), *since))).collect()
    }
}

impl ParkingService {
    /// Whether a user is in a conversation.
    pub(in crate::service) fn is_talking(&self, user: &str) -> bool {
        let legs = self.talking_legs.0.lock().by_name.get(user).cloned().unwrap_or_default();
        legs.iter().filter_map(|uuid| SessionGuard::find(uuid)).any(|leg| leg.partner().is_some())
    }
}

impl Legs {
    fn forget(&mut self, uuid: &str) {
        for name in self.names.remove(uuid).into_iter().flat_map(|(names, _)| names) {
            if let Some(legs) = self.by_name.get_mut(&name) {
                legs.retain(|leg| leg != uuid);
                if legs.is_empty() {
                    self.by_name.remove(&name);
                }
            }
        }
    }
}

impl ParkingService {
    /// Adds the conversations that exist when the module is loaded.
    pub(crate) fn note_conversations(&self) {
        for leg in freeswitch::all_legs()
            .iter()
            .filter_map(|uuid| SessionGuard::find(uuid))
            .filter(|leg| leg.partner().is_some())
        {
            self.note_conversation(&leg);
        }
    }

    fn note_conversation(&self, leg: &Leg<'_>) {
        self.talking_legs.note(leg, self.trusted_user(leg));
    }

    /// Returns another leg of a user that is in a conversation, among all legs, because the event of a bridge may come late.
    pub(super) fn other_call_among_all(&self, leg: &Leg<'_>, user: &str) -> Option<SessionGuard> {
        let uuid = leg.uuid();
        let others = freeswitch::all_legs()
            .into_iter()
            .filter(|other| *other != uuid)
            .filter_map(|other| SessionGuard::find(&other));
        let mut theirs =
            others.filter(|other| other.partner().is_some() && self.trusted_user(other).as_deref() == Some(user));
        theirs.find(|other| other.ready())
    }

    /// Returns the user of a leg, if it is reliable or a trusted proxy names the user.
    fn trusted_user(&self, leg: &Leg<'_>) -> Option<String> {
        match self.leg_user(leg) {
            LegUser::User(user) | LegUser::Vouched(user) => Some(user),
            LegUser::Nobody => None,
        }
    }
}

/// Returns the name that the far end of a leg gives itself, or by which it was called. It is not reliable, and never the name of a user.
fn own_name(leg: &Leg<'_>) -> Option<String> {
    let user = if leg.outbound() { leg.var("sip_to_user") } else { leg.var("sip_from_user") };
    user.filter(|user| !user.eq_ignore_ascii_case(Party::WITHHELD_NUMBER)).map(|user| format!("?{user}"))
}

struct OnBridge;

impl OnEvent for OnBridge {
    type Context = ParkingService;
    const EVENT: CoreEvent = CoreEvent::Bridge;

    fn on_event(service: &Arc<ParkingService>, event: &EventRef<'_>) {
        let leg = |header| event.get(header).and_then(|uuid: String| SessionGuard::find(&uuid));
        if let (Some(one), Some(other)) = (leg("Bridge-A-Unique-ID"), leg("Bridge-B-Unique-ID")) {
            service.note_peers(&one, &other);
            service.extend_transfers(&one, &other);
            service.end_press_of_others(&one, &other);
            service.end_press_of_others(&other, &one);
            service.note_conversation(&one);
            service.note_conversation(&other);
        }
    }
}

struct OnHangup;

impl OnEvent for OnHangup {
    type Context = ParkingService;
    const EVENT: CoreEvent = CoreEvent::Hangup;

    fn on_event(service: &Arc<ParkingService>, event: &EventRef<'_>) {
        if let Some(uuid) = event.get("Unique-ID") {
            service.talking_legs.0.lock().forget(&uuid);
            service.forget_press(&uuid);
            service.announcements.forget(&uuid);
            service.verto_legs.forget(&uuid);
        }
    }
}
