//! The snapshot of a parked call in a variable of its leg, from which the call is restored after a crash.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::freeswitch::{self, Leg};
use crate::parking::{
    Call, CallOverrides, Destination, LotName, MonotonicTime, NoSlotReason, ParkRequest, RestoreParams, RingBack, Slot,
    SlotRequest, State,
};
use crate::service::ParkingService;
use crate::service::call_log::log_call;
use crate::service::identity::Parker;
use crate::service::park::ParkOrder;

/// The variable with the snapshot. It is removed when the call ends, so a leg that has it and is in no slot was parked at a crash.
pub(super) const SNAPSHOT: &str = "callpark_stay";
/// The version of the snapshots that are written. 0 stands for those without a version.
const SNAPSHOT_VERSION: u32 = 1;

/// The snapshot of a parked call. Its times are those of the wall clock, in milliseconds since 1970, because no other clock continues after a
/// restart of the machine.
///
/// It may be read by an older or a newer version of this module, after an upgrade or on another node of a cluster. So a field is never
/// renamed and never changes its type or meaning, and a new field has a default. A field that cannot be parsed gets its default, and the call is
/// restored.
#[derive(Serialize, PartialEq, Debug, Default)]
pub(super) struct ParkedCallSnapshot {
    version: u32,
    pub(in crate::service) lot: String,
    /// The slot; empty for a call without one.
    pub(in crate::service) slot: String,
    /// Why there was no slot, as the value of `callpark_result`.
    pub(in crate::service) refused: String,
    parker: String,
    label: String,
    pub(in crate::service) parked_at: i64,
    timeout_at: Option<i64>,
    latest_at: Option<i64>,
    attempt: u32,
    rings_left: u32,
    /// How often in a row the recall has found the parker busy.
    busy: u32,
    /// The number of reminders so far.
    reminders: u32,
    // These overrides must be here, because they cannot be read again. All others come from variables of the leg, which FreeSWITCH recovers with it
    // (`overrides` in park/request.rs).
    /// The dial string of the parker, if it is not that of the lot. It may come from the leg of a parker outside this server, which is gone by now.
    ringback: Option<String>,
    /// Whether the lot is in no configuration.
    is_new_lot: bool,
    /// Where the caller goes when the time is over, and by which key, if that is not as the lot says.
    fallback: Option<Value>,
    goes_on: Option<bool>,
    ringback_attempts: Option<u32>,
    hold_music: Option<String>,
    exit_key: Option<char>,
    exit_destination: Option<Value>,
}

impl ParkedCallSnapshot {
    pub(in crate::service) fn of(call: &Call, now: MonotonicTime, epoch_ms: i64) -> ParkedCallSnapshot {
        let info = &call.info;
        let ringing = call.state == State::RingingBack;
        let (changed, exit) = (&info.overrides, info.overrides.exit.as_ref());
        // One that is repeated because the parker was busy stays the same.
        let begun = u32::from(ringing && call.busy == 0);
        let on_the_wall = |moment: MonotonicTime| epoch_ms.saturating_add(millis(moment.since(now)));
        ParkedCallSnapshot {
            version: SNAPSHOT_VERSION,
            lot: info.lot.to_string(),
            slot: info.slot.to_string(),
            refused: call.refused.map_or("", NoSlotReason::name).to_owned(),
            parker: info.parker.to_string(),
            label: call.label.to_string(),
            parked_at: info.parked_at_ms,
            // A recall that the crash ended is repeated at once.
            timeout_at: if ringing { Some(info.parked_at_ms) } else { call.deadline.map(on_the_wall) },
            latest_at: call.max_park_end.map(on_the_wall),
            attempt: call.attempt.saturating_sub(begun),
            rings_left: call.rings_left.saturating_add(begun),
            busy: call.busy,
            reminders: call.reminders,
            ringback: match &changed.ringback {
                Some(RingBack::DialString(dial)) => Some(dial.clone()),
                _ => None,
            },
            is_new_lot: info.settings.is_new_lot,
            fallback: changed.fallback.as_ref().map(words_of),
            goes_on: changed.goes_on,
            ringback_attempts: changed.ringback_attempts,
            hold_music: changed.hold_music.clone(),
            exit_key: exit.map(|(key, _)| *key),
            exit_destination: exit.map(|(_, destination)| words_of(destination)),
        }
    }

    pub(in crate::service) fn on(leg: &Leg<'_>) -> Option<ParkedCallSnapshot> {
        let text = leg.var(SNAPSHOT)?;
        let snapshot = ParkedCallSnapshot::read(&text, freeswitch::epoch_ms());
        if snapshot.is_none() {
            log_call!(Error, leg, variable = SNAPSHOT, value = text; "call is not recovered, its snapshot cannot be read");
        }
        snapshot
    }

    /// Parses a snapshot. Returns `None` if it does not name a slot.
    fn read(text: &str, epoch_ms: i64) -> Option<ParkedCallSnapshot> {
        let fields: Value = serde_json::from_str(text).ok()?;
        let word = |name: &str| fields[name].as_str().map(str::to_owned);
        let count = |name: &str| fields[name].as_u64().and_then(|count| u32::try_from(count).ok());
        let moment = |name: &str| fields[name].as_i64();
        Some(ParkedCallSnapshot {
            version: count("version").unwrap_or(0),
            lot: word("lot").unwrap_or_default(),
            slot: word("slot")?,
            refused: word("refused").unwrap_or_default(),
            parker: word("parker").unwrap_or_default(),
            label: word("label").unwrap_or_default(),
            // If the time is missing, the wait begins now.
            parked_at: moment("parked_at").unwrap_or(epoch_ms),
            timeout_at: moment("timeout_at"),
            latest_at: moment("latest_at"),
            attempt: count("attempt").unwrap_or(0),
            rings_left: count("rings_left").unwrap_or(1),
            busy: count("busy").unwrap_or(0),
            reminders: count("reminders").unwrap_or(0),
            ringback: word("ringback"),
            is_new_lot: fields["is_new_lot"] == true,
            fallback: fields.get("fallback").cloned(),
            goes_on: fields["goes_on"].as_bool(),
            ringback_attempts: count("ringback_attempts"),
            hold_music: word("hold_music"),
            exit_key: word("exit_key").and_then(|key| key.chars().next()),
            exit_destination: fields.get("exit_destination").cloned(),
        })
    }

    /// Returns the remaining times. They are limited to `longest`, because the wall clock may have been set back.
    pub(in crate::service) fn left(&self, epoch_ms: i64, longest: Duration) -> RestoreParams {
        let until = |at: i64| duration(at.saturating_sub(epoch_ms)).min(longest);
        RestoreParams {
            waited: duration(epoch_ms.saturating_sub(self.parked_at)),
            left: self.timeout_at.map(until),
            max_park_left: self.latest_at.map(until),
            attempt: self.attempt,
            rings_left: self.rings_left,
            busy: self.busy,
            reminders: self.reminders,
        }
    }

    pub(in crate::service) fn request(&self, service: &ParkingService, leg: &Leg<'_>) -> Option<ParkRequest> {
        let wanted = if self.slot.is_empty() {
            SlotRequest::Auto
        } else {
            SlotRequest::Slot(Slot::parse_with_names(&self.slot)?)
        };
        let lot = LotName::parse(&self.lot).map(|lot| LotName { may_be_new: self.is_new_lot, ..lot });
        let order = ParkOrder { overrides: self.overrides(), ..ParkOrder::new(wanted, lot) };
        let mut request = service.request(leg, &order, Parker::user(self.parker.clone()), None);
        if let Some(dial) = &self.ringback {
            request.overrides.ringback = Some(RingBack::DialString(dial.clone()));
        }
        Some(ParkRequest { label: self.label.clone(), parked_at_ms: self.parked_at, ..request })
    }
}

impl ParkedCallSnapshot {
    /// What the call changed of the settings of its lot. The variables of the leg do not say it all: an attended transfer brought some of it.
    fn overrides(&self) -> CallOverrides {
        let destination = |words: &Option<Value>| words.as_ref().and_then(destination_of);
        CallOverrides {
            fallback: destination(&self.fallback),
            goes_on: self.goes_on,
            ringback_attempts: self.ringback_attempts,
            hold_music: self.hold_music.clone(),
            exit: self.exit_key.zip(destination(&self.exit_destination)),
            ..CallOverrides::default()
        }
    }
}

/// A destination as its extension, dialplan and context.
fn words_of(destination: &Destination) -> Value {
    let Destination { extension, dialplan, context } = destination;
    json!([extension, dialplan, context])
}

fn destination_of(words: &Value) -> Option<Destination> {
    let word = |at: usize| words[at].as_str().map(str::to_owned);
    Some(Destination { extension: word(0)?, dialplan: word(1), context: word(2) })
}

/// Parses a snapshot, and returns the lot, the slot and the remaining times.
#[cfg(feature = "fuzzing")]
pub(crate) fn read_snapshot(
    text: &str,
    epoch_ms: i64,
    longest: Duration,
) -> Option<(Option<LotName>, Option<Slot>, RestoreParams)> {
    let snapshot = ParkedCallSnapshot::read(text, epoch_ms)?;
    Some((LotName::parse(&snapshot.lot), Slot::parse_with_names(&snapshot.slot), snapshot.left(epoch_ms, longest)))
}

pub(super) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn duration(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(timeout_at: Option<i64>) -> ParkedCallSnapshot {
        ParkedCallSnapshot {
            version: SNAPSHOT_VERSION,
            lot: "main@a.test".into(),
            slot: "701".into(),
            refused: String::new(),
            parker: "1001@a.test".into(),
            label: "\"x\" <&>".into(),
            parked_at: 1_000_000,
            timeout_at,
            latest_at: None,
            attempt: 1,
            rings_left: 2,
            busy: 1,
            reminders: 3,
            ringback: Some("sofia/gateway/x/5".into()),
            is_new_lot: true,
            fallback: Some(json!(["1000", null, "a context"])),
            exit_key: Some('0'),
            exit_destination: Some(json!(["1001", "XML", null])),
            ..ParkedCallSnapshot::default()
        }
    }

    #[test]
    fn what_is_left_counts_the_time_that_the_server_was_away() {
        let hour = Duration::from_secs(3600);
        let saved = snapshot(Some(1_090_000)).left(1_030_000, hour);
        assert_eq!((saved.waited.as_secs(), saved.left), (30, Some(Duration::from_secs(60))));
        assert_eq!(snapshot(Some(1_090_000)).left(1_200_000, hour).left, Some(Duration::ZERO), "overdue");
        assert_eq!(snapshot(None).left(1_030_000, hour).left, None);
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_nobody_waiting_for_ever() {
        let saved = snapshot(Some(1_000_090_000)).left(500, Duration::from_secs(90));
        assert_eq!((saved.waited, saved.left), (Duration::ZERO, Some(Duration::from_secs(90))));
    }

    #[test]
    fn a_snapshot_is_read_as_it_was_written() {
        let written = serde_json::to_string(&snapshot(Some(5))).unwrap();
        assert_eq!(ParkedCallSnapshot::read(&written, 7).unwrap(), snapshot(Some(5)));
    }

    #[test]
    fn a_snapshot_of_another_version_is_read_as_far_as_it_is_understood() {
        let before = r#"{"lot":"main@a.test","slot":"701","parker":"1001@a.test","label":"","parked_at":1000,"timeout_at":null,
            "latest_at":9000,"attempt":1,"rings_left":2,"ringback":null}"#;
        let read = ParkedCallSnapshot::read(before, 7).unwrap();
        assert_eq!((read.version, &*read.slot, read.latest_at, read.rings_left), (0, "701", Some(9000), 2));
        let newer =
            r#"{"version":9,"lot":"main@a.test","slot":"701","timeout_at":{"in":5},"attempt":-1,"mood":[1,{}]}"#;
        let read = ParkedCallSnapshot::read(newer, 7).unwrap();
        assert_eq!((read.version, &*read.slot, read.parked_at, read.timeout_at), (9, "701", 7, None));
        for nothing in ["", "null", "[]", "7", "{}", r#"{"slot":701}"#] {
            assert_eq!(ParkedCallSnapshot::read(nothing, 7), None, "{nothing}");
        }
    }
}
