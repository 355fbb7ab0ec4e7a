//! The messages of one hook that wait, in order, and what became of the others.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::message::Message;
use crate::config::HookPlan;

/// The maximum number of messages that wait. With more, new ones are lost.
const MAX_WAITING: usize = 1000;

/// The state of a hook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueStatus {
    pub(crate) sent: u64,
    /// Requests that failed and were, or will be, repeated.
    pub(crate) retried: u64,
    /// Messages that were lost.
    pub(crate) failed: u64,
    pub(crate) waiting: usize,
    /// Since when the receiver takes nothing, and why.
    pub(crate) failing: Option<(Instant, String)>,
}

/// What the thread of the hook does next.
pub(super) enum Next {
    /// Send this message, which stays the first of the queue.
    Send(Arc<Message>, Arc<HookPlan>),
    /// End.
    End,
}

#[derive(Debug)]
pub(super) struct Queue {
    name: String,
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Debug)]
struct QueueState {
    hook: Arc<HookPlan>,
    messages: VecDeque<Arc<Message>>,
    /// The messages that were lost, until the observers are told.
    lost: Vec<(Arc<Message>, String)>,
    status: QueueStatus,
    /// Whether the hook was given other settings since the last request, so that the next one need not wait.
    is_new: bool,
    /// Whether the hook is in the configuration no longer.
    retired: bool,
    /// When the thread must end, also if messages wait.
    close_by: Option<Instant>,
}

impl Queue {
    pub(super) fn new(hook: Arc<HookPlan>) -> Queue {
        let name = hook.name.clone();
        let state = QueueState {
            hook,
            messages: VecDeque::new(),
            lost: Vec::new(),
            status: QueueStatus::default(),
            is_new: false,
            retired: false,
            close_by: None,
        };
        Queue { name, state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn hook(&self) -> Arc<HookPlan> {
        Arc::clone(&self.state.lock().hook)
    }

    /// Gives the hook new settings. What waits is sent with them.
    pub(super) fn set_hook(&self, hook: Arc<HookPlan>) {
        let mut state = self.state.lock();
        if state.hook != hook {
            state.hook = hook;
            state.is_new = true;
            self.changed.notify_all();
        }
    }

    /// Lets the thread end when nothing waits.
    pub(super) fn retire(&self) {
        self.state.lock().retired = true;
        self.changed.notify_all();
    }

    /// Lets the thread end when nothing waits, when the receiver does not take a message, or at a time.
    pub(super) fn close(&self, by: Instant) {
        self.state.lock().close_by = Some(by);
        self.changed.notify_all();
    }

    pub(super) fn status(&self) -> QueueStatus {
        let state = self.state.lock();
        QueueStatus { waiting: state.messages.len(), ..state.status.clone() }
    }

    /// Appends a message, unless too many wait. It never waits itself.
    pub(super) fn push(&self, message: &Arc<Message>) {
        let mut state = self.state.lock();
        if state.messages.len() < MAX_WAITING {
            state.messages.push_back(Arc::clone(message));
            self.changed.notify_all();
        } else {
            state.lose(Arc::clone(message), format!("{MAX_WAITING} messages wait already"));
        }
    }

    /// Waits for the next message.
    pub(super) fn next(&self) -> Next {
        let mut state = self.state.lock();
        loop {
            let is_closed = state.close_by.is_some_and(|by| Instant::now() >= by || state.status.failing.is_some());
            match state.messages.front().map(Arc::clone) {
                _ if is_closed => return Next::End,
                Some(message) => {
                    state.is_new = false;
                    return Next::Send(message, Arc::clone(&state.hook));
                }
                None if state.retired || state.close_by.is_some() => return Next::End,
                None => self.changed.wait(&mut state),
            }
        }
    }

    /// Waits until the next try, or until there is a reason to try or to end now.
    pub(super) fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut state = self.state.lock();
        while !state.is_new && state.close_by.is_none() && !self.changed.wait_until(&mut state, until).timed_out() {}
    }

    /// Notes that the receiver has taken the first message. Returns how long it had taken none before, and how many wait still.
    pub(super) fn on_sent(&self) -> Option<(Duration, usize)> {
        let mut state = self.state.lock();
        state.messages.pop_front();
        state.status.sent += 1;
        let waiting = state.messages.len();
        state.status.failing.take().map(|(since, _)| (since.elapsed(), waiting))
    }

    /// Notes that a request has failed, and will be repeated. Returns whether the reason is a new one.
    pub(super) fn on_failed(&self, cause: &str) -> bool {
        let mut state = self.state.lock();
        state.status.retried += 1;
        let since = state.status.failing.as_ref().map_or_else(Instant::now, |(since, _)| *since);
        let before = state.status.failing.replace((since, cause.to_owned()));
        before.is_none_or(|(_, before)| before != cause)
    }

    /// Gives up the first message.
    pub(super) fn give_up_first(&self, cause: &str) {
        self.state.lock().lose_first(cause);
    }

    /// Gives up all messages that have waited for longer than `limit`.
    pub(super) fn give_up_overdue(&self, limit: Duration, cause: &str) {
        let mut state = self.state.lock();
        while state.messages.front().is_some_and(|message| message.queued_at.elapsed() >= limit) {
            state.lose_first(cause);
        }
    }

    /// Takes the messages that were lost since the last call, with the reasons.
    pub(super) fn take_lost(&self) -> Vec<(Arc<Message>, String)> {
        std::mem::take(&mut self.state.lock().lost)
    }
}

impl QueueState {
    fn lose_first(&mut self, cause: &str) {
        if let Some(message) = self.messages.pop_front() {
            self.lose(message, cause.to_owned());
        }
    }

    fn lose(&mut self, message: Arc<Message>, cause: String) {
        self.status.failed += 1;
        // Beyond this number, messages are only counted until the observers are told.
        if self.lost.len() < MAX_WAITING {
            self.lost.push((message, cause));
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::{HookFormat, HookUrl};

    pub(in crate::hooks) fn hook(url: &str) -> Arc<HookPlan> {
        let url = HookUrl::parse(url).unwrap();
        let (events, lots) = (Vec::new(), Vec::new());
        Arc::new(HookPlan { name: "chat".into(), url, format: HookFormat::Json, events, lots, secret: None })
    }

    pub(in crate::hooks) fn message(slot: &str) -> Arc<Message> {
        Arc::new(super::super::message::tests::message(slot))
    }

    fn next_slot(queue: &Queue) -> Option<String> {
        match queue.next() {
            Next::Send(message, _) => Some(message.slot.to_string()),
            Next::End => None,
        }
    }

    #[test]
    fn a_message_stays_the_first_until_it_is_taken() {
        let queue = Queue::new(hook("http://x"));
        ["1", "2"].iter().for_each(|slot| queue.push(&message(slot)));
        assert_eq!([next_slot(&queue), next_slot(&queue)], [Some("1".into()), Some("1".into())]);
        assert!(queue.on_failed("why") && !queue.on_failed("why") && queue.on_failed("another why"));
        assert_eq!(queue.on_sent().map(|(_, waiting)| waiting), Some(1), "it had taken nothing before");
        assert_eq!(next_slot(&queue), Some("2".into()));
        assert_eq!(queue.on_sent(), None);
        let QueueStatus { sent, retried, failed, waiting, failing } = queue.status();
        assert_eq!((sent, retried, failed, waiting, failing), (2, 3, 0, 0, None));
    }

    #[test]
    fn too_many_messages_are_counted_and_the_first_ones_are_kept() {
        let queue = Queue::new(hook("http://x"));
        (0..MAX_WAITING + 5).for_each(|n| queue.push(&message(&n.to_string())));
        assert_eq!((queue.status().waiting, queue.status().failed), (MAX_WAITING, 5));
        let lost = queue.take_lost();
        assert_eq!((lost.len(), lost[0].0.slot.as_str()), (5, "1000"));
        assert_eq!(next_slot(&queue), Some("0".into()));
        assert!(queue.take_lost().is_empty());
    }

    #[test]
    fn a_hook_that_goes_sends_what_waits_and_one_that_is_closed_does_not_wait() {
        let queue = Queue::new(hook("http://x"));
        queue.push(&message("1"));
        queue.retire();
        assert_eq!(next_slot(&queue), Some("1".into()));
        queue.on_failed("why");
        assert_eq!(next_slot(&queue), Some("1".into()));
        let in_an_hour = Instant::now() + Duration::from_secs(3600);
        queue.close(in_an_hour);
        assert_eq!(next_slot(&queue), None, "the receiver takes nothing");
        queue.on_sent();
        assert_eq!(next_slot(&queue), None);
        queue.push(&message("2"));
        assert_eq!(next_slot(&queue), Some("2".into()));
        queue.close(Instant::now());
        assert_eq!(next_slot(&queue), None);
    }
}
