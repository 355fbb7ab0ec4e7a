//! Looking after a parked call, on its own leg's thread: music, the retriever, the end.

use std::time::Duration;

use super::mailbox::{Letter, Mailbox};
use super::park::millis;
use super::{Attendant, Notice, Retriever, What, identity};
use crate::host::{self, Bridged, HangupCause, Heard, Leg, Located};
use crate::parking::{Call, Ended, Left};

/// Heard where no music can be played: two short notes now and then say that the line is alive. Needs no file.
const LAST_RESORT: &str = "tone_stream://%(180,120,523.25);%(260,5500,659.25);loops=-1";

/// Variables by which the core would hang up or move the caller as a bridge ends. While a retriever is being connected
/// they are put aside: if that fails, the caller waits on.
const AFTER_BRIDGE: [&str; 3] = ["hangup_after_bridge", "park_after_bridge", "transfer_after_bridge"];

impl Attendant {
    /// Comes back when the call has its outcome and the leg is wanted elsewhere or gone.
    pub(super) fn look_after(&self, leg: &Leg<'_>, call: &Call, mailbox: &Mailbox) {
        let mut music = Music::choose(leg, call);
        loop {
            match mailbox.take() {
                Some(Letter::Connect(retriever)) => {
                    if self.connect(leg, call, &retriever) == Bridged::Talked {
                        // The conversation is over; what the dialplan has after parking is for calls that could not be.
                        if leg.ready() {
                            leg.hang_up(HangupCause::NormalClearing);
                        }
                        return;
                    }
                }
                None if leg.ready() => music.play(leg, mailbox),
                None => return self.say_goodbye(leg, call),
            }
        }
    }

    fn connect(&self, leg: &Leg<'_>, call: &Call, retriever: &Retriever) -> Bridged {
        let uuid = &call.facts.uuid;
        let other = Located::find(&retriever.uuid).filter(|other| other.ready());
        let (Some(other), true) = (other, leg.ready()) else {
            self.table.lock().release(uuid, &retriever.uuid, host::now());
            return Bridged::Never;
        };
        if let Some(tone) = &call.facts.terms.retrieve_tone {
            leg.play(tone, &mut || Heard::GoOn);
        }
        let (caller, taker) = (&call.facts.caller, identity::party(&other));
        other.present((&caller.name, &caller.number), (&taker.name, &taker.number));
        let set_aside = SetAside::take(leg);
        let outcome = leg.bridge(&other, &mut || {
            // A retriever who hung up in this very moment has not heard the caller.
            if other.hung_up() {
                return false;
            }
            set_aside.give_back(leg);
            self.connected(leg, &other, call, retriever);
            true
        });
        if outcome == Bridged::Never {
            set_aside.give_back(leg);
            self.table.lock().release(uuid, &retriever.uuid, host::now());
            log::warn!("{} could not be connected with {uuid} in slot {}", retriever.uuid, call.facts.slot);
        }
        outcome
    }

    fn connected(&self, leg: &Leg<'_>, other: &Leg<'_>, call: &Call, retriever: &Retriever) {
        self.mailboxes.close(&call.facts.uuid);
        let ended = self.table.lock().connected(&call.facts.uuid, host::now());
        let Some(ended) = ended else { return };
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
        let how = if leg.hung_up() { Left::HungUp } else { Left::Moved };
        let ended = self.table.lock().left(&call.facts.uuid, how, host::now());
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

/// What a parked caller hears: the first of these that plays.
struct Music {
    choices: Vec<String>,
}

impl Music {
    fn choose(leg: &Leg<'_>, call: &Call) -> Music {
        let asked = [call.facts.terms.hold_music.clone(), leg.hold_music()];
        let mut choices: Vec<String> = asked.into_iter().flatten().map(spelled_out).collect();
        choices.push("local_stream://moh".into());
        choices.push(LAST_RESORT.into());
        choices.dedup();
        Music { choices }
    }

    /// Plays until there is a letter or the leg is wanted elsewhere. What cannot be played is not tried again.
    fn play(&mut self, leg: &Leg<'_>, mailbox: &Mailbox) {
        let look = &mut || if mailbox.has_letter() { Heard::Stop } else { Heard::GoOn };
        let Some(choice) = self.choices.first() else {
            return leg.sleep(Duration::from_millis(20));
        };
        let began = host::now();
        let played = leg.play(choice, look);
        if played || !leg.ready() || mailbox.has_letter() {
            // A file so short that it ended at once would spin this thread.
            if host::now().since(began) < Duration::from_millis(20) && leg.ready() {
                leg.sleep(Duration::from_millis(20));
            }
            return;
        }
        if self.choices.len() > 2 {
            log::warn!("hold music {choice:?} cannot be played to {}; trying the next", leg.uuid());
        }
        self.choices.remove(0);
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
