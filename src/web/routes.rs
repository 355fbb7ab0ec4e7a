//! The paths of the HTTP server, and what all answers have in common.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::Method;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use futures_util::FutureExt;
use tokio::sync::{Semaphore, watch};

use super::access::Tokens;
use super::description::{AnswerBody, NumberParam, PathRow, TextParam, describe};
use super::direct::is_direct;
use super::error::ApiError;
use super::state::{HttpState, Viewer};
use super::{Sources, actions, conversations, event_stream, metrics, page, queries, report};
use crate::freeswitch::guard;

pub(crate) type Router = axum::Router;

/// The maximum size of a request's body, in bytes.
const MAX_BODY_BYTES: usize = 8 * 1024;
/// The maximum number of queries that wait for the database, on as many threads. The other threads are for actions, which do not need the database.
const MAX_READS: usize = 4;
/// The maximum time for a request, including its body. A stream counts until it begins.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// The page may run and load only its own files.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) struct ApiPath {
    pub(super) row: PathRow,
    serve: fn() -> MethodRouter<HttpState>,
}

const fn query_path(
    path: &'static str,
    right: &'static str,
    body: AnswerBody,
    answers: &'static str,
    serve: fn() -> MethodRouter<HttpState>,
) -> ApiPath {
    ApiPath {
        row: PathRow { method: "GET", path, right, answers, body, query: None, request: None, texts: &[] },
        serve,
    }
}

impl ApiPath {
    const fn with(mut self, name: &'static str, default: u32, most: u32) -> ApiPath {
        self.row.query = Some(NumberParam { name, default, most });
        self
    }

    const fn with_texts(mut self, texts: &'static [TextParam]) -> ApiPath {
        self.row.texts = texts;
        self
    }
}

pub(super) const PATHS: &[ApiPath] = &[
    query_path("/api/v1/me", "view", AnswerBody::Object("Me"), "The rights and the domain of the token.", || get(queries::me)),
    query_path("/api/v1/calls", "view", AnswerBody::List("Call"), "The parked calls.", || get(queries::calls)),
    query_path("/api/v1/lots", "view", AnswerBody::List("Lot"), "The lots and their slots.", || get(queries::lots)),
    query_path(
        "/api/v1/stats",
        "view",
        AnswerBody::List("Tally"),
        "Counts for each lot and day. `?days=7`: the number of days; 1 without it, 400 at most.",
        || get(queries::stats),
    )
    .with("days", 1, queries::MAX_HTTP_DAYS),
    query_path(
        "/api/v1/history",
        "view",
        AnswerBody::List("Record"),
        "The calls that are no longer parked, the newest first. `?count=100`: the number of calls; 50 without it, 10000 at most.",
        || get(queries::history),
    )
    .with("count", 50, queries::MAX_HTTP_RECORDS),
    query_path(
        "/api/v1/report",
        "view",
        AnswerBody::ObjectOrCsv("Report"),
        "A [report](reports.md) about a range of time, `?from=7d&to=today&by=hour&lot=main&tz=Europe/Berlin`; today by day without a query. CSV with `Accept: text/csv`.",
        || get(report::report),
    )
    .with_texts(report::PARAMS),
    query_path(
        "/api/v1/events",
        "view",
        AnswerBody::Text("text/event-stream"),
        "Server-sent events: an event `change` for each [action](events.md#events), until the connection is closed.",
        || get(listen),
    ),
    query_path(
        "/api/v1/channels",
        "act",
        AnswerBody::List("Channel"),
        "The live calls that can be parked: those of the token's user, or of all users of its domain; see [below](#park-a-call).",
        || get(conversations::channels),
    ),
    query_path(
        "/api/v1/users",
        "act",
        AnswerBody::List("User"),
        "The colleagues: the users of the token's domain, each with whether a phone is registered and whether the user is talking. Empty if the directory cannot be listed.",
        || get(conversations::users),
    ),
    ApiPath {
        row: PathRow {
            method: "POST",
            path: "/api/v1/park",
            right: "act",
            answers: "Parks a live call, and answers its state; see [below](#park-a-call).",
            body: AnswerBody::Object("Call"),
            query: None,
            request: Some(("Park", r#"{"uuid": "7c0e…", "slot": "701"}"#)),
            texts: &[],
        },
        serve: || post(conversations::park),
    },
    ApiPath {
        row: PathRow {
            method: "POST",
            path: "/api/v1/calls/{domain}/{slot}/{action}",
            right: "act",
            answers: "Carries out one of the actions below, and answers the new state of the call.",
            body: AnswerBody::Object("Call"),
            query: None,
            request: None,
            texts: &[],
        },
        serve: || post(actions::act),
    },
    query_path("/api/v1/openapi.json", "none", AnswerBody::Any, "The description of the API, as OpenAPI.", || {
        get(describe_all)
    }),
    query_path("/healthz", "none", AnswerBody::Text("text/plain"), "`ok`.", || get(async || "ok")),
    query_path(
        "/metrics",
        "view",
        AnswerBody::Text("application/openmetrics-text"),
        "The metrics, in the OpenMetrics format. They need a token for all domains; a program on the server itself needs none.",
        || get(scrape),
    ),
];

pub(crate) fn router(sources: Sources, tokens: Tokens, loopback: bool, stopped: watch::Receiver<bool>) -> Router {
    let rows: Vec<PathRow> = PATHS.iter().map(|path| path.row).collect();
    let actions: Vec<_> = actions::ACTIONS.iter().map(|action| action.row).collect();
    let description = Bytes::from(describe(&rows, &actions).to_json().unwrap_or_default());
    let paths = axum::Router::new().merge(page::routes());
    let paths = PATHS.iter().fold(paths, |router, path| router.route(path.row.path, (path.serve)()));
    let reads = Arc::new(Semaphore::new(MAX_READS));
    paths
        .method_not_allowed_fallback(async || ApiError::WrongMethod)
        .fallback(async || ApiError::NoSuchPath)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn(guarded))
        .with_state(HttpState { sources, tokens: Arc::new(tokens), loopback, stopped, description, reads })
}

/// Adds the headers of every answer, and refuses requests that a page of another site sends through a browser.
async fn guarded(request: Request, next: Next) -> Response {
    let mut response = if is_foreign(&request) {
        ApiError::OtherSite.into_response()
    } else {
        let late = || ApiError::TooSlow(REQUEST_TIMEOUT.as_secs()).into_response();
        // Otherwise a panic would only close the connection, unnoticed.
        let answer = AssertUnwindSafe(fenced(request, next)).catch_unwind();
        match tokio::time::timeout(REQUEST_TIMEOUT, answer).await {
            Ok(answer) => answer.unwrap_or_else(|panic| {
                guard::log_panic("http request", &*panic);
                ApiError::Panicked.into_response()
            }),
            Err(_) => late(),
        }
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn fenced(request: Request, next: Next) -> Response {
    guard::mark("http request");
    next.run(request).await
}

fn is_foreign(request: &Request) -> bool {
    let header = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let own = |origin: &str| origin.split_once("://").map(|(_, host)| host) == header(HOST);
    request.method() != Method::GET && header(ORIGIN).is_some_and(|origin| !own(origin))
}

async fn listen(State(state): State<HttpState>, Viewer(rights): Viewer) -> Response {
    event_stream::listen(&state.sources.changes, rights, state.stopped)
}

/// The description, which is the same while the module is loaded.
async fn describe_all(State(state): State<HttpState>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], state.description)
}

async fn scrape(State(state): State<HttpState>, parts: Parts) -> Response {
    if !(state.loopback && is_direct(&parts.headers)) {
        match state.rights(&parts).await {
            Ok(rights) if rights.view && rights.domain.is_none() => {}
            Ok(_) => return ApiError::NotAllDomains.into_response(),
            Err(failure) => return failure.into_response(),
        }
    }
    metrics::answer(&state.sources)
}
