//! An event of a parked call as a hook tells it.

use std::time::Instant;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::card::Card;
use super::chat;
use crate::config::{HookFormat, Settings};
use crate::freeswitch;
use crate::parking::{Call, LotId, NotifyEvent, Outcome, Slot};
use crate::service::{self, CallRow, EventKind, ParkEvent, ParkingService};

/// The characters of a lot or a slot that a URL may have unchanged.
const PART_OF_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns the event of hooks that this is; `None` if hooks are not told of it.
pub(super) fn event_of(event: &ParkEvent<'_>) -> Option<NotifyEvent> {
    match event.kind {
        EventKind::Park => Some(NotifyEvent::Park),
        EventKind::Remind => Some(NotifyEvent::Remind),
        EventKind::NoSlot => Some(NotifyEvent::NoSlot),
        EventKind::Ended(outcome) => event.call.filter(|call| call.was_parked).map(|_| NotifyEvent::Ended(outcome)),
        _ => None,
    }
}

/// An event with its data at the time when it happened.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) queued_at: Instant,
    pub(super) event: NotifyEvent,
    pub(super) lot: LotId,
    pub(super) slot: Slot,
    fields: MessageFields,
}

/// The message as JSON. The order of the fields is that of the manual.
#[derive(Debug, Serialize)]
struct MessageFields {
    id: String,
    event: &'static str,
    outcome: Option<&'static str>,
    at: i64,
    #[serde(flatten)]
    call: CallRow,
    retriever: String,
    cause: String,
    link: Option<String>,
}

/// The fields of a message, and their meanings, for the manual. Those of a call are the ones of each listing.
#[cfg(test)]
pub(crate) const OWN_FIELDS: [(&str, &str); 7] = [
    (
        "id",
        "Identifies the event. It is the same when the message is repeated, so a receiver can leave out what it has.",
    ),
    ("event", "`park`, `remind`, `no-slot`, or the outcome."),
    ("outcome", "The [outcome](events.md#outcomes); `null` while the call is parked."),
    ("at", "The time of the event, in milliseconds since 1970."),
    ("retriever", "The user who retrieved the call, or who answered the recall; else empty."),
    ("cause", "The reason, as in the header `CallPark-Cause` of the [event](events.md#events); else empty."),
    ("link", "Opens the dashboard at the slot; `null` without `http-url`."),
];

impl Message {
    pub(super) fn new(
        service: &ParkingService,
        settings: &Settings,
        event: NotifyEvent,
        call: &Call,
        told: &ParkEvent<'_>,
    ) -> Message {
        let (info, epoch_ms) = (&call.info, freeswitch::epoch_ms());
        let mut row = CallRow::new(call, &service.node_name(), freeswitch::now(), epoch_ms);
        let outcome = match event {
            NotifyEvent::Ended(outcome) => Some(outcome),
            _ => None,
        };
        if outcome.is_some() {
            row.wait_ms = u64::try_from(told.wait.as_millis()).unwrap_or(u64::MAX);
            row.timeout_at = None;
        }
        settings.record_privacy.apply(&mut row.caller_name, &mut row.caller_number, &mut row.label);
        Message {
            queued_at: Instant::now(),
            event,
            lot: info.lot.clone(),
            slot: info.slot.clone(),
            fields: MessageFields {
                id: format!("{:016x}{:016x}", service::entropy(), service::entropy()),
                event: event.name(),
                outcome: outcome.map(Outcome::name),
                at: epoch_ms,
                link: link(&settings.http_url, &row),
                call: row,
                retriever: told.retriever.map(|retriever| retriever.user.clone()).unwrap_or_default(),
                cause: told.cause.unwrap_or_default().to_owned(),
            },
        }
    }

    /// The body in a format.
    pub(super) fn body(&self, format: HookFormat) -> String {
        let MessageFields { call, retriever, cause, link, .. } = &self.fields;
        let card = || Card::new(self.event, call, retriever, cause, link.as_deref());
        match format {
            HookFormat::Json => serde_json::to_string(&self.fields).unwrap_or_default(),
            HookFormat::Slack => chat::slack(&card()).to_string(),
            HookFormat::Mattermost => chat::mattermost(&card()).to_string(),
            HookFormat::Teams => chat::teams(&card()).to_string(),
        }
    }
}

/// The link that opens the dashboard at a slot.
fn link(http_url: &str, call: &CallRow) -> Option<String> {
    let part = |text| utf8_percent_encode(text, PART_OF_QUERY);
    let slot = if call.slot.is_empty() { String::new() } else { format!("&slot={}", part(&call.slot)) };
    (!http_url.is_empty()).then(|| format!("{http_url}/?lot={}{slot}", part(&call.lot)))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::card::tests::row;
    use super::*;

    fn fields() -> MessageFields {
        MessageFields {
            id: "0123".into(),
            event: "park",
            outcome: None,
            at: 0,
            call: row(),
            retriever: String::new(),
            cause: String::new(),
            link: None,
        }
    }

    pub(in crate::hooks) fn message(slot: &str) -> Message {
        Message {
            queued_at: Instant::now(),
            event: NotifyEvent::Park,
            lot: LotId::new("main", "example.com"),
            slot: Slot::parse(slot).unwrap(),
            fields: fields(),
        }
    }

    #[test]
    fn a_link_opens_the_slot_whatever_its_characters() {
        let row = |slot: &str| CallRow { slot: slot.into(), ..row() };
        assert_eq!(link("https://p.example.com", &row("701")).unwrap(), "https://p.example.com/?lot=main&slot=701");
        assert_eq!(link("https://p.example.com", &row("*5#")).unwrap(), "https://p.example.com/?lot=main&slot=%2A5%23");
        assert_eq!(link("https://p.example.com", &row("")).unwrap(), "https://p.example.com/?lot=main");
        assert_eq!(link("", &row("701")), None);
    }

    #[test]
    fn the_manual_has_each_field_of_a_message() {
        let fields = fields();
        let json = serde_json::to_value(&fields).unwrap();
        let of_call = serde_json::to_value(&fields.call).unwrap();
        let own = json.as_object().unwrap().keys().filter(|key| of_call.get(key.as_str()).is_none());
        let mut listed = OWN_FIELDS.map(|(name, _)| name);
        listed.sort_unstable();
        assert!(own.eq(listed.iter()), "{json}");
    }
}
