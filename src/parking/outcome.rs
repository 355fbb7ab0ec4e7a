//! How parked calls end.

use std::fmt;

/// How a parked call ended. Each call has exactly one outcome.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Outcome {
    /// A retriever was connected with the caller.
    Retrieved,
    /// The parker answered a recall and was connected with the caller.
    Returned,
    /// The caller was sent to the fallback.
    Fallback,
    /// An API, a script or the exit key moved the caller.
    Transferred,
    /// The caller hung up.
    Abandoned,
}

impl Outcome {
    /// The name of the outcome in variables, in the history and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Retrieved => "retrieved",
            Outcome::Returned => "returned",
            Outcome::Fallback => "fallback",
            Outcome::Transferred => "transferred",
            Outcome::Abandoned => "abandoned",
        }
    }

    /// Whether the caller waits for nobody any more. One who was sent elsewhere does, and is recovered there after a crash.
    #[must_use]
    pub fn ends_the_wait(self) -> bool {
        matches!(self, Outcome::Abandoned | Outcome::Retrieved | Outcome::Returned)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
