//! Saves parked calls, and recovers them after a crash of FreeSWITCH.
//!
//! `sofia recover` rebuilds a leg with its channel variables and runs its last extension again (`switch_core_sqldb.c`). So the
//! state of a parked call is written to a variable of its leg, and saved whenever it changes.

pub(super) mod snapshot;

use std::sync::Arc;
use std::time::Duration;

use super::call_log::log_call;
use super::park::enter_slot::Coming;
use super::{AppResult, ParkingService};
use crate::freeswitch::{self, Leg, SessionGuard};
use crate::parking::{Call, ChangedSlot, MonotonicTime, NoSlotReason, ParkRequest, RestoreParams, State};
use snapshot::{ParkedCallSnapshot, SNAPSHOT, millis};

/// The variables that name the partner of a bridged leg. A leg that was bridged before it was parked would be recovered into that bridge.
const BOND_VARIABLES: [&str; 2] = ["signal_bond", "originate_signal_bond"];

impl ParkingService {
    /// Puts a leg that was parked when FreeSWITCH died back into its slot. Returns `None` if it was not parked.
    pub(crate) fn resume(self: &Arc<Self>, leg: &Leg<'_>) -> Option<AppResult> {
        let snapshot = ParkedCallSnapshot::on(leg)?;
        leg.unset_var(SNAPSHOT);
        if let Some(call) = self.call_of(&leg.uuid()).filter(Call::is_here) {
            log_call!(Debug, &call; "call is not recovered, it is in its slot already");
            return None;
        }
        let request = snapshot.request(self, leg)?;
        let longest = self.settings_for(&request).longest().max(Duration::from_secs(3600));
        let saved = snapshot.left(self.clock_of(&snapshot, &leg.uuid()).unwrap_or_else(freeswitch::epoch_ms), longest);
        log_call!(Debug, &request, slot = snapshot.slot, lot = snapshot.lot, waited = format!("{}s", saved.waited.as_secs()),
            left = saved.left.map_or("none".into(), |left| format!("{}s", left.as_secs())), attempts_left = saved.rings_left; "recovers call");
        // A caller who may not be parked there gets no slot after a crash either.
        let refused = NoSlotReason::named(&snapshot.refused).filter(|reason| *reason == NoSlotReason::Denied);
        let restored = refused.map_or_else(|| self.restore(&request, &saved), Err);
        let call = match restored {
            Ok(call) => call,
            Err(refused) => {
                self.wait_for_slot(leg, &request, refused, Some(saved.waited));
                return Some(AppResult::Parked);
            }
        };
        if !snapshot.slot.is_empty() && call.info.slot.as_str() != snapshot.slot {
            log_call!(Warning, &call, previous_slot = snapshot.slot; "recovered call has another slot, its own is taken");
        }
        Some(self.enter_slot(leg, &call, Coming::Recovered))
    }

    /// The time at which the snapshot is read, by the clock that wrote it. The clock of another node may be wrong, so the waited time
    /// comes from the slot store, whose clock all nodes share.
    fn clock_of(&self, snapshot: &ParkedCallSnapshot, uuid: &str) -> Option<i64> {
        let waited = freeswitch::now().since(self.call_of(uuid)?.parked_at);
        Some(snapshot.parked_at.saturating_add(millis(waited)))
    }

    fn restore(&self, request: &ParkRequest, saved: &RestoreParams) -> Result<Call, NoSlotReason> {
        self.take_here(request, |table, now| table.restore(request, saved, now)).map_err(|refusal| {
            log_call!(Warning, request, cause = refusal; "recovered call has no slot");
            refusal.no_slot().unwrap_or(NoSlotReason::Full)
        })
    }

    /// Writes the snapshot to the leg. Returns the state that was written; `None` if the call has ended.
    pub(super) fn write_snapshot(&self, leg: &Leg<'_>) -> Option<SavedState> {
        let call = self.call_of(&leg.uuid())?;
        let snapshot = ParkedCallSnapshot::of(&call, freeswitch::now(), freeswitch::epoch_ms());
        match serde_json::to_string(&snapshot) {
            // A dial string may contain `${...}`, which is neutralised in variables. JSON has another spelling for it.
            Ok(text) => leg.set_var(SNAPSHOT, &text.replace('$', "\\u0024")),
            Err(error) => log_call!(Error, &call, cause = error; "snapshot of the call cannot be written"),
        }
        for bond in BOND_VARIABLES.iter().filter(|_| leg.partner().is_none()) {
            leg.unset_var(bond);
        }
        leg.note_dialog();
        Some(SavedState::of(&call))
    }

    /// Makes FreeSWITCH save the leg, unless `saved` is the present state. Repeats this if the call changes meanwhile.
    pub(super) fn save(&self, leg: &Leg<'_>, mut saved: Option<SavedState>) {
        let uuid = leg.uuid();
        while self.call_of(&uuid).is_some_and(|call| saved != Some(SavedState::of(&call))) {
            saved = self.write_snapshot(leg);
            leg.save_for_recovery();
        }
        if self.call_of(&uuid).is_none() {
            // The call has just ended on another thread.
            Self::remove_snapshot(leg);
        }
    }

    /// Saves the calls again that have changed and are in their slots.
    pub(super) fn save_changed(&self, changed: &[ChangedSlot]) {
        for (lot, slot) in changed {
            let Ok(call) = self.call_at(&lot.domain, slot) else { continue };
            if !matches!(call.state, State::Parked | State::RingingBack) {
                continue;
            }
            let Some(leg) = SessionGuard::find(&call.info.uuid).filter(|leg| leg.var(SNAPSHOT).is_some()) else {
                continue;
            };
            self.save(&leg, None);
        }
    }

    /// Saves a caller and a retriever who are being connected, so that they are recovered into their conversation. The core sets the partner of a
    /// bridged leg only after it has saved the leg (`switch_ivr_bridge.c`).
    pub(super) fn save_joined(leg: &Leg<'_>, other: &Leg<'_>) {
        leg.set_var(BOND_VARIABLES[0], &other.uuid());
        other.set_var(BOND_VARIABLES[0], &leg.uuid());
        other.save_for_recovery();
        leg.save_for_recovery();
    }

    /// Removes the snapshot of a leg that leaves its slot, so that the leg is not recovered as a parked call.
    pub(super) fn remove_snapshot(leg: &Leg<'_>) {
        leg.unset_var(SNAPSHOT);
    }
}

/// The part of a call that may change while it is parked.
#[derive(PartialEq)]
pub(super) struct SavedState(Arc<str>, State, Option<MonotonicTime>, Option<MonotonicTime>, [u32; 3]);

impl SavedState {
    fn of(call: &Call) -> SavedState {
        SavedState(
            Arc::clone(&call.label),
            call.state.clone(),
            call.deadline,
            call.max_park_end,
            [call.attempt, call.rings_left, call.reminders],
        )
    }
}
