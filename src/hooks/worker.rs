//! The thread of one hook: it sends one message after the other, and repeats each until the receiver takes it.

use std::time::Duration;

use super::delivery::{Client, DeliveryError};
use super::message::Message;
use super::queue::{Next, Queue};
use crate::config::HookPlan;
use crate::freeswitch::guard;

/// When a request that failed is repeated, and how long.
struct Repetition {
    first_pause: Duration,
    max_pause: Duration,
    /// The age at which a message is given up.
    max_age: Duration,
}

const REPETITION: Repetition = Repetition {
    first_pause: Duration::from_secs(1),
    max_pause: Duration::from_secs(60),
    max_age: Duration::from_secs(600),
};

/// Runs until the hook ends.
pub(super) fn run(queue: &Queue, client: &Client) {
    send_all(queue, &REPETITION, |hook, message| client.post(hook, message));
}

fn send_all(queue: &Queue, repetition: &Repetition, post: impl Fn(&HookPlan, &Message) -> Result<(), DeliveryError>) {
    let mut pause = repetition.first_pause;
    while let Next::Send(message, hook) = queue.next() {
        match guard::fence("hook message", Err(DeliveryError::Panicked), || post(&hook, &message)) {
            Ok(()) => {
                pause = repetition.first_pause;
                log_sent(queue, &message);
            }
            Err(why) if why.is_final() => {
                log_lost(&message, &hook, &why);
                queue.give_up_first(&why.to_string());
            }
            Err(why) => {
                let cause = why.to_string();
                if queue.on_failed(&cause) {
                    log::warn!(hook:% = hook.name, receiver:% = hook.url, cause:% = cause; "hook does not take messages, they are repeated");
                }
                if message.queued_at.elapsed() >= repetition.max_age {
                    log_lost(&message, &hook, &why);
                    queue.give_up_overdue(repetition.max_age, &cause);
                } else {
                    queue.pause(why.retry_after().map_or(pause, |wanted| wanted.clamp(pause, repetition.max_pause)));
                    pause = (pause * 2).min(repetition.max_pause);
                }
            }
        }
    }
}

fn log_sent(queue: &Queue, message: &Message) {
    log::debug!(hook = queue.name(), event = message.event.name(), slot:% = message.slot, lot:% = message.lot; "sent message of hook");
    if let Some((away, waiting)) = queue.on_sent() {
        let after = format!("{}s", away.as_secs());
        log::warn!(hook = queue.name(), after:% = after, waiting = waiting; "hook takes messages again");
    }
}

fn log_lost(message: &Message, hook: &HookPlan, why: &DeliveryError) {
    log::warn!(
        hook:% = hook.name, event = message.event.name(), slot:% = message.slot, lot:% = message.lot, receiver:% = hook.url, cause:% = why;
        "message of hook is lost"
    );
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use parking_lot::Mutex;

    use super::super::queue::tests::{hook, message};
    use super::*;

    const QUICK: Repetition = Repetition {
        first_pause: Duration::from_millis(5),
        max_pause: Duration::from_millis(20),
        max_age: Duration::from_millis(200),
    };

    /// Sends the messages of slots 1 to `count`. `answer` is what the receiver does with the nth request of a slot. Returns the requests, and the
    /// slots of the messages that were lost.
    fn sent(count: usize, answer: impl Fn(&str, usize) -> Result<(), DeliveryError>) -> (Vec<String>, Vec<String>) {
        let (queue, requests) = (Queue::new(hook("http://x")), Mutex::new(Vec::<String>::new()));
        (1..=count).for_each(|slot| queue.push(&message(&slot.to_string())));
        queue.retire();
        send_all(&queue, &QUICK, |_, message| {
            let slot = message.slot.to_string();
            let mut requests = requests.lock();
            let nth = requests.iter().filter(|before| **before == slot).count();
            requests.push(slot.clone());
            answer(&slot, nth)
        });
        let lost = queue.take_lost().iter().map(|(message, _)| message.slot.to_string()).collect();
        (requests.into_inner(), lost)
    }

    fn status(status: u16) -> Result<(), DeliveryError> {
        Err(DeliveryError::Status { status, reason: String::new(), retry_after: None })
    }

    #[test]
    fn a_message_is_repeated_before_the_next_one() {
        let answer = |slot: &str, nth| if slot == "2" && nth < 2 { status(503) } else { Ok(()) };
        let (requests, lost) = sent(3, answer);
        assert_eq!((requests.join(""), lost.len()), ("12223".to_owned(), 0));
    }

    #[test]
    fn a_message_whose_contents_are_refused_is_lost_and_the_others_are_not() {
        let answer = |slot: &str, _| if slot == "1" { status(400) } else { Ok(()) };
        assert_eq!(sent(2, answer), (vec!["1".to_owned(), "2".to_owned()], vec!["1".to_owned()]));
    }

    #[test]
    fn messages_that_have_waited_for_too_long_are_lost_in_order() {
        let began = Instant::now();
        let (requests, lost) = sent(3, |_, _| status(500));
        assert!(began.elapsed() >= QUICK.max_age && began.elapsed() < QUICK.max_age * 10);
        assert_eq!(lost, ["1", "2", "3"]);
        assert!(requests.len() > 5 && requests.iter().all(|slot| slot == "1"), "{requests:?}");
    }

    #[test]
    fn a_pause_ends_when_the_hook_gets_other_settings() {
        let queue = Arc::new(Queue::new(hook("http://old")));
        queue.push(&message("1"));
        let slow =
            Repetition { first_pause: Duration::from_secs(30), max_pause: Duration::from_secs(30), ..REPETITION };
        let sender = std::thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                send_all(&queue, &slow, |hook, _| if hook.url.as_str() == "http://new" { Ok(()) } else { status(500) });
            }
        });
        while queue.status().retried == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        queue.set_hook(hook("http://new"));
        queue.retire();
        sender.join().unwrap();
        assert_eq!((queue.status().sent, queue.status().waiting), (1, 0));
    }
}
