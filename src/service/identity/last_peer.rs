//! Remembers with whom a leg was bridged last, to identify the parker. When a transferred caller arrives, the leg of the user who transferred it is
//! gone, and a phone may write anything into the Referred-By header. So each leg of a bridge gets variables that name the other one, while both exist.

use std::sync::Arc;

use super::{External, LegUser};
use crate::freeswitch::{self, Binding, CoreEvent, EventRef, Leg, OnEvent, SessionGuard, StateLookup};
use crate::service::ParkingService;

/// The variable with the user at the other end of the last bridge, as authenticated or called.
const LAST_USER: &str = "callpark_last_user";
/// The variable with that user as somebody vouches, which is not looked up in the directory yet.
const LAST_VOUCHED_USER: &str = "callpark_last_vouched";
/// The variables with the dial string and the names of a party who is no user of this server.
const LAST_DIAL_STRING: &str = "callpark_last_way";
const LAST_NAMES: &str = "callpark_last_names";
/// The variable with the UUID of the other leg.
const LAST_PEER_UUID: &str = "callpark_last_peer";
/// The variable with the start of that bridge, in microseconds since 1970.
const LAST_TALK_AT: &str = "callpark_last_talk";

/// The variable with the UUID of the phone that answered the call of this leg, and of the leg with which this one had been bridged before. It is
/// needed because a phone may transfer its caller after it has answered and before the two are bridged; then they never are, and the core names
/// no peer.
const ANSWERED_BY: &str = "callpark_answered_by";

/// The variable in which the core names the other leg when the bridge begins.
const BRIDGED_TO: &str = "last_bridge_to";

/// Returns the peer that was noted for the last bridge of a leg, or for the phone that has just answered its call; `None` if nothing was noted, or
/// only for an earlier bridge.
fn noted(leg: &Leg<'_>) -> Option<LastPeer> {
    let bridged = |peer: &String| leg.var(BRIDGED_TO).as_ref() == Some(peer);
    let answered = |peer: &String| leg.var(ANSWERED_BY) == Some(answered_by(leg, peer));
    leg.var(LAST_PEER_UUID).filter(|peer| bridged(peer) || answered(peer))?;
    if let Some(user) = leg.var(LAST_USER) {
        return Some(LastPeer::User(user));
    }
    let external = || Some(External { dial_string: leg.var(LAST_DIAL_STRING)?, names: leg.var(LAST_NAMES)? });
    if let Some(vouched) = leg.var(LAST_VOUCHED_USER) {
        return Some(LastPeer::Vouched(vouched, external()));
    }
    Some(external().map_or(LastPeer::Unknown, LastPeer::External))
}

fn answered_by(leg: &Leg<'_>, peer: &str) -> String {
    format!("{peer} {}", leg.var(BRIDGED_TO).unwrap_or_default())
}

/// When the last conversation of a leg began.
pub(in crate::service) fn talked_at(leg: &Leg<'_>) -> Option<i64> {
    leg.var(LAST_TALK_AT)?.parse().ok()
}

pub(in crate::service) enum LastPeer {
    User(String),
    /// A user, or if the directory has no such user, a party outside.
    Vouched(String, Option<External>),
    External(External),
    /// A party who cannot be named or called.
    Unknown,
}

impl ParkingService {
    /// Returns the party at the other end of the last bridge of a leg; `None` if there was no bridge, or the party is not known any more.
    pub(in crate::service) fn last_peer(&self, leg: &Leg<'_>) -> Option<LastPeer> {
        // The event of a bridge comes on another thread of the core, and may come later than the transfer that ends the bridge.
        let late = || {
            self.note_peer(leg, &*SessionGuard::find(&leg.var(BRIDGED_TO)?)?);
            noted(leg)
        };
        noted(leg).or_else(late)
    }

    /// Writes to the variables of two bridged legs who the other is.
    pub(in crate::service) fn note_peers(&self, one: &Leg<'_>, other: &Leg<'_>) {
        self.note_peer(one, other);
        self.note_peer(other, one);
    }

    /// Writes to the variables of a leg who `peer` is, with which it is bridged. This runs on the core's event thread, so it does not ask the
    /// directory, which may be slow.
    fn note_peer(&self, leg: &Leg<'_>, peer: &Leg<'_>) {
        let (mut user, mut vouched, mut external) = (None, None, None);
        match self.leg_user(peer) {
            LegUser::User(name) => user = Some(name),
            LegUser::Vouched(name) => {
                vouched = Some(name);
                external = External::of(peer);
            }
            LegUser::Nobody => external = External::of(peer),
        }
        let (dial_string, names) = external.map(|external| (external.dial_string, external.names)).unzip();
        for (name, value) in
            [(LAST_USER, user), (LAST_VOUCHED_USER, vouched), (LAST_DIAL_STRING, dial_string), (LAST_NAMES, names)]
        {
            match value {
                Some(value) => leg.set_var(name, &value),
                None => leg.unset_var(name),
            }
        }
        leg.set_var(LAST_PEER_UUID, &peer.uuid());
        leg.set_var(LAST_TALK_AT, &freeswitch::epoch_ms().saturating_mul(1000).to_string());
    }
}

pub(crate) fn on_answer<W: StateLookup<ParkingService>>() -> Option<Binding> {
    Binding::bind::<OnAnswer, W>()
}

struct OnAnswer;

impl OnEvent for OnAnswer {
    type Context = ParkingService;
    const EVENT: CoreEvent = CoreEvent::Answer;

    fn on_event(service: &Arc<ParkingService>, event: &EventRef<'_>) {
        let leg = |header| event.get(header).and_then(|uuid: String| SessionGuard::find(&uuid));
        let Some(caller) = leg("variable_originating_leg_uuid") else { return };
        // Of several phones that ring, one may answer when the caller is connected to another already.
        let Some(peer) = leg("Unique-ID").filter(|peer| peer.outbound() && caller.partner().is_none()) else { return };
        service.note_peer(&caller, &peer);
        caller.set_var(ANSWERED_BY, &answered_by(&caller, &peer.uuid()));
    }
}
