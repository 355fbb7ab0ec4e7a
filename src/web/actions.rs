//! What a token with the right to act may do to a parked call.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::routes::{Actor, Failure, HttpState};
use crate::freeswitch::{self, guard};
use crate::parking::{Call, Destination, Extension, Slot};
use crate::service::{CallRow, ParkingService};

/// Characters of a label; the page cuts there too.
const LABEL: usize = 200;
const DAY: u64 = 86_400;

/// What a request may carry; each action reads its own. There is no word for a dialplan, a context, an application or a variable,
/// and one that is none of these is refused.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    extension: Option<String>,
    /// What `extension` was called when it could name a dialplan and a context too.
    destination: Option<IgnoredAny>,
    text: Option<String>,
    seconds: Option<u64>,
}

/// One action on a parked call.
#[cfg_attr(not(test), allow(dead_code, reason = "the manual's columns"))]
pub(super) struct Action {
    pub(super) name: &'static str,
    /// What the body carries, and what the action does: texts in Markdown, for the manual.
    pub(super) body: &'static str,
    pub(super) does: &'static str,
    run: fn(&Arc<ParkingService>, &Call, &Asked) -> Result<(), Failure>,
}

pub(super) const ACTIONS: &[Action] = &[
    Action {
        name: "ringback",
        body: "empty",
        does: "Starts the recall at once.",
        run: |service, call, _| service.ring_back_now(call).map_err(Failure::refused),
    },
    Action {
        name: "transfer",
        body: r#"`{"extension": "1001"}`"#,
        does: "Sends the caller to the extension.",
        run: |service, call, asked| {
            let to = Destination::of_lot(&asked.extension()?, &call.info.settings);
            service.transfer(call, &to).map_err(|why| Failure::new(StatusCode::CONFLICT, why))
        },
    },
    Action {
        name: "label",
        body: r#"`{"text": "Mr Chen"}`"#,
        does: "Sets the label, of 200 characters at most. An empty text removes it.",
        run: |service, call, asked| service.label(call, asked.label()?).map_err(Failure::refused),
    },
    Action {
        name: "extend",
        body: r#"`{"seconds": 60}`"#,
        does: "Postpones the time-out by 1 to 86400 seconds.",
        run: |service, call, asked| service.extend(call, asked.more_time()?).map(drop).map_err(Failure::refused),
    },
];

pub(super) async fn act(
    State(state): State<HttpState>,
    Actor(rights): Actor,
    path: Result<Path<(String, String, String)>, PathRejection>,
    body: Result<Option<Json<Asked>>, JsonRejection>,
) -> Result<Json<CallRow>, Failure> {
    let Path((domain, slot, action)) = path.map_err(|why| Failure::unread(why.status(), &why.body_text()))?;
    if !rights.see(&domain) {
        return Err(Failure::new(StatusCode::FORBIDDEN, "this token is of another domain".into()));
    }
    let body = body.map_err(|why| Failure::unread(why.status(), &why.body_text()))?;
    let Json(asked) = body.unwrap_or_default();
    // A destination is looked up in a dialplan that may be on another machine.
    let work = move || {
        guard::fence("http work", Err(Failure::bug()), || {
            carry_out(&state.sources.service, &domain, &slot, &action, &asked)
        })
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| Failure::bug())?.map(Json)
}

fn carry_out(
    service: &Arc<ParkingService>,
    domain: &str,
    slot: &str,
    action: &str,
    asked: &Asked,
) -> Result<CallRow, Failure> {
    let slot = Slot::parse(slot).ok_or_else(|| bad(format!("{} in the path is not a slot", quoted(slot))))?;
    let call = service.call_at(domain, &slot).map_err(Failure::refused)?;
    let Some(found) = ACTIONS.iter().find(|found| found.name == action) else {
        let names: Vec<&str> = ACTIONS.iter().map(|action| action.name).collect();
        return Err(Failure::new(StatusCode::NOT_FOUND, format!("there are {}", names.join(", "))));
    };
    (found.run)(service, &call, asked)?;
    log::info!(action:% = action, slot:% = slot, domain:% = domain; "changed a call by HTTP");
    // As it is now, or as it was where it has just been sent away.
    let call = service.call_at(domain, &slot).unwrap_or(call);
    Ok(CallRow::new(&call, &service.node_name(), freeswitch::now(), freeswitch::epoch_ms()))
}

impl Asked {
    fn extension(&self) -> Result<Extension, Failure> {
        if self.destination.is_some() {
            return Err(bad("destination is called extension, and is one: dialplan and context are the lot's".into()));
        }
        let text = self.extension.as_deref().ok_or_else(|| bad("extension is missing".into()))?;
        let not_one = || bad(format!("extension {} is not {}", quoted(text), Extension::FORM));
        Extension::parse(text).ok_or_else(not_one)
    }

    fn label(&self) -> Result<&str, Failure> {
        let text = self.text.as_deref().ok_or_else(|| bad("text is missing".into()))?;
        match text.chars().count() {
            count if count > LABEL => Err(bad(format!("text has {count} characters, at most {LABEL} are possible"))),
            _ => Ok(text),
        }
    }

    fn more_time(&self) -> Result<Duration, Failure> {
        let seconds = self.seconds.ok_or_else(|| bad("seconds is missing".into()))?;
        let out_of_range = || bad(format!("seconds {seconds} is not from 1 to {DAY}"));
        (1..=DAY).contains(&seconds).then(|| Duration::from_secs(seconds)).ok_or_else(out_of_range)
    }
}

fn bad(why: String) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, why)
}

/// What somebody sent, fit for an error text: quoted, control characters spelled out, cut.
fn quoted(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    let dots = if short.len() < text.len() { "..." } else { "" };
    format!("{short:?}{dots}")
}
