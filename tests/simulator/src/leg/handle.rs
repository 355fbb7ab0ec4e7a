//! A test's hands and ears at the far end of a leg.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{ChannelState, LegId, LegState, Sound};
use crate::cause::Cause;
use crate::core::Core;

/// What a leg heard, and when (virtual time since the world began).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeardSound {
    pub from: Duration,
    pub to: Duration,
    pub sound: Sound,
}

/// One side of a call, as whoever holds the phone sees it. It may be used after the leg is gone: then it tells how it was.
///
/// What a test does with it has taken effect, as far as that takes no time, when the call comes back.
#[derive(Clone)]
pub struct Leg {
    core: Arc<Core>,
    id: LegId,
}

impl fmt::Debug for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hears, application) = self.see(|leg| (leg.hears.clone(), leg.application.clone()));
        write!(f, "leg {} in {:?}, application {application:?}, hears {hears:?}", self.uuid(), self.state())
    }
}

impl PartialEq for Leg {
    fn eq(&self, other: &Leg) -> bool {
        Arc::ptr_eq(&self.core, &other.core) && self.id == other.id
    }
}

impl Leg {
    pub(crate) fn new(core: Arc<Core>, id: LegId) -> Leg {
        Leg { core, id }
    }

    fn see<R>(&self, what: impl FnOnce(&mut LegState) -> R) -> R {
        self.core.leg(self.id, what)
    }

    pub fn uuid(&self) -> String {
        self.see(|leg| leg.uuid.clone())
    }

    /// Hangs up, normally.
    pub fn hang_up(&self) {
        self.hang_up_because(Cause::NORMAL_CLEARING);
    }

    pub fn hang_up_because(&self, cause: Cause) {
        self.core.hang_up(self.id, cause);
        self.core.settle();
    }

    /// Presses keys, as fast as they can be taken.
    pub fn press(&self, keys: &str) {
        self.see(|leg| leg.keys.extend(keys.chars()));
        self.core.changed(self.id);
        self.core.settle();
    }

    /// The far end refuses when the host answers this leg.
    pub fn refuse_answer(&self) {
        self.see(|leg| leg.refuses_answer = true);
    }

    /// Lets the media of this leg go past the host, as in a call with bypassed media.
    pub fn bypass_media(&self) {
        self.see(|leg| leg.bypassed = true);
    }

    /// Sends the leg to an extension of the dialplan, as the command `uuid_transfer` does. False if the host refuses.
    pub fn transfer(&self, extension: &str) -> bool {
        self.transfer_to(extension, None, None)
    }

    /// As [`Leg::transfer`], to another dialplan (`inline` too) or context.
    pub fn transfer_to(&self, extension: &str, dialplan: Option<&str>, context: Option<&str>) -> bool {
        let done = self.is_up() && self.core.transfer(self.id, extension, dialplan, context);
        self.core.settle();
        done
    }

    /// Blind transfer by the phone of this leg, which must be in a conversation: the other party goes to `extension`, and
    /// this phone hangs up. `by` is what the phone's Referred-By header says (`1001@example.com`). Answers with the other
    /// party.
    pub fn blind_transfer(&self, extension: &str, by: &str) -> Leg {
        let other = self.partner().expect("a blind transfer needs a conversation");
        other.referred(extension, by);
        self.core.transfer(other.id, extension, None, None);
        self.core.settle();
        // The phone is told that the transfer was accepted, and ends its own call.
        self.hang_up();
        other
    }

    /// Attended transfer by the phone that has this leg, in a conversation, and the leg `consultation`: the other party
    /// takes the consultation's place. Where that is with an application, the host dials its extension again.
    pub fn attended_transfer(&self, consultation: &Leg, by: &str) -> Leg {
        let other = self.partner().expect("an attended transfer needs a conversation");
        let (inline, dialled) = consultation.see(|leg| {
            (leg.variable("inline_destination").map(str::to_owned), leg.profile.field("destination_number"))
        });
        match inline {
            Some(inline) => {
                other.referred(&dialled, by);
                self.core.transfer(other.id, &inline, Some("inline"), None)
            }
            None => {
                other.referred(&dialled, by);
                self.core.transfer(other.id, &dialled, None, None)
            }
        };
        self.core.settle();
        self.hang_up_because(Cause::ATTENDED_TRANSFER);
        consultation.hang_up_because(Cause::ATTENDED_TRANSFER);
        other
    }

    /// What mod_sofia leaves on a leg that a REFER moves.
    fn referred(&self, extension: &str, by: &str) {
        self.see(|leg| {
            leg.set_variable("sip_h_Referred-By", Some(&format!("<sip:{by}>")));
            leg.set_variable(
                "sip_refer_to",
                Some(&format!("<sip:{extension}@{}>", by.rsplit('@').next().unwrap_or(by))),
            );
        });
    }

    /// Runs an application in the middle of this leg's conversation, as a feature code does (`bind_meta_app`).
    pub fn feature(&self, application: &str, data: &str) {
        self.see(|leg| leg.asides.push_back((application.to_owned(), data.to_owned())));
        self.core.changed(self.id);
        self.core.settle();
    }

    /// A variable, a field of the caller profile, or a global, as the dialplan sees it.
    pub fn var(&self, name: &str) -> Option<String> {
        self.core.look_up(self.id, name)
    }

    pub fn set_var(&self, name: &str, value: &str) {
        self.see(|leg| leg.set_variable(name, Some(value)));
    }

    pub fn state(&self) -> ChannelState {
        self.see(|leg| leg.state)
    }

    pub fn is_up(&self) -> bool {
        self.see(|leg| !leg.is_down())
    }

    pub fn is_answered(&self) -> bool {
        self.see(|leg| leg.answered)
    }

    /// Why it is down; [`Cause::NONE`] while it is up.
    pub fn cause(&self) -> Cause {
        self.see(|leg| leg.cause)
    }

    /// The application that runs on it.
    pub fn application(&self) -> Option<String> {
        self.see(|leg| leg.application.clone())
    }

    /// Whom it talks to.
    pub fn partner(&self) -> Option<Leg> {
        let uuid = self.see(|leg| match &leg.hears {
            Sound::Talking(uuid) if !leg.is_down() => Some(uuid.clone()),
            _ => None,
        })?;
        let id = self.core.state().legs.find(&uuid)?;
        Some(Leg::new(Arc::clone(&self.core), id))
    }

    /// Both hear each other.
    pub fn talks_to(&self, other: &Leg) -> bool {
        self.partner().as_ref() == Some(other) && other.partner().as_ref() == Some(self)
    }

    /// What it hears now; `None` once it is down.
    pub fn hears(&self) -> Option<Sound> {
        self.see(|leg| (!leg.is_down()).then(|| leg.hears.clone()))
    }

    /// All that it has heard, what it hears now included.
    pub fn heard(&self) -> Vec<HeardSound> {
        let now = self.core.since_start();
        self.see(|leg| {
            let mut heard = leg.heard.clone();
            if !leg.is_down() && now > leg.hears_since {
                heard.push(HeardSound { from: leg.hears_since, to: now, sound: leg.hears.clone() });
            }
            heard
        })
    }

    /// The longest time on end for which it heard nothing at all with the line up. Pieces of silence that follow each other
    /// count as one.
    pub fn longest_silence(&self) -> Duration {
        let (mut longest, mut silence, mut until) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        for heard in self.heard() {
            let goes_on = heard.from == until;
            until = heard.to;
            silence = match heard.sound.is_silence() {
                true if goes_on => silence + (heard.to - heard.from),
                true => heard.to - heard.from,
                false => Duration::ZERO,
            };
            longest = longest.max(silence);
        }
        longest
    }

    /// Read locks that somebody holds on its session.
    pub fn read_locks(&self) -> usize {
        self.see(|leg| leg.locks.len())
    }

    /// Nothing is left of it in the host.
    pub fn is_gone(&self) -> bool {
        self.see(|leg| leg.destroyed)
    }
}
