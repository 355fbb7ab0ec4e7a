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
use crate::service::{CallRow, EventKind, Observer, ParkEvent, ParkingService, text_enum};

/// How many changes a slow client may be behind. A client that is further behind is told to read everything again.
const MAX_EVENTS_BEHIND: usize = 256;
/// How often a comment is sent, so that clients and proxies keep the connection.
const PING_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
struct StreamEvent {
    audience: Audience,
    /// The event in the form in which it is sent.
    text: Bytes,
}

/// The tokens that get a change.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Audience {
    Everybody,
    Domain(String),
    /// A refusal in an unknown domain, which no single tenant may see.
    AllDomainsOnly,
}

impl Audience {
    fn of(kind: EventKind, domain: Option<&str>) -> Audience {
        match (kind, domain) {
            (EventKind::Reload, _) => Audience::Everybody,
            (_, Some(domain)) => Audience::Domain(domain.to_owned()),
            (_, None) => Audience::AllDomainsOnly,
        }
    }

    fn allow(&self, rights: &Rights) -> bool {
        match self {
            Audience::Everybody => true,
            Audience::Domain(domain) => rights.may_see(domain),
            Audience::AllDomainsOnly => rights.domain.is_none(),
        }
    }
}

/// What the event `change` of the stream contains.
#[derive(Serialize, ToSchema)]
#[schema(as = Change)]
pub(super) struct StreamEventData<'a> {
    #[schema(schema_with = action_names)]
    action: &'a str,
    /// Milliseconds since 1970.
    at: i64,
    lot: &'a str,
    domain: &'a str,
    slot: &'a str,
    call: Option<CallRow>,
}

fn action_names() -> Object {
    text_enum(&[
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
        "remind",
        "label",
        "extend",
        "retrieve-failed",
        "reserve",
        "release",
        "hand-over",
        "retrieving",
        "other-node",
        "no-slot",
        "full",
        "denied",
        "reload",
        "hook-failed",
    ])
}

/// The connected clients.
#[derive(Clone, Debug)]
pub(crate) struct StreamClients(broadcast::Sender<StreamEvent>);

impl Default for StreamClients {
    fn default() -> StreamClients {
        StreamClients(broadcast::Sender::new(MAX_EVENTS_BEHIND))
    }
}

/// Sends a change to the clients. It costs nothing if there are none.
pub(crate) struct StreamObserver(pub(crate) StreamClients);

impl Observer for StreamObserver {
    fn on_event(&self, service: &ParkingService, event: &ParkEvent<'_>) {
        let StreamObserver(StreamClients(listeners)) = self;
        if listeners.receiver_count() == 0 {
            return;
        }
        let node = || service.node_name();
        let row = event.call.map(|call| CallRow::new(call, &node(), freeswitch::now(), freeswitch::epoch_ms()));
        let lot = event.call.map(|call| &call.info.lot).or(event.lot);
        let slot = event.call.map(|call| &call.info.slot).or(event.slot);
        let domain = lot.map(|lot| &*lot.domain);
        let told = StreamEventData {
            action: event.kind.action(),
            at: freeswitch::epoch_ms(),
            lot: lot.map_or("", |lot| &lot.name),
            domain: domain.unwrap_or_default(),
            slot: slot.map_or("", |slot| slot.as_str()),
            call: row,
        };
        if let Ok(json) = serde_json::to_string(&told) {
            let text = Bytes::from(format!("event: change\ndata: {json}\n\n"));
            // The last client has disconnected.
            let _ = listeners.send(StreamEvent { audience: Audience::of(event.kind, domain), text });
        }
    }
}

/// The stream for one client, until it disconnects or the server stops.
pub(super) fn listen(changes: &StreamClients, rights: Rights, stopped: watch::Receiver<bool>) -> Response {
    let changes = changes.0.subscribe();
    let first = Some(Bytes::from_static(b": ping\n\n"));
    let pieces = stream::unfold((changes, stopped, rights, first), |(mut changes, mut stopped, rights, first)| async {
        if let Some(first) = first {
            return Some((Ok::<Bytes, Infallible>(first), (changes, stopped, rights, None)));
        }
        loop {
            let change = tokio::select! {
                change = changes.recv() => change,
                () = tokio::time::sleep(PING_INTERVAL) => return Some((Ok(Bytes::from_static(b": ping\n\n")), (changes, stopped, rights, None))),
                _ = stopped.changed() => return None,
            };
            match change {
                Ok(change) if change.audience.allow(&rights) => {
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
        let tenant = Rights { view: true, domain: Some("a.test".into()), ..Rights::default() };
        let all = Rights { domain: None, ..tenant.clone() };
        for (kind, domain, told) in [
            (EventKind::Denied, None, false),
            (EventKind::Full, None, false),
            (EventKind::Denied, Some("a.test"), true),
            (EventKind::Denied, Some("b.test"), false),
            (EventKind::Park, Some("A.test"), true),
            (EventKind::Reload, None, true),
        ] {
            let audience = Audience::of(kind, domain);
            assert_eq!((audience.allow(&tenant), audience.allow(&all)), (told, true), "{kind:?} {domain:?}");
        }
    }
}
