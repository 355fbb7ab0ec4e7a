//! The requests that need the right to view.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::Array;

use super::error::{ApiError, quoted};
use super::state::{HttpState, Viewer};
use crate::freeswitch::{self, guard};
use crate::service::{CallRow, LotRow, text_enum};
use crate::storage::{HistoryFilter, Record, Storage, StorageError, Tally};

/// For a lot with more slots, only its calls are listed.
const MAX_LISTED_SLOTS: usize = 500;
pub(super) const MAX_HTTP_RECORDS: u32 = 10_000;
pub(super) const MAX_HTTP_DAYS: u32 = 400;

/// What the token may do.
#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    #[schema(schema_with = rights)]
    rights: Vec<&'static str>,
    /// `*`: every domain.
    domain: String,
    /// The user of the token (`1002@example.com`); absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
}

fn rights() -> Array {
    Array::new(text_enum(&["view", "act"]))
}

pub(super) async fn me(Viewer(rights): Viewer) -> Json<Me> {
    let named = [("view", rights.view), ("act", rights.act)];
    let rights_held = named.into_iter().filter(|(_, held)| *held).map(|(name, _)| name).collect();
    Json(Me { rights: rights_held, domain: rights.domain.unwrap_or_else(|| "*".into()), user: rights.user })
}

pub(super) async fn calls(
    State(state): State<HttpState>,
    Viewer(rights): Viewer,
) -> Result<Json<Vec<CallRow>>, ApiError> {
    let service = &state.sources.service;
    let (node, now, epoch) = (service.node_name(), freeswitch::now(), freeswitch::epoch_ms());
    let calls = service.calls(None)?;
    let seen = calls.iter().filter(|call| rights.may_see(&call.info.lot.domain));
    Ok(Json(seen.map(|call| CallRow::new(call, &node, now, epoch)).collect()))
}

/// A lot and its slots.
#[derive(Serialize, ToSchema)]
#[schema(as = Lot)]
pub(super) struct LotWithSlots {
    #[serde(flatten)]
    lot: LotRow,
    /// The service level of the module, in seconds.
    service_level: u32,
    /// The slots; empty if there are more than 500.
    slots: Vec<LabelledSlot>,
}

/// A slot and its label.
#[derive(Serialize, ToSchema)]
#[schema(as = Slot)]
struct LabelledSlot {
    slot: String,
    label: String,
}

pub(super) async fn lots(
    State(state): State<HttpState>,
    Viewer(rights): Viewer,
) -> Result<Json<Vec<LotWithSlots>>, ApiError> {
    let service = &state.sources.service;
    let service_level = service.settings().service_level;
    let seen = rights.domain.as_deref().map_or_else(|| service.lots(), |domain| service.lots_of(domain));
    let board = |view: crate::parking::LotView| {
        let slots = if view.size > MAX_LISTED_SLOTS { Vec::new() } else { service.slots_of(&view.id) };
        let place = |(slot, label): (crate::parking::Slot, String)| LabelledSlot { slot: slot.to_string(), label };
        LotWithSlots { lot: LotRow::from(&view), service_level, slots: slots.into_iter().map(place).collect() }
    };
    Ok(Json(seen.into_iter().map(board).collect()))
}

/// The query. The fields are texts, so that an error can name the invalid value.
#[derive(Deserialize)]
pub(super) struct Days {
    days: Option<String>,
}

pub(super) async fn stats(
    State(state): State<HttpState>,
    Viewer(rights): Viewer,
    asked: Result<Query<Days>, QueryRejection>,
) -> Result<Json<Vec<Tally>>, ApiError> {
    let days = number("days", asked?.0.days, 1, MAX_HTTP_DAYS)?;
    let filter = HistoryFilter { domain: rights.domain, ..HistoryFilter::default() };
    from_storage(&state, move |storage| storage.recent_tallies(days, filter)).await
}

#[derive(Deserialize)]
pub(super) struct Count {
    count: Option<String>,
}

pub(super) async fn history(
    State(state): State<HttpState>,
    Viewer(rights): Viewer,
    asked: Result<Query<Count>, QueryRejection>,
) -> Result<Json<Vec<Record>>, ApiError> {
    let count = usize::try_from(number("count", asked?.0.count, 50, MAX_HTTP_RECORDS)?).unwrap_or_default();
    let filter = HistoryFilter { domain: rights.domain, ..HistoryFilter::default() };
    from_storage(&state, move |storage| storage.records(0, filter, count)).await
}

/// A number from 1 to `most`; a larger one counts as `most`.
fn number(field: &'static str, given: Option<String>, usual: u32, most: u32) -> Result<u32, ApiError> {
    let Some(given) = given else { return Ok(usual) };
    let wrong = |_| ApiError::OutOfRange { field, value: quoted(&given), expected: "a whole number" };
    Ok(given.parse::<u32>().map_err(wrong)?.clamp(1, most))
}

/// Runs a query on a thread that may wait for the database. Further queries wait without a thread.
pub(super) async fn from_storage<T: Send + 'static>(
    state: &HttpState,
    read: impl FnOnce(&Arc<Storage>) -> Result<T, StorageError> + Send + 'static,
) -> Result<Json<T>, ApiError> {
    let turn = Arc::clone(&state.reads).acquire_owned().await.map_err(|_| ApiError::Panicked)?;
    let storage = Arc::clone(&state.sources.storage);
    let work = move || {
        // The thread may work longer than its request waits.
        let _turn = turn;
        guard::fence("http work", Err(ApiError::Panicked), || Ok(read(&storage)?))
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| ApiError::Panicked)?.map(Json)
}
