//! The errors of actions on calls, and of recalls.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::freeswitch::{OriginateError, UnreachableError};
use crate::parking::{RecallFailure, Refusal, Slot};

#[derive(Debug, Error)]
pub(crate) enum ActionError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("no such channel {0}, expected the UUID of one")]
    NoSuchChannel(String),
    #[error("channel {0} is not in a bridge, so there is no other leg to park")]
    NotBridged(String),
    #[error("channel {uuid} is parked itself, in slot {slot}: name the one that is to talk to the caller")]
    IsParked { uuid: String, slot: Slot },
    #[error("channel {0} has not answered yet")]
    NotAnswered(String),
    #[error("the caller is hanging up")]
    CallerGone,
    #[error(transparent)]
    Unreachable(#[from] UnreachableError),
    #[error("FreeSWITCH refused the transfer to {0}")]
    TransferRefused(String),
    #[error("channel {0} cannot be moved")]
    CannotMove(String),
    #[error(transparent)]
    NobodyAnswered(#[from] OriginateError),
    #[error("the directory has no user {0}")]
    NoSuchUser(String),
    /// The phones of a user were rung, and nobody answered.
    #[error("no phone of {user} has answered: {cause}")]
    NotReached { user: String, cause: String },
    #[error("the phones cannot be called now, there is no thread")]
    NoThread,
    /// Another node has refused the action.
    #[error("{text}")]
    OnOtherNode { kind: ErrorKind, text: String },
    #[error("node {0}, which has the call, does not answer")]
    NodeDoesNotAnswer(String),
}

/// What is wrong with a request, so that HTTP can say it with a status.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ErrorKind {
    /// There is no such call, lot, slot or channel.
    NotFound,
    /// The user may not do this.
    Denied,
    /// A value of the request is wrong.
    Invalid,
    /// It cannot be done now.
    Conflict,
    /// The node of the call cannot be asked.
    Unavailable,
}

impl ActionError {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            ActionError::Refused(Refusal::NoSuchLot(_) | Refusal::NoSuchSlot(_)) | ActionError::NoSuchChannel(_) => {
                ErrorKind::NotFound
            }
            ActionError::Refused(Refusal::NotAllowed(_)) => ErrorKind::Denied,
            ActionError::Refused(refusal) if refusal.is_about_nothing() => ErrorKind::NotFound,
            ActionError::NoSuchUser(_) => ErrorKind::Invalid,
            ActionError::OnOtherNode { kind, .. } => *kind,
            ActionError::NodeDoesNotAnswer(_) => ErrorKind::Unavailable,
            ActionError::Refused(_)
            | ActionError::NotBridged(_)
            | ActionError::IsParked { .. }
            | ActionError::NotAnswered(_)
            | ActionError::CallerGone
            | ActionError::Unreachable(_)
            | ActionError::TransferRefused(_)
            | ActionError::CannotMove(_)
            | ActionError::NobodyAnswered(_)
            | ActionError::NotReached { .. }
            | ActionError::NoThread => ErrorKind::Conflict,
        }
    }
}

/// Why a recall failed. The text is the value of `callpark_ringback_cause` and `CallPark-Cause`: a hangup cause, if there is one.
#[derive(Debug, Error)]
pub(super) enum RecallError {
    #[error("NO_USER")]
    NobodyToRing,
    #[error("UNALLOCATED_NUMBER")]
    NotAUser,
    #[error("ORIGINATOR_CANCEL")]
    CallerGone,
    /// A colleague has picked up the ringing phone, and is on the way to the slot.
    #[error("PICKED_OFF")]
    PickedUp,
    #[error("VOICEMAIL")]
    Voicemail,
    #[error("a bug")]
    Panicked,
    #[error(transparent)]
    NotAnswered(#[from] OriginateError),
}

impl RecallError {
    /// What the rules must know of it.
    pub(super) fn kind(&self) -> RecallFailure {
        match self {
            RecallError::NotAnswered(OriginateError::Busy(_)) => RecallFailure::Busy,
            _ => RecallFailure::NotAnswered,
        }
    }

    pub(super) fn is_picked_up(&self) -> bool {
        matches!(self, RecallError::PickedUp | RecallError::NotAnswered(OriginateError::PickedUp(_)))
    }
}
