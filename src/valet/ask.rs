//! Asks a leg for the slot.

use super::data::Question;
use crate::freeswitch::Leg;
use crate::parking::{MAX_SLOT_LENGTH, Slot};
use crate::service::{ParkingService, Prompt, ask_digits};

/// How often the question is asked.
const TRIES: usize = 3;

/// Returns the slot that the far end has dialled; `None` if there was none.
pub(super) fn ask(service: &ParkingService, leg: &Leg<'_>, question: &Question) -> Option<Slot> {
    let most = question.max_digits.min(MAX_SLOT_LENGTH);
    let digits = || {
        ask_digits(leg, most, question.timeout, &|_| false, |keys| {
            if !leg.play(&question.prompt, keys) {
                service.say(leg, Prompt::AskSlot, "", keys);
            }
        })
    };
    let is_long_enough = |digits: &String| digits.len() >= question.min_digits;
    (0..TRIES).find_map(|_| digits().filter(is_long_enough)).and_then(|digits| Slot::parse(&digits))
}
