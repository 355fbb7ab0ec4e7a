//! Decides what is due for a call that nobody retrieves: recalls, then the fallback.

use std::sync::Arc;
use std::time::Duration;

use super::park::RESERVATION;
use super::{LotPlan, Table};
use crate::parking::call::{Call, CallId, CallInfo, Ended, MonotonicTime, State};
use crate::parking::outcome::Outcome;
use crate::parking::refusal::Refusal;

/// The minimum time after which a fallback that failed is tried again.
const FALLBACK_RETRY: Duration = Duration::from_secs(30);

/// The minimum time after which the parker of a caller without a slot is rung again.
const RECALL_INTERVAL_WHILE_WAITING_FOR_SLOT: Duration = Duration::from_secs(30);

/// Why a caller goes to the fallback and the parker is not rung.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FallbackReason {
    /// `max-park-time` is over.
    MaxParkTime,
    /// The settings name nobody who could be rung.
    NobodyToRing,
    /// All recalls have failed.
    NoRecallLeft,
}

impl FallbackReason {
    /// The reason as the log has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FallbackReason::MaxParkTime => "max-park-time is over",
            FallbackReason::NobodyToRing => "there is nobody to ring",
            FallbackReason::NoRecallLeft => "no recall is left",
        }
    }
}

/// How often in a row a busy parker is called again.
pub(super) const MAX_BUSY_RETRIES: u32 = 6;

/// Why a recall failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecallFailure {
    /// The phone of the parker is busy.
    Busy,
    /// Nobody answered, for any other reason.
    NotAnswered,
}

/// Something that is due for a call. The call is as it is afterwards.
#[derive(Clone, Debug)]
pub enum TimerAction {
    /// Begin a recall.
    RingBack(Call),
    /// Send the caller to the fallback, and end a recall that rings.
    Fallback(Call, FallbackReason),
    /// Send the leg to its slot again, because it has not arrived.
    Fetch(Call),
    /// The leg for which a slot was reserved has not arrived, and the slot is free. No call was parked.
    Lapsed(Ended),
    /// A parked call has ended, for this cause: [`Ended::NOT_ARRIVED`] or [`Ended::NOT_RECOVERED`].
    Ended(Ended, &'static str),
    /// Remind of a caller who has waited for long.
    Remind(Call),
    /// There is a slot for a caller who has none; see [`Table::assign`].
    SlotFree(Call),
}

impl Call {
    /// Begins the wait of the caller.
    pub(super) fn start_waiting(&mut self, now: MonotonicTime) {
        self.state = State::Parked;
        self.was_parked = true;
        self.parked_at = now;
        self.max_park_end = self.max_park_end_by_settings();
        self.deadline = self.next_deadline(now);
    }

    /// When the caller goes to the fallback at the latest, by `max-park-time`; `None` if there is no limit or no fallback.
    pub(super) fn max_park_end_by_settings(&self) -> Option<MonotonicTime> {
        let settings = &self.info.settings;
        let limited = !settings.max_park_time.is_zero() && settings.has_fallback();
        limited.then(|| self.parked_at.after(settings.max_park_time))
    }

    /// When something is due for a caller who begins to wait now.
    pub(super) fn next_deadline(&self, now: MonotonicTime) -> Option<MonotonicTime> {
        let settings = &self.info.settings;
        let something_to_do = self.can_ring() || settings.has_fallback();
        let wait = if self.waits_for_slot() {
            settings.park_timeout.max(RECALL_INTERVAL_WHILE_WAITING_FOR_SLOT)
        } else {
            settings.park_timeout
        };
        let turn = (something_to_do && !wait.is_zero()).then(|| now.after(wait));
        match (turn, self.max_park_end) {
            (Some(turn), Some(latest)) => Some(turn.min(latest)),
            (turn, latest) => turn.or(latest),
        }
    }

    /// Whether the present recall is to be repeated, because it found the parker busy.
    #[must_use]
    pub fn waits_for_busy_parker(&self) -> bool {
        self.busy > 0 && self.state == State::Parked
    }

    /// When a parker who is busy is called again; `None` if the recall is over.
    fn busy_retry(&self, now: MonotonicTime) -> Option<MonotonicTime> {
        let after = self.info.settings.ringback_busy_retry;
        let repeats = !after.is_zero() && self.busy < MAX_BUSY_RETRIES && self.can_ring();
        repeats.then(|| now.after(after)).map(|at| self.max_park_end.map_or(at, |latest| latest.min(at)))
    }

    fn is_past_max_park_time(&self, now: MonotonicTime) -> bool {
        self.max_park_end.is_some_and(|latest| latest <= now)
    }
}

impl Table {
    /// Returns everything that is due by `now`, each thing once. A free slot is offered until it is taken.
    pub fn due(&mut self, now: MonotonicTime) -> Vec<TimerAction> {
        let ids: Vec<CallId> = self.deadlines.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect();
        let mut due: Vec<TimerAction> = ids.into_iter().filter_map(|id| self.due_for(id, now)).collect();
        due.extend(self.due_reminders(now));
        due.extend(self.calls_with_free_slot().into_iter().map(TimerAction::SlotFree));
        due
    }

    /// When the next thing is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<MonotonicTime> {
        let first = [self.deadlines.first(), self.reminders.first()];
        first.into_iter().flatten().map(|(at, _)| *at).min()
    }

    fn due_for(&mut self, id: CallId, now: MonotonicTime) -> Option<TimerAction> {
        let call = self.calls.get(&id)?;
        match call.state {
            State::Reserved if !call.fetched => self.fetch(id, now),
            State::Reserved | State::Expected => {
                let ended = self.end(id, Outcome::Abandoned, now)?;
                Some(match ended.call.was_parked {
                    true => TimerAction::Ended(ended, Ended::NOT_ARRIVED),
                    false => TimerAction::Lapsed(ended),
                })
            }
            State::AwaitingRecovery => {
                let ended = self.end(id, Outcome::Abandoned, now)?;
                Some(TimerAction::Ended(ended, Ended::NOT_RECOVERED))
            }
            // This is decided when the connection has succeeded or failed, or by the other node.
            State::Retrieving { .. } | State::OnOtherNode { .. } => None,
            // The thread of the leg should have reported the result long ago.
            State::FallingBack => {
                self.fallback_failed(&call.info.uuid.clone(), now);
                None
            }
            State::RingingBack => {
                call.is_past_max_park_time(now).then(|| self.fall_back(id, FallbackReason::MaxParkTime, now)).flatten()
            }
            State::Parked => {
                let fallback = call.info.settings.has_fallback();
                let why_not_rung = if fallback && call.is_past_max_park_time(now) {
                    Some(FallbackReason::MaxParkTime)
                } else if !call.can_ring() {
                    Some(FallbackReason::NobodyToRing)
                } else if fallback && call.busy == 0 && call.rings_left == 0 {
                    Some(FallbackReason::NoRecallLeft)
                } else {
                    None
                };
                match why_not_rung {
                    None => self.ring(id),
                    Some(why) if fallback => self.fall_back(id, why, now),
                    Some(_) => {
                        self.set_deadline(id, None);
                        None
                    }
                }
            }
        }
    }

    fn fetch(&mut self, id: CallId, now: MonotonicTime) -> Option<TimerAction> {
        self.update(id, |call| call.fetched = true);
        self.set_deadline(id, Some(now.after(RESERVATION)));
        self.calls.get(&id).cloned().map(TimerAction::Fetch)
    }

    fn fall_back(&mut self, id: CallId, why: FallbackReason, now: MonotonicTime) -> Option<TimerAction> {
        self.update(id, |call| call.state = State::FallingBack);
        self.set_deadline(id, Some(now.after(FALLBACK_RETRY)));
        self.calls.get(&id).cloned().map(|call| TimerAction::Fallback(call, why))
    }

    fn ring(&mut self, id: CallId) -> Option<TimerAction> {
        self.update(id, |call| {
            call.state = State::RingingBack;
            // A recall that is repeated because the parker was busy is the same one.
            if call.busy == 0 {
                call.attempt = call.attempt.saturating_add(1);
                call.rings_left = call.rings_left.saturating_sub(1);
            }
        });
        let latest = self.calls.get(&id).and_then(|call| call.max_park_end);
        self.set_deadline(id, latest);
        self.calls.get(&id).cloned().map(TimerAction::RingBack)
    }

    /// Begins a recall now, before the time-out.
    pub fn ring_now(&mut self, uuid: &str) -> Result<TimerAction, Refusal> {
        let call = self.call_of(uuid)?;
        let (id, slot) = (call.id, call.info.slot.clone());
        match call.state {
            State::Parked if call.can_ring() => self.ring(id).ok_or(Refusal::Gone(slot)),
            State::Parked => Err(Refusal::NobodyToRing(slot)),
            State::RingingBack => Err(Refusal::Busy(slot, "ringing back already")),
            State::Reserved | State::Expected | State::FallingBack => Err(Refusal::Busy(slot, "on its way")),
            State::Retrieving { .. } | State::AwaitingRecovery | State::OnOtherNode { .. } => Err(Refusal::Gone(slot)),
        }
    }

    /// Claims a call for the leg that answered recall number `attempt`. Returns false if somebody else was quicker.
    pub fn ring_answered(&mut self, uuid: &str, attempt: u32, by: &str) -> bool {
        let Some(id) = self.if_ringing(uuid, attempt) else { return false };
        self.update(id, |call| call.state = State::Retrieving { by: by.into(), returning: true })
    }

    /// Ends recall number `attempt`, which nobody answered, or lets it wait until a busy parker is called again. Returns the call, which waits on, or
    /// `None` if that recall has ended already.
    pub fn ring_failed(
        &mut self,
        uuid: &str,
        attempt: u32,
        failure: RecallFailure,
        now: MonotonicTime,
    ) -> Option<Call> {
        let id = self.if_ringing(uuid, attempt)?;
        let call = self.calls.get(&id)?;
        match call.busy_retry(now).filter(|_| failure == RecallFailure::Busy) {
            Some(at) => {
                self.update(id, |call| {
                    call.state = State::Parked;
                    call.busy = call.busy.saturating_add(1);
                });
                self.set_deadline(id, Some(at));
            }
            None => self.wait_on(id, true, now),
        }
        self.calls.get(&id).cloned()
    }

    /// Lets a caller whose fallback could not be reached wait on in the same slot. Recalls and the fallback begin again, without `max-park-time`: its
    /// limit has passed or soon will, and would make the fallback that has just failed due again at once, in place of the recalls.
    pub fn fallback_failed(&mut self, uuid: &str, now: MonotonicTime) -> Option<Call> {
        let id = *self.by_uuid.get(uuid)?;
        let falling = self.calls.get(&id).is_some_and(|call| call.state == State::FallingBack);
        if !falling {
            return None;
        }
        self.update(id, |call| {
            call.state = State::Parked;
            call.rings_left = if call.waits_for_slot() { 1 } else { call.info.settings.ringback_attempts };
            call.busy = 0;
            call.max_park_end = None;
        });
        let wait = self.calls.get(&id).map(|call| call.info.settings.park_timeout.max(FALLBACK_RETRY));
        self.set_deadline(id, wait.map(|wait| now.after(wait)));
        self.schedule_reminder(id);
        self.calls.get(&id).cloned()
    }

    /// Moves the next time-out by `more`.
    pub fn extend(&mut self, uuid: &str, more: Duration) -> Result<Call, Refusal> {
        let call = self.call_of(uuid)?;
        let (id, slot) = (call.id, call.info.slot.clone());
        let at = match (&call.state, call.deadline) {
            (State::Reserved | State::Expected | State::FallingBack, _) => {
                return Err(Refusal::Busy(slot, "on its way"));
            }
            (_, None) => return Err(Refusal::NoTimeout(slot)),
            (_, Some(at)) => at,
        };
        let later = at.after(more);
        self.update(id, |call| {
            if call.max_park_end.is_some_and(|latest| latest < later) {
                call.max_park_end = Some(later);
            }
        });
        self.set_deadline(id, Some(later));
        self.call_of(uuid).cloned()
    }

    /// Applies the settings of the lots to calls that are parked already, with the overrides of each call. Time-outs count from parking.
    pub fn apply_settings(&mut self, now: MonotonicTime) {
        let here = self.calls.values().filter(|call| call.is_here()).map(|call| call.id);
        for id in here.collect::<Vec<_>>() {
            let Some(plan) = self.calls.get(&id).and_then(|call| self.plan_of(call)).cloned() else { continue };
            let Some(call) = self.calls.get_mut(&id) else { continue };
            let settings = call.info.overrides.apply(&plan.settings);
            call.info = Arc::new(CallInfo { settings, ..CallInfo::clone(&call.info) });
            call.max_park_end = call.max_park_end_by_settings();
            call.limit_reminders(now);
            if !call.waits_for_slot() {
                call.rings_left = call.info.settings.ringback_attempts.saturating_sub(call.attempt);
            }
            let deadline = if call.waits_for_slot() || call.waits_for_busy_parker() {
                // The recall or fallback that is due next keeps its time.
                let kept = call.deadline.or_else(|| call.next_deadline(now));
                kept.into_iter().chain(call.max_park_end).min()
            } else {
                call.next_deadline(call.parked_at)
            };
            let parked = call.state == State::Parked;
            self.changed_slots.push(super::slot_of(call));
            if parked {
                self.set_deadline(id, deadline.map(|at| at.max(now)));
            }
            self.schedule_reminder(id);
        }
    }

    pub(super) fn plan_of(&self, call: &Call) -> Option<&LotPlan> {
        let lot = &call.info.lot;
        self.tenants.get(&lot.domain).and_then(|tenant| tenant.lots.get(&lot.name)).map(|lot| &lot.plan)
    }

    fn if_ringing(&self, uuid: &str, attempt: u32) -> Option<CallId> {
        let id = *self.by_uuid.get(uuid)?;
        let call = self.calls.get(&id)?;
        (call.state == State::RingingBack && call.attempt == attempt).then_some(id)
    }

    /// Returns a call to waiting. After the last recall the fallback is due at once; a claim that ended without a connection leaves the time-out
    /// as it was.
    pub(super) fn wait_on(&mut self, id: CallId, after_ring: bool, now: MonotonicTime) {
        self.update(id, |call| {
            call.state = State::Parked;
            if after_ring {
                call.busy = 0;
            }
        });
        let Some(call) = self.calls.get(&id) else { return };
        let deadline = if after_ring && call.rings_left == 0 && call.info.settings.has_fallback() {
            Some(now)
        } else if after_ring || call.deadline.is_none() || call.deadline == call.max_park_end {
            call.next_deadline(now)
        } else {
            call.deadline
        };
        self.set_deadline(id, deadline);
    }
}
