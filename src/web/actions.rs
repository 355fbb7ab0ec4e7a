//! What a token with the right to act may do to a parked call.

use std::time::Duration;

use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use serde::Deserialize;

use super::routes::{Actor, Failure, away};
use crate::attendant::{self, CallRow};
use crate::host::{self, guard};
use crate::parking::{Destination, Slot};

/// Characters of a label; the page cuts there too.
const LABEL: usize = 200;
const DAY: u64 = 86_400;

/// What a request may carry; each action reads its own.
#[derive(Deserialize, Default)]
pub(super) struct Asked {
    destination: Option<String>,
    text: Option<String>,
    seconds: Option<u64>,
}

pub(super) async fn act(
    Actor(rights): Actor,
    Path((domain, slot, action)): Path<(String, String, String)>,
    body: Result<Option<Json<Asked>>, JsonRejection>,
) -> Result<Json<CallRow>, Failure> {
    if !rights.see(&domain) {
        return Err(Failure::new(StatusCode::FORBIDDEN, "this token is of another domain".into()));
    }
    let body = body.map_err(|why| Failure::unread(why.status(), &why.body_text()))?;
    let Json(asked) = body.unwrap_or_default();
    // A destination is looked up in a dialplan that may be on another machine.
    let work = move || guard::fence("http work", Err(Failure::bug()), || carry_out(&domain, &slot, &action, &asked));
    tokio::task::spawn_blocking(work).await.map_err(|_| Failure::bug())?.map(Json)
}

fn carry_out(domain: &str, slot: &str, action: &str, asked: &Asked) -> Result<CallRow, Failure> {
    let missing = |what: &str| Failure::new(StatusCode::BAD_REQUEST, format!("{what} is missing or out of range"));
    let attendant = attendant::on_duty().ok_or_else(away)?;
    let slot = Slot::parse(slot).ok_or_else(|| missing("a slot in the path"))?;
    let call = attendant.call_at(domain, &slot).map_err(Failure::refused)?;
    match action {
        "ringback" => attendant.ring_back_now(&call).map_err(Failure::refused)?,
        "label" => {
            let text = asked.text.as_deref().filter(|text| text.chars().count() <= LABEL);
            attendant.label(&call, text.ok_or_else(|| missing("text"))?).map_err(Failure::refused)?;
        }
        "extend" => {
            let seconds =
                asked.seconds.filter(|seconds| (1..=DAY).contains(seconds)).ok_or_else(|| missing("seconds"))?;
            attendant.extend(&call, Duration::from_secs(seconds)).map_err(Failure::refused)?;
        }
        "transfer" => {
            let to = asked.destination.as_deref().and_then(Destination::parse).ok_or_else(|| missing("destination"))?;
            attendant.transfer(&call, &to).map_err(|why| Failure::new(StatusCode::CONFLICT, why))?;
        }
        _ => return Err(Failure::new(StatusCode::NOT_FOUND, "there are ringback, transfer, label and extend".into())),
    }
    log::info!("{action} of slot {slot}@{domain} by the API");
    // As it is now, or as it was where it has just been sent away.
    let call = attendant.call_at(domain, &slot).unwrap_or(call);
    Ok(CallRow::new(&call, &attendant.node_name(), host::now(), host::epoch_ms()))
}
