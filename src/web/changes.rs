//! Server-sent events: each change is sent to the clients that may see it.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::{broadcast, watch};
use utoipa::ToSchema;
use utoipa::openapi::Object;

use super::access::Rights;
use crate::freeswitch;
use crate::service::{CallRow, EventKind, Observer, ParkEvent, ParkingService, words};

/// How many changes a slow client may be behind. A client that is further behind is told to read everything again.
const BEHIND: usize = 256;
/// How often a comment is sent, so that clients and proxies keep the connection.
const PING: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
struct Change {
    concerns: Concerns,
    /// The event in the form in which it is sent.
    text: Bytes,
}

/// The tokens that get a change.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Concerns {
    Everybody,
    Domain(String),
    /// A refusal in an unknown domain, which no single tenant may see.
    AllDomainsOnly,
}

impl Concerns {
    fn of(what: EventKind, domain: Option<&str>) -> Concerns {
        match (what, domain) {
            (EventKind::Reload, _) => Concerns::Everybody,
            (_, Some(domain)) => Concerns::Domain(domain.to_owned()),
            (_, None) => Concerns::AllDomainsOnly,
        }
    }

    fn allow(&self, rights: &Rights) -> bool {
        match self {
            Concerns::Everybody => true,
            Concerns::Domain(domain) => rights.see(domain),
            Concerns::AllDomainsOnly => rights.domain.is_none(),
        }
    }
}

/// What the event `change` of the stream contains.
#[derive(Serialize, ToSchema)]
#[schema(as = Change)]
pub(super) struct StreamItem<'a> {
    #[schema(schema_with = actions)]
    action: &'a str,
    /// Milliseconds since 1970.
    at: i64,
    lot: &'a str,
    domain: &'a str,
    slot: &'a str,
    call: Option<CallRow>,
}

fn actions() -> Object {
    words(&[
        "park",
        "recover",
        "retrieve",
        "return",
        "fallback",
        "transfer",
        "abandon",
        "ringback",
        "ringback-failed",
        "park-failed",
        "label",
        "extend",
        "reserve",
        "release",
        "hand-over",
        "no-slot",
        "full",
        "denied",
        "reload",
    ])
}

/// The connected clients.
#[derive(Clone, Debug)]
pub(crate) struct Changes(broadcast::Sender<Change>);

impl Default for Changes {
    fn default() -> Changes {
        Changes(broadcast::Sender::new(BEHIND))
    }
}

/// Sends a change to the clients. It costs nothing if there are none.
pub(crate) struct StreamObserver(pub(crate) Changes);

impl Observer for StreamObserver {
    fn on_event(&self, service: &ParkingService, event: &ParkEvent<'_>) {
        let StreamObserver(Changes(listeners)) = self;
        if listeners.receiver_count() == 0 {
            return;
        }
        let node = || service.node_name();
        let row = event.call.map(|call| CallRow::new(call, &node(), freeswitch::now(), freeswitch::epoch_ms()));
        let lot = event.call.map(|call| &call.info.lot).or(event.lot);
        let slot = event.call.map(|call| &call.info.slot).or(event.slot);
        let domain = lot.map(|lot| &*lot.domain);
        let told = StreamItem {
            action: event.what.action(),
            at: freeswitch::epoch_ms(),
            lot: lot.map_or("", |lot| &lot.name),
            domain: domain.unwrap_or_default(),
            slot: slot.map_or("", |slot| slot.as_str()),
            call: row,
        };
        if let Ok(json) = serde_json::to_string(&told) {
            let text = Bytes::from(format!("event: change\ndata: {json}\n\n"));
            // The last client has disconnected.
            let _ = listeners.send(Change { concerns: Concerns::of(event.what, domain), text });
        }
    }
}

/// The stream for one client, until it disconnects or the server stops.
pub(super) fn listen(changes: &Changes, rights: Rights, stopped: watch::Receiver<bool>) -> Response {
    let changes = changes.0.subscribe();
    let first = Some(Bytes::from_static(b": ping\n\n"));
    let pieces = stream::unfold((changes, stopped, rights, first), |(mut changes, mut stopped, rights, first)| async {
        if let Some(first) = first {
            return Some((Ok::<Bytes, Infallible>(first), (changes, stopped, rights, None)));
        }
        loop {
            let change = tokio::select! {
                change = changes.recv() => change,
                () = tokio::time::sleep(PING) => return Some((Ok(Bytes::from_static(b": ping\n\n")), (changes, stopped, rights, None))),
                _ = stopped.changed() => return None,
            };
            match change {
                Ok(change) if change.concerns.allow(&rights) => {
                    return Some((Ok(change.text), (changes, stopped, rights, None)));
                }
                Ok(_) => {}
                // The client has missed changes; reading everything again corrects that.
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    let text = Bytes::from_static(b"event: change\ndata: {\"action\":\"reload\",\"call\":null}\n\n");
                    return Some((Ok(text), (changes, stopped, rights, None)));
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    });
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(pieces)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_told_of_its_own_domain_and_of_reloads() {
        let tenant = Rights { view: true, act: false, domain: Some("a.test".into()) };
        let all = Rights { domain: None, ..tenant.clone() };
        for (what, domain, told) in [
            (EventKind::Denied, None, false),
            (EventKind::Full, None, false),
            (EventKind::Denied, Some("a.test"), true),
            (EventKind::Denied, Some("b.test"), false),
            (EventKind::Park, Some("A.test"), true),
            (EventKind::Reload, None, true),
        ] {
            let concerns = Concerns::of(what, domain);
            assert_eq!((concerns.allow(&tenant), concerns.allow(&all)), (told, true), "{what:?} {domain:?}");
        }
    }
}
