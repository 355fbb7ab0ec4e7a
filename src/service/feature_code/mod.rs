//! The feature code: a user presses it in a conversation to park the other party, without any dialplan.
//!
//! Each leg has a hook for its digits from its beginning, before a dialplan can add another one. In a conversation of a user, the hook keeps the
//! digits that may belong to the code:
//!
//! - A digit that does not continue the code releases them, in order, for the other party. So does a pause, by a thread that runs only while
//!   digits are kept.
//! - When the code is complete, a thread of its own finds out whether the leg belongs to a user, for which it may ask the directory. Then it starts the
//!   application `callpark_feature_code` on the leg, or releases the digits.
//!
//! The lock of a leg's digits, which the core holds during the hook, makes each of these steps one: no digit overtakes another.

mod kept_digits;
mod press;

use std::sync::Arc;

use once_cell::sync::OnceCell;

use super::ParkingService;
use crate::freeswitch::{
    Digit, DigitAction, DigitHook, DigitHooks, Leg, NewLegs, OnDigit, OnNewLeg, SessionGuard, StateLookup,
};
use crate::parking::CodeMatch;
use kept_digits::{KeptDigit, KeptDigits, KeptFor};
use press::Presses;

/// The variable with the UUID of the other end of a loopback channel (`mod_loopback.c`).
const FAR_LOOPBACK_LEG: &str = "other_loopback_leg_uuid";

/// What the feature code needs while the module is loaded.
#[derive(Debug, Default)]
pub(super) struct FeatureCodes {
    hook: OnceCell<DigitHook>,
    kept: KeptDigits,
    presses: Presses,
}

/// The registrations for new legs and for digits. They are dropped from top to bottom.
#[expect(dead_code, reason = "they are held until they are dropped")]
pub(crate) struct FeatureCodeHooks {
    new_legs: NewLegs,
    digits: DigitHooks,
}

/// Sees the digits of all legs from now on. Returns `None` if the core has no room for the registration.
pub(crate) fn hook_digits<W: StateLookup<ParkingService>>(service: &ParkingService) -> Option<FeatureCodeHooks> {
    let hook = *service.feature_codes.hook.get_or_init(DigitHook::new::<Digits, W>);
    // New legs first, so that no leg is missed in between.
    let new_legs = NewLegs::register::<HookDigits, W>()?;
    Some(FeatureCodeHooks { new_legs, digits: DigitHooks::add(hook) })
}

struct HookDigits;

impl OnNewLeg for HookDigits {
    type Context = ParkingService;

    fn on_new_leg(service: &Arc<ParkingService>, leg: &Leg<'_>) {
        if let Some(hook) = service.feature_codes.hook.get() {
            hook.add_to(leg);
        }
    }
}

struct Digits;

impl OnDigit for Digits {
    type Context = ParkingService;

    fn on_digit(service: &Arc<ParkingService>, leg: &Leg<'_>, digit: Digit) -> DigitAction {
        service.on_digit(leg, digit)
    }
}

impl ParkingService {
    fn on_digit(self: &Arc<Self>, leg: &Leg<'_>, digit: Digit) -> DigitAction {
        let (config, uuid) = (self.config.get(), leg.uuid());
        let digit = KeptDigit { digit, is_ours: !leg.has_bound_digits() };
        // The code is complete, and it is not known yet whether it counts.
        if self.feature_codes.kept.append_to_code(&uuid, digit) {
            return DigitAction::Take;
        }
        let mut kept = self.feature_codes.kept.take(&uuid);
        kept.push(digit);
        let keys: Vec<char> = kept.iter().map(|kept| kept.digit.key()).collect();
        let found =
            config.settings.feature_code.as_ref().map_or(CodeMatch::Beginning(keys.len()), |code| code.find(&keys));
        let (CodeMatch::Beginning(passed) | CodeMatch::Complete(passed)) = found;
        if passed == keys.len() || !self.may_use_feature_code(leg) {
            kept.pop();
            KeptDigit::release(leg, kept);
            return DigitAction::Pass;
        }
        KeptDigit::release(leg, kept.drain(..passed));
        let is_kept = match found {
            CodeMatch::Beginning(_) => self.keep_digits(&uuid, kept.clone(), KeptFor::NextDigit),
            CodeMatch::Complete(_) => self.start_press(leg, kept.clone()),
        };
        if is_kept {
            return DigitAction::Take;
        }
        kept.pop();
        KeptDigit::release(leg, kept);
        DigitAction::Pass
    }

    /// Whether the digits of a leg may park its other party: the leg is in a conversation, and may belong to a user. It does not ask the directory.
    fn may_use_feature_code(&self, leg: &Leg<'_>) -> bool {
        let Some(partner) = leg.partner() else { return false };
        !leg.runs_application_in_bridge() && self.may_belong_to_user(leg) && !leads_to_application(&partner)
    }

    /// Ends the feature code at unload. No leg has the hook any more.
    pub(super) fn end_feature_code(&self) {
        self.feature_codes.presses.end();
        self.end_kept_digits();
    }
}

/// Whether a leg is the near end of a loopback channel whose far end is in an application, such as a mailbox.
fn leads_to_application(partner: &str) -> bool {
    let far_end = SessionGuard::find(partner).and_then(|leg| leg.var(FAR_LOOPBACK_LEG));
    far_end.and_then(|uuid| SessionGuard::find(&uuid)).is_some_and(|leg| leg.partner().is_none())
}
