//! Posts one message in one HTTP request, within limits of time and size.

use std::io::Read;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hmac::{Hmac, Mac};
use rustls_native_certs::load_native_certs;
use sha2::Sha256;
use thiserror::Error;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout, time};
use ureq::{Agent, Body};

use super::message::Message;
use crate::config::{HookPlan, Secret};

/// How long connecting may take, with TLS and a proxy.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the whole request may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How much of an answer is read, in bytes, and how much of it is told as the reason of a failure, in characters.
const MAX_ANSWER_BYTES: u64 = 16 * 1024;
const MAX_REASON_CHARS: usize = 120;
/// The header with the signature.
const SIGNATURE: &str = "X-CallPark-Signature";

/// Why a message was not taken.
#[derive(Debug, Error)]
pub(super) enum DeliveryError {
    #[error("answered {0}, and redirects are not followed")]
    Redirect(u16),
    #[error("answered {status}{reason}")]
    Status { status: u16, reason: String, retry_after: Option<Duration> },
    #[error("{0}")]
    Request(#[from] ureq::Error),
    #[error("a bug of the module, see the log")]
    Panicked,
}

impl DeliveryError {
    /// Whether it is of no use to repeat the message: the receiver refuses its contents.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, DeliveryError::Panicked | DeliveryError::Status { status: 400 | 413 | 422, .. })
    }

    /// How long the receiver wants to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            DeliveryError::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Sends the messages of all hooks, each over a connection of its own, because there may be hours between two.
#[derive(Debug, Default)]
pub(super) struct Client {
    /// It is made with the first message, because it reads the certificates of the system.
    agent: OnceLock<Agent>,
}

impl Client {
    /// Posts a message. It is taken if the receiver answers with a status from 200 to 299.
    pub(super) fn post(&self, hook: &HookPlan, message: &Message) -> Result<(), DeliveryError> {
        let body = message.body(hook.format);
        let mut request = self.agent.get_or_init(agent).post(hook.url.as_str()).content_type("application/json");
        if let Some(secret) = &hook.secret {
            request = request.header(SIGNATURE, signature(secret, body.as_bytes()));
        }
        let mut answer = request.send(body)?;
        let status = answer.status();
        if status.is_redirection() {
            return Err(DeliveryError::Redirect(status.as_u16()));
        }
        let retry_after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let text = start_of(answer.body_mut());
        if status.is_success() {
            return Ok(());
        }
        let reason = reason(&text);
        Err(DeliveryError::Status {
            status: status.as_u16(),
            reason,
            retry_after: retry_after.map(Duration::from_secs),
        })
    }
}

fn agent() -> Agent {
    let certificates = load_native_certs().certs;
    let roots: Vec<_> = certificates.iter().map(|one| Certificate::from_der(one).to_owned()).collect();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = Agent::config_builder()
        .tls_config(tls.build())
        .user_agent(concat!("mod_callpark/", env!("CARGO_PKG_VERSION")))
        .http_status_as_error(false)
        // A redirect could lead anywhere, also to an address that only this server reaches.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(0)
        .max_response_header_size(MAX_ANSWER_BYTES as usize)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_global(Some(TIMEOUT));
    Agent::with_parts(config.build(), DefaultConnector::default(), OwnThreadResolver::default())
}

/// Resolves names on the thread of the hook. The default would use a thread that nobody joins, which could be in the code of the module when it is
/// unloaded.
#[derive(Debug, Default)]
struct OwnThreadResolver(DefaultResolver);

impl Resolver for OwnThreadResolver {
    fn resolve(
        &self,
        uri: &http::Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        self.0.resolve(uri, config, NextTimeout { after: time::Duration::NotHappening, ..timeout })
    }
}

/// Reads the beginning of an answer. A connection with more is closed.
fn start_of(body: &mut Body) -> Vec<u8> {
    let mut text = Vec::new();
    // What was read is enough, also if the rest does not come.
    let _ = body.as_reader().take(MAX_ANSWER_BYTES).read_to_end(&mut text);
    text
}

/// What the receiver gives as the reason, in one line.
fn reason(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = words.chars().filter(|c| !c.is_control()).take(MAX_REASON_CHARS).collect();
    if short.is_empty() { short } else { format!(": {short}") }
}

fn signature(secret: &Secret, body: &[u8]) -> String {
    // A key of any length is accepted.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()) else { return String::new() };
    mac.update(body);
    let digest = mac.finalize().into_bytes();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value is that of `printf '{"event":"park"}' | openssl dgst -sha256 -hmac s3cret`.
    #[test]
    fn a_signature_is_the_one_that_others_compute() {
        let secret = crate::config::Secret::of("s3cret");
        assert_eq!(
            signature(&secret, br#"{"event":"park"}"#),
            "sha256=750caf5e2cede33a2185eed3359faf930f1f57c2ac6eef128f90c14de16c1ba0"
        );
    }

    #[test]
    fn a_reason_is_short_and_one_line() {
        assert_eq!(reason(b" no\r\n such\x1b hook "), ": no such hook");
        assert_eq!(reason(b""), "");
        assert_eq!(reason(&[b'x'; 500]).len(), 122);
    }
}
