//! Notices about parked calls.

use super::outcome::Outcome;

/// A notice about a call. `${...}` in it stands for fields of the call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notify {
    /// A SIP MESSAGE to a user. `parker` is the user who parked the call.
    Message(String),
    /// A call to this dial string, which the phones answer by themselves, and which says the slot. It is made when a call is parked, and at each reminder.
    Page(String),
    /// A command of FreeSWITCH.
    Api(String),
    /// A message to the hook of this name.
    Hook(String),
}

/// What a notice is sent about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotifyEvent {
    /// A call was parked.
    Park,
    /// A caller has waited for long.
    Remind,
    /// There was no slot for a caller.
    NoSlot,
    /// A call has ended, with this outcome.
    Ended(Outcome),
}

impl NotifyEvent {
    /// All of them.
    pub const ALL: [NotifyEvent; 8] = [
        NotifyEvent::Park,
        NotifyEvent::Remind,
        NotifyEvent::NoSlot,
        NotifyEvent::Ended(Outcome::Retrieved),
        NotifyEvent::Ended(Outcome::Returned),
        NotifyEvent::Ended(Outcome::Fallback),
        NotifyEvent::Ended(Outcome::Transferred),
        NotifyEvent::Ended(Outcome::Abandoned),
    ];

    /// Its name in `notify-on`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            NotifyEvent::Park => "park",
            NotifyEvent::Remind => "remind",
            NotifyEvent::NoSlot => "no-slot",
            NotifyEvent::Ended(outcome) => outcome.name(),
        }
    }

    /// Finds an event by its name in `notify-on`.
    #[must_use]
    pub fn named(name: &str) -> Option<NotifyEvent> {
        NotifyEvent::ALL.into_iter().find(|event| event.name() == name)
    }
}
