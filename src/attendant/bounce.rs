//! A transferred caller who got no slot: the parker rings at once and is told why, and the caller hears music meanwhile. If
//! the parker does not answer either, the fallback; without one it goes on in turn, and a slot that comes free is taken.

use std::sync::Arc;
use std::time::Duration;

use super::hold_music::Music;
use super::mailbox::{Letter, Mailbox};
use super::ring::JOIN;
use super::{Attendant, Retriever, Verdict, identity};
use crate::host::{self, HangupCause, Leg, Located};
use crate::parking::{Call, ParkRequest, Refusal, Terms};

/// How often such a caller looks whether a slot came free; the parker rings again after `park-timeout`, and not before.
const LOOK: Duration = Duration::from_secs(30);

/// What became of a caller without a slot.
pub(super) enum Bounced {
    /// A slot came free.
    Parked(Call),
    /// With a person, at the fallback, or gone: the application returns.
    Done,
}

/// The conversation with the parker is over.
fn after_talk(leg: &Leg<'_>) -> Bounced {
    if leg.ready() {
        leg.hang_up(HangupCause::NormalClearing);
    }
    Bounced::Done
}

impl Attendant {
    pub(super) fn bounce(&self, leg: &Leg<'_>, request: &ParkRequest, why: &Verdict) -> Bounced {
        let terms = self.terms_of(request);
        let mailbox = self.mailboxes.open(&request.uuid);
        let outcome = self.bounce_in_turn(leg, request, why, &terms, &mailbox);
        self.rings.cancel(&request.uuid);
        if let Bounced::Done = outcome {
            self.mailboxes.close(&request.uuid);
        }
        outcome
    }

    fn bounce_in_turn(
        &self,
        leg: &Leg<'_>,
        request: &ParkRequest,
        why: &Verdict,
        terms: &Arc<Terms>,
        mailbox: &Mailbox,
    ) -> Bounced {
        if !leg.make_audible() {
            return Bounced::Done;
        }
        let mut music = Music::choose(leg, terms);
        loop {
            let phrase = why.phrase().unwrap_or(c"callpark_full").to_string_lossy();
            let prefix = format!("{}: ", why.word());
            let rings = self.ring_for_bounced(&request.uuid, &request.parker, &phrase, prefix, &request.caller, terms);
            if rings && self.talked_to_parker(leg, &mut music, mailbox) {
                return after_talk(leg);
            }
            if mailbox.has_lost(leg) {
                return Bounced::Done;
            }
            if let Some(fallback) = &terms.fallback {
                match leg.can_reach(fallback) {
                    Ok(()) => {
                        log::info!(
                            "{} has no slot and no parker: to the fallback {}",
                            request.uuid,
                            fallback.extension
                        );
                        leg.transfer(&fallback.extension, fallback.dialplan.as_deref(), fallback.context.as_deref());
                        return Bounced::Done;
                    }
                    Err(why) => log::error!("fallback for {}: {why}", request.uuid),
                }
            }
            let next_ring = host::now().after(terms.park_timeout.max(LOOK));
            while host::now() < next_ring {
                music.play_until(leg, mailbox, next_ring.min(host::now().after(LOOK)));
                // A parker who answered at the last moment.
                if matches!(mailbox.take(leg), Some(Letter::Connect(parker)) if self.join(leg, &parker)) {
                    return after_talk(leg);
                }
                if mailbox.has_lost(leg) {
                    return Bounced::Done;
                }
                if why.word() == "denied" {
                    // A slot that comes free is not for them.
                    continue;
                }
                let parked = self.take_here(request, |table, now| table.park(request, false, now));
                match parked {
                    Ok(call) => return Bounced::Parked(call),
                    Err(Refusal::AlreadyParked(_)) => return Bounced::Done,
                    Err(_) if mailbox.has_lost(leg) => return Bounced::Done,
                    Err(_) => {}
                }
            }
        }
    }

    /// Music until the parker is there or does not answer. True if they talked.
    fn talked_to_parker(&self, leg: &Leg<'_>, music: &mut Music, mailbox: &Mailbox) -> bool {
        loop {
            match mailbox.take(leg) {
                Some(Letter::Connect(parker) | Letter::Return(parker)) => return self.join(leg, &parker),
                Some(Letter::NoAnswer | Letter::FallBack | Letter::Forget) => return false,
                None if mailbox.has_lost(leg) => return false,
                None => music.play(leg, mailbox, None),
            }
        }
    }

    fn join(&self, leg: &Leg<'_>, parker: &Retriever) -> bool {
        let Some(other) = Located::find(&parker.uuid).filter(|other| other.ready()) else { return false };
        let (caller, taker) = (identity::party(leg), identity::party(&other));
        self.bridge(leg, &other, &caller, &taker, &mut || {
            leg.set_var("callpark_result", "returned");
            log::info!("{} got no slot and was returned to {}", leg.uuid(), parker.user);
        })
    }

    /// The application on the parker's leg, after they were told why: joins them with their caller. `None`: it is no such leg.
    pub(crate) fn join_bounced(&self, leg: &Leg<'_>) -> Option<Verdict> {
        let uuid = &leg.var(JOIN)?;
        leg.unset_var(JOIN);
        let parker = Retriever { user: self.user_of(leg), uuid: leg.uuid() };
        if !self.mailboxes.post(uuid, Letter::Connect(parker)) {
            return Some(Verdict::LegGone);
        }
        let until = host::now().after(Duration::from_secs(10));
        while leg.ready() && host::now() < until {
            leg.sleep(Duration::from_millis(20));
        }
        if self.mailboxes.withdraw(uuid, &leg.uuid()) {
            // They hung up, or were sent elsewhere, before the caller's thread looked.
            self.mailboxes.post(uuid, Letter::NoAnswer);
        }
        Some(Verdict::Retrieved)
    }

    pub(super) fn terms_of(&self, request: &ParkRequest) -> Arc<Terms> {
        let terms = self.table.lock().terms_at(&request.place, super::park::wanted_slot(&request.wanted));
        request.amend.apply(&terms)
    }
}
