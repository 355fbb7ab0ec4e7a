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
use crate::config::Settings;
use access::Tokens;
use server::Server;
#[cfg(feature = "fuzzing")]
pub(crate) use {access::Tokens as TokenFile, routes::router};

/// The server that runs, with what it runs on.
static SERVER: Mutex<Option<(Wanted, Server)>> = Mutex::new(None);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Wanted {
    address: SocketAddr,
    tokens: Tokens,
}

/// Starts, restarts or ends the server, as the configuration now says. Tokens are read anew. A server that already is as it is
/// wanted runs on: whoever looks at a dashboard does not notice a reload.
pub(crate) fn apply() {
    let settings = attendant::on_duty().map(|attendant| attendant.settings());
    let settings = settings.filter(|settings| !settings.http_listen.is_empty());
    let wanted = settings.as_ref().map(wanted).transpose();
    let mut server = SERVER.lock();
    if let (Ok(Some(wanted)), Some((running, server))) = (&wanted, server.as_ref()) {
        if running == wanted && !server.is_over() {
            return;
        }
    }
    // The old one gives its address up before the new one wants it.
    if let Some((_, old)) = server.take() {
        old.stop();
    }
    let started = wanted.and_then(|wanted| {
        wanted.map(|wanted| Ok((wanted.clone(), Server::start(wanted.address, wanted.tokens)?))).transpose()
    });
    match started {
        Ok(Some((wanted, new))) => {
            log::info!("dashboard, API and metrics on http://{}", new.address());
            *server = Some((wanted, new));
        }
        Ok(None) => {}
        Err(why) => {
            let listen = settings.map(|settings| settings.http_listen).unwrap_or_default();
            log::error!("http-listen {listen}: {why}; no dashboard, API and metrics");
        }
    }
}

fn wanted(settings: &Settings) -> Result<Wanted, String> {
    let address: SocketAddr = settings.http_listen.parse().map_err(|_| "not an address and a port".to_owned())?;
    let tokens = match settings.http_token_file.as_str() {
        "" => Tokens::default(),
        file => Tokens::read(file)?,
    };
    if tokens.is_empty() && !address.ip().is_loopback() {
        return Err("outside this machine it needs tokens (http-token-file)".into());
    }
    Ok(Wanted { address, tokens })
}

/// Once a second: a server that ended by a bug is started again.
pub(crate) fn attend() {
    let over = SERVER.try_lock().is_some_and(|server| server.as_ref().is_some_and(|(_, server)| server.is_over()));
    if over {
        apply();
    }
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
