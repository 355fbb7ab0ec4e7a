//! The rows of calls and lots in listings and in the HTTP API.

use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::{Object, ObjectBuilder, Type};

use crate::parking::{Call, LotView, MonotonicTime};

/// One parked call.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Call)]
pub(crate) struct CallRow {
    pub(crate) lot: String,
    pub(crate) domain: String,
    pub(crate) slot: String,
    #[schema(schema_with = states)]
    pub(crate) state: &'static str,
    pub(crate) wait_ms: u64,
    /// Milliseconds since 1970.
    pub(crate) parked_at: i64,
    /// Milliseconds since 1970; null: there is no time-out.
    #[schema(required)]
    pub(crate) timeout_at: Option<i64>,
    /// Whether the caller has waited for longer than `remind-after`.
    pub(crate) late: bool,
    pub(crate) caller_name: String,
    pub(crate) caller_number: String,
    pub(crate) parker: String,
    pub(crate) label: String,
    /// The number of recalls so far.
    pub(crate) attempt: u32,
    pub(crate) uuid: String,
    pub(crate) node: String,
}

impl CallRow {
    pub(crate) fn new(call: &Call, node: &str, now: MonotonicTime, epoch_ms: i64) -> CallRow {
        let info = &call.info;
        let ms = |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        CallRow {
            lot: info.lot.name.to_string(),
            domain: info.lot.domain.to_string(),
            slot: info.slot.to_string(),
            state: call.state_name(),
            wait_ms: u64::try_from(now.since(call.parked_at).as_millis()).unwrap_or(u64::MAX),
            parked_at: info.parked_at_ms,
            timeout_at: call.deadline.map(|at| epoch_ms.saturating_add(ms(at.since(now)))),
            late: call.is_late(),
            caller_name: info.caller.name.clone(),
            caller_number: info.caller.number.clone(),
            parker: info.parker.to_string(),
            label: call.label.to_string(),
            attempt: call.attempt,
            uuid: info.uuid.to_string(),
            node: call.node().map_or_else(|| node.to_owned(), |node| node.to_string()),
        }
    }
}

/// The numbers of one lot.
#[derive(Serialize, ToSchema)]
#[schema(as = LotCounts)]
pub(crate) struct LotRow {
    pub(crate) lot: String,
    /// `*`: a template that no domain uses yet.
    pub(crate) domain: String,
    pub(crate) size: usize,
    pub(crate) used: usize,
    pub(crate) free: usize,
    pub(crate) longest_wait_ms: u64,
}

impl From<&LotView> for LotRow {
    fn from(view: &LotView) -> LotRow {
        let wait = view.longest_wait.unwrap_or_default();
        LotRow {
            lot: view.id.name.to_string(),
            domain: view.id.domain.to_string(),
            size: view.size,
            used: view.used,
            free: view.free,
            longest_wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

fn states() -> Object {
    text_enum(&["reserved", "parked", "ringing-back", "retrieving", "waiting-for-slot"])
}

/// Returns the schema of a text that is one of these.
pub(crate) fn text_enum(words: &[&str]) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.iter().copied())).build()
}
