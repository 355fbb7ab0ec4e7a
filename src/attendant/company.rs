//! Whom a leg talked to last. Who transfers a caller away is gone by the time the caller arrives, and what their phone writes into
//! Referred-By, if it writes one, is only written; so it is noted as two legs are bridged, while both are there to be asked.

use super::identity;
use crate::host::{Binding, Kind, Leg, Located, OnEvent, Told};

/// On a leg: the user at the other end of its last bridge, as authenticated or called.
const LAST_USER: &str = "callpark_last_user";

pub(crate) fn on_bridge() -> Option<Binding> {
    Binding::bind::<Bridge>()
}

pub(super) fn last_user(leg: &Leg<'_>) -> Option<String> {
    leg.var(LAST_USER)
}

struct Bridge;

impl OnEvent for Bridge {
    const KIND: Kind = Kind::Bridge;

    fn happened(event: &Told<'_>) {
        let leg = |header| event.get(header).and_then(|uuid: String| Located::find(&uuid));
        if let (Some(one), Some(other)) = (leg("Bridge-A-Unique-ID"), leg("Bridge-B-Unique-ID")) {
            note(&one, &identity::user(&other));
            note(&other, &identity::user(&one));
        }
    }
}

fn note(leg: &Leg<'_>, user: &str) {
    if user.is_empty() { leg.unset_var(LAST_USER) } else { leg.set_var(LAST_USER, user) }
}
