//! The actions on a parked call, for tokens with the right to act.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use serde_json::Value;
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::access::{Rights, is_user_name};
use super::error::{ApiError, quoted};
use super::fields::Fields;
use super::state::{Actor, HttpState};
use crate::freeswitch::{self, guard};
use crate::parking::{Call, Extension, Slot};
use crate::service::{ActionError, CallAction, CallRow, EARLY_FAILURE_TIME, ParkingService, RingOrder, log_call};

/// The maximum length of a label. The dashboard has the same limit.
const MAX_LABEL_CHARS: usize = 200;
const MAX_EXTEND_SECS: u64 = 86_400;
const USER_FORM: &str = "the name of a user, such as 1002 or 1002@example.com";

/// One action on a parked call, for the manual and for the description of the API.
#[derive(Clone, Copy)]
pub(crate) struct ActionRow {
    pub(crate) name: &'static str,
    /// A text in Markdown.
    pub(crate) does: &'static str,
    /// The name of its body's schema, and an example.
    pub(crate) request: Option<(&'static str, &'static str)>,
}

pub(super) struct Action {
    pub(super) row: ActionRow,
    /// The fields that the body may have; any other is refused. None of them can name a dialplan, context, application or variable.
    fields: &'static [&'static str],
    run: fn(&ActionRequest<'_>) -> Result<ActionProgress, ApiError>,
}

/// A request for an action on a call.
struct ActionRequest<'a> {
    service: &'a Arc<ParkingService>,
    call: &'a Call,
    fields: &'a Fields,
    rights: &'a Rights,
    actor: &'a str,
}

/// How far an action is.
enum ActionProgress {
    /// It is done. If another node did it, that node says how the call is now.
    Done(Option<Value>),
    /// A phone is rung; the result follows. If the call is on another node, that node says how it is now.
    Rings(oneshot::Receiver<Result<(), ActionError>>, Option<Value>),
}

/// The body of `retrieve`.
#[derive(ToSchema)]
#[schema(as = Retrieve)]
#[serde(deny_unknown_fields)]
pub(super) struct RetrieveBody<'a> {
    /// The user whose phones ring (`1002`, or `1002@example.com`); the token's user, if it is left out.
    to: Option<&'a str>,
    /// Whether phones that can answer by themselves are asked to do so (`Call-Info: answer-after=0`). A token of a user may ask the phones of that user
    /// only.
    auto_answer: Option<bool>,
}

/// The body of `transfer`.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Transfer {
    /// The caller continues in the dialplan and context that the lot's fallback names, otherwise in those of the call.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9_.*#+-]{1,64}$")]
    extension: Extension,
}

/// The body of `label`.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Label<'a> {
    #[schema(max_length = 200)]
    text: &'a str,
}

/// The body of `extend`.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Extend {
    #[schema(minimum = 1, maximum = 86400)]
    seconds: u64,
}

pub(super) const ACTIONS: &[Action] = &[
    Action {
        row: ActionRow {
            name: "retrieve",
            does: "Rings the phones of a user and connects the one that answers to the caller; see [below](#take-a-call).",
            request: Some(("Retrieve", r#"{"to": "1002"}"#)),
        },
        fields: &["to", "auto_answer"],
        run: |request| request.ring(),
    },
    Action {
        row: ActionRow { name: "ringback", does: "Starts the recall at once.", request: None },
        fields: &[],
        run: |request| request.act(CallAction::Recall),
    },
    Action {
        row: ActionRow {
            name: "transfer",
            does: "Sends the caller to the extension.",
            request: Some(("Transfer", r#"{"extension": "1001"}"#)),
        },
        fields: &["extension", "destination"],
        run: |request| {
            let Transfer { extension } = request.fields.transfer()?;
            request.act(CallAction::SendTo { extension: extension.as_str().to_owned(), as_lot: true })
        },
    },
    Action {
        row: ActionRow {
            name: "label",
            does: "Sets the label, of 200 characters at most. An empty text removes it.",
            request: Some(("Label", r#"{"text": "Mr Chen"}"#)),
        },
        fields: &["text"],
        run: |request| request.act(CallAction::Label { text: request.fields.label()?.text.to_owned() }),
    },
    Action {
        row: ActionRow {
            name: "extend",
            does: "Postpones the time-out by 1 to 86400 seconds.",
            request: Some(("Extend", r#"{"seconds": 60}"#)),
        },
        fields: &["seconds"],
        run: |request| {
            let Extend { seconds } = request.fields.extend()?;
            request.act(CallAction::Extend { seconds })
        },
    },
];

impl ActionRequest<'_> {
    fn act(&self, action: CallAction) -> Result<ActionProgress, ApiError> {
        Ok(ActionProgress::Done(self.service.act(self.call, action, Some(self.actor))?))
    }

    /// Rings the phones of the user whom the request or the token names.
    fn ring(&self) -> Result<ActionProgress, ApiError> {
        let RetrieveBody { to, auto_answer } = self.fields.retrieve()?;
        let user = match (to, &self.rights.user) {
            (Some(to), _) => {
                let (name, domain) = to.split_once('@').unwrap_or((to, &self.call.info.lot.domain));
                if !is_user_name(name) || !is_user_name(domain) {
                    return Err(ApiError::OutOfRange { field: "to", value: quoted(to), expected: USER_FORM });
                }
                if !self.rights.may_see(domain) {
                    return Err(ApiError::OtherDomain);
                }
                format!("{name}@{domain}")
            }
            (None, Some(user)) => user.clone(),
            (None, None) => return Err(ApiError::NoUser),
        };
        let auto_answer = auto_answer.unwrap_or_default();
        // Otherwise a user could listen to the room of a colleague.
        if auto_answer && self.rights.user.as_ref().is_some_and(|own| !own.eq_ignore_ascii_case(&user)) {
            return Err(ApiError::NotOwnPhone);
        }
        let order = RingOrder { user, auto_answer };
        let (done, result) = oneshot::channel();
        // The client may have disconnected.
        let report = |result| drop(done.send(result));
        let row = self.service.retrieve_by_ringing(self.call, order, Some(self.actor), report)?;
        Ok(ActionProgress::Rings(result, row))
    }
}

pub(super) async fn act(
    State(state): State<HttpState>,
    Actor(rights): Actor,
    path: Result<Path<(String, String, String)>, PathRejection>,
    body: Result<Option<Json<Value>>, JsonRejection>,
) -> Result<Json<Value>, ApiError> {
    let Path((domain, slot, action)) = path?;
    if !rights.may_see(&domain) {
        return Err(ApiError::OtherDomain);
    }
    let body = body?.map(|Json(body)| body);
    // Checking a destination may ask a dialplan on another machine, so it must not block the runtime.
    let work = move || {
        guard::fence("http work", Err(ApiError::Panicked), || {
            carry_out(&state.sources.service, &rights, &domain, &slot, &action, body)
        })
    };
    let (progress, row) = tokio::task::spawn_blocking(work).await.map_err(|_| ApiError::Panicked)??;
    if let ActionProgress::Rings(result, _) = progress {
        match tokio::time::timeout(EARLY_FAILURE_TIME, result).await {
            Ok(Ok(result)) => result?,
            // The caller hung up before the phone could be called.
            Ok(Err(_)) => return Err(ActionError::CallerGone.into()),
            Err(_) => {}
        }
    }
    Ok(Json(row))
}

fn carry_out(
    service: &Arc<ParkingService>,
    rights: &Rights,
    domain: &str,
    slot: &str,
    action: &str,
    body: Option<Value>,
) -> Result<(ActionProgress, Value), ApiError> {
    let not_a_slot =
        || ApiError::OutOfRange { field: "slot", value: quoted(slot), expected: "1 to 20 digits, * and #" };
    let slot = Slot::parse_with_names(slot).ok_or_else(not_a_slot)?;
    let call = service.call_at(domain, &slot)?;
    let Some(found) = ACTIONS.iter().find(|found| found.row.name == action) else {
        let names: Vec<&str> = ACTIONS.iter().map(|action| action.row.name).collect();
        return Err(ApiError::NoSuchAction(names.join(", ")));
    };
    let (fields, actor) = (Fields::read(body, found.fields)?, rights.actor());
    let mut progress = (found.run)(&ActionRequest { service, call: &call, fields: &fields, rights, actor: &actor })?;
    log_call!(Info, &call, action = action, actor = actor; "changed call by HTTP");
    let (ActionProgress::Done(row) | ActionProgress::Rings(_, row)) = &mut progress;
    if let Some(row) = row.take() {
        return Ok((progress, row));
    }
    // Shows the call as it is now, or as it was if it has just left.
    let call = service.call_at(domain, &slot).ok().filter(|now| now.id == call.id).unwrap_or(call);
    let row = CallRow::new(&call, &service.node_name(), freeswitch::now(), freeswitch::epoch_ms());
    Ok((progress, serde_json::to_value(row).map_err(|_| ApiError::Panicked)?))
}

impl Fields {
    fn retrieve(&self) -> Result<RetrieveBody<'_>, ApiError> {
        Ok(RetrieveBody {
            to: self.optional("to", USER_FORM, Value::as_str)?,
            auto_answer: self.optional("auto_answer", "true or false", Value::as_bool)?,
        })
    }

    fn transfer(&self) -> Result<Transfer, ApiError> {
        if self.has("destination") {
            return Err(ApiError::Destination);
        }
        let text = self.get("extension", Extension::FORM, Value::as_str)?;
        let not_one = || ApiError::OutOfRange { field: "extension", value: quoted(text), expected: Extension::FORM };
        Extension::parse(text).map(|extension| Transfer { extension }).ok_or_else(not_one)
    }

    fn label(&self) -> Result<Label<'_>, ApiError> {
        let text = self.get("text", "a text of at most 200 characters", Value::as_str)?;
        match text.chars().count() {
            count if count > MAX_LABEL_CHARS => Err(ApiError::LongText { count, most: MAX_LABEL_CHARS }),
            _ => Ok(Label { text }),
        }
    }

    fn extend(&self) -> Result<Extend, ApiError> {
        const EXPECTED: &str = "a whole number from 1 to 86400";
        let number = self.get("seconds", EXPECTED, Value::as_number)?;
        let out_of_range = || ApiError::OutOfRange { field: "seconds", value: number.to_string(), expected: EXPECTED };
        let seconds = number.as_u64().filter(|seconds| (1..=MAX_EXTEND_SECS).contains(seconds));
        seconds.map(|seconds| Extend { seconds }).ok_or_else(out_of_range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str, known: &'static [&'static str]) -> Result<Fields, ApiError> {
        Fields::read(Some(serde_json::from_str(json).unwrap()), known)
    }

    #[test]
    fn an_error_names_the_field_the_value_and_what_is_expected() {
        let extend =
            |json| fields(json, &["seconds"]).and_then(|fields| fields.extend().map(drop)).unwrap_err().to_string();
        let label = |json| fields(json, &["text"]).and_then(|fields| fields.label().map(drop)).unwrap_err().to_string();
        let transfer =
            |json| fields(json, &["extension"]).and_then(|fields| fields.transfer().map(drop)).unwrap_err().to_string();
        assert_eq!(extend(r#"{"seconds": "x"}"#), r#"seconds "x" is not a whole number from 1 to 86400"#);
        assert_eq!(extend(r#"{"seconds": 86401}"#), "seconds 86401 is not a whole number from 1 to 86400");
        assert_eq!(extend(r#"{"seconds": 1.5}"#), "seconds 1.5 is not a whole number from 1 to 86400");
        assert_eq!(extend("{}"), "seconds is missing, expected a whole number from 1 to 86400");
        assert_eq!(extend(r#"{"seconds": null}"#), "seconds is missing, expected a whole number from 1 to 86400");
        assert_eq!(extend(r#"{"minutes": 5}"#), "unknown field `minutes`, expected `seconds`");
        assert_eq!(extend("[60]"), "the body [60] is not an object");
        assert_eq!(label(r#"{"text": 5}"#), "text 5 is not a text of at most 200 characters");
        assert_eq!(
            label(&format!(r#"{{"text": "{}"}}"#, "\u{fc}".repeat(201))),
            "text has 201 characters, expected at most 200"
        );
        assert_eq!(
            transfer(r#"{"extension": "1001 XML"}"#),
            r#"extension "1001 XML" is not 1 to 64 of A-Z a-z 0-9 _ . * # + -"#
        );
        let none = fields(r#"{"text": "x"}"#, &[]).err().unwrap().to_string();
        assert_eq!(none, "unknown field `text`, expected none");
    }
}
