//! Dashboard, JSON API and metrics over HTTP, on one thread of their own. Nothing here is waited for by a call.

mod access;
mod actions;
mod changes;
mod look;
mod metrics;
mod page;
mod routes;
mod server;

use std::net::SocketAddr;

use parking_lot::Mutex;

pub(crate) use changes::Teller;
pub(crate) use metrics::Meter;

use crate::attendant::{self, Notice, What, Witness};
use access::Tokens;
use server::Server;
#[cfg(feature = "fuzzing")]
pub(crate) use {access::Tokens as TokenFile, routes::router};

/// The server that runs, with the settings it runs on.
static SERVER: Mutex<Option<(Settings, Server)>> = Mutex::new(None);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Settings {
    listen: String,
    token_file: String,
}

/// Starts, restarts or ends the server, as the configuration now says. Tokens are read anew.
pub(crate) fn apply() {
    let wanted = attendant::on_duty().map(|attendant| attendant.settings());
    let wanted = wanted
        .filter(|settings| !settings.http_listen.is_empty())
        .map(|settings| Settings { listen: settings.http_listen, token_file: settings.http_token_file });
    let mut server = SERVER.lock();
    // The old one gives its address up before the new one wants it.
    if let Some((_, old)) = server.take() {
        old.stop();
    }
    let Some(wanted) = wanted else { return };
    match start(&wanted) {
        Ok(new) => {
            log::info!("dashboard, API and metrics on http://{}", new.address());
            *server = Some((wanted, new));
        }
        Err(why) => log::error!("http-listen {}: {why}; no dashboard, API and metrics", wanted.listen),
    }
}

fn start(settings: &Settings) -> Result<Server, String> {
    let address: SocketAddr =
        settings.listen.parse().map_err(|_| "not an address and a port, such as 127.0.0.1:8099".to_owned())?;
    let tokens = match settings.token_file.as_str() {
        "" => Tokens::default(),
        file => Tokens::read(file)?,
    };
    if tokens.is_empty() && !address.ip().is_loopback() {
        return Err("outside this machine it needs tokens (http-token-file)".into());
    }
    Server::start(address, tokens)
}

/// Shutdown.
pub(crate) fn end() {
    if let Some((_, server)) = SERVER.lock().take() {
        server.stop();
    }
}

/// Has the server follow the configuration.
pub(crate) struct Follower;

impl Witness for Follower {
    fn saw(&self, notice: &Notice<'_>) {
        if notice.what == What::Reload && notice.cause.is_none() {
            apply();
        }
    }
}
