//! The actions on a parked call, for tokens with the right to act.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::error::{ApiError, quoted, quoted_name, short};
use super::state::{Actor, HttpState};
use crate::freeswitch::{self, guard};
use crate::parking::{Call, Destination, Extension, Slot};
use crate::service::{CallRow, ParkingService, log_call};

/// The maximum length of a label. The dashboard has the same limit.
const MAX_LABEL_CHARS: usize = 200;
const MAX_EXTEND_SECS: u64 = 86_400;

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
    run: fn(&Arc<ParkingService>, &Call, &Fields) -> Result<(), ApiError>,
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
        row: ActionRow { name: "ringback", does: "Starts the recall at once.", request: None },
        fields: &[],
        run: |service, call, _| Ok(service.recall_now(call)?),
    },
    Action {
        row: ActionRow {
            name: "transfer",
            does: "Sends the caller to the extension.",
            request: Some(("Transfer", r#"{"extension": "1001"}"#)),
        },
        fields: &["extension", "destination"],
        run: |service, call, fields| {
            let Transfer { extension } = fields.transfer()?;
            Ok(service.transfer(call, &Destination::of_lot(&extension, &call.info.settings))?)
        },
    },
    Action {
        row: ActionRow {
            name: "label",
            does: "Sets the label, of 200 characters at most. An empty text removes it.",
            request: Some(("Label", r#"{"text": "Mr Chen"}"#)),
        },
        fields: &["text"],
        run: |service, call, fields| Ok(service.label(call, fields.label()?.text)?),
    },
    Action {
        row: ActionRow {
            name: "extend",
            does: "Postpones the time-out by 1 to 86400 seconds.",
            request: Some(("Extend", r#"{"seconds": 60}"#)),
        },
        fields: &["seconds"],
        run: |service, call, fields| {
            let Extend { seconds } = fields.extend()?;
            Ok(service.extend(call, Duration::from_secs(seconds)).map(drop)?)
        },
    },
];

pub(super) async fn act(
    State(state): State<HttpState>,
    Actor(rights): Actor,
    path: Result<Path<(String, String, String)>, PathRejection>,
    body: Result<Option<Json<Value>>, JsonRejection>,
) -> Result<Json<CallRow>, ApiError> {
    let Path((domain, slot, action)) = path?;
    if !rights.may_see(&domain) {
        return Err(ApiError::OtherDomain);
    }
    let body = body?.map(|Json(body)| body);
    // Checking a destination may ask a dialplan on another machine, so it must not block the runtime.
    let work = move || {
        guard::fence("http work", Err(ApiError::Panicked), || {
            carry_out(&state.sources.service, &domain, &slot, &action, body)
        })
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| ApiError::Panicked)?.map(Json)
}

fn carry_out(
    service: &Arc<ParkingService>,
    domain: &str,
    slot: &str,
    action: &str,
    body: Option<Value>,
) -> Result<CallRow, ApiError> {
    let not_a_slot =
        || ApiError::OutOfRange { field: "slot", value: quoted(slot), expected: "1 to 20 digits, * and #" };
    let slot = Slot::parse_with_names(slot).ok_or_else(not_a_slot)?;
    let call = service.call_at(domain, &slot)?;
    let Some(found) = ACTIONS.iter().find(|found| found.row.name == action) else {
        let names: Vec<&str> = ACTIONS.iter().map(|action| action.row.name).collect();
        return Err(ApiError::NoSuchAction(names.join(", ")));
    };
    (found.run)(service, &call, &Fields::read(body, found.fields)?)?;
    log_call!(Info, &call, action = action; "changed call by HTTP");
    // Shows the call as it is now, or as it was if it has just left.
    let call = service.call_at(domain, &slot).unwrap_or(call);
    Ok(CallRow::new(&call, &service.node_name(), freeswitch::now(), freeswitch::epoch_ms()))
}

/// The fields of a request's body. Each action reads its own.
struct Fields(Map<String, Value>);

impl Fields {
    fn read(body: Option<Value>, known: &'static [&'static str]) -> Result<Fields, ApiError> {
        let fields = match body.unwrap_or_default() {
            Value::Null => Map::new(),
            Value::Object(fields) => fields,
            other => {
                let value = short(&other.to_string());
                return Err(ApiError::WrongType { field: "the body", value, expected: "an object" });
            }
        };
        match fields.keys().find(|field| !known.contains(&field.as_str())) {
            Some(field) => Err(ApiError::UnknownField { field: quoted_name(field), known }),
            None => Ok(Fields(fields)),
        }
    }

    /// Returns a value of the expected type. Null counts as missing.
    fn get<'a, T>(
        &'a self,
        field: &'static str,
        expected: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<T, ApiError> {
        match self.0.get(field).filter(|value| !value.is_null()) {
            None => Err(ApiError::Missing { field, expected }),
            Some(value) => {
                read(value).ok_or_else(|| ApiError::WrongType { field, value: short(&value.to_string()), expected })
            }
        }
    }

    fn transfer(&self) -> Result<Transfer, ApiError> {
        if self.0.contains_key("destination") {
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
