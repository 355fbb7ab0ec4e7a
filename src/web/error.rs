//! The errors of requests, with their status and their text.

use std::error::Error as _;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use thiserror::Error;
use utoipa::ToSchema;

use crate::parking::Refusal;
use crate::service::{ActionError, ErrorKind};
use crate::storage::{ReportQueryError, StorageError};

/// The maximum length of a value in an error text.
const QUOTED_CHARS: usize = 60;

#[derive(Debug, Error)]
pub(super) enum ApiError {
    #[error("a token is needed, expected the header Authorization: Bearer <token>")]
    NoToken,
    #[error("unknown token")]
    UnknownToken,
    #[error("this token may not look")]
    MayNotView,
    #[error("this token may only look")]
    MayNotAct,
    #[error("this token is of another domain")]
    OtherDomain,
    #[error("auto_answer is for the phones of the token's own user")]
    NotOwnPhone,
    #[error("metrics are of all domains, expected a token for the domain *")]
    NotAllDomains,
    #[error("a page of another site sent this request")]
    OtherSite,
    #[error("no such path")]
    NoSuchPath,
    #[error("not with this method")]
    WrongMethod,
    #[error("no such action, expected one of {0}")]
    NoSuchAction(String),
    #[error("the path cannot be read: {0}")]
    Path(#[from] PathRejection),
    #[error("the query cannot be read: {0}")]
    Query(#[from] QueryRejection),
    #[error("{}", body_error(.0))]
    Body(#[from] JsonRejection),
    #[error("{field} is missing, expected {expected}")]
    Missing { field: &'static str, expected: &'static str },
    /// Of another type than is expected.
    #[error("{field} {value} is not {expected}")]
    WrongType { field: &'static str, value: String, expected: &'static str },
    #[error("{field} {value} is not {expected}")]
    OutOfRange { field: &'static str, value: String, expected: &'static str },
    #[error("text has {count} characters, expected at most {most}")]
    LongText { count: usize, most: usize },
    #[error("unknown field {field}, expected {}", quoted_names(.known))]
    UnknownField { field: String, known: &'static [&'static str] },
    #[error("to is missing, expected the name of a user such as 1002, because this token has no user")]
    NoUser,
    #[error("destination is called extension, and is one: dialplan and context are the lot's")]
    Destination,
    #[error(transparent)]
    Action(#[from] ActionError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Report(#[from] ReportQueryError),
    #[error("the request took more than {0} seconds")]
    TooSlow(u64),
    #[error("a bug; see the log")]
    Panicked,
}

/// The body of an answer that is an error.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(super) struct ErrorBody {
    /// What is wrong, and what is expected.
    error: String,
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            ApiError::Missing { .. }
            | ApiError::OutOfRange { .. }
            | ApiError::LongText { .. }
            | ApiError::NoUser
            | ApiError::Report(_)
            | ApiError::Destination => StatusCode::BAD_REQUEST,
            ApiError::NoToken | ApiError::UnknownToken => StatusCode::UNAUTHORIZED,
            ApiError::MayNotView
            | ApiError::MayNotAct
            | ApiError::OtherDomain
            | ApiError::NotOwnPhone
            | ApiError::NotAllDomains
            | ApiError::OtherSite => StatusCode::FORBIDDEN,
            ApiError::NoSuchPath | ApiError::NoSuchAction(_) => StatusCode::NOT_FOUND,
            ApiError::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            ApiError::Action(error) => match error.kind() {
                ErrorKind::NotFound => StatusCode::NOT_FOUND,
                ErrorKind::Denied => StatusCode::FORBIDDEN,
                ErrorKind::Invalid => StatusCode::BAD_REQUEST,
                ErrorKind::Conflict => StatusCode::CONFLICT,
                ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            },
            ApiError::WrongType { .. } | ApiError::UnknownField { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            ApiError::Path(rejection) => rejection.status(),
            ApiError::Query(rejection) => rejection.status(),
            ApiError::Body(rejection) => rejection.status(),
            ApiError::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
            ApiError::Storage(_) | ApiError::TooSlow(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> ApiError {
        ApiError::Action(refusal.into())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (status, Json(ErrorBody { error: self.to_string() })).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Returns the text of serde_json, without the text of axum before it, which names Rust types.
fn body_error(rejection: &JsonRejection) -> String {
    match rejection {
        JsonRejection::JsonDataError(_) | JsonRejection::JsonSyntaxError(_) => {
            let mut innermost = rejection.source();
            while let Some(source) = innermost.and_then(std::error::Error::source) {
                innermost = Some(source);
            }
            innermost.map_or_else(|| rejection.body_text(), |why| format!("the body cannot be read: {why}"))
        }
        JsonRejection::MissingJsonContentType(_) => {
            "the body is not JSON, expected the header Content-Type: application/json".into()
        }
        other => other.body_text(),
    }
}

/// Quotes a text of the client for an error text: control characters are escaped, and a long text is cut.
pub(super) fn quoted(text: &str) -> String {
    let beginning: String = text.chars().take(QUOTED_CHARS).collect();
    let dots = if beginning.len() < text.len() { "..." } else { "" };
    format!("{beginning:?}{dots}")
}

/// Returns JSON for an error text; a long one is quoted and cut.
pub(super) fn short(json: &str) -> String {
    if json.chars().count() > QUOTED_CHARS { quoted(json) } else { json.to_owned() }
}

/// Quotes the name of a field.
pub(super) fn quoted_name(name: &str) -> String {
    format!("`{}`", quoted(name).trim_matches('"'))
}

fn quoted_names(names: &[&str]) -> String {
    let names: Vec<String> =
        names.iter().filter(|name| **name != "destination").map(|name| quoted_name(name)).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}
