//! Keeps digits that may belong to the feature code, and releases them after a pause.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::freeswitch::{self, Digit, Leg, SessionGuard, Worker, guard};
use crate::parking::MonotonicTime;
use crate::service::ParkingService;

/// How long a digit may wait for the next one of the code.
const MAX_PAUSE: Duration = Duration::from_millis(1500);
/// How long the digits of a complete code may wait for the directory.
const MAX_DECISION_TIME: Duration = Duration::from_secs(5);
/// How often the thread checks whether the module is being unloaded.
const UNLOAD_CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// A digit that is kept from the other party.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeptDigit {
    pub(super) digit: Digit,
    /// Whether nobody else passes it on, as a binding of the dialplan would.
    pub(super) is_ours: bool,
}

impl KeptDigit {
    /// Passes digits on. It is called while the digits of the leg are locked.
    pub(super) fn release(leg: &Leg<'_>, kept: impl IntoIterator<Item = KeptDigit>) {
        leg.queue_digits(kept.into_iter().filter(|kept| kept.is_ours).map(|kept| kept.digit));
    }
}

/// Why digits are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum KeptFor {
    /// They may be the beginning of the code.
    NextDigit,
    /// They are the code and what follows it, and a thread decides whether they count.
    Decision,
}

/// The digits that are kept of one leg, until some time.
#[derive(Debug)]
struct LegDigits {
    digits: Vec<KeptDigit>,
    kept_for: KeptFor,
    until: MonotonicTime,
}

#[derive(Debug, Default)]
pub(super) struct KeptDigits(Mutex<KeptByLeg>);

#[derive(Debug, Default)]
struct KeptByLeg {
    by_uuid: HashMap<String, LegDigits>,
    /// The thread that releases them. It runs only while digits are kept.
    releaser: Option<Worker>,
    releaser_runs: bool,
    ended: bool,
}

impl KeptDigits {
    /// Adds a digit to those of a complete code. Returns false if there is none.
    pub(super) fn append_to_code(&self, uuid: &str, digit: KeptDigit) -> bool {
        let mut legs = self.0.lock();
        let leg = legs.by_uuid.get_mut(uuid).filter(|leg| leg.kept_for == KeptFor::Decision);
        leg.map(|leg| leg.digits.push(digit)).is_some()
    }

    /// Takes all digits that are kept of a leg.
    pub(super) fn take(&self, uuid: &str) -> Vec<KeptDigit> {
        self.0.lock().by_uuid.remove(uuid).map(|leg| leg.digits).unwrap_or_default()
    }

    /// Takes the digits of a leg whose time is over.
    fn take_due(&self, uuid: &str) -> Vec<KeptDigit> {
        let now = freeswitch::now();
        let mut legs = self.0.lock();
        let is_due = legs.ended || legs.by_uuid.get(uuid).is_some_and(|leg| leg.until <= now);
        let taken = is_due.then(|| legs.by_uuid.remove(uuid)).flatten();
        taken.map(|leg| leg.digits).unwrap_or_default()
    }

    /// Returns the legs whose time is over.
    fn due(&self) -> Vec<String> {
        let now = freeswitch::now();
        let legs = self.0.lock();
        legs.by_uuid.iter().filter(|(_, leg)| leg.until <= now).map(|(uuid, _)| uuid.clone()).collect()
    }

    /// Returns how long the thread waits. `None` if it ends, because nothing is kept.
    fn next_wait(&self) -> Option<Duration> {
        let now = freeswitch::now();
        let mut legs = self.0.lock();
        let next = legs.by_uuid.values().map(|leg| leg.until).min().filter(|_| !legs.ended);
        legs.releaser_runs = next.is_some();
        next.map(|next| next.since(now))
    }
}

impl ParkingService {
    /// Keeps the digits of a leg. Returns false if there is no thread that could release them.
    pub(super) fn keep_digits(self: &Arc<Self>, uuid: &str, digits: Vec<KeptDigit>, kept_for: KeptFor) -> bool {
        let time = if kept_for == KeptFor::NextDigit { MAX_PAUSE } else { MAX_DECISION_TIME };
        let until = freeswitch::now().after(time);
        let mut before = None;
        {
            let mut legs = self.feature_codes.kept.0.lock();
            if legs.ended {
                return false;
            }
            if !legs.releaser_runs || legs.releaser.as_ref().is_none_or(Worker::is_over) {
                before = legs.releaser.take();
                let service = Arc::clone(self);
                let Ok(releaser) = Worker::start("kept digits", move || service.release_when_due()) else {
                    legs.releaser_runs = false;
                    return false;
                };
                (legs.releaser, legs.releaser_runs) = (Some(releaser), true);
            }
            legs.by_uuid.insert(uuid.to_owned(), LegDigits { digits, kept_for, until });
        }
        // The thread before has nothing left to do.
        if let Some(before) = before {
            before.join();
        }
        true
    }

    /// Runs the thread.
    fn release_when_due(&self) {
        while let Some(wait) = self.feature_codes.kept.next_wait() {
            if wait.is_zero() {
                self.release_due_digits();
            } else {
                std::thread::sleep(wait.min(UNLOAD_CHECK_INTERVAL));
            }
        }
    }

    /// Passes on the digits whose time is over. It is also called at each tick, in case the thread has ended by a bug.
    pub(in crate::service) fn release_due_digits(&self) {
        for uuid in self.feature_codes.kept.due() {
            if !guard::fence("due digits", false, || self.release_kept(&uuid)) {
                drop(self.feature_codes.kept.take(&uuid));
            }
        }
    }

    /// Passes on the digits of a leg whose time is over. Returns false if there is no such leg.
    fn release_kept(&self, uuid: &str) -> bool {
        let Some(leg) = SessionGuard::find(uuid) else { return false };
        leg.with_digits_locked(|| KeptDigit::release(&leg, self.feature_codes.kept.take_due(uuid)));
        true
    }

    /// Passes on all digits, and joins the thread.
    pub(super) fn end_kept_digits(&self) {
        let (uuids, releaser): (Vec<String>, _) = {
            let mut legs = self.feature_codes.kept.0.lock();
            legs.ended = true;
            (legs.by_uuid.keys().cloned().collect(), legs.releaser.take())
        };
        for uuid in uuids {
            self.release_kept(&uuid);
        }
        if let Some(releaser) = releaser {
            releaser.join();
        }
    }
}
