//! The ways in which a recall calls a parker.

/// How a recall calls a parker who is a user.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RingBackVia {
    /// The registered phones of the user.
    #[default]
    User,
    /// The extension of the user in the dialplan, which may wake a phone or follow the user.
    Dialplan,
}
