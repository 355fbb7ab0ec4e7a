//! Server-sent events: one for each change, to whoever listens and may see it.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::{broadcast, watch};

use super::access::Rights;
use crate::freeswitch;
use crate::service::{CallRow, EventKind, Observer, ParkEvent, ParkingService};

/// Changes that a slow listener may be behind; who is further back is told to look at everything anew.
const BEHIND: usize = 256;
/// A sign of life for listeners and proxies.
const PING: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
struct Change {
    concerns: Concerns,
    /// As it is sent.
    text: Bytes,
}

/// Whose tokens are told.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Concerns {
    Everybody,
    Domain(String),
    /// Somebody was refused, and it is not known in which domain: who it was is no other tenant's business.
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

#[derive(Serialize)]
struct StreamItem<'a> {
    action: &'a str,
    at: i64,
    lot: &'a str,
    domain: &'a str,
    slot: &'a str,
    call: Option<CallRow>,
}

/// The listeners.
#[derive(Clone, Debug)]
pub(crate) struct Changes(broadcast::Sender<Change>);

impl Default for Changes {
    fn default() -> Changes {
        Changes(broadcast::Sender::new(BEHIND))
    }
}

/// Tells the listeners. Costs nothing while there are none.
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
            // Nobody listens any more: nothing to do.
            let _ = listeners.send(Change { concerns: Concerns::of(event.what, domain), text });
        }
    }
}

/// The stream for one listener, until they go or the server stops.
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
                // Missed some: the next look at everything sets it right.
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
