//! Dashboard, JSON API and metrics over HTTP, on one thread of their own. Nothing here is waited for by a call.

mod access;
mod actions;
mod changes;
mod direct;
mod look;
#[cfg(test)]
mod manual;
mod metrics;
mod page;
mod routes;
mod server;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

pub(crate) use changes::StreamObserver;
pub(crate) use metrics::MetricsObserver;

use crate::config::Settings;
use crate::freeswitch;
use crate::parking::MonotonicTime;
use crate::service::{self, EventKind, Observer, ParkEvent};
use access::Tokens;
#[cfg(test)]
pub(crate) use manual::{ACTIONS, OPENAPI, PATHS, metrics};
use server::Server;
#[cfg(feature = "fuzzing")]
pub(crate) use {access::Tokens as TokenFile, routes::router};

static SITE: Mutex<Site> = Mutex::new(Site { running: None, retry: None });
/// A thread of a server that was stopped may still wait for the database: the module's code must stay.
static LEFT_BEHIND: AtomicBool = AtomicBool::new(false);

/// Seconds until a server that could not be started is tried again, at first and at most.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);

struct Site {
    /// The server that runs, with what it runs on.
    running: Option<(HttpSettings, Server)>,
    /// The configuration wants one, and it could not be started.
    retry: Option<Retry>,
}

struct Retry {
    at: MonotonicTime,
    pause: Duration,
    why: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct HttpSettings {
    address: SocketAddr,
    tokens: Tokens,
}

/// Starts, restarts or ends the server, as the configuration now says. Tokens are read anew. A server that already is as it is
/// wanted runs on: whoever looks at a dashboard does not notice a reload.
pub(crate) fn apply() {
    SITE.lock().apply(None);
}

/// Once a second: a server that ended by a bug is started again, and so is one that could not be started before.
pub(crate) fn on_tick() {
    let Some(mut site) = SITE.try_lock() else { return };
    let over = site.running.as_ref().is_some_and(|(_, server)| server.is_over());
    let due = site.retry.as_ref().is_some_and(|retry| freeswitch::now() >= retry.at);
    if over || due {
        let before = site.retry.take();
        site.apply(before);
    }
}

/// How the server is, for `callpark status`.
pub(crate) fn status() -> String {
    let site = SITE.lock();
    match (&site.running, &site.retry) {
        (Some((_, server)), _) => format!("http://{}", server.address()),
        (None, Some(retry)) => format!("does not run, and is tried again: {}", retry.why),
        (None, None) => "off: http-listen is not set".into(),
    }
}

/// Shutdown. False if a thread is left that waits for the database.
pub(crate) fn end() -> bool {
    let mut site = SITE.lock();
    site.retry = None;
    site.stop();
    !LEFT_BEHIND.load(Ordering::Relaxed)
}

impl Site {
    /// `before`: the try that this is one more of. Then only what is new is said.
    fn apply(&mut self, before: Option<Retry>) {
        self.retry = None;
        let settings = service::current().map(|service| service.settings());
        let settings = settings.filter(|settings| !settings.http_listen.is_empty());
        let http_settings = settings.as_ref().map(http_settings).transpose();
        if let (Ok(Some(http_settings)), Some((running, server))) = (&http_settings, &self.running) {
            if running == http_settings && !server.is_over() {
                return;
            }
        }
        // The old one gives its address up before the new one wants it.
        self.stop();
        let started = http_settings.and_then(|http_settings| {
            http_settings
                .map(|http_settings| {
                    Ok((http_settings.clone(), Server::start(http_settings.address, http_settings.tokens)?))
                })
                .transpose()
        });
        match started {
            Ok(Some((http_settings, new))) => {
                log::info!("dashboard, API and metrics on http://{}", new.address());
                self.running = Some((http_settings, new));
            }
            Ok(None) => {}
            Err(why) => {
                let pause = before.as_ref().map_or(FIRST_RETRY, |before| (before.pause * 2).min(LAST_RETRY));
                if before.is_none_or(|before| before.why != why) {
                    let listen = settings.map(|settings| settings.http_listen).unwrap_or_default();
                    log::error!("http-listen {listen}: {why}; no dashboard, API and metrics until that is mended");
                }
                self.retry = Some(Retry { at: freeswitch::now().after(pause), pause, why });
            }
        }
    }

    fn stop(&mut self) {
        if self.running.take().is_some_and(|(_, server)| !server.stop()) {
            LEFT_BEHIND.store(true, Ordering::Relaxed);
        }
    }
}

fn http_settings(settings: &Settings) -> Result<HttpSettings, String> {
    let address: SocketAddr = settings.http_listen.parse().map_err(|_| "not an address and a port".to_owned())?;
    let tokens = match settings.http_token_file.as_str() {
        "" => Tokens::default(),
        file => Tokens::read(file)?,
    };
    if tokens.is_empty() && !address.ip().is_loopback() {
        return Err("outside this machine it needs tokens (http-token-file)".into());
    }
    Ok(HttpSettings { address, tokens })
}

/// Has the server follow the configuration.
pub(crate) struct HttpConfigObserver;

impl Observer for HttpConfigObserver {
    fn on_event(&self, event: &ParkEvent<'_>) {
        if event.what == EventKind::Reload && event.cause.is_none() {
            apply();
        }
    }
}
