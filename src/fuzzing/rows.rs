//! Parses rows of the database, and the snapshot of a parked leg.

use std::time::Duration;

use super::inject_fault;
use crate::parking::{
    CallOverrides, LotId, LotPlan, LotSelector, LotSettings, MonotonicTime, ParkRequest, RestoreParams, RetrieveTarget,
    SlotRequest, StoredCall, Table, parse_slots,
};
use crate::service::read_snapshot;
use crate::storage::{self, Quoting};

const CLOCK: i64 = 1_772_438_400_000;
const NOW: MonotonicTime = MonotonicTime(Duration::from_secs(100_000_000));
const LONGEST: Duration = Duration::from_secs(3600);

/// Parses rows. Fields are separated by 0xff, rows by 0xfe. A field of one 0 is NULL.
pub fn rows(data: &[u8]) {
    let field = |bytes: &[u8]| (bytes != [0]).then(|| String::from_utf8_lossy(bytes).into_owned());
    let row = |bytes: &[u8]| bytes.split(|byte| *byte == 0xff).map(field).collect::<Vec<_>>();
    let rows: Vec<Vec<Option<String>>> = data.split(|byte| *byte == 0xfe).take(6).map(row).collect();
    slot_rows(&rows);
    record_rows(&rows);
    let texts = rows.iter().flatten().flatten();
    texts.for_each(|text| {
        snapshot(text);
        quotes(text);
    });
}

fn table() -> Table {
    let lot = |name: &str, domain: &str, slots: &str| LotPlan {
        id: LotId::new(name, domain),
        slots: parse_slots(slots).unwrap_or_default().into(),
        labels: std::sync::Arc::default(),
        settings: LotSettings { max_park_time: LONGEST, ..LotSettings::default() }.into(),
    };
    Table::new(&[lot("main", "a.test", "701-703"), lot("desk", "*", "801-802")], Some("main"))
}

fn request(uuid: &str, wanted: SlotRequest) -> ParkRequest {
    ParkRequest {
        uuid: uuid.into(),
        place: LotSelector { lot: None, domains: vec!["a.test".into()], any: false },
        wanted,
        caller: Default::default(),
        parker: "1001@a.test".into(),
        label: String::new(),
        overrides: CallOverrides::default(),
        parked_at_ms: CLOCK,
        entropy: 0,
    }
}

fn sound(table: &Table) {
    table.check().expect("sound");
}

/// Puts rows of this node's previous run and of other nodes into the table. The table keeps its invariants, and the call that is here.
fn slot_rows(rows: &[Vec<Option<String>>]) {
    let absent: Vec<StoredCall> = rows.iter().filter_map(|row| storage::read_slot_row(row, CLOCK)).collect();
    let mut table = table();
    let _ = table.park(&request("here", SlotRequest::Auto), false, NOW);
    for call in &absent {
        assert!(!call.uuid.is_empty());
        table.reserve_for_recovery(call, NOW.after(LONGEST), NOW);
        sound(&table);
    }
    let again = absent.first().map(|call| request(&call.uuid, SlotRequest::Slot(call.slot.clone())));
    if let Some(request) = again.filter(|request| &*request.uuid != "here") {
        let back = table.restore(&request, &RestoreParams::default(), NOW);
        sound(&table);
        if let Ok(call) = back {
            inject_fault(call.info.slot.as_str() == "802");
        }
    }
    table.due(NOW.after(LONGEST * 2));
    sound(&table);
    table.replace_remote_calls(&absent, NOW);
    sound(&table);
    let here = |table: &Table| table.find_leg("here").is_some_and(|call| call.is_here());
    assert!(here(&table), "the caller who is here");
    for target in [RetrieveTarget::Oldest, RetrieveTarget::Newest] {
        let _ = table.claim(&LotSelector { lot: None, domains: vec!["a.test".into()], any: false }, &target, "r");
        sound(&table);
    }
    table.replace_remote_calls(&[], NOW);
    sound(&table);
    assert!(here(&table), "the caller who is here");
    assert!(
        table.calls(None).iter().all(|call| call.node().is_none()),
        "a call that is no longer in the slot store has ended"
    );
}

fn record_rows(rows: &[Vec<Option<String>>]) {
    for row in rows {
        let record = storage::read_record(row);
        assert!(!storage::local_time(record.parked_at).is_empty());
        let tally = storage::read_tally(row, "2026-11-23", 60);
        assert_eq!(tally.waits.iter().sum::<u64>(), tally.parked, "each is in one class");
        assert!(tally.in_time.is_none_or(|share| (0.0..=1.0).contains(&share)));
        assert!(storage::read_ticket(row).is_none_or(|ticket| !ticket.uuid.is_empty()));
    }
}

fn snapshot(text: &str) {
    let Some((lot, slot, saved)) = read_snapshot(text, CLOCK, LONGEST) else { return };
    assert!(saved.left.is_none_or(|left| left <= LONGEST) && saved.max_park_left.is_none_or(|left| left <= LONGEST));
    let (Some(lot), Some(slot)) = (lot, slot) else { return };
    let mut table = table();
    let mut request = request("back", SlotRequest::Slot(slot));
    request.place.lot = Some(lot);
    let back = table.restore(&request, &saved, NOW);
    sound(&table);
    if back.is_ok() {
        assert!(table.find_leg("back").is_some());
        table.due(NOW.after(LONGEST * 2));
        sound(&table);
        assert!(table.find_leg("back").is_some(), "nothing that is due takes a caller out of the table");
    }
}

/// Checks that SQL reads a quoted text as the same text, with nothing after it.
fn quotes(text: &str) {
    let plain = text.replace('\0', "");
    for quoting in [Quoting::Plain, Quoting::Escaping, Quoting::Postgres] {
        let sql = quoting.text(text);
        let literal = sql.strip_prefix('E').filter(|_| quoting == Quoting::Postgres).unwrap_or(&sql);
        let mut inside = literal.strip_prefix('\'').and_then(|sql| sql.strip_suffix('\'')).expect("quotes").chars();
        let mut read = String::new();
        while let Some(c) = inside.next() {
            match c {
                '\'' => assert_eq!(inside.next(), Some('\''), "{sql} ends early"),
                '\\' if quoting != Quoting::Plain => assert_eq!(inside.next(), Some('\\'), "{sql} escapes"),
                _ => {}
            }
            read.push(c);
        }
        assert_eq!(read, plain);
    }
}
