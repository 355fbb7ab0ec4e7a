//! Whom a leg talked to last. A person who transfers a caller is gone by the time the caller arrives, and the Referred-By header
//! that a phone sends says whatever the phone likes. So this is noted as two legs are bridged, while both can be asked.

use super::Attendant;
use super::identity::{Claim, External};
use crate::host::{self, Leg, Located};

/// On a leg: the user at the other end of its last bridge, as authenticated or called.
const USER: &str = "callpark_last_user";
/// The same as a trusted proxy said, which the directory has not been asked yet.
const VOUCHED: &str = "callpark_last_vouched";
/// The same where it was no user of this server: how to ring it again, and what to call it.
const WAY: &str = "callpark_last_way";
const NAMES: &str = "callpark_last_names";
/// The leg at the other end.
const PEER: &str = "callpark_last_peer";
/// When that bridge began, in microseconds since 1970.
const TALKED_AT: &str = "callpark_last_talk";

/// Where the core says the same, as the bridge begins.
const BRIDGED_TO: &str = "last_bridge_to";

/// What was noted of a leg's last bridge; `None` if nothing was, or only of an earlier one.
fn noted(leg: &Leg<'_>) -> Option<LastPeer> {
    leg.var(PEER).filter(|peer| Some(peer) == leg.var(BRIDGED_TO).as_ref())?;
    if let Some(user) = leg.var(USER) {
        return Some(LastPeer::User(user));
    }
    if let Some(vouched) = leg.var(VOUCHED) {
        return Some(LastPeer::Vouched(vouched));
    }
    let external = || Some(External { way: leg.var(WAY)?, names: leg.var(NAMES)? });
    Some(external().map_or(LastPeer::Unknown, LastPeer::External))
}

/// When the leg's last conversation began.
pub(super) fn talked_at(leg: &Leg<'_>) -> Option<i64> {
    leg.var(TALKED_AT)?.parse().ok()
}

pub(super) enum LastPeer {
    User(String),
    Vouched(String),
    External(External),
    /// Nobody who can be named or rung.
    Unknown,
}

impl Attendant {
    /// Who was at the other end of a leg's last bridge. `None` if it was in none, or nobody can say any more.
    pub(super) fn last_peer(&self, leg: &Leg<'_>) -> Option<LastPeer> {
        // The core tells of a bridge on a thread of its own, and the transfer may be quicker.
        let late = || {
            self.note_peer(leg, &*Located::find(&leg.var(BRIDGED_TO)?)?);
            noted(leg)
        };
        noted(leg).or_else(late)
    }

    /// Two legs are bridged. Runs on the core's event thread, and so does not ask the directory, which may be far away.
    pub(super) fn note_peer(&self, leg: &Leg<'_>, peer: &Leg<'_>) {
        let (mut user, mut vouched, mut external) = (None, None, None);
        match self.claim_of(peer) {
            Claim::User(name) => user = Some(name),
            Claim::Vouched(claimed) => vouched = Some(claimed),
            Claim::Nobody => external = External::of(peer),
        }
        let (way, names) = external.map(|external| (external.way, external.names)).unzip();
        for (name, value) in [(USER, user), (VOUCHED, vouched), (WAY, way), (NAMES, names)] {
            match value {
                Some(value) => leg.set_var(name, &value),
                None => leg.unset_var(name),
            }
        }
        leg.set_var(PEER, &peer.uuid());
        leg.set_var(TALKED_AT, &host::epoch_ms().saturating_mul(1000).to_string());
    }
}
