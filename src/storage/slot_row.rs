//! A row of the slot store: a parked call in the database.

use std::time::Duration;

use super::connection::{Connection, DbRow, number_at, text_at, truncated};
use super::probe_row;
use super::schema::width;
use crate::freeswitch;
use crate::parking::{Call, LotId, MonotonicTime, Party, Slot, StoredCall, StoredState};

/// What identifies a slot: its domain and its number.
pub(super) type SlotKey = (String, String);

/// A row of the slot store. Its times are those of this node's monotonic clock, in milliseconds; in the database they are those of the clock that all
/// nodes share, so that another node can read them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct SlotRow {
    pub(super) domain: String,
    pub(super) slot: String,
    pub(super) uuid: String,
    lot: String,
    state: &'static str,
    pub(super) parked_at: i64,
    since: i64,
    due: Option<i64>,
    caller: Party,
    parker: String,
    label: String,
    attempt: u32,
}

impl SlotRow {
    pub(super) fn of(call: &Call) -> SlotRow {
        let info = &call.info;
        SlotRow {
            domain: info.lot.domain.to_string(),
            slot: info.slot.key().to_owned(),
            uuid: info.uuid.to_string(),
            lot: info.lot.name.to_string(),
            state: call.state_name(),
            parked_at: info.parked_at_ms,
            since: ms(call.parked_at),
            due: call.deadline.map(ms),
            caller: info.caller.as_ref().clone(),
            parker: info.parker.to_string(),
            label: call.label.to_string(),
            attempt: call.attempt.min(i32::MAX as u32),
        }
    }

    pub(super) fn key(&self) -> SlotKey {
        (self.domain.clone(), self.slot.clone())
    }

    /// The lot as it is written in the log.
    pub(super) fn lot(&self) -> String {
        format!("{}@{}", self.lot, self.domain)
    }

    pub(super) fn caller_number(&self) -> &str {
        &self.caller.number
    }

    /// See [`probe_row`].
    pub(super) fn probe_row(&self) -> SlotRow {
        let like = |text: &str| probe_row::filler(text.len());
        SlotRow {
            domain: probe_row::plain(&self.domain),
            slot: probe_row::plain(&self.slot),
            uuid: probe_row::other(&self.uuid),
            lot: like(&self.lot),
            caller: Party { name: like(&self.caller.name), number: like(&self.caller.number) },
            parker: like(&self.parker),
            label: like(&self.label),
            ..*self
        }
    }

    /// The values of the columns, in their order. `ahead` is by how many milliseconds the shared clock is ahead of the monotonic one.
    pub(super) fn values(&self, connection: &Connection, node: &str, ahead: i64) -> String {
        let text = |value: &str| connection.text(value);
        let SlotRow { domain, slot, uuid, lot, state, parked_at, since, due, caller, parker, label, attempt } = self;
        let due = due.map_or(0, |due| due.saturating_add(ahead));
        format!(
            "{}, {}, {}, {}, {}, {}, {parked_at}, {}, {due}, {}, {}, {}, {}, {attempt}",
            text(domain),
            text(slot),
            text(uuid),
            text(node),
            text(lot),
            text(state),
            since.saturating_add(ahead),
            text(truncated(&caller.name, width::NAME)),
            text(truncated(&caller.number, width::NUMBER)),
            text(truncated(parker, width::USER)),
            text(truncated(label, width::LABEL)),
        )
    }

    /// The values that may change while the call is parked.
    pub(super) fn changes(&self, connection: &Connection, ahead: i64) -> String {
        let due = self.due.map_or(0, |due| due.saturating_add(ahead));
        format!(
            "state = {}, since = {}, due = {due}, label = {}, attempt = {}",
            connection.text(self.state),
            self.since.saturating_add(ahead),
            connection.text(truncated(&self.label, width::LABEL)),
            self.attempt
        )
    }
}

/// The time on the monotonic clock, in milliseconds.
pub(super) fn monotonic_ms() -> i64 {
    ms(freeswitch::now())
}

fn ms(moment: MonotonicTime) -> i64 {
    i64::try_from(moment.0.as_millis()).unwrap_or(i64::MAX)
}

/// Parses a row. Returns `None` if this module did not write it. `clock` is the time on the shared clock, in milliseconds since 1970.
pub(crate) fn read(row: &DbRow, clock: i64) -> Option<StoredCall> {
    let since = |at: i64| Duration::from_millis(u64::try_from(at).unwrap_or(0));
    let due = number_at(row, 8);
    Some(StoredCall {
        lot: LotId::new(&text_at(row, 4), &text_at(row, 0)),
        slot: Slot::from_key(&text_at(row, 1))?,
        uuid: Some(text_at(row, 2)).filter(|uuid| !uuid.is_empty())?.into(),
        node: text_at(row, 3).into(),
        is: StoredState::named(&text_at(row, 5)),
        parked_at_ms: number_at(row, 6),
        waited: since(clock.saturating_sub(number_at(row, 7))),
        left: (due > 0).then(|| since(due.saturating_sub(clock))),
        caller: Party { name: text_at(row, 9), number: text_at(row, 10) }.into(),
        parker: text_at(row, 11).into(),
        label: text_at(row, 12).into(),
        attempt: u32::try_from(number_at(row, 13)).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_none_of_ours_is_left_out() {
        let row = |slot: &str, uuid: &str| {
            let texts = ["a.test", slot, uuid, "n", "main", "parked", "1", "x", "", "", "", "", "", ""];
            texts.map(|text| Some(text.to_owned())).to_vec()
        };
        assert!(
            read(&row("701", "u"), 5).is_some_and(|remote| remote.is == StoredState::Parked && remote.left.is_none())
        );
        assert!(read(&row("no slot", "u"), 5).is_none());
        assert!(read(&row("701", ""), 5).is_none());
        assert!(read(&[], 5).is_none());
    }
}
