//! The queues of commands for the threads of parked legs.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::freeswitch::{HangupCause, Leg, SessionGuard, Waker};
use crate::service::Retriever;

/// A command for the thread of a parked leg.
#[derive(Clone, Debug)]
pub(in crate::service) enum LegCommand {
    /// Connect the caller with this leg, which claimed it and whose own application waits.
    Connect(Retriever),
    /// Connect the caller with this leg of the parker, who answered the recall. No application runs on it.
    Return(Retriever),
    /// Go to the fallback.
    FallBack,
    /// Release the leg silently, because the caller is on another node now.
    Forget,
    /// Take a slot, because there is one for this caller now.
    SlotFree,
}

/// The commands for one parked call. A leg that plays its own music checks for commands fifty times a second, so a check is one atomic read.
#[derive(Debug, Default)]
pub(in crate::service) struct LegCommands {
    full: AtomicBool,
    queue: Mutex<CommandQueue>,
    waker: Arc<Waker>,
}

#[derive(Debug, Default)]
struct CommandQueue {
    commands: VecDeque<LegCommand>,
    /// Whether the owner waits for commands, and may be interrupted. It does not before it has asked for the first command, and while it executes one.
    waits: bool,
    /// Whether the owner's leg was interrupted; see [`Leg::interrupt`].
    interrupted: bool,
    /// Whether the queue is closed.
    closed: bool,
}

impl CommandQueue {
    fn resume(&mut self, leg: &Leg<'_>) {
        if std::mem::take(&mut self.interrupted) {
            leg.resume();
        }
    }
}

impl LegCommands {
    pub(in crate::service) fn has_command(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// Returns the next command. Only the owner, whose leg is `leg`, calls it.
    pub(in crate::service) fn take(&self, leg: &Leg<'_>) -> Option<LegCommand> {
        let mut queue = self.queue.lock();
        let command = queue.commands.pop_front();
        queue.waits = command.is_none();
        queue.resume(leg);
        self.full.store(!queue.commands.is_empty(), Ordering::Release);
        command
    }

    /// Whether the owner's leg has hung up or was moved elsewhere, and was not only interrupted for a command.
    pub(super) fn is_lost(&self, leg: &Leg<'_>) -> bool {
        let queue = self.queue.lock();
        !queue.interrupted && !leg.ready()
    }

    /// Wakes the owner for a command or for another reason.
    pub(in crate::service) fn waker(&self) -> &Arc<Waker> {
        &self.waker
    }

    /// Adds a command. Returns false if the queue is closed.
    fn push(&self, command: LegCommand) -> bool {
        let mut queue = self.queue.lock();
        if queue.closed {
            return false;
        }
        let is_known = |known: &LegCommand| matches!((known, &command), (LegCommand::SlotFree, LegCommand::SlotFree));
        if queue.commands.iter().any(is_known) {
            return true;
        }
        queue.commands.push_back(command);
        self.full.store(true, Ordering::Release);
        drop(queue);
        self.waker.wake();
        true
    }

    fn has_connect_command(&self, retriever: &str) -> bool {
        self.queue.lock().commands.iter().any(|command| is_of(command, retriever))
    }

    /// Interrupts the owner's leg if a command waits.
    fn interrupt(&self, leg: &Leg<'_>) {
        let mut queue = self.queue.lock();
        if queue.waits && !queue.commands.is_empty() {
            queue.interrupted = true;
            leg.interrupt();
        }
    }

    fn withdraw(&self, retriever: &str, leg: Option<&Leg<'_>>) -> bool {
        let mut queue = self.queue.lock();
        let before = queue.commands.len();
        queue.commands.retain(|command| !is_of(command, retriever));
        if let Some(leg) = leg.filter(|_| queue.commands.is_empty()) {
            queue.resume(leg);
        }
        self.full.store(!queue.commands.is_empty(), Ordering::Release);
        queue.commands.len() < before
    }

    /// Closes the queue. Returns the commands of legs that wait to be connected; other commands stay in the queue.
    fn close(&self) -> VecDeque<LegCommand> {
        let mut queue = self.queue.lock();
        queue.closed = true;
        let asks = |command: &LegCommand| matches!(command, LegCommand::Connect(_) | LegCommand::Return(_));
        let (asking, others) = std::mem::take(&mut queue.commands).into_iter().partition(asks);
        queue.commands = others;
        asking
    }
}

fn is_of(command: &LegCommand, retriever: &str) -> bool {
    matches!(command, LegCommand::Connect(by) | LegCommand::Return(by) if by.uuid == retriever)
}

/// The queues of all parked legs, by the UUID of the leg.
#[derive(Debug, Default)]
pub(in crate::service) struct LegCommandQueues(Mutex<HashMap<String, Arc<LegCommands>>>);

impl LegCommandQueues {
    pub(in crate::service) fn open(&self, uuid: &str) -> Arc<LegCommands> {
        Arc::clone(self.0.lock().entry(uuid.to_owned()).or_default())
    }

    /// Closes the queue of a leg. A parker who has just answered the recall is hung up, because no application runs on that leg which would notice; all
    /// others check themselves whether the call still exists.
    pub(in crate::service) fn close(&self, uuid: &str) {
        let commands = self.0.lock().remove(uuid);
        for command in commands.iter().flat_map(|commands| commands.close()) {
            if let LegCommand::Return(parker) = command {
                if let Some(leg) = SessionGuard::find(&parker.uuid) {
                    leg.hang_up(HangupCause::LoseRace);
                }
            }
        }
    }

    /// Adds a command for a leg. Returns false if its queue is closed.
    pub(in crate::service) fn post(&self, uuid: &str, command: LegCommand) -> bool {
        self.find(uuid).is_some_and(|commands| commands.push(command))
    }

    /// Whether the command to connect this retriever still waits.
    pub(in crate::service) fn has_connect_command(&self, uuid: &str, retriever: &str) -> bool {
        self.find(uuid).is_some_and(|commands| commands.has_connect_command(retriever))
    }

    /// Removes the command to connect this retriever. Returns false if it does not wait any more.
    pub(in crate::service) fn withdraw(&self, uuid: &str, retriever: &str) -> bool {
        let leg = SessionGuard::find(uuid);
        self.find(uuid).is_some_and(|commands| commands.withdraw(retriever, leg.as_deref()))
    }

    /// Interrupts a leg on which something else runs, such as a broadcast, so that it reads its commands.
    pub(in crate::service) fn interrupt_if_waiting(&self, uuid: &str) {
        let waiting = self.find(uuid).filter(|commands| commands.has_command());
        if let Some((commands, leg)) = waiting.zip(SessionGuard::find(uuid)) {
            commands.interrupt(&leg);
        }
    }

    /// Does the same for all legs.
    pub(in crate::service) fn interrupt_all_waiting(&self) {
        let late: Vec<String> = {
            let all = self.0.lock();
            all.iter().filter(|(_, commands)| commands.has_command()).map(|(uuid, _)| uuid.clone()).collect()
        };
        for uuid in late {
            self.interrupt_if_waiting(&uuid);
        }
    }

    fn find(&self, uuid: &str) -> Option<Arc<LegCommands>> {
        self.0.lock().get(uuid).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leg(uuid: &str) -> Retriever {
        Retriever { user: String::new(), uuid: uuid.to_owned() }
    }

    /// A parker who answers the recall while the caller leaves.
    #[test]
    fn a_request_is_answered_for_or_refused_as_the_call_ends() {
        let commands = LegCommands::default();
        assert!(commands.push(LegCommand::Forget) && commands.push(LegCommand::Return(leg("parker"))));
        assert!(commands.push(LegCommand::Connect(leg("retriever"))));
        let left: Vec<String> = commands
            .close()
            .into_iter()
            .map(|command| match command {
                LegCommand::Connect(by) | LegCommand::Return(by) => by.uuid,
                other => panic!("{other:?} is for the owner"),
            })
            .collect();
        assert_eq!(left, ["parker", "retriever"]);
        assert!(!commands.push(LegCommand::Return(leg("too late"))), "nobody would take it");
        assert!(commands.has_command(), "the owner still learns that it is to forget the call");
    }
}
