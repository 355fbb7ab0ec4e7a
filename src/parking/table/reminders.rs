//! Decides when somebody is reminded of a caller who has waited for long: after `remind-after`, and then every `remind-every`.
//!
//! These times count from parking, so nothing that happens to the call in between moves them: not a recall, a longer time-out, or a recovery.

use std::time::Duration;

use super::{Table, TimerAction};
use crate::parking::call::{Call, CallId, MonotonicTime, State};

/// When a reminder is tried again that was due while the caller was on the way.
const RETRY: Duration = Duration::from_secs(1);

impl Call {
    /// Whether the caller has waited for longer than `remind-after`.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.reminders > 0 && !self.is_reserved()
    }

    /// When the next reminder is due; `None` if none is. One node reminds: the others only learn here when the caller becomes late.
    fn next_reminder(&self) -> Option<MonotonicTime> {
        let (first, every) = (self.first_reminder()?, self.info.settings.remind_every);
        match (&self.state, self.reminders) {
            (State::AwaitingRecovery, _) => None,
            (State::OnOtherNode { .. }, reminders) => (reminders == 0).then_some(first),
            _ if !self.was_parked => None,
            (_, 0) => Some(first),
            (_, reminders) => (!every.is_zero()).then(|| first.after(every.saturating_mul(reminders))),
        }
    }

    fn first_reminder(&self) -> Option<MonotonicTime> {
        let after = self.info.settings.remind_after;
        (!after.is_zero()).then(|| self.parked_at.after(after))
    }

    /// The number of reminders of which the time has come.
    fn reminders_until(&self, now: MonotonicTime) -> u32 {
        let Some(first) = self.first_reminder().filter(|first| *first <= now) else { return 0 };
        let every = self.info.settings.remind_every.as_millis();
        let more = now.since(first).as_millis().checked_div(every).unwrap_or(0);
        u32::try_from(more.saturating_add(1)).unwrap_or(u32::MAX)
    }

    /// Forgets reminders that are due later, or not at all, by the settings that the call has now.
    pub(super) fn limit_reminders(&mut self, now: MonotonicTime) {
        self.reminders = self.reminders.min(self.reminders_until(now));
    }

    /// Counts the reminders of which the time has come as given, because another node gives them.
    pub(super) fn skip_reminders(&mut self, now: MonotonicTime) {
        self.reminders = self.reminders_until(now);
    }
}

impl Table {
    /// Schedules the next reminder of a call. Each change of what it depends on must be followed by this.
    pub(super) fn schedule_reminder(&mut self, id: CallId) {
        let next = self.calls.get(&id).and_then(Call::next_reminder);
        self.set_reminder(id, next);
    }

    fn set_reminder(&mut self, id: CallId, next: Option<MonotonicTime>) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if let Some(old) = call.remind_at {
            self.reminders.remove(&(old, id));
        }
        call.remind_at = next;
        if let Some(at) = next {
            self.reminders.insert((at, id));
        }
    }

    /// Returns the reminders that are due by `now`. One that was missed is not given later: the next one says how long the caller has waited.
    pub(super) fn due_reminders(&mut self, now: MonotonicTime) -> Vec<TimerAction> {
        let ids: Vec<CallId> = self.reminders.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect();
        ids.into_iter().filter_map(|id| self.remind(id, now)).collect()
    }

    fn remind(&mut self, id: CallId, now: MonotonicTime) -> Option<TimerAction> {
        let call = self.calls.get(&id)?;
        let is_here = call.is_here();
        // A caller who is on the way to a slot or to the fallback may not wait any more in a moment.
        if call.is_reserved() || call.state == State::FallingBack {
            self.set_reminder(id, Some(now.after(RETRY)));
            return None;
        }
        self.update(id, |call| call.reminders = call.reminders_until(now));
        self.schedule_reminder(id);
        self.calls.get(&id).filter(|_| is_here).cloned().map(TimerAction::Remind)
    }
}
