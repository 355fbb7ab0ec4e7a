//! A row of the history.

use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use super::caller_number::CallerNumber;
use super::probe_row;
use crate::config::Privacy;
use crate::parking::{Ended, Outcome};
use crate::service::{self, Retriever};

/// The outcomes in the order in which they are listed.
pub(super) const OUTCOMES: [&str; 5] = [
    Outcome::Retrieved.name(),
    Outcome::Returned.name(),
    Outcome::Fallback.name(),
    Outcome::Transferred.name(),
    Outcome::Abandoned.name(),
];

/// A call that has ended. The field names are those of the listings.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(crate) struct Record {
    pub(crate) lot: String,
    pub(crate) domain: String,
    pub(crate) slot: String,
    pub(crate) caller_name: String,
    pub(crate) caller_number: String,
    pub(crate) parker: String,
    pub(crate) retriever: String,
    pub(crate) label: String,
    /// Milliseconds since 1970.
    pub(crate) parked_at: i64,
    pub(crate) wait_ms: i64,
    #[schema(schema_with = outcomes)]
    pub(crate) outcome: String,
    pub(crate) attempts: i64,
    pub(crate) node: String,
    pub(crate) uuid: String,
    /// Who acted last on the call by HTTP: a user (`1002@example.com`), or `token:` and the first digits of the hash of a token without a user. Empty: nobody.
    pub(crate) actor: String,
}

fn outcomes() -> Object {
    service::text_enum(&OUTCOMES)
}

/// What identifies a row: the leg's UUID, and when it was parked.
pub(super) type RecordKey = (String, i64);

/// Selects rows: those of one domain, of one lot in it, of one caller, or all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct HistoryFilter {
    /// The domain in lower case, as in the rows.
    pub(crate) domain: Option<String>,
    pub(crate) lot: Option<String>,
    pub(crate) caller: Option<CallerNumber>,
}

impl HistoryFilter {
    pub(super) fn includes(&self, record: &Record) -> bool {
        self.domain.as_ref().is_none_or(|own| *own == record.domain)
            && self.lot.as_ref().is_none_or(|own| *own == record.lot)
            && self.caller.as_ref().is_none_or(|caller| caller.is_number_of(&record.caller_number))
    }
}

/// A call for which there was no slot.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct RefusedCall {
    pub(crate) at: i64,
    pub(crate) lot: String,
    pub(crate) domain: String,
}

impl Record {
    /// Makes the row of a call that has ended on `node`.
    pub(super) fn new(
        Ended { call, outcome, wait }: &Ended,
        retriever: Option<&Retriever>,
        actor: Option<&str>,
        node: String,
    ) -> Record {
        let info = &call.info;
        Record {
            lot: info.lot.name.to_string(),
            domain: info.lot.domain.to_string(),
            slot: info.slot.to_string(),
            caller_name: info.caller.name.clone(),
            caller_number: info.caller.number.clone(),
            parker: info.parker.to_string(),
            retriever: retriever.map(|retriever| retriever.user.clone()).unwrap_or_default(),
            label: call.label.to_string(),
            parked_at: info.parked_at_ms,
            wait_ms: i64::try_from(wait.as_millis()).unwrap_or(i64::MAX),
            outcome: outcome.to_string(),
            attempts: call.attempt.into(),
            node,
            uuid: info.uuid.to_string(),
            actor: actor.unwrap_or_default().to_owned(),
        }
    }

    pub(super) fn key(&self) -> RecordKey {
        (self.uuid.clone(), self.parked_at)
    }

    /// See [`probe_row`].
    pub(super) fn probe_row(&self) -> Record {
        let like = |text: &str| probe_row::filler(text.len());
        Record {
            lot: like(&self.lot),
            domain: like(&self.domain),
            slot: like(&self.slot),
            caller_name: like(&self.caller_name),
            caller_number: like(&self.caller_number),
            parker: like(&self.parker),
            retriever: like(&self.retriever),
            label: like(&self.label),
            outcome: like(&self.outcome),
            node: like(&self.node),
            uuid: probe_row::other(&self.uuid),
            actor: like(&self.actor),
            ..*self
        }
    }

    /// Removes what must not be kept of the caller, as configured.
    pub(super) fn private(mut self, privacy: Privacy) -> Record {
        privacy.apply(&mut self.caller_name, &mut self.caller_number, &mut self.label);
        self
    }
}
