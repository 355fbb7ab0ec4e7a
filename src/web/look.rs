//! What a token with the right to view gets.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::routes::{Failure, HttpState, Viewer};
use crate::freeswitch::{self, guard};
use crate::service::{CallRow, LotRow};
use crate::storage::{HistoryFilter, Storage, StorageError};

/// A lot with more slots is shown by its calls alone.
const MOST_SLOTS: usize = 500;
const MOST_RECORDS: usize = 10_000;
const MOST_DAYS: u32 = 400;

#[derive(Serialize)]
pub(super) struct Me {
    rights: Vec<&'static str>,
    domain: String,
}

pub(super) async fn me(Viewer(rights): Viewer) -> Json<Me> {
    let named = [("view", rights.view), ("act", rights.act)];
    let rights_held = named.into_iter().filter(|(_, held)| *held).map(|(name, _)| name).collect();
    Json(Me { rights: rights_held, domain: rights.domain.unwrap_or_else(|| "*".into()) })
}

pub(super) async fn calls(
    State(state): State<HttpState>,
    Viewer(rights): Viewer,
) -> Result<Json<Vec<CallRow>>, Failure> {
    let service = &state.sources.service;
    let (node, now, epoch) = (service.node_name(), freeswitch::now(), freeswitch::epoch_ms());
    let calls = service.calls(None).map_err(Failure::refused)?;
    let seen = calls.iter().filter(|call| rights.see(&call.info.lot.domain));
    Ok(Json(seen.map(|call| CallRow::new(call, &node, now, epoch)).collect()))
}

#[derive(Serialize)]
pub(super) struct Board {
    #[serde(flatten)]
    lot: LotRow,
    service_level: u32,
    slots: Vec<Place>,
}

#[derive(Serialize)]
struct Place {
    slot: String,
    label: String,
}

pub(super) async fn lots(State(state): State<HttpState>, Viewer(rights): Viewer) -> Result<Json<Vec<Board>>, Failure> {
    let service = &state.sources.service;
    let service_level = service.settings().service_level;
    let seen = service.lots().into_iter().filter(|lot| rights.see(&lot.id.domain));
    let board = |view: crate::parking::LotView| {
        let slots = if view.size > MOST_SLOTS { Vec::new() } else { service.slots_of(&view.id) };
        let place = |(slot, label): (crate::parking::Slot, String)| Place { slot: slot.to_string(), label };
        Board { lot: LotRow::from(&view), service_level, slots: slots.into_iter().map(place).collect() }
    };
    Ok(Json(seen.map(board).collect()))
}

#[derive(Deserialize)]
pub(super) struct Days {
    days: Option<u32>,
}

pub(super) async fn stats(
    State(state): State<HttpState>,
    Viewer(rights): Viewer,
    asked: Result<Query<Days>, QueryRejection>,
) -> Response {
    let asked = match asked {
        Ok(Query(asked)) => asked,
        Err(why) => return Failure::unread(why.status(), &why.body_text()).into_response(),
    };
    let days = asked.days.unwrap_or(1).clamp(1, MOST_DAYS);
    from_storage(state.sources.storage, move |storage| {
        storage.recent_tallies(days, HistoryFilter { domain: rights.domain, lot: None })
    })
    .await
}

#[derive(Deserialize)]
pub(super) struct Count {
    count: Option<usize>,
}

pub(super) async fn history(
    State(state): State<HttpState>,
    Viewer(rights): Viewer,
    asked: Result<Query<Count>, QueryRejection>,
) -> Response {
    let asked = match asked {
        Ok(Query(asked)) => asked,
        Err(why) => return Failure::unread(why.status(), &why.body_text()).into_response(),
    };
    let count = asked.count.unwrap_or(50).clamp(1, MOST_RECORDS);
    from_storage(state.sources.storage, move |storage| {
        storage.records(0, HistoryFilter { domain: rights.domain, lot: None }, count)
    })
    .await
}

/// On a thread that may wait for the database.
async fn from_storage<T: Serialize + Send + 'static>(
    storage: Arc<Storage>,
    read: impl FnOnce(&Arc<Storage>) -> Result<T, StorageError> + Send + 'static,
) -> Response {
    let work = move || {
        let found = || read(&storage).map_err(|why| Failure::unavailable(why.to_string()));
        guard::fence("http work", Err(Failure::bug()), found)
    };
    match tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Failure::bug())) {
        Ok(found) => Json(found).into_response(),
        Err(failure) => failure.into_response(),
    }
}
