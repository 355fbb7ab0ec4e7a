//! How other threads reach the thread that looks after a parked call.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::host::Bell;

/// What the parked call's own thread is asked to do.
#[derive(Clone, Debug)]
pub(super) enum Letter {
    /// Connect the caller with this leg, which claimed it and waits.
    Connect(super::Retriever),
    /// Go to the fallback.
    FallBack,
    /// The caller is on another node now.
    Forget,
    /// Nobody answered where a caller without a slot was ringing.
    NoAnswer,
}

/// One parked call's letters. A leg that plays for itself looks fifty times a second, so looking costs one atomic read.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    full: AtomicBool,
    letters: Mutex<VecDeque<Letter>>,
    bell: Arc<Bell>,
}

impl Mailbox {
    pub(super) fn has_letter(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    pub(super) fn take(&self) -> Option<Letter> {
        let mut letters = self.letters.lock();
        let letter = letters.pop_front();
        self.full.store(!letters.is_empty(), Ordering::Release);
        letter
    }

    /// Rings for a letter, and for what else its owner has to see.
    pub(super) fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    fn put(&self, letter: Letter) {
        let mut letters = self.letters.lock();
        letters.push_back(letter);
        self.full.store(true, Ordering::Release);
        drop(letters);
        self.bell.ring();
    }
}

/// The mailboxes of all parked calls, by the parked leg's UUID.
#[derive(Debug, Default)]
pub(super) struct Mailboxes(Mutex<HashMap<String, Arc<Mailbox>>>);

impl Mailboxes {
    pub(super) fn open(&self, uuid: &str) -> Arc<Mailbox> {
        Arc::clone(self.0.lock().entry(uuid.to_owned()).or_default())
    }

    pub(super) fn close(&self, uuid: &str) {
        self.0.lock().remove(uuid);
    }

    /// False if nobody looks after that call any more.
    pub(super) fn post(&self, uuid: &str, letter: Letter) -> bool {
        let mailbox = self.0.lock().get(uuid).cloned();
        mailbox.is_some_and(|mailbox| {
            mailbox.put(letter);
            true
        })
    }
}
