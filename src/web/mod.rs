//! Serves the dashboard, the JSON API and the metrics over HTTP, on a thread of its own. No call waits for it.

mod access;
mod actions;
mod conversations;
mod description;
mod direct;
mod error;
mod event_stream;
mod fields;
#[cfg(test)]
mod manual;
mod metrics;
mod page;
mod queries;
mod report;
mod routes;
mod server;
mod state;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use thiserror::Error;

pub(crate) use description::without_links;
pub(crate) use event_stream::{StreamClients, StreamObserver};
pub(crate) use metrics::{Counters, MetricsObserver};

use crate::config::Settings;
use crate::freeswitch;
use crate::hooks::Hooks;
use crate::moh::SharedMusic;
use crate::parking::MonotonicTime;
use crate::service::ParkingService;
use crate::storage::Storage;
use access::{TokenFileError, Tokens};
#[cfg(test)]
pub(crate) use manual::{ACTION_ROWS, PATH_ROWS, description, metrics};
use server::Server;
#[cfg(feature = "fuzzing")]
pub(crate) use {access::Tokens as TokenFile, routes::router};
#[cfg(test)]
pub(crate) use {actions::ActionRow, description::PathRow};

/// The first and the longest delay until a server that could not be started is tried again.
const FIRST_START_RETRY_DELAY: Duration = Duration::from_secs(1);
const MAX_START_RETRY_DELAY: Duration = Duration::from_secs(30);

/// The parts of the module from which requests are answered.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) service: Arc<ParkingService>,
    pub(crate) storage: Arc<Storage>,
    pub(crate) music: Arc<SharedMusic>,
    pub(crate) changes: StreamClients,
    pub(crate) counts: Arc<Counters>,
    pub(crate) hooks: Arc<Hooks>,
}

/// The HTTP server as the configuration requires it: it runs, is tried again, or is off.
pub(crate) struct HttpServer {
    sources: Sources,
    state: Mutex<ServerState>,
}

#[derive(Default)]
struct ServerState {
    /// The running server and its settings.
    running: Option<(HttpSettings, Server)>,
    /// The next try, if the server could not be started.
    retry: Option<Retry>,
    /// Whether a thread of a stopped server may still wait for the database, so that the module's code must stay.
    left_behind: bool,
}

struct Retry {
    at: MonotonicTime,
    pause: Duration,
    why: HttpError,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct HttpSettings {
    address: SocketAddr,
    tokens: Tokens,
}

/// Why the server cannot be started.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
enum HttpError {
    #[error("not an address and a port")]
    NoAddress,
    #[error("http-token-file {file}: {why}")]
    TokenFile { file: String, why: TokenFileError },
    #[error("outside this machine it needs tokens (http-token-file)")]
    NoTokens,
    #[error("{0}")]
    Start(String),
}

impl HttpServer {
    pub(crate) fn new(sources: Sources) -> HttpServer {
        HttpServer { sources, state: Mutex::default() }
    }

    #[cfg(feature = "fuzzing")]
    pub(crate) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Starts, restarts or ends the server according to the configuration. The token file is read again. A server whose settings have not changed
    /// continues, so that users of the dashboard do not notice a reload.
    pub(crate) fn apply(&self) {
        self.state.lock().apply(&self.sources, None);
    }

    /// Starts a server again that a bug has ended, or that could not be started before. It is called once a second.
    pub(crate) fn on_tick(&self) {
        let Some(mut state) = self.state.try_lock() else { return };
        let over = state.running.as_ref().is_some_and(|(_, server)| server.is_over());
        let due = state.retry.as_ref().is_some_and(|retry| freeswitch::now() >= retry.at);
        if over || due {
            let before = state.retry.take();
            state.apply(&self.sources, before);
        }
    }

    /// Describes the state of the server for `callpark status`.
    pub(crate) fn status(&self) -> String {
        let state = self.state.lock();
        match (&state.running, &state.retry) {
            (Some((_, server)), _) => format!("http://{}", server.address()),
            (None, Some(retry)) => format!("does not run, and is tried again: {}", retry.why),
            (None, None) => "off: http-listen is not set".into(),
        }
    }

    /// Ends the server at unload. Returns false if a thread still waits for the database.
    pub(crate) fn end(&self) -> bool {
        let mut state = self.state.lock();
        state.retry = None;
        state.stop();
        !state.left_behind
    }
}

impl ServerState {
    /// Applies the configuration. `before` is the previous try, if this is a repetition; then only a new error is logged.
    fn apply(&mut self, sources: &Sources, before: Option<Retry>) {
        self.retry = None;
        let settings = sources.service.settings();
        let wanted = !settings.http_listen.is_empty();
        let http_settings = wanted.then(|| http_settings(&settings)).transpose();
        if let (Ok(Some(http_settings)), Some((running, server))) = (&http_settings, &self.running) {
            if running == http_settings && !server.is_over() {
                return;
            }
        }
        // The old server releases its address before the new one binds it.
        self.stop();
        let start = |http_settings: HttpSettings| {
            let server = Server::start(http_settings.address, http_settings.tokens.clone(), sources.clone());
            Ok((http_settings, server.map_err(|why| HttpError::Start(why.to_string()))?))
        };
        match http_settings.and_then(|http_settings| http_settings.map(start).transpose()) {
            Ok(Some((http_settings, new))) => {
                log::info!(address:% = new.address(); "HTTP server is started");
                self.running = Some((http_settings, new));
            }
            Ok(None) => {}
            Err(why) => {
                let pause = before
                    .as_ref()
                    .map_or(FIRST_START_RETRY_DELAY, |before| (before.pause * 2).min(MAX_START_RETRY_DELAY));
                if before.is_none_or(|before| before.why != why) {
                    let listen = &settings.http_listen;
                    log::error!(http_listen:% = listen, cause:% = why; "HTTP server cannot be started, it is tried again");
                }
                self.retry = Some(Retry { at: freeswitch::now().after(pause), pause, why });
            }
        }
    }

    fn stop(&mut self) {
        if self.running.take().is_some_and(|(_, server)| !server.stop()) {
            self.left_behind = true;
        }
    }
}

fn http_settings(settings: &Settings) -> Result<HttpSettings, HttpError> {
    let address: SocketAddr = settings.http_listen.parse().map_err(|_| HttpError::NoAddress)?;
    let tokens = match settings.http_token_file.as_str() {
        "" => Tokens::default(),
        file => Tokens::read(file).map_err(|why| HttpError::TokenFile { file: file.to_owned(), why })?,
    };
    if tokens.is_empty() && !address.ip().is_loopback() {
        return Err(HttpError::NoTokens);
    }
    Ok(HttpSettings { address, tokens })
}
