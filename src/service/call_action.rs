//! The actions of commands and of the HTTP API on a call, in the form in which one node asks another for them.

use serde::{Deserialize, Serialize};

use crate::parking::Destination;

/// An action on a parked call.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(crate) enum CallAction {
    /// Starts the recall.
    Recall,
    /// Sends the caller to an extension: in the dialplan and context of the lot, or in those by which the call came. A request of another node can name no
    /// others, because it comes from the database.
    SendTo { extension: String, as_lot: bool },
    /// Sends the caller to a destination, whatever it is. No node asks another for this.
    #[serde(skip)]
    Transfer(Destination),
    /// Sets the label.
    Label { text: String },
    /// Postpones the time-out.
    Extend { seconds: u64 },
    /// Rings the phones of a user.
    Ring(RingOrder),
    /// Holds the call for the ticket with this code, while the other node rings a phone.
    Hold { code: String, user: String, seconds: u64 },
    /// Ends the hold, because nobody was connected.
    Release { code: String, user: String, cause: String },
    /// Parks the party to whom a user talks; see [`ParkChoice`].
    Park(ParkChoice),
}

impl CallAction {
    /// The name in the log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            CallAction::Recall => "ringback",
            CallAction::SendTo { .. } | CallAction::Transfer(_) => "transfer",
            CallAction::Label { .. } => "label",
            CallAction::Extend { .. } => "extend",
            CallAction::Ring(_) => "retrieve",
            CallAction::Hold { .. } => "hold",
            CallAction::Release { .. } => "release",
            CallAction::Park(_) => "park",
        }
    }
}

/// The user whose phones ring.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RingOrder {
    /// The user (`1002@example.com`).
    pub(crate) user: String,
    /// Whether the phones are asked to answer by themselves.
    pub(crate) auto_answer: bool,
}

/// What is parked, and where.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ParkChoice {
    /// The slot; `None` for a free one.
    pub(crate) slot: Option<String>,
    /// The lot (`main` or `main@example.com`); `None` for that of the slot, or the default lot.
    pub(crate) lot: Option<String>,
    /// Whose calls may be parked.
    pub(crate) of: CallsOf,
}

/// Whose calls somebody may see and park.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CallsOf {
    /// Those of one user (`1002@example.com`).
    User(String),
    /// Those of one domain.
    Domain(String),
    /// All.
    Everybody,
}

impl CallsOf {
    /// Whether the calls of a user are among them.
    pub(super) fn includes(&self, user: &str) -> bool {
        let domain = || user.rsplit_once('@').map_or("", |(_, domain)| domain);
        match self {
            _ if user.is_empty() => false,
            CallsOf::User(own) => own.eq_ignore_ascii_case(user),
            CallsOf::Domain(own) => own.eq_ignore_ascii_case(domain()),
            CallsOf::Everybody => true,
        }
    }
}
