//! Looking after a parked call, on its own leg's thread: music, the retriever, the end.

use std::sync::Arc;
use std::time::Duration;

use super::mailbox::{Letter, Mailbox};
use super::park::millis;
use super::ring::displayable;
use super::{Attendant, Notice, Retriever, What, identity};
use crate::host::{self, Bell, Bridged, HangupCause, Heard, Leg, Listener, Located, ToTheEnd};
use crate::music::{self, Ear, Listened};
use crate::parking::{Call, Ended, Facts, Left, Moment, Party, State, Terms};

/// Heard where no music can be played: two short notes now and then say that the line is alive. Needs no file.
const LAST_RESORT: &str = "tone_stream://%(180,120,523.25);%(260,5500,659.25);loops=-1";

/// Variables by which the core would hang up or move the caller as a bridge ends. While a retriever is being connected
/// they are put aside: if that fails, the caller waits on.
const AFTER_BRIDGE: [&str; 3] = ["hangup_after_bridge", "park_after_bridge", "transfer_after_bridge"];

impl Attendant {
    /// Comes back when the call has its outcome and the leg is wanted elsewhere or gone.
    pub(super) fn look_after(&self, leg: &Leg<'_>, call: &Call, mailbox: &Mailbox) {
        let terms = &call.facts.terms;
        let mut music = Music::choose(leg, terms);
        let mut comfort = Comfort::of(terms);
        loop {
            match mailbox.take() {
                Some(Letter::Connect(retriever)) => {
                    if self.connect(leg, call, &retriever) {
                        // The conversation is over; what the dialplan has after parking is for calls that could not be.
                        if leg.ready() {
                            leg.hang_up(HangupCause::NormalClearing);
                        }
                        return;
                    }
                }
                Some(Letter::FallBack) => self.fall_back(leg, call),
                Some(Letter::Forget) => return rest(leg),
                Some(Letter::NoAnswer) => {}
                None if !leg.ready() => return self.say_goodbye(leg, call),
                None if comfort.due() => comfort.play(leg, mailbox, terms.exit_key),
                None => music.play(leg, mailbox, Some(&comfort)),
            }
            if music.key_pressed() || comfort.key_pressed() {
                exit(leg, terms);
            }
        }
    }

    /// True if the caller talked to the retriever; the conversation is over then.
    fn connect(&self, leg: &Leg<'_>, call: &Call, retriever: &Retriever) -> bool {
        let uuid = &call.facts.uuid;
        let other = Located::find(&retriever.uuid);
        let talked = match other.as_ref().filter(|other| other.ready() && leg.ready()) {
            None => false,
            Some(other) => {
                if let Some(tone) = &call.facts.terms.retrieve_tone {
                    leg.play(tone, &mut ToTheEnd);
                }
                let taker = identity::party(other);
                self.bridge(leg, other, &call.facts.caller, &taker, &mut || self.connected(leg, other, call, retriever))
            }
        };
        if let Some(other) = other.as_ref().filter(|_| talked) {
            // If a bug kept it from being noted as they met.
            self.connected(leg, other, call, retriever);
        } else {
            log::warn!("{} could not be connected with {uuid} in slot {}", retriever.uuid, call.facts.slot);
            self.give_up(call, retriever, other.as_deref());
        }
        talked
    }

    /// The caller waits on. A retriever is told by their own application; a parker who answered a ring back has none.
    fn give_up(&self, call: &Call, retriever: &Retriever, other: Option<&Leg<'_>>) {
        let state = self.change(|table, now| {
            let state = table.find_leg(&call.facts.uuid).map(|call| call.state);
            table.release(&call.facts.uuid, &retriever.uuid, now);
            state
        });
        if let (Some(State::Retrieving { returning: true, .. }), Some(other)) = (state, other) {
            other.hang_up(HangupCause::NormalClearing);
        }
    }

    /// Joins a waiting caller, whose thread this is, with another leg. True if they heard each other; `connected` is called
    /// the moment they do.
    pub(super) fn bridge(
        &self,
        leg: &Leg<'_>,
        other: &Leg<'_>,
        caller: &Party,
        taker: &Party,
        connected: &mut dyn FnMut(),
    ) -> bool {
        let (callers, takers) = (displayable(&caller.name), displayable(&taker.name));
        other.present((&callers, &caller.number), (&takers, &taker.number));
        let set_aside = SetAside::take(leg);
        let outcome = leg.bridge(other, &mut || {
            // Somebody who hung up in this very moment has not heard the caller.
            if other.hung_up() {
                return false;
            }
            set_aside.give_back(leg);
            connected();
            Self::save_joined(leg, other);
            true
        });
        if outcome == Bridged::Never {
            set_aside.give_back(leg);
        }
        outcome == Bridged::Talked
    }

    /// To the fallback, if it can be reached; else the caller waits on in the same slot.
    fn fall_back(&self, leg: &Leg<'_>, call: &Call) {
        let Some(fallback) = &call.facts.terms.fallback else { return };
        let sent = leg.can_reach(fallback).and_then(|()| {
            let sent = leg.transfer(&fallback.extension, fallback.dialplan.as_deref(), fallback.context.as_deref());
            sent.then_some(()).ok_or_else(|| "FreeSWITCH refused the transfer".to_owned())
        });
        if let Err(why) = sent {
            let Facts { uuid, slot, lot, .. } = &*call.facts;
            log::error!("fallback of {uuid} in slot {slot} of {lot} failed, the caller waits on: {why}");
            self.change(|table, now| table.fallback_failed(uuid, now));
        }
    }

    fn connected(&self, leg: &Leg<'_>, other: &Leg<'_>, call: &Call, retriever: &Retriever) {
        self.mailboxes.close(&call.facts.uuid);
        let ended = self.change(|table, now| table.connected(&call.facts.uuid, now));
        let Some(ended) = ended else { return };
        Self::forget_stay(leg);
        self.withdraw_hand_over(leg);
        other.set_var("callpark_result", "retrieved");
        leg.set_var("callpark_retriever", &retriever.user);
        // Whoever transfers this caller next is not the one who transferred it to us.
        for name in ["sip_h_Referred-By", "sip_refer_to"] {
            leg.unset_var(name);
        }
        self.close_books(leg, &ended, Some(retriever));
    }

    fn say_goodbye(&self, leg: &Leg<'_>, call: &Call) {
        self.mailboxes.close(&call.facts.uuid);
        Self::forget_stay(leg);
        if self.leaves_slot_to_next(leg) {
            return;
        }
        self.withdraw_hand_over(leg);
        let how = if leg.hung_up() { Left::HungUp } else { Left::Moved };
        self.rings.cancel(&call.facts.uuid);
        let ended = self.change(|table, now| table.left(&call.facts.uuid, how, now));
        if let Some(ended) = ended {
            self.close_books(leg, &ended, None);
        }
    }

    fn close_books(&self, leg: &Leg<'_>, ended: &Ended, retriever: Option<&Retriever>) {
        let facts = &ended.call.facts;
        leg.set_var("callpark_outcome", &ended.outcome.to_string());
        leg.set_var("callpark_wait_ms", &millis(ended.wait));
        let by = retriever.map(|retriever| format!(" by {} {}", retriever.uuid, retriever.user)).unwrap_or_default();
        log::info!(
            "{} {}{by} from {} of {} after {} s",
            ended.outcome,
            facts.uuid,
            facts.slot,
            facts.lot,
            ended.wait.as_secs()
        );
        self.notify(&Notice {
            call: Some(&ended.call),
            leg: Some(leg),
            wait: ended.wait,
            retriever,
            ..Notice::of(What::Ended(ended.outcome))
        });
    }
}

/// Until the leg is hung up, without a sound: whoever was at its other end hears another node's.
fn rest(leg: &Leg<'_>) {
    Attendant::forget_stay(leg);
    while leg.ready() {
        leg.sleep(Duration::from_millis(200));
    }
}

/// The exit key: the caller leaves the slot for where the lot says, if that is there.
fn exit(leg: &Leg<'_>, terms: &Terms) {
    let Some(destination) = &terms.exit_destination else { return };
    match leg.can_reach(destination) {
        Ok(()) => {
            leg.transfer(&destination.extension, destination.dialplan.as_deref(), destination.context.as_deref());
        }
        Err(why) => log::error!("exit of {} failed, the caller waits on: {why}", leg.uuid()),
    }
}

/// What a waiting caller hears: the first of these that plays.
pub(super) struct Music {
    choices: Vec<String>,
    exit_key: Option<char>,
    pressed: bool,
}

impl Music {
    pub(super) fn choose(leg: &Leg<'_>, terms: &Terms) -> Music {
        let asked = [terms.hold_music.clone(), leg.hold_music()];
        let mut choices: Vec<String> = asked.into_iter().flatten().map(spelled_out).collect();
        choices.push("local_stream://moh".into());
        choices.push(LAST_RESORT.into());
        choices.dedup();
        Music { choices, exit_key: terms.exit_key, pressed: false }
    }

    fn key_pressed(&mut self) -> bool {
        std::mem::take(&mut self.pressed)
    }

    /// Plays until there is a letter, the exit key, a comfort message is due, or the leg is wanted elsewhere. What cannot be
    /// played is not tried again.
    pub(super) fn play(&mut self, leg: &Leg<'_>, mailbox: &Mailbox, comfort: Option<&Comfort>) {
        self.play_to(leg, mailbox, comfort.and_then(Comfort::when));
    }

    /// Plays until `end`, or there is a letter, or the leg is wanted elsewhere.
    pub(super) fn play_until(&mut self, leg: &Leg<'_>, mailbox: &Mailbox, end: Moment) {
        while leg.ready() && host::now() < end && !mailbox.has_letter() {
            self.play_to(leg, mailbox, Some(end));
        }
    }

    fn play_to(&mut self, leg: &Leg<'_>, mailbox: &Mailbox, end: Option<Moment>) {
        let Some(choice) = self.choices.first() else {
            return leg.sleep(BLINK);
        };
        let began = host::now();
        let mut waiting = Waiting { mailbox, end, exit_key: self.exit_key, pressed: false };
        let played = music::listen(leg, choice, &mut waiting) == Listened::Heard
            || music::alone(|| leg.play(choice, &mut waiting));
        self.pressed = waiting.pressed;
        if played || self.pressed || !leg.ready() || mailbox.has_letter() {
            // A file so short that it ended at once would spin this thread.
            if host::now().since(began) < BLINK && leg.ready() {
                leg.sleep(BLINK);
            }
            return;
        }
        if self.choices.len() > 2 {
            log::warn!("hold music {choice:?} cannot be played to {}; trying the next", leg.uuid());
        }
        self.choices.remove(0);
    }
}

const BLINK: Duration = Duration::from_millis(20);

/// Listens while something plays to a waiting caller.
struct Waiting<'a> {
    mailbox: &'a Mailbox,
    end: Option<Moment>,
    exit_key: Option<char>,
    pressed: bool,
}

impl Waiting<'_> {
    fn is_over(&self) -> bool {
        self.mailbox.has_letter() || self.end.is_some_and(|end| host::now() >= end)
    }
}

impl Listener for Waiting<'_> {
    fn frame(&mut self) -> Heard {
        if self.is_over() { Heard::Stop } else { Heard::GoOn }
    }

    fn key(&mut self, key: char) -> Heard {
        self.pressed = self.exit_key == Some(key);
        if self.pressed { Heard::Stop } else { Heard::GoOn }
    }
}

/// The same for music that others hear too.
impl Ear for Waiting<'_> {
    fn bell(&self) -> &Arc<Bell> {
        self.mailbox.bell()
    }

    fn nap(&mut self, time: Duration) -> bool {
        let time = self.end.map_or(time, |end| time.min(end.since(host::now())));
        if !time.is_zero() && !self.mailbox.has_letter() {
            self.bell().sleep(time);
        }
        self.is_over()
    }

    fn wants_keys(&self) -> bool {
        self.exit_key.is_some()
    }

    fn key(&mut self, key: char) -> bool {
        Listener::key(self, key) == Heard::Stop
    }
}

/// The message that a waiting caller hears now and then.
pub(super) struct Comfort {
    file: Option<String>,
    interval: Duration,
    next: Moment,
    pressed: bool,
}

impl Comfort {
    fn of(terms: &Terms) -> Comfort {
        let interval = terms.comfort_interval;
        let file = terms.comfort_file.clone().filter(|_| !interval.is_zero());
        Comfort { file, interval, next: host::now().after(interval), pressed: false }
    }

    fn when(&self) -> Option<Moment> {
        self.file.as_ref().map(|_| self.next)
    }

    fn due(&self) -> bool {
        self.when().is_some_and(|when| host::now() >= when)
    }

    fn key_pressed(&mut self) -> bool {
        std::mem::take(&mut self.pressed)
    }

    fn play(&mut self, leg: &Leg<'_>, mailbox: &Mailbox, exit_key: Option<char>) {
        let Some(file) = &self.file else { return };
        let mut waiting = Waiting { mailbox, end: None, exit_key, pressed: false };
        if !leg.play(file, &mut waiting) && leg.ready() && !mailbox.has_letter() {
            log::warn!("comfort message {file:?} cannot be played to {}", leg.uuid());
            self.file = None;
        }
        self.pressed = waiting.pressed;
        self.next = host::now().after(self.interval);
    }
}

/// `silence` is how channels ask for none; as a file name it would not play.
fn spelled_out(music: String) -> String {
    if music == "silence" { "silence_stream://-1".into() } else { music }
}

/// Channel variables put aside, with what they held.
struct SetAside([Option<String>; AFTER_BRIDGE.len()]);

impl SetAside {
    fn take(leg: &Leg<'_>) -> SetAside {
        SetAside(AFTER_BRIDGE.map(|name| {
            let value = leg.var(name);
            leg.unset_var(name);
            value
        }))
    }

    fn give_back(&self, leg: &Leg<'_>) {
        for (name, value) in AFTER_BRIDGE.iter().zip(&self.0) {
            if let Some(value) = value {
                leg.set_var(name, value);
            }
        }
    }
}
