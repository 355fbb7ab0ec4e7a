//! Describes each name that scripts and programs read, for the tables of the manual. The tests below check that these are exactly the names in the
//! source.

use std::collections::BTreeSet;
use std::path::Path;

use super::source::{literals, matched_strings};
use super::{DocTable, code};

/// The actions of `callpark::info`: when the event is sent, and which headers it has besides those of the call.
pub(super) const EVENTS: &[(&str, &str, &str)] = &[
    (
        "no-slot",
        "A transferred caller got no slot and waits for one.",
        "`Cause` (a word of [`callpark_result`](#results)); `Slot` is empty",
    ),
    ("park", "A caller is in the slot.", ""),
    ("retrieve", "The call ended: a retriever was connected to it.", "`Retriever`, `Retriever-UUID`"),
    ("return", "The call ended: the parker answered the recall.", "`Retriever`, `Retriever-UUID`"),
    ("fallback", "The call ended: the caller went to the fallback.", ""),
    ("transfer", "The call ended: a command, the API, a script or the exit key moved the caller elsewhere.", ""),
    (
        "abandon",
        "The call ended: the caller hung up, or was not recovered after a crash.",
        "`Cause`, if the caller did not hang up in the slot: `not recovered`, `transfer failed`",
    ),
    ("ringback", "A recall begins to ring.", "`Attempt`"),
    ("ringback-failed", "A recall was not answered.", "`Attempt`, `Cause` (a hang-up cause, such as `USER_BUSY`)"),
    (
        "park-failed",
        "A leg for which a slot was reserved did not arrive, not even when it was sent there again. The slot is free.",
        "`Cause`",
    ),
    (
        "full",
        "A call got no slot, because the lot is full.",
        "`Cause`; of the headers of the call only `Lot` and `Domain`",
    ),
    (
        "denied",
        "A user may not park or retrieve, or has parked as many calls as allowed.",
        "`Cause`, and `Retriever`, `Retriever-UUID` of a retrieval; of the headers of the call only `Lot`, `Domain` and `Slot`, as far as they are known",
    ),
    (
        "remind",
        "A caller is [late](configuration.md#late-callers): at `remind-after`, and every `remind-every` seconds from then on.",
        "",
    ),
    ("label", "The label of a call was set.", ""),
    ("extend", "The time-out of a call was postponed.", ""),
    (
        "retrieve-failed",
        "The call was held for a user or a dial string whose phone rang, and nobody answered. The caller waits on.",
        "`Retriever`, `Cause`",
    ),
    ("recover", "A caller who was parked when FreeSWITCH crashed is in the slot again.", ""),
    (
        "reload",
        "The configuration was read again.",
        "`Cause`, if the file is faulty and changed nothing; no headers of a call",
    ),
    (
        "hook-failed",
        "A message of a [hook](hooks.md) was lost: the receiver refused it, or took nothing for 10 minutes, or too many waited.",
        "`Hook`, `Cause`; of the headers of the call only `Lot`, `Domain` and `Slot`",
    ),
];

/// The actions that only the event stream of the HTTP API has, because they change what a slot shows and are no events of a call.
pub(super) const STREAM_ONLY: &[(&str, &str)] = &[
    ("reserve", "A slot is reserved for an attended transfer."),
    ("release", "The slot is no longer reserved for it."),
    (
        "hand-over",
        "Another leg took the place of the leg that was parked, as after an attended transfer of the caller.",
    ),
    ("retrieving", "A phone rings for a user who takes the call by a click, and the call is held for that user."),
    ("other-node", "A call of another node of the cluster has changed."),
];

const HEADERS: &[(&str, &str)] = &[
    ("CallPark-Action", "The action, from the table above."),
    ("CallPark-Lot", "The name of the lot."),
    ("CallPark-Domain", "The domain of the lot."),
    ("CallPark-Slot", "The slot."),
    ("CallPark-Parker", "The user who parked the call, `1001@example.com`; empty if nobody is known."),
    ("CallPark-Label", "The label of the call."),
    ("CallPark-Parked-At", "The time when the call was parked, in milliseconds since 1970."),
    ("CallPark-Wait-Ms", "Milliseconds since the call was parked."),
    ("CallPark-Attempt", "The number of recalls so far; absent before the first."),
    ("CallPark-Retriever", "The user who retrieves, or who answered the recall."),
    ("CallPark-Retriever-UUID", "The UUID of that user's leg."),
    ("CallPark-Hook", "The name of the hook."),
    ("CallPark-Cause", "The reason, for people to read."),
    (
        "CallPark-Actor",
        "Who has caused the event by the HTTP API: the user of the token, or `token:` and the first 8 digits of the hash of a token without a user. Absent, if nobody has.",
    ),
];

const STATES: &[(&str, &str)] = &[
    (
        "reserved",
        "The slot is reserved for a caller who has not arrived yet, for a consultation, or for a caller who may be recovered.",
    ),
    ("parked", "The caller waits in the slot."),
    ("ringing-back", "The caller waits, and a recall rings."),
    ("retrieving", "The caller is being connected to a retriever or to the parker."),
    ("waiting-for-slot", "The caller was transferred, got no slot, and waits for one; the field `slot` is empty."),
];

const OUTCOMES: &[(&str, &str)] = &[
    ("retrieved", "A retriever was connected to the caller."),
    ("returned", "The parker answered the recall."),
    ("fallback", "The caller went to the fallback."),
    ("transferred", "A command, the API, a script or the exit key moved the caller elsewhere."),
    ("abandoned", "The caller hung up, or was not recovered after a crash."),
];

const RESULTS: &[(&str, &str)] = &[
    ("parked", "The call is parked, or the slot is reserved for the transfer that follows."),
    ("retrieved", "The leg was connected to the parked call."),
    ("full", "There is no free slot in the lot, nor in its overflow lot."),
    ("empty", "Nobody is parked there."),
    ("taken", "The slot is occupied."),
    ("denied", "The user may not do this."),
    ("invalid", "There is no such lot or slot, or the application's data cannot be read."),
    ("limit", "The parker has parked as many calls as the lot allows."),
    ("gone", "Somebody else is retrieving the call at this moment, or the call cannot be reached."),
];

/// The variables that a dialplan may set. They override the parameters of the lot for a call.
const READ: &[(&str, &str)] = &[
    ("callpark_timeout", "Replaces `park-timeout`."),
    ("callpark_ringback", "Replaces `ringback`."),
    ("callpark_ringback_timeout", "Replaces `ringback-timeout`."),
    ("callpark_fallback", "Replaces `fallback`."),
    ("callpark_hold_music", "Replaces `hold-music`."),
    ("callpark_announce", "Replaces `announce`."),
    ("callpark_parker", "The parker, `1001` or `1001@example.com`. It overrides the parker that the module finds."),
    ("callpark_label", "The label of the call."),
];

const SET: &[(&str, &str)] = &[
    ("callpark_result", "The result of the application, on the leg that ran it; see [below](#results)."),
    ("callpark_lot", "The name of the lot."),
    ("callpark_domain", "The domain of the lot."),
    ("callpark_slot", "The slot. The parker's leg has it too."),
    ("callpark_parker", "The parker."),
    (
        "callpark_label",
        "The label of the call, if it has one. The label of a slot (`<slot number=... label=...>`) is not set, because it must not follow the caller to another slot; events and listings have it.",
    ),
    ("callpark_parked_at", "The time when the call was parked, in milliseconds since 1970."),
    ("callpark_outcome", "The [outcome](#outcomes)."),
    ("callpark_retriever", "The user who retrieved the call or answered the recall."),
    ("callpark_wait_ms", "Milliseconds from parking to the outcome."),
    ("callpark_ringback_cause", "The reason why the last recall failed, such as `USER_BUSY` or `NO_ANSWER`."),
];

/// The names in the source that are not documented: variables that only the module itself reads, applications, and phrases.
const INTERNAL: &[&str] = &[
    "callpark_answered_by",
    "callpark_hand_over",
    "callpark_join",
    "callpark_last_names",
    "callpark_last_peer",
    "callpark_last_talk",
    "callpark_last_user",
    "callpark_last_vouched",
    "callpark_last_way",
    "callpark_left_behind",
    "callpark_page",
    "callpark_retrieve",
    "callpark_park",
    "callpark_parker_noted",
    "callpark_vouched_user",
    "callpark_stay",
];

fn pairs(name: &'static str, columns: &'static [&'static str], rows: &[(&str, &str)]) -> DocTable {
    let rows = rows.iter().map(|(word, meaning)| vec![code(word), (*meaning).to_owned()]);
    DocTable { name, columns, rows: rows.collect() }
}

pub(super) fn tables() -> Vec<DocTable> {
    let events = EVENTS.iter().map(|(action, when, carries)| {
        let carries = if carries.is_empty() { String::new() } else { format!("{carries}.") };
        vec![code(action), (*when).to_owned(), carries]
    });
    let columns = &["action", "when", "more headers (each begins with `CallPark-`)"];
    vec![
        DocTable { name: "events", columns, rows: events.collect() },
        pairs("stream-only", &["action", "when"], STREAM_ONLY),
        pairs("event-headers", &["header", "meaning"], HEADERS),
        pairs("states", &["state", "meaning"], STATES),
        pairs("outcomes", &["outcome", "meaning"], OUTCOMES),
        pairs("results", &["result", "meaning"], RESULTS),
        pairs("variables-read", &["variable", "effect"], READ),
        pairs("variables-set", &["variable", "meaning"], SET),
    ]
}

fn names(rows: &[(&str, &str)]) -> BTreeSet<String> {
    rows.iter().map(|(word, _)| (*word).to_owned()).collect()
}

pub(super) fn states() -> BTreeSet<String> {
    let path = "src/parking/call.rs";
    &matched_strings(path, "impl State", "name") | &matched_strings(path, "impl StoredState", "name")
}

pub(super) fn outcomes() -> BTreeSet<String> {
    matched_strings("src/parking/outcome.rs", "impl Outcome", "name")
}

pub(super) fn actions() -> BTreeSet<String> {
    matched_strings("src/service/park_event.rs", "impl EventKind", "action")
}

#[test]
fn the_manual_has_each_word_of_the_source() {
    let events: BTreeSet<String> = EVENTS.iter().map(|(action, ..)| (*action).to_owned()).collect();
    assert_eq!(&events | &names(STREAM_ONLY), actions());
    assert!(events.is_disjoint(&names(STREAM_ONLY)));
    assert_eq!(names(HEADERS), literals(Path::new("src/events/mod.rs"), "CallPark-"));
    assert_eq!(names(STATES), states());
    assert_eq!(names(OUTCOMES), outcomes());
    let results = matched_strings("src/service/prompts.rs", "impl AppResult", "name");
    let of_refusals = |of| matched_strings("src/parking/refusal.rs", of, "name");
    let refusals = ["impl Refusal", "impl NoSlotReason"].map(of_refusals);
    assert_eq!(names(RESULTS), refusals.iter().fold(results, |all, some| &all | some));
}

#[test]
fn the_manual_has_each_variable_of_the_source() {
    let internal = INTERNAL.iter().map(|name| (*name).to_owned()).collect();
    let documented = &names(READ) | &names(SET);
    assert!(documented.is_disjoint(&internal));
    assert_eq!(&documented | &internal, literals(Path::new("src/service"), "callpark_"));
}

/// A variable that is not in the table could be set by a Verto client.
#[test]
fn a_verto_client_can_set_no_variable_of_the_module() {
    let no_variables = ["callpark_park", "callpark_retrieve", "valet_info", "valet_park"].map(str::to_owned);
    let own = literals(Path::new("src/service"), "callpark_");
    let of_valet_parking = literals(Path::new("src/valet"), "valet_");
    let protected = crate::service::PROTECTED_FROM_VERTO.iter().map(|name| name.to_string_lossy().into_owned());
    let missing = &(&own | &of_valet_parking) - &protected.chain(no_variables).collect();
    assert_eq!(missing, BTreeSet::new());
}

/// Checks that `is_display_only` returns true for exactly the actions in [`STREAM_ONLY`].
#[test]
fn what_is_display_only_is_in_the_stream_alone() {
    use crate::service::EventKind;
    for kind in [
        EventKind::Reserve,
        EventKind::Release,
        EventKind::HandOver,
        EventKind::Retrieving,
        EventKind::OtherNode,
        EventKind::Park,
        EventKind::Extend,
        EventKind::Label,
        EventKind::Reload,
    ] {
        let stream_only = STREAM_ONLY.iter().any(|(action, _)| *action == kind.action());
        assert_eq!(kind.is_display_only(), stream_only, "{kind:?}");
    }
}
