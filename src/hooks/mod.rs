//! Posts the events of parked calls to receivers over HTTP, as `<hooks>` names them. No call waits for a receiver.
//!
//! | module | what is there |
//! |---|---|
//! | `message` | an event as it is told: fields, or a card |
//! | `queue` | the messages of one hook that wait, and what became of the others |
//! | `worker` | the thread of one hook: one message after the other, repeated until it is taken |
//! | `delivery` | one message in one HTTP request |
//! | `card`, `chat` | the text of an event, and the cards of the chat services |

mod card;
mod chat;
mod delivery;
mod message;
mod queue;
mod worker;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::config::ConfigHandle;
use crate::freeswitch::Worker;
use crate::parking::Notify;
use crate::service::{EventKind, Observer, ParkEvent, ParkingService};
use delivery::Client;
#[cfg(test)]
pub(crate) use message::OWN_FIELDS;
use message::{Message, event_of};
use queue::Queue;
pub(crate) use queue::QueueStatus;

/// How long the unload of the module waits for requests in progress.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(4);

/// All hooks, with their threads.
pub(crate) struct Hooks {
    config: ConfigHandle,
    client: Arc<Client>,
    running: Mutex<Vec<RunningHook>>,
    /// Hooks that are in the configuration no longer, until they have sent what waits.
    retired: Mutex<Vec<RunningHook>>,
}

struct RunningHook {
    queue: Arc<Queue>,
    worker: Option<Worker>,
}

impl RunningHook {
    fn is_over(&self) -> bool {
        self.worker.as_ref().is_none_or(Worker::is_over)
    }

    /// Starts the thread, unless it runs. A thread ends by itself only because of a bug.
    fn ensure_runs(&mut self, client: &Arc<Client>) {
        if !self.is_over() {
            return;
        }
        self.worker.take().into_iter().for_each(Worker::join);
        let (queue, client) = (Arc::clone(&self.queue), Arc::clone(client));
        match Worker::start("hook", move || worker::run(&queue, &client)) {
            Ok(worker) => self.worker = Some(worker),
            Err(why) => log::error!(hook = self.queue.name(), cause:% = why; "hook has no thread, it is tried again"),
        }
    }
}

impl Hooks {
    pub(crate) fn new(config: ConfigHandle) -> Hooks {
        Hooks { config, client: Arc::default(), running: Mutex::default(), retired: Mutex::default() }
    }

    /// Starts and ends hooks according to the configuration. One that stays keeps its queue, and one that goes sends what waits.
    pub(crate) fn apply(&self) {
        let config = self.config.get();
        // Events that happen meanwhile wait for the new hooks.
        let mut running = self.running.lock();
        let mut before = std::mem::take(&mut *running);
        for hook in &config.hooks {
            let kept = before.iter().position(|other| other.queue.name() == hook.name).map(|at| before.swap_remove(at));
            let mut hook = match kept {
                Some(kept) => {
                    kept.queue.set_hook(Arc::clone(hook));
                    kept
                }
                None => RunningHook { queue: Arc::new(Queue::new(Arc::clone(hook))), worker: None },
            };
            hook.ensure_runs(&self.client);
            running.push(hook);
        }
        before.iter().for_each(|gone| gone.queue.retire());
        self.retired.lock().extend(before);
    }

    /// The state of each hook, for `callpark status` and for the metrics.
    pub(crate) fn status(&self) -> Vec<(String, QueueStatus)> {
        let running = self.running.lock();
        running.iter().map(|hook| (hook.queue.name().to_owned(), hook.queue.status())).collect()
    }

    /// Puts an event into the queues of the hooks that get it.
    fn enqueue(&self, service: &ParkingService, event: &ParkEvent<'_>) {
        let (Some(kind), Some(call)) = (event_of(event), event.call) else { return };
        let settings = &call.info.settings;
        let is_named = |name: &str| {
            settings.notify_on.contains(&kind)
                && settings.notify.iter().any(|notify| *notify == Notify::Hook(name.into()))
        };
        let running = self.running.lock();
        let mut wanting = running.iter().map(|hook| &hook.queue).filter(|queue| {
            let hook = queue.hook();
            hook.wants(kind, &call.info.lot) || is_named(&hook.name)
        });
        let Some(first) = wanting.next() else { return };
        let message = Arc::new(Message::new(service, &self.config.get().settings, kind, call, event));
        std::iter::once(first).chain(wanting).for_each(|queue| queue.push(&message));
    }

    /// Ends all threads at unload. Messages that wait are sent as long as their receivers take them. Returns false if a request is still in
    /// progress, so that its code must stay loaded.
    pub(crate) fn end(&self) -> bool {
        let mut all = std::mem::take(&mut *self.running.lock());
        all.append(&mut self.retired.lock());
        let until = Instant::now() + CLOSE_TIMEOUT;
        all.iter().for_each(|hook| hook.queue.close(until));
        let mut ended = true;
        for RunningHook { queue, worker } in all {
            ended &= worker.is_none_or(|worker| worker.join_within(until.saturating_duration_since(Instant::now())));
            let waiting = queue.status().waiting;
            if waiting > 0 {
                log::warn!(hook = queue.name(), messages = waiting; "messages of a hook are lost, the module is unloaded");
            }
        }
        ended
    }
}

/// Observes events for the hooks.
pub(crate) struct HookObserver(pub(crate) Arc<Hooks>);

impl Observer for HookObserver {
    fn on_event(&self, service: &ParkingService, event: &ParkEvent<'_>) {
        let HookObserver(hooks) = self;
        match event.kind {
            // A faulty configuration changes nothing.
            EventKind::Reload if event.cause.is_none() => hooks.apply(),
            _ => hooks.enqueue(service, event),
        }
    }

    /// Tells what was lost, and starts threads again that a bug has ended.
    fn on_tick(&self, service: &ParkingService) {
        let HookObserver(hooks) = self;
        hooks.running.lock().iter_mut().for_each(|hook| hook.ensure_runs(&hooks.client));
        let ended: Vec<RunningHook> = {
            let mut retired = hooks.retired.lock();
            let (ended, rest) = std::mem::take(&mut *retired).into_iter().partition(RunningHook::is_over);
            *retired = rest;
            ended
        };
        let mut queues: Vec<Arc<Queue>> = hooks.running.lock().iter().map(|hook| Arc::clone(&hook.queue)).collect();
        queues.extend(hooks.retired.lock().iter().chain(&ended).map(|hook| Arc::clone(&hook.queue)));
        ended.into_iter().filter_map(|hook| hook.worker).for_each(Worker::join);
        queues.iter().for_each(|queue| publish_lost(service, queue));
    }
}

/// Publishes an event for each message that was lost since the last call.
fn publish_lost(service: &ParkingService, queue: &Queue) {
    for (message, cause) in queue.take_lost() {
        service.publish(&ParkEvent {
            lot: Some(&message.lot),
            slot: Some(&message.slot),
            cause: Some(&cause),
            hook: Some(queue.name()),
            ..ParkEvent::of(EventKind::HookFailed)
        });
    }
}
