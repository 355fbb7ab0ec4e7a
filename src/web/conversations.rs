//! The live calls that can be parked, and parking one of them.

use std::collections::BTreeSet;
use std::sync::Arc;

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
use crate::freeswitch::guard;
use crate::parking::{LotName, Slot};
use crate::service::{self, About, CallsOf, Conversation, ParkChoice, ParkingService, UserRow, log_call};

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
    slot: Option<&'a str>,
    /// The lot (`main`, or `main@example.com`); that of the slot or the default lot, if it is left out.
    lot: Option<&'a str>,
}

/// Whose calls a token may see and park.
fn calls_of(rights: &Rights) -> CallsOf {
    let of_domain = || rights.domain.clone().map_or(CallsOf::Everybody, CallsOf::Domain);
    rights.user.clone().map_or_else(of_domain, CallsOf::User)
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
            let found = service.conversations(&calls_of(&rights));
            Ok(found.into_iter().map(|conversation| ChannelRow::new(conversation, &node)).collect())
        })
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| ApiError::Panicked)?.map(Json)
}

/// The users of the token's domain; of all domains that have lots, for a token of all domains.
pub(super) async fn users(
    State(state): State<HttpState>,
    Actor(rights): Actor,
) -> Result<Json<Vec<UserRow>>, ApiError> {
    let work = move || {
        guard::fence("http work", Err(ApiError::Panicked), || {
            let service = &state.sources.service;
            let used =
                || service.lots().into_iter().map(|lot| lot.id.domain.to_string()).filter(|domain| domain != "*");
            let domains: BTreeSet<String> = rights.domain.map_or_else(|| used().collect(), |own| [own].into());
            Ok(domains.iter().flat_map(|domain| service.users_of(domain)).collect())
        })
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| ApiError::Panicked)?.map(Json)
}

pub(super) async fn park(
    State(state): State<HttpState>,
    Actor(rights): Actor,
    body: Result<Option<Json<Value>>, JsonRejection>,
) -> Result<Json<Value>, ApiError> {
    let body = body?.map(|Json(body)| body);
    let work =
        move || guard::fence("http work", Err(ApiError::Panicked), || carry_out(&state.sources.service, &rights, body));
    tokio::task::spawn_blocking(work).await.map_err(|_| ApiError::Panicked)?.map(Json)
}

fn carry_out(service: &Arc<ParkingService>, rights: &Rights, body: Option<Value>) -> Result<Value, ApiError> {
    let fields = Fields::read(body, &["uuid", "slot", "lot"])?;
    let ParkBody { uuid, slot, lot } = fields.park(rights)?;
    let choice = ParkChoice { slot: slot.map(str::to_owned), lot: lot.map(str::to_owned), of: calls_of(rights) };
    let actor = rights.actor();
    let row = service.park_anywhere(uuid, choice, &actor)?;
    log_call!(Info, About::channel(uuid), action = "park", actor = actor; "changed call by HTTP");
    Ok(row)
}

impl Fields {
    fn park(&self, rights: &Rights) -> Result<ParkBody<'_>, ApiError> {
        const SLOT: &str = "1 to 20 digits, * and #, or auto";
        const LOT: &str = "the name of a lot, such as main or main@example.com";
        let uuid = self.get("uuid", "the UUID of a channel", Value::as_str)?;
        let slot = self.optional("slot", SLOT, Value::as_str)?.filter(|slot| *slot != "auto");
        if let Some(text) = slot.filter(|text| Slot::parse_with_names(text).is_none()) {
            return Err(ApiError::OutOfRange { field: "slot", value: quoted(text), expected: SLOT });
        }
        let lot = self.optional("lot", LOT, Value::as_str)?;
        let named = lot.and_then(LotName::parse);
        if let Some(text) = lot.filter(|_| named.is_none()) {
            return Err(ApiError::OutOfRange { field: "lot", value: quoted(text), expected: LOT });
        }
        let elsewhere = named.and_then(|lot| lot.domain).is_some_and(|domain| !rights.may_see(&domain));
        if elsewhere { Err(ApiError::OtherDomain) } else { Ok(ParkBody { uuid, slot, lot }) }
    }
}
