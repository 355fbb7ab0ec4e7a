//! Why a verb failed, and what the command answers then.

use thiserror::Error;

use super::listing;
use super::parse::MAX_COMMAND_BYTES;
use crate::applications::ArgumentError;
use crate::config::{ConfigError, ValueError};
use crate::parking::{Refusal, Slot};
use crate::service::ActionError;
use crate::storage::{ReportQueryError, StorageError};

#[derive(Debug, Error)]
pub(super) enum CommandError {
    /// The arguments are wrong. The answer is the syntax of the verb.
    #[error("")]
    Usage,
    /// An argument is not a number from 1 to `most`. The answer is the syntax and the range.
    #[error(" (got {given}, expected a whole number from 1 to {most})")]
    Number { given: String, most: usize },
    #[error("the command is too long: got {0} bytes, expected at most {MAX_COMMAND_BYTES}")]
    TooLong(usize),
    #[error(transparent)]
    Arguments(#[from] ArgumentError),
    /// An argument, quoted, and what is wrong with it.
    #[error("{given}: {why}")]
    Value { given: String, why: ValueError },
    /// A number, quoted, that identifies no caller.
    #[error("{0} is not the number of one caller, expected digits such as +4930901820")]
    NotACaller(String),
    #[error("there is no call in slot {slot} of lot {lot}")]
    NotInLot { slot: Slot, lot: String },
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Action(#[from] ActionError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Report(#[from] ReportQueryError),
    #[error("nothing changed: {}", joined(.0))]
    Config(Vec<ConfigError>),
    #[error("the listing cannot be written: {0}")]
    Listing(#[from] Box<dyn std::error::Error>),
}

impl CommandError {
    /// The answer: one line, without characters that a terminal obeys, because the text may quote a stranger's.
    pub(super) fn answer(&self, usage: &str) -> String {
        match self {
            CommandError::Usage | CommandError::Number { .. } => format!("-USAGE: {usage}{self}\n"),
            _ => format!("-ERR {}\n", listing::printable(&self.to_string().replace(['\r', '\n'], " "))),
        }
    }
}

fn joined(errors: &[ConfigError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_cannot_write_on_the_terminal() {
        let error = CommandError::from(ActionError::NoSuchChannel("\u{1b}[2J\n".into()));
        assert_eq!(error.answer("callpark park"), "-ERR no such channel \\u{1b}[2J , expected the UUID of one\n");
    }

    #[test]
    fn an_argument_is_named_with_what_is_expected() {
        let number = CommandError::Number { given: "\"0\"".into(), most: 7 };
        let usage = "callpark stats [<days>]";
        assert_eq!(CommandError::Usage.answer(usage), "-USAGE: callpark stats [<days>]\n");
        assert_eq!(
            number.answer(usage),
            "-USAGE: callpark stats [<days>] (got \"0\", expected a whole number from 1 to 7)\n"
        );
        let words = CommandError::from(ArgumentError::TooMany { got: 3, most: 2 });
        assert_eq!(words.answer(usage), "-ERR too many arguments: got 3, expected at most 2\n");
    }
}
