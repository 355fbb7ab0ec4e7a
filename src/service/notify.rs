//! Sends the notices of a lot (`notify`) about a call. The call does not wait for them, and their failures do not affect it.

use std::sync::Arc;
use std::time::Duration;

use super::call_log::log_call;
use super::template::{call_field, fill_in, is_address, percent_encoded};
use super::{ParkingService, Retriever};
use crate::freeswitch;
use crate::parking::{Call, Ended, NoSlotReason, Notify, NotifyEvent, Outcome};

/// What the notices of a call are about.
struct Notice<'a> {
    call: &'a Call,
    event: NotifyEvent,
    wait: Duration,
    retriever: Option<&'a Retriever>,
}

impl ParkingService {
    /// Sends the notices about a call that was parked, or that waits for a slot.
    pub(super) fn notify_waiting(self: &Arc<Self>, call: &Call) {
        let event = if call.waits_for_slot() { NotifyEvent::NoSlot } else { NotifyEvent::Park };
        Notice { call, event, wait: Duration::ZERO, retriever: None }.send(|dial| self.page_slot(call, dial));
    }

    /// Sends the notices about a caller who has waited for long.
    pub(super) fn notify_late(self: &Arc<Self>, call: &Call, wait: Duration) {
        Notice { call, event: NotifyEvent::Remind, wait, retriever: None }.send(|dial| self.page_slot(call, dial));
    }
}

/// Sends the notices about the outcome of a call.
pub(super) fn notify_ended(ended: &Ended, retriever: Option<&Retriever>) {
    let Ended { call, outcome, wait } = ended;
    let event = NotifyEvent::Ended(*outcome);
    if call.was_parked {
        Notice { call, event, wait: *wait, retriever }.send(|_| {});
    }
}

impl Notice<'_> {
    fn send(&self, page: impl Fn(&str)) {
        let settings = &self.call.info.settings;
        if !settings.notify_on.contains(&self.event) {
            return;
        }
        for notify in &settings.notify {
            match notify {
                Notify::Message(user) => self.message(user),
                Notify::Page(dial) if self.calls_for_somebody() => page(dial),
                // The observers send the messages of hooks.
                Notify::Page(_) | Notify::Hook(_) => {}
                Notify::Api(line) => self.command(line),
            }
        }
    }

    /// Whether the notice is about a caller whom somebody should retrieve from a slot.
    fn calls_for_somebody(&self) -> bool {
        matches!(self.event, NotifyEvent::Park | NotifyEvent::Remind) && !self.call.waits_for_slot()
    }

    fn command(&self, line: &str) {
        let line = fill_in(line, |name| self.field(name).map(|value| percent_encoded(&value)));
        // It runs on a thread of the core, so that a slow command delays nothing.
        let answer = freeswitch::api("bgapi", &line);
        if !answer.starts_with("+OK") {
            log_call!(Warning, self.call, command = line, answer = answer.trim(); "command of notify failed");
        }
    }

    /// Sends a SIP MESSAGE whose sender is the slot, so that users can call it back.
    fn message(&self, user: &str) {
        let info = &self.call.info;
        let user = if user == "parker" { info.parker.to_string() } else { fill_in(user, |name| self.field(name)) };
        let user = if user.contains('@') || user.is_empty() { user } else { format!("{user}@{}", info.lot.domain) };
        if !is_address(&user) {
            log_call!(Info, self.call, user = user; "message of notify has no recipient");
            return;
        }
        let sender = if self.call.waits_for_slot() { &*info.lot.name } else { info.slot.as_str() };
        if !freeswitch::send_message(&format!("{sender}@{}", info.lot.domain), &user, &self.text()) {
            log_call!(Warning, self.call, user = user; "message of notify was refused by FreeSWITCH");
        }
    }

    fn text(&self) -> String {
        let Call { info, label, refused, .. } = self.call;
        let label = if label.is_empty() { String::new() } else { format!(" ({label})") };
        let caller = format!("{} <{}>", info.caller.name, info.caller.number);
        let place = if self.call.waits_for_slot() { &*info.lot.name } else { info.slot.as_str() };
        let seconds = self.wait.as_secs();
        match self.event {
            NotifyEvent::Park => format!("{caller} is parked in {place}{label}"),
            NotifyEvent::Remind => format!("{caller} in {place}{label} has waited for {seconds} s"),
            NotifyEvent::NoSlot => {
                format!("{caller} waits for a slot in {place}{label}: {}", refused.map_or("", NoSlotReason::name))
            }
            NotifyEvent::Ended(outcome) => {
                let retriever = self.retriever.map_or("", |retriever| &retriever.user);
                let how = match outcome {
                    Outcome::Retrieved if !retriever.is_empty() => format!("was retrieved by {retriever}"),
                    Outcome::Retrieved => "was retrieved".to_owned(),
                    Outcome::Returned => "was returned to the parker".to_owned(),
                    Outcome::Fallback => "went to the fallback".to_owned(),
                    Outcome::Transferred => "was transferred".to_owned(),
                    Outcome::Abandoned => "hung up".to_owned(),
                };
                format!("{caller} in {place}{label} {how} after {seconds} s")
            }
        }
    }

    fn field(&self, name: &str) -> Option<String> {
        match name {
            "event" => Some(self.event.name().to_owned()),
            "wait" => Some(self.wait.as_secs().to_string()),
            "retriever" => Some(self.retriever.map(|retriever| retriever.user.clone()).unwrap_or_default()),
            _ => call_field(self.call, name),
        }
    }
}
