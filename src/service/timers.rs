//! Does what is due at each tick: recalls, fallbacks, and reservations that lapse.

use std::sync::Arc;

use super::call_log::log_call;
use super::ending::Ending;
use super::wait::leg_commands::LegCommand;
use super::{EventKind, ParkEvent, ParkingService};
use crate::freeswitch::{self, SessionGuard, TICK_TOLERANCE, guard};
use crate::parking::{Call, CallInfo, Ended, MonotonicTime, RecallFailure, State, TimerAction};

impl ParkingService {
    /// Does what one second brings, without waiting.
    pub(crate) fn on_tick(self: &Arc<Self>) {
        self.execute_due();
        // A caller who hangs up on the way to a slot never runs the application, so the reservation is ended here.
        let coming = self.table.lock().legs_on_the_way();
        for uuid in coming.into_iter().filter(|uuid| SessionGuard::find(uuid).is_none()) {
            self.end_on_the_way(&uuid);
        }
        self.leg_commands.interrupt_all_waiting();
        self.end_music_of_resumed();
        self.release_unclaimed();
        self.release_due_digits();
        self.forget_actors_of_gone_legs();
        self.release_overdue_holds();
        self.each_observer(|observer| observer.on_tick(self));
    }

    /// Executes everything that is due.
    pub(super) fn execute_due(self: &Arc<Self>) {
        let due = self.change(|table, now| table.due(MonotonicTime(now.0 + TICK_TOLERANCE)));
        for due in due {
            self.execute(due);
        }
    }

    /// Executes an action. If that panics, the call and all others still get their next time-out.
    pub(super) fn execute(self: &Arc<Self>, due: TimerAction) {
        let about = due.clone();
        let done = guard::fence("due", false, || {
            self.execute_action(due);
            true
        });
        match about {
            _ if done => {}
            TimerAction::RingBack(call) => drop(self.change(|table, now| {
                table.ring_failed(&call.info.uuid, call.attempt, RecallFailure::NotAnswered, now)
            })),
            TimerAction::Fallback(call, _) => {
                drop(self.change(|table, now| table.fallback_failed(&call.info.uuid, now)))
            }
            TimerAction::Ended(..)
            | TimerAction::Fetch(_)
            | TimerAction::Lapsed(_)
            | TimerAction::Remind(_)
            | TimerAction::SlotFree(_) => {}
        }
    }

    fn execute_action(self: &Arc<Self>, due: TimerAction) {
        match due {
            TimerAction::RingBack(call) => self.start_recall(call),
            TimerAction::Fallback(call, why) => {
                let uuid = &call.info.uuid;
                log_call!(Debug, &call, cause = why.name(); "fallback is due");
                self.rings.cancel(uuid);
                if !self.leg_commands.post(uuid, LegCommand::FallBack) {
                    log_call!(Error, &call; "fallback failed, the leg of the call takes no commands");
                    self.change(|table, now| table.fallback_failed(uuid, now));
                }
            }
            TimerAction::Ended(ended, cause) => {
                self.end_call(&ended, Ending { cause: Some(cause), ..Ending::default() });
            }
            TimerAction::SlotFree(call) => {
                log_call!(Debug, &call; "a slot is free for the waiting call");
                self.leg_commands.post(&call.info.uuid, LegCommand::SlotFree);
            }
            TimerAction::Remind(call) => self.remind(&call),
            TimerAction::Fetch(call) => self.send_to_slot_again(&call),
            TimerAction::Lapsed(ended) => self.end_lapsed_reservation(&ended),
        }
    }

    /// Tells the observers, and those to whom the lot sends notices, that a caller has waited for long.
    fn remind(self: &Arc<Self>, call: &Call) {
        let (leg, wait) = (SessionGuard::find(&call.info.uuid), freeswitch::now().since(call.parked_at));
        log_call!(Info, call, wait = format!("{}s", wait.as_secs()), reminder = call.reminders; "caller is late");
        let leg = leg.as_deref();
        self.publish(&ParkEvent { call: Some(call), leg, wait, ..ParkEvent::of(EventKind::Remind) });
        self.notify_late(call, wait);
    }

    /// Sends a leg to its slot again that has not arrived, because a script on the leg may have moved it when its bridge ended.
    fn send_to_slot_again(&self, call: &Call) {
        let CallInfo { uuid, slot, lot, .. } = &*call.info;
        let Some(leg) = SessionGuard::find(uuid) else { return };
        let comes = self.call_of(uuid).is_none_or(|call| call.state != State::Reserved);
        if !comes {
            log_call!(Warning, call; "call did not come to its slot, it is sent there again");
            leg.transfer(&format!("callpark_park:{slot} {lot}"), Some("inline"), None);
        }
    }

    /// Ends the reservation of a leg that has not arrived.
    fn end_lapsed_reservation(&self, ended: &Ended) {
        let uuid = &ended.call.info.uuid;
        self.hand_overs.forget(uuid);
        log_call!(Warning, &ended.call; "released slot, nobody came to it");
        if let Some(leg) = SessionGuard::find(uuid).filter(|_| ended.call.fetched) {
            let (call, leg, cause) = (Some(&ended.call), Some(&*leg), Some("went elsewhere"));
            self.publish(&ParkEvent { call, leg, wait: ended.wait, cause, ..ParkEvent::of(EventKind::ParkFailed) });
        }
    }
}
