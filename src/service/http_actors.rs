//! Remembers who has acted on a parked call by HTTP, for the event that the action causes, the log and the history. The event may come later, on the thread of the leg.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{EventKind, ParkingService};
use crate::freeswitch::SessionGuard;

/// Who acted last on each call, by the UUID of its leg.
#[derive(Debug, Default)]
pub(super) struct HttpActors(Mutex<HashMap<String, ActorNote>>);

#[derive(Debug)]
struct ActorNote {
    /// Who acted last: a user (`1002@example.com`), or a token without a user.
    last: Arc<str>,
    /// Who has caused an event that is not published yet. There is at most one of each kind.
    expected: Vec<(EventKind, Arc<str>)>,
    /// The UUID of the leg that has answered for the actor and is to be connected.
    retriever: Option<String>,
}

impl ActorNote {
    fn add(&mut self, actor: &Arc<str>, causes: EventKind) {
        self.take(causes);
        self.last = Arc::clone(actor);
        self.expected.push((causes, Arc::clone(actor)));
    }

    fn take(&mut self, kind: EventKind) -> Option<Arc<str>> {
        let at = self.expected.iter().position(|(expected, _)| *expected == kind)?;
        Some(self.expected.swap_remove(at).1)
    }
}

impl ParkingService {
    /// Notes who acts on a call, before the action, which causes an event of this kind.
    pub(super) fn note_actor(&self, uuid: &str, actor: Option<&str>, causes: EventKind) {
        if let Some(actor) = actor {
            let actor = Arc::from(actor);
            let new = || ActorNote { last: Arc::clone(&actor), expected: Vec::new(), retriever: None };
            self.http_actors.0.lock().entry(uuid.to_owned()).or_insert_with(new).add(&actor, causes);
        }
    }

    /// Notes that an action has failed and causes no such event. Returns who acted.
    pub(super) fn withdraw_actor(&self, uuid: &str, causes: EventKind) -> Option<Arc<str>> {
        self.http_actors.0.lock().get_mut(uuid)?.take(causes)
    }

    /// Returns who has caused an event.
    pub(super) fn actor_of_event(&self, uuid: &str, kind: EventKind) -> Option<Arc<str>> {
        self.withdraw_actor(uuid, kind)
    }

    /// Notes which leg has answered for an actor who retrieves. Another leg may be connected in the end.
    pub(super) fn note_retriever(&self, uuid: &str, leg: &str) {
        if let Some(note) = self.http_actors.0.lock().get_mut(uuid) {
            note.retriever = Some(leg.to_owned());
        }
    }

    /// Forgets a call that has ended. Returns who acted last on it, and who has caused its end. `retriever` is the UUID of the leg that was connected.
    pub(super) fn take_actors(
        &self,
        uuid: &str,
        end: EventKind,
        retriever: Option<&str>,
    ) -> (Option<Arc<str>>, Option<Arc<str>>) {
        let Some(mut note) = self.http_actors.0.lock().remove(uuid) else { return (None, None) };
        let is_theirs = end != EventKind::RETRIEVED || note.retriever.as_deref() == retriever;
        let causer = note.take(end).filter(|_| is_theirs);
        (Some(note.last), causer)
    }

    /// Forgets legs that are gone without having been in a slot.
    pub(super) fn forget_actors_of_gone_legs(&self) {
        let noted: Vec<String> = self.http_actors.0.lock().keys().cloned().collect();
        let is_gone = |uuid: &String| self.call_of(uuid).is_none() && SessionGuard::find(uuid).is_none();
        for uuid in noted.into_iter().filter(is_gone) {
            self.http_actors.0.lock().remove(&uuid);
        }
    }
}
