//! Reports results: as variables, log lines, events and phrases.

use super::call_log::{About, log_call};
use super::{EventKind, ParkEvent, ParkingService, Prompt, Retriever, identity};
use crate::freeswitch::{Leg, PlayToEnd};
use crate::parking::{LotId, NoSlotReason, Refusal, Slot};

/// The result of an application, which is the value of `callpark_result`.
#[derive(Clone, Debug)]
pub(crate) enum AppResult {
    Parked,
    Retrieved,
    Refused(Refusal),
    /// The data of the application is invalid, for this reason.
    Invalid(String),
    /// The leg hung up or was moved in the meantime.
    LegGone,
}

impl AppResult {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            AppResult::Parked => "parked",
            AppResult::Retrieved => "retrieved",
            AppResult::Refused(refusal) => refusal.name(),
            AppResult::Invalid(_) => "invalid",
            AppResult::LegGone => "gone",
        }
    }

    /// Why a leg that was to be parked has no slot.
    pub(super) fn no_slot(&self) -> Option<NoSlotReason> {
        match self {
            AppResult::Refused(refusal) => refusal.no_slot(),
            AppResult::Invalid(_) => Some(NoSlotReason::Invalid),
            AppResult::Parked | AppResult::Retrieved | AppResult::LegGone => None,
        }
    }

    /// The prompt that explains the result; `None` if there is nothing to explain.
    fn prompt(&self) -> Option<Prompt> {
        if matches!(self, AppResult::LegGone) { None } else { prompt_of(self.name()) }
    }
}

/// Returns the prompt that explains a refusal, by the value of `callpark_result`.
pub(super) fn prompt_of(word: &str) -> Option<Prompt> {
    Some(Prompt::Refusal(match word {
        "full" => c"callpark_full",
        "empty" => c"callpark_empty",
        "taken" => c"callpark_taken",
        "denied" => c"callpark_denied",
        "invalid" => c"callpark_invalid",
        "limit" => c"callpark_limit",
        "gone" => c"callpark_gone",
        _ => return None,
    }))
}

impl ParkingService {
    /// Reports a refusal as a variable, in the log and as an event.
    pub(super) fn refuse(
        &self,
        leg: &Leg<'_>,
        doing: &str,
        result: AppResult,
        lot: Option<&LotId>,
        slot: Option<&Slot>,
    ) -> AppResult {
        self.refuse_to(leg, None, doing, result, lot, slot)
    }

    /// Reports the refusal of a retrieval.
    pub(super) fn refuse_retriever(
        &self,
        leg: &Leg<'_>,
        result: AppResult,
        lot: Option<&LotId>,
        slot: Option<&Slot>,
    ) -> AppResult {
        let retriever = Retriever { user: self.user_of(leg), uuid: leg.uuid() };
        self.refuse_to(leg, Some(&retriever), "retrieval", result, lot, slot)
    }

    fn refuse_to(
        &self,
        leg: &Leg<'_>,
        retriever: Option<&Retriever>,
        doing: &str,
        result: AppResult,
        lot: Option<&LotId>,
        slot: Option<&Slot>,
    ) -> AppResult {
        leg.set_var("callpark_result", result.name());
        let why = match &result {
            AppResult::Refused(refusal) => refusal.to_string(),
            AppResult::Invalid(why) => why.clone(),
            _ => result.name().to_owned(),
        };
        let caller = identity::party(leg).number;
        let about = About {
            slot: slot.map(|slot| slot as _),
            lot: lot.map(|lot| lot as _),
            caller: Some(&caller),
            ..leg.into()
        };
        log_call!(Info, about, result = result.name(), cause = why; "refused {doing}");
        let refusal = if let AppResult::Refused(refusal) = &result { refusal.no_slot() } else { None };
        let kind = match refusal {
            Some(NoSlotReason::Full) => Some(EventKind::Full),
            Some(NoSlotReason::Denied | NoSlotReason::Limit) => Some(EventKind::Denied),
            _ => None,
        };
        if let Some(kind) = kind {
            let refused_lot = match &result {
                AppResult::Refused(Refusal::Full(lot)) => Some(lot),
                _ => lot,
            };
            if let Some(lot) = refused_lot.filter(|_| kind == EventKind::Full) {
                self.tell_history(|history| history.count_refused(lot));
            }
            self.publish(&ParkEvent {
                leg: Some(leg),
                lot: refused_lot,
                slot,
                retriever,
                cause: Some(&why),
                ..ParkEvent::of(kind)
            });
        }
        result
    }

    /// Tells the leg the reason of a refusal.
    pub(super) fn explain(&self, leg: &Leg<'_>, result: AppResult, slot: Option<&Slot>) -> AppResult {
        if let Some(prompt) = result.prompt().filter(|_| leg.ready()) {
            self.say(leg, prompt, slot.map_or("", Slot::as_str), &mut PlayToEnd);
        }
        result
    }
}
