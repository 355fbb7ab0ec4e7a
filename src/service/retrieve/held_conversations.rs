//! Plays music to a retriever while the caller, who holds when they are connected, has not resumed.
//!
//! The core ends that music when the caller resumes, but starts it later, on the retriever's thread. A caller who resumes in between would not be
//! heard, so this is checked again.

use parking_lot::Mutex;

use crate::freeswitch::{Leg, SessionGuard};
use crate::service::ParkingService;

/// The number of ticks after which the music has started, so that the core ends it by itself.
const MAX_CHECKS: u8 = 3;

#[derive(Debug)]
struct HeldConversation {
    caller: String,
    retriever: String,
    checks_left: u8,
}

#[derive(Debug, Default)]
pub(in crate::service) struct HeldConversations(Mutex<Vec<HeldConversation>>);

impl HeldConversations {
    /// Plays music to the retriever while the caller holds.
    pub(in crate::service) fn begin(&self, caller: &Leg<'_>, retriever: &Leg<'_>, music: &str) {
        retriever.hear_hold_music(music);
        let held = HeldConversation { caller: caller.uuid(), retriever: retriever.uuid(), checks_left: MAX_CHECKS };
        self.0.lock().push(held);
    }

    fn check(&self) {
        let mut talks = std::mem::take(&mut *self.0.lock());
        talks.retain_mut(|talk| {
            let legs = SessionGuard::find(&talk.caller).zip(SessionGuard::find(&talk.retriever));
            let Some((caller, retriever)) = legs else { return false };
            let over = !caller.holding() && retriever.stop_broadcast();
            talk.checks_left = talk.checks_left.saturating_sub(1);
            !over && talk.checks_left > 0
        });
        self.0.lock().append(&mut talks);
    }
}

impl ParkingService {
    /// Ends the music of retrievers whose callers have resumed. It is called at each tick.
    pub(in crate::service) fn end_music_of_resumed(&self) {
        self.held_conversations.check();
    }
}
