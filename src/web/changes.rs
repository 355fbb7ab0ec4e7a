//! Server-sent events: one for each change, to whoever listens and may see it.

use std::convert::Infallible;
use std::sync::OnceLock;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::{broadcast, watch};

use super::access::Rights;
use crate::attendant::{self, CallRow, Notice, Witness};
use crate::host;

/// Changes that a slow listener may be behind; who is further back is told to look at everything anew.
const BEHIND: usize = 256;
/// A sign of life for listeners and proxies.
const PING: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
struct Change {
    domain: String,
    /// As it is sent.
    text: Bytes,
}

#[derive(Serialize)]
struct Told<'a> {
    action: &'a str,
    at: i64,
    lot: &'a str,
    domain: &'a str,
    slot: &'a str,
    call: Option<CallRow>,
}

fn channel() -> &'static broadcast::Sender<Change> {
    static CHANNEL: OnceLock<broadcast::Sender<Change>> = OnceLock::new();
    CHANNEL.get_or_init(|| broadcast::Sender::new(BEHIND))
}

/// Tells the listeners. Costs nothing while there are none.
pub(crate) struct Teller;

impl Witness for Teller {
    fn saw(&self, notice: &Notice<'_>) {
        if channel().receiver_count() == 0 {
            return;
        }
        let node = || attendant::on_duty().map(|attendant| attendant.node_name()).unwrap_or_default();
        let row = notice.call.map(|call| CallRow::new(call, &node(), host::now(), host::epoch_ms()));
        let lot = notice.call.map(|call| &call.facts.lot).or(notice.lot);
        let slot = notice.call.map(|call| &call.facts.slot).or(notice.slot);
        let domain = lot.map_or("", |lot| &lot.domain);
        let told = Told {
            action: notice.what.action(),
            at: host::epoch_ms(),
            lot: lot.map_or("", |lot| &lot.name),
            domain,
            slot: slot.map_or("", |slot| slot.as_str()),
            call: row,
        };
        if let Ok(json) = serde_json::to_string(&told) {
            let text = Bytes::from(format!("event: change\ndata: {json}\n\n"));
            // Nobody listens any more: nothing to do.
            let _ = channel().send(Change { domain: domain.to_owned(), text });
        }
    }
}

/// The stream for one listener, until they go or the server stops.
pub(super) fn listen(rights: Rights, stopped: watch::Receiver<bool>) -> Response {
    let changes = channel().subscribe();
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
                // A reload concerns every domain.
                Ok(change) if change.domain.is_empty() || rights.see(&change.domain) => {
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
