//! The live calls that can be parked, and parking one of them.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use super::access::Rights;
use super::error::{ApiError, quoted};
use super::fields::Fields;
use super::state::{Actor, HttpState};
use crate::freeswitch::{self, guard};
use crate::parking::{LotName, Slot, SlotRequest};
use crate::service::{self, CallRow, CallsOf, Conversation, ParkOrder, ParkingService, log_call};

/// How long the answer waits until the caller is in the slot.
const ARRIVAL_TIME: Duration = Duration::from_secs(1);
const ARRIVAL_CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// A conversation of a user, who can park the other party.
#[derive(Serialize, ToSchema)]
#[schema(as = Channel)]
pub(super) struct ChannelRow {
    /// The UUID of the user's leg.
    uuid: String,
    /// The user (`1002@example.com`).
    user: String,
    /// The name of the other party, who would be parked.
    caller_name: String,
    /// The number of the other party.
    caller_number: String,
    /// `incoming`: the user was called; `outgoing`: the user called.
    #[schema(schema_with = directions)]
    direction: &'static str,
    /// Whether the user holds the other party.
    held: bool,
    /// Milliseconds since they were connected.
    talking_ms: u64,
    node: String,
}

fn directions() -> Object {
    service::text_enum(&["incoming", "outgoing"])
}

impl ChannelRow {
    fn new(conversation: Conversation, node: &str) -> ChannelRow {
        let Conversation { uuid, user, party, by_user, held, lasted } = conversation;
        ChannelRow {
            uuid,
            user,
            caller_name: party.name,
            caller_number: party.number,
            direction: if by_user { "outgoing" } else { "incoming" },
            held,
            talking_ms: u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX),
            node: node.to_owned(),
        }
    }
}

/// The body of `park`.
#[derive(ToSchema)]
#[schema(as = Park)]
#[serde(deny_unknown_fields)]
pub(super) struct ParkBody<'a> {
    /// The leg of the user, as `channels` lists it, or that of the other party, who is parked in both cases.
    uuid: &'a str,
    /// The slot; a free one is chosen, if it is left out or `auto`.
    #[schema(value_type = Option<String>)]
    slot: SlotRequest,
    /// The lot (`main`, or `main@example.com`); that of the slot or the default lot, if it is left out.
    #[schema(value_type = Option<String>)]
    lot: Option<LotName>,
}

/// Whose calls a token may see and park.
fn calls_of(rights: &Rights) -> CallsOf<'_> {
    rights.user.as_deref().map_or(CallsOf::Domain(rights.domain.as_deref()), CallsOf::User)
}

pub(super) async fn channels(
    State(state): State<HttpState>,
    Actor(rights): Actor,
) -> Result<Json<Vec<ChannelRow>>, ApiError> {
    // The directory may be asked for the user of a leg, on another machine.
    let work = move || {
        guard::fence("http work", Err(ApiError::Panicked), || {
            let service = &state.sources.service;
            let node = service.node_name();
            let found = service.conversations(calls_of(&rights));
            Ok(found.into_iter().map(|conversation| ChannelRow::new(conversation, &node)).collect())
        })
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| ApiError::Panicked)?.map(Json)
}

pub(super) async fn park(
    State(state): State<HttpState>,
    Actor(rights): Actor,
    body: Result<Option<Json<Value>>, JsonRejection>,
) -> Result<Json<CallRow>, ApiError> {
    let body = body?.map(|Json(body)| body);
    let service = Arc::clone(&state.sources.service);
    let work =
        move || guard::fence("http work", Err(ApiError::Panicked), || carry_out(&state.sources.service, &rights, body));
    let mut row = tokio::task::spawn_blocking(work).await.map_err(|_| ApiError::Panicked)??;
    let until = freeswitch::now().after(ARRIVAL_TIME);
    while row.state == "reserved" && freeswitch::now() < until {
        tokio::time::sleep(ARRIVAL_CHECK_INTERVAL).await;
        row = service.row_of(&row.uuid).unwrap_or(row);
    }
    Ok(Json(row))
}

fn carry_out(service: &Arc<ParkingService>, rights: &Rights, body: Option<Value>) -> Result<CallRow, ApiError> {
    let fields = Fields::read(body, &["uuid", "slot", "lot"])?;
    let ParkBody { uuid, slot, lot } = fields.park(rights)?;
    let actor = rights.actor();
    let call = service.park_conversation(uuid, &ParkOrder::new(slot, lot), calls_of(rights), &actor)?;
    log_call!(Info, &call, action = "park", actor = actor; "changed call by HTTP");
    Ok(CallRow::new(&call, &service.node_name(), freeswitch::now(), freeswitch::epoch_ms()))
}

impl Fields {
    fn park(&self, rights: &Rights) -> Result<ParkBody<'_>, ApiError> {
        const SLOT: &str = "1 to 20 digits, * and #, or auto";
        const LOT: &str = "the name of a lot, such as main or main@example.com";
        let uuid = self.get("uuid", "the UUID of a channel", Value::as_str)?;
        let slot = match self.optional("slot", SLOT, Value::as_str)? {
            None | Some("auto") => SlotRequest::Auto,
            Some(text) => {
                let wrong = || ApiError::OutOfRange { field: "slot", value: quoted(text), expected: SLOT };
                SlotRequest::Slot(Slot::parse_with_names(text).ok_or_else(wrong)?)
            }
        };
        let lot = match self.optional("lot", LOT, Value::as_str)? {
            None => None,
            Some(text) => {
                let wrong = || ApiError::OutOfRange { field: "lot", value: quoted(text), expected: LOT };
                Some(LotName::parse(text).ok_or_else(wrong)?)
            }
        };
        let elsewhere = lot.as_ref().and_then(|lot| lot.domain.as_ref()).is_some_and(|domain| !rights.may_see(domain));
        if elsewhere { Err(ApiError::OtherDomain) } else { Ok(ParkBody { uuid, slot, lot }) }
    }
}
