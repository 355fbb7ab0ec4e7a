//! How other threads reach the thread that looks after a parked call.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::Retriever;
use crate::host::{Bell, HangupCause, Leg, Located};

/// What the parked call's own thread is asked to do.
#[derive(Clone, Debug)]
pub(super) enum Letter {
    /// Connect the caller with this leg, which claimed it and whose own application waits.
    Connect(Retriever),
    /// Connect the caller with this leg of the parker, who answered the recall. No application runs on it.
    Return(Retriever),
    /// Go to the fallback.
    FallBack,
    /// The caller is on another node now.
    Forget,
    /// There is a slot now for a caller who has none.
    SlotFree,
}

/// One parked call's letters. A leg that plays for itself looks fifty times a second, so looking costs one atomic read.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    full: AtomicBool,
    inside: Mutex<Inside>,
    bell: Arc<Bell>,
}

#[derive(Debug, Default)]
struct Inside {
    letters: VecDeque<Letter>,
    /// The owner waits for letters. It does not before it has asked for the first, nor while it does what a letter asked for: then it
    /// must not be interrupted.
    waits: bool,
    /// The owner's leg was told to end what it does; see [`Leg::interrupt`].
    interrupted: bool,
    /// Nobody takes letters any more.
    closed: bool,
}

impl Inside {
    fn resume(&mut self, leg: &Leg<'_>) {
        if std::mem::take(&mut self.interrupted) {
            leg.resume();
        }
    }
}

impl Mailbox {
    pub(super) fn has_letter(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// The next letter, for the owner, whose leg is `leg`.
    pub(super) fn take(&self, leg: &Leg<'_>) -> Option<Letter> {
        let mut inside = self.inside.lock();
        let letter = inside.letters.pop_front();
        inside.waits = letter.is_none();
        inside.resume(leg);
        self.full.store(!inside.letters.is_empty(), Ordering::Release);
        letter
    }

    /// Whether the owner's leg is gone or wanted elsewhere. A leg that was interrupted for a letter is not.
    pub(super) fn has_lost(&self, leg: &Leg<'_>) -> bool {
        let inside = self.inside.lock();
        !inside.interrupted && !leg.ready()
    }

    /// Rings for a letter, and for what else its owner has to see.
    pub(super) fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// False if nobody takes letters any more.
    fn put(&self, letter: Letter) -> bool {
        let mut inside = self.inside.lock();
        if inside.closed {
            return false;
        }
        let is_known = |known: &Letter| matches!((known, &letter), (Letter::SlotFree, Letter::SlotFree));
        if inside.letters.iter().any(is_known) {
            return true;
        }
        inside.letters.push_back(letter);
        self.full.store(true, Ordering::Release);
        drop(inside);
        self.bell.ring();
        true
    }

    fn holds(&self, retriever: &str) -> bool {
        self.inside.lock().letters.iter().any(|letter| is_of(letter, retriever))
    }

    /// Ends whatever else the owner's leg does, if a letter waits.
    fn interrupt(&self, leg: &Leg<'_>) {
        let mut inside = self.inside.lock();
        if inside.waits && !inside.letters.is_empty() {
            inside.interrupted = true;
            leg.interrupt();
        }
    }

    fn withdraw(&self, retriever: &str, leg: Option<&Leg<'_>>) -> bool {
        let mut inside = self.inside.lock();
        let before = inside.letters.len();
        inside.letters.retain(|letter| !is_of(letter, retriever));
        if let Some(leg) = leg.filter(|_| inside.letters.is_empty()) {
            inside.resume(leg);
        }
        self.full.store(!inside.letters.is_empty(), Ordering::Release);
        inside.letters.len() < before
    }

    /// Answers with the legs that wait to be connected and will not be. What else was asked for stays.
    fn close(&self) -> VecDeque<Letter> {
        let mut inside = self.inside.lock();
        inside.closed = true;
        let asks = |letter: &Letter| matches!(letter, Letter::Connect(_) | Letter::Return(_));
        let (asking, others) = std::mem::take(&mut inside.letters).into_iter().partition(asks);
        inside.letters = others;
        asking
    }
}

fn is_of(letter: &Letter, retriever: &str) -> bool {
    matches!(letter, Letter::Connect(by) | Letter::Return(by) if by.uuid == retriever)
}

/// The mailboxes of all parked calls, by the parked leg's UUID.
#[derive(Debug, Default)]
pub(super) struct Mailboxes(Mutex<HashMap<String, Arc<Mailbox>>>);

impl Mailboxes {
    pub(super) fn open(&self, uuid: &str) -> Arc<Mailbox> {
        Arc::clone(self.0.lock().entry(uuid.to_owned()).or_default())
    }

    /// Nobody looks after that call any more. A parker who has just answered the recall would wait in silence for good, for no
    /// application runs on that leg; all others look for themselves whether the call is still there.
    pub(super) fn close(&self, uuid: &str) {
        let mailbox = self.0.lock().remove(uuid);
        for letter in mailbox.iter().flat_map(|mailbox| mailbox.close()) {
            if let Letter::Return(parker) = letter {
                if let Some(leg) = Located::find(&parker.uuid) {
                    leg.hang_up(HangupCause::LoseRace);
                }
            }
        }
    }

    /// False if nobody looks after that call any more.
    pub(super) fn post(&self, uuid: &str, letter: Letter) -> bool {
        self.find(uuid).is_some_and(|mailbox| mailbox.put(letter))
    }

    /// Whether the request to connect this retriever has not been taken yet.
    pub(super) fn holds(&self, uuid: &str, retriever: &str) -> bool {
        self.find(uuid).is_some_and(|mailbox| mailbox.holds(retriever))
    }

    /// Takes the request to connect this retriever back. False if there is none any more.
    pub(super) fn withdraw(&self, uuid: &str, retriever: &str) -> bool {
        let leg = Located::find(uuid);
        self.find(uuid).is_some_and(|mailbox| mailbox.withdraw(retriever, leg.as_deref()))
    }

    /// A leg on which something else runs (a broadcast, say) does not look at its letters: that is ended.
    pub(super) fn hurry(&self, uuid: &str) {
        let waiting = self.find(uuid).filter(|mailbox| mailbox.has_letter());
        if let Some((mailbox, leg)) = waiting.zip(Located::find(uuid)) {
            mailbox.interrupt(&leg);
        }
    }

    /// The same for every leg.
    pub(super) fn hurry_all(&self) {
        let late: Vec<String> = {
            let all = self.0.lock();
            all.iter().filter(|(_, mailbox)| mailbox.has_letter()).map(|(uuid, _)| uuid.clone()).collect()
        };
        for uuid in late {
            self.hurry(&uuid);
        }
    }

    fn find(&self, uuid: &str) -> Option<Arc<Mailbox>> {
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
        let mailbox = Mailbox::default();
        assert!(mailbox.put(Letter::Forget) && mailbox.put(Letter::Return(leg("parker"))));
        assert!(mailbox.put(Letter::Connect(leg("retriever"))));
        let left: Vec<String> = mailbox
            .close()
            .into_iter()
            .map(|letter| match letter {
                Letter::Connect(by) | Letter::Return(by) => by.uuid,
                other => panic!("{other:?} is for the owner"),
            })
            .collect();
        assert_eq!(left, ["parker", "retriever"]);
        assert!(!mailbox.put(Letter::Return(leg("too late"))), "nobody would take it");
        assert!(mailbox.has_letter(), "the owner still learns that it is to forget the call");
    }
}
