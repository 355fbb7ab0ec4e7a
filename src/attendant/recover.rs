//! Callers who outlive their FreeSWITCH.
//!
//! `sofia recover` rebuilds a leg with its channel variables and runs its last extension again (`switch_core_sqldb.c`). So all
//! that a parked call needs to be the same call again is written into a variable of its leg, and saved whenever it changes.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

use super::identity::Parker;
use super::park::{Coming, ParkOrder};
use super::{Attendant, Verdict};
use crate::host::{self, Leg, Located};
use crate::parking::{Call, LotName, Moment, ParkRequest, RingBack, Saved, Slot, State, Touched, Wanted};

/// On a parked leg. There it means that the leg is in its slot; it is taken away with the outcome. So a leg that comes to one
/// of our applications with it and is in no slot was parked when FreeSWITCH died.
const STAY: &str = "callpark_stay";
/// A leg that was bridged before it was parked may still name its partner, and would be recovered into that bridge.
const BONDS: [&str; 2] = ["signal_bond", "originate_signal_bond"];

/// A call in its slot. Moments are of the wall clock, in milliseconds since 1970: no other clock outlives the machine.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Stay {
    lot: String,
    slot: String,
    parker: String,
    label: String,
    parked_at: i64,
    timeout_at: Option<i64>,
    latest_at: Option<i64>,
    attempt: u32,
    rings_left: u32,
    /// How the parker is rung, where the lot does not say so.
    ringback: Option<String>,
}

impl Stay {
    fn of(call: &Call, now: Moment, epoch_ms: i64) -> Stay {
        let facts = &call.facts;
        let ringing = call.state == State::RingingBack;
        let on_the_wall = |moment: Moment| epoch_ms.saturating_add(millis(moment.since(now)));
        Stay {
            lot: facts.lot.to_string(),
            slot: facts.slot.to_string(),
            parker: facts.parker.to_string(),
            label: call.label.to_string(),
            parked_at: facts.parked_at_ms,
            // A ring back that is cut short is made up for at once.
            timeout_at: if ringing { Some(facts.parked_at_ms) } else { call.deadline.map(on_the_wall) },
            latest_at: call.latest.map(on_the_wall),
            attempt: call.attempt.saturating_sub(u32::from(ringing)),
            rings_left: call.rings_left.saturating_add(u32::from(ringing)),
            ringback: match &facts.amendment.ringback {
                Some(RingBack::DialString(dial)) => Some(dial.clone()),
                _ => None,
            },
        }
    }

    fn on(leg: &Leg<'_>) -> Option<Stay> {
        let text = leg.var(STAY)?;
        serde_json::from_str(&text)
            .map_err(|error| log::error!("{STAY} of {} cannot be read, its slot is forgotten: {error}", leg.uuid()))
            .ok()
    }

    /// What is left of its times. A wall clock that was set back makes no wait longer than the lot ever allowed.
    fn left(&self, epoch_ms: i64, longest: Duration) -> Saved {
        let until = |at: i64| duration(at.saturating_sub(epoch_ms)).min(longest);
        Saved {
            waited: duration(epoch_ms.saturating_sub(self.parked_at)),
            left: self.timeout_at.map(until),
            latest: self.latest_at.map(until),
            attempt: self.attempt,
            rings_left: self.rings_left,
        }
    }

    fn request(&self, attendant: &Attendant, leg: &Leg<'_>) -> Option<ParkRequest> {
        let order = ParkOrder { wanted: Wanted::Slot(Slot::parse(&self.slot)?), lot: Some(LotName::parse(&self.lot)?) };
        let mut request = attendant.request(leg, &order, Parker::user(self.parker.clone()), None);
        if let Some(dial) = &self.ringback {
            request.amend.ringback = Some(RingBack::DialString(dial.clone()));
        }
        Some(ParkRequest { label: self.label.clone(), parked_at_ms: self.parked_at, ..request })
    }
}

/// What a stay says at a moment: lot, slot, and what is left of its times.
#[cfg(feature = "fuzzing")]
pub(crate) fn read_stay(
    text: &str,
    epoch_ms: i64,
    longest: Duration,
) -> Option<(Option<LotName>, Option<Slot>, Saved)> {
    let stay: Stay = serde_json::from_str(text).ok()?;
    Some((LotName::parse(&stay.lot), Slot::parse(&stay.slot), stay.left(epoch_ms, longest)))
}

impl Attendant {
    /// A leg that was parked when FreeSWITCH died goes back into its slot, whatever its dialplan says. `None`: it was not.
    pub(crate) fn resume(&self, leg: &Leg<'_>) -> Option<Verdict> {
        let stay = Stay::on(leg)?;
        leg.unset_var(STAY);
        if self.call_of(&leg.uuid()).is_some_and(|call| call.is_here()) {
            return None;
        }
        let request = stay.request(self, leg)?;
        let longest = self.terms_of(&request).longest().max(Duration::from_secs(3600));
        let saved = stay.left(self.clock_of(&stay, &leg.uuid()).unwrap_or_else(host::epoch_ms), longest);
        let call = match self.restore(leg, &request, &saved) {
            Ok(call) => call,
            Err(verdict) => return Some(verdict),
        };
        if call.facts.slot.as_str() != stay.slot {
            log::warn!("{} was in {} of {}, which is taken by now", leg.uuid(), stay.slot, stay.lot);
        }
        Some(self.settle(leg, &call, Coming::Recovered))
    }

    /// What the wall clock says that the stay was written by. It may be another node's, which goes wrong; how long the caller
    /// has waited, the register knows from a clock that all share.
    fn clock_of(&self, stay: &Stay, uuid: &str) -> Option<i64> {
        let waited = host::now().since(self.call_of(uuid)?.parked_at);
        Some(stay.parked_at.saturating_add(millis(waited)))
    }

    fn restore(&self, leg: &Leg<'_>, request: &ParkRequest, saved: &Saved) -> Result<Call, Verdict> {
        self.take_here(request, |table, now| table.restore(request, saved, now))
            .or_else(|refusal| self.without_slot(leg, request, self.refuse_to_park(leg, request, refusal), true))
    }

    /// Writes onto a parked leg all that a recovery needs, for whenever the core saves the leg. What was written of the call,
    /// `None` if it is over.
    pub(super) fn write_stay(&self, leg: &Leg<'_>) -> Option<Written> {
        let call = self.call_of(&leg.uuid())?;
        let stay = Stay::of(&call, host::now(), host::epoch_ms());
        match serde_json::to_string(&stay) {
            // A dial string may have `${...}`, which no variable is set to: in JSON there is another way to write it.
            Ok(text) => leg.set_var(STAY, &text.replace('$', "\\u0024")),
            Err(error) => log::error!("the stay of {} cannot be written: {error}", leg.uuid()),
        }
        for bond in BONDS.iter().filter(|_| leg.partner().is_none()) {
            leg.unset_var(bond);
        }
        Some(Written::of(&call))
    }

    /// Has the core save a parked leg, if the call is not as it was `saved` before. Once more if it changes meanwhile: whoever
    /// changes it may save it first.
    pub(super) fn save(&self, leg: &Leg<'_>, mut saved: Option<Written>) {
        let uuid = leg.uuid();
        while self.call_of(&uuid).is_some_and(|call| saved != Some(Written::of(&call))) {
            saved = self.write_stay(leg);
            leg.save_for_recovery();
        }
        if self.call_of(&uuid).is_none() {
            // It ended at this moment, on another thread.
            Self::forget_stay(leg);
        }
    }

    /// Of calls that changed, those that are in their slots are saved again.
    pub(super) fn save_changed(&self, touched: &[Touched]) {
        for (lot, slot) in touched {
            let Ok(call) = self.call_at(&lot.domain, slot) else { continue };
            if !matches!(call.state, State::Parked | State::RingingBack) {
                continue;
            }
            let Some(leg) = Located::find(&call.facts.uuid).filter(|leg| leg.var(STAY).is_some()) else { continue };
            self.save(&leg, None);
        }
    }

    /// A caller and a retriever are being joined: as a conversation, they would be recovered into it. The core names a bridged
    /// leg's partner only after it has saved the leg (`switch_ivr_bridge.c`), and then looks for that name.
    pub(super) fn save_joined(leg: &Leg<'_>, other: &Leg<'_>) {
        leg.set_var(BONDS[0], &other.uuid());
        other.set_var(BONDS[0], &leg.uuid());
        other.save_for_recovery();
        leg.save_for_recovery();
    }

    /// The leg leaves its slot: what the core saves of it from here on is no parked call's.
    pub(super) fn forget_stay(leg: &Leg<'_>) {
        leg.unset_var(STAY);
    }
}

/// What may change of a call while it is parked.
#[derive(PartialEq)]
pub(super) struct Written(Arc<str>, State, Option<Moment>, Option<Moment>, u32, u32);

impl Written {
    fn of(call: &Call) -> Written {
        Written(Arc::clone(&call.label), call.state.clone(), call.deadline, call.latest, call.attempt, call.rings_left)
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn duration(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stay(timeout_at: Option<i64>) -> Stay {
        Stay {
            lot: "main@a.test".into(),
            slot: "701".into(),
            parker: "1001@a.test".into(),
            label: "\"x\" <&>".into(),
            parked_at: 1_000_000,
            timeout_at,
            latest_at: None,
            attempt: 1,
            rings_left: 2,
            ringback: Some("sofia/gateway/x/5".into()),
        }
    }

    #[test]
    fn what_is_left_counts_the_time_that_the_server_was_away() {
        let hour = Duration::from_secs(3600);
        let saved = stay(Some(1_090_000)).left(1_030_000, hour);
        assert_eq!((saved.waited.as_secs(), saved.left), (30, Some(Duration::from_secs(60))));
        assert_eq!(stay(Some(1_090_000)).left(1_200_000, hour).left, Some(Duration::ZERO), "overdue");
        assert_eq!(stay(None).left(1_030_000, hour).left, None);
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_nobody_waiting_for_ever() {
        let saved = stay(Some(1_000_090_000)).left(500, Duration::from_secs(90));
        assert_eq!((saved.waited, saved.left), (Duration::ZERO, Some(Duration::from_secs(90))));
    }

    #[test]
    fn a_stay_is_read_as_it_was_written() {
        let written = serde_json::to_string(&stay(Some(5))).unwrap();
        assert_eq!(serde_json::from_str::<Stay>(&written).unwrap(), stay(Some(5)));
    }
}
