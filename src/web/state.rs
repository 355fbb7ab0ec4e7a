//! The state that requests use, and the rights of their token.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use tokio::sync::{Semaphore, watch};

use super::Sources;
use super::access::{Rights, Tokens};
use super::error::ApiError;

/// The delay after a wrong token, which makes guessing slow.
const WRONG_TOKEN_DELAY: Duration = Duration::from_millis(300);

#[derive(Clone)]
pub(super) struct HttpState {
    pub(super) sources: Sources,
    pub(super) tokens: Arc<Tokens>,
    /// Whether the server listens only on a loopback address.
    pub(super) loopback: bool,
    pub(super) stopped: watch::Receiver<bool>,
    /// The description of the API, as JSON.
    pub(super) description: Bytes,
    /// Limits the queries that wait for the database.
    pub(super) reads: Arc<Semaphore>,
}

impl HttpState {
    pub(super) async fn rights(&self, parts: &Parts) -> Result<Rights, ApiError> {
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = header.and_then(|value| value.split_once(' '));
        let Some((_, token)) = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer")) else {
            return Err(ApiError::NoToken);
        };
        match self.tokens.rights(token.trim()) {
            Some(rights) => Ok(rights),
            None => {
                tokio::time::sleep(WRONG_TOKEN_DELAY).await;
                Err(ApiError::UnknownToken)
            }
        }
    }
}

/// The rights of a token that may view.
pub(super) struct Viewer(pub(super) Rights);

impl FromRequestParts<HttpState> for Viewer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Viewer, ApiError> {
        let rights = state.rights(parts).await?;
        if rights.view { Ok(Viewer(rights)) } else { Err(ApiError::MayNotView) }
    }
}

/// The rights of a token that may act.
pub(super) struct Actor(pub(super) Rights);

impl FromRequestParts<HttpState> for Actor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Actor, ApiError> {
        let rights = state.rights(parts).await?;
        if rights.act { Ok(Actor(rights)) } else { Err(ApiError::MayNotAct) }
    }
}
