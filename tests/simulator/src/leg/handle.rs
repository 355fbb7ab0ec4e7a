//! The interface with which a test controls the far end of a leg.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{ChannelState, LegId, LegState, Sound};
use crate::cause::Cause;
use crate::core::Core;

/// A sound that a leg heard, with the virtual times since the start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeardSound {
    pub from: Duration,
    pub to: Duration,
    pub sound: Sound,
}

/// One leg, as the user of the phone sees it. It can be used after the leg has ended, and then shows its last state.
///
/// When an action returns, everything that takes no time has happened.
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

    /// Hangs up with a normal cause.
    pub fn hang_up(&self) {
        self.hang_up_because(Cause::NORMAL_CLEARING);
    }

    pub fn hang_up_because(&self, cause: Cause) {
        self.core.hang_up(self.id, cause);
        self.core.settle();
    }

    /// Answers the phone, which rings.
    pub fn answer(&self) {
        self.core.mark_answered(self.id);
        self.core.settle();
    }

    /// The phone puts the other party on hold, or resumes the call.
    pub fn set_on_hold(&self, holding: bool) {
        self.see(|leg| leg.holding = holding);
    }

    /// Sends DTMF digits, as fast as they are accepted.
    pub fn press(&self, keys: &str) {
        self.core.receive_digits(self.id, keys);
    }

    /// The DTMF digits that FreeSWITCH has sent to the far end.
    pub fn digits(&self) -> String {
        self.see(|leg| leg.dtmf.sent.clone())
    }

    /// Lets the far end refuse the answer of this leg.
    pub fn refuse_answer(&self) {
        self.see(|leg| leg.refuses_answer = true);
    }

    /// Puts this leg into bypass media.
    pub fn bypass_media(&self) {
        self.see(|leg| leg.bypassed = true);
    }

    /// Transfers the leg to an extension of the dialplan, as the command `uuid_transfer` does. Returns false if FreeSWITCH refuses.
    pub fn transfer(&self, extension: &str) -> bool {
        self.transfer_to(extension, None, None)
    }

    /// Transfers the leg as [`Leg::transfer`] does, to another dialplan (also `inline`) or context.
    pub fn transfer_to(&self, extension: &str, dialplan: Option<&str>, context: Option<&str>) -> bool {
        let done = self.is_up() && self.core.transfer(self.id, extension, dialplan, context);
        self.core.settle();
        done
    }

    /// Makes a blind transfer by the phone of this leg, which must be in a conversation: the other party goes to `extension`, and this phone hangs
    /// up. `by` is the user in the Referred-By header (`1001@example.com`). Returns the other party.
    pub fn blind_transfer(&self, extension: &str, by: &str) -> Leg {
        let other = self.partner().expect("a blind transfer needs a conversation");
        other.referred(extension, by);
        self.core.transfer(other.id, extension, None, None);
        self.core.settle();
        // The phone ends its own call after the transfer was accepted.
        self.hang_up();
        other
    }

    /// Makes an attended transfer by the phone that has this leg, in a conversation, and the leg `consultation`: the other party replaces the
    /// consultation. If that runs an application, FreeSWITCH dials its extension again.
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

    /// Sets the variables that mod_sofia sets on a leg that a REFER moves.
    fn referred(&self, extension: &str, by: &str) {
        self.see(|leg| {
            leg.set_variable("sip_h_Referred-By", Some(&format!("<sip:{by}>")));
            leg.set_variable(
                "sip_refer_to",
                Some(&format!("<sip:{extension}@{}>", by.rsplit('@').next().unwrap_or(by))),
            );
        });
    }

    /// Runs an application during this leg's conversation, as a feature code does (`bind_meta_app`).
    pub fn feature(&self, application: &str, data: &str) {
        self.see(|leg| leg.asides.push_back((application.to_owned(), data.to_owned())));
        self.core.changed(self.id);
        self.core.settle();
    }

    /// A variable, a field of the caller profile, or a global variable, as the dialplan sees it.
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

    /// The hangup cause; [`Cause::NONE`] while the leg is up.
    pub fn cause(&self) -> Cause {
        self.see(|leg| leg.cause)
    }

    /// The application that runs on the leg.
    pub fn application(&self) -> Option<String> {
        self.see(|leg| leg.application.clone())
    }

    /// The leg with which this leg is bridged.
    pub fn partner(&self) -> Option<Leg> {
        let uuid = self.see(|leg| match &leg.hears {
            Sound::Talking(uuid) if !leg.is_down() => Some(uuid.clone()),
            _ => None,
        })?;
        let id = self.core.state().legs.find(&uuid)?;
        Some(Leg::new(Arc::clone(&self.core), id))
    }

    /// Whether both legs hear each other.
    pub fn talks_to(&self, other: &Leg) -> bool {
        self.partner().as_ref() == Some(other) && other.partner().as_ref() == Some(self)
    }

    /// The present sound, or `None` after the end of the leg.
    pub fn hears(&self) -> Option<Sound> {
        self.see(|leg| (!leg.is_down()).then(|| leg.hears.clone()))
    }

    /// All sounds, including the present one.
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

    /// The longest time without any sound while the leg was answered. Consecutive pieces of silence count as one.
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

    /// The number of read locks on its session.
    pub fn read_locks(&self) -> usize {
        self.see(|leg| leg.locks.len())
    }

    /// Whether FreeSWITCH has destroyed the leg.
    pub fn is_gone(&self) -> bool {
        self.see(|leg| leg.destroyed)
    }
}
