//! The parking service: carries out what the rules decide.
//!
//! It holds the one lock, and works in the same order everywhere: lock, decide, unlock, then act. FreeSWITCH is never
//! called with the lock held. A parked call is looked after by its own leg's thread: that thread plays the music,
//! connects the retriever, and tells how it ended, so the events of one call are always in order.

mod assigned;
mod attended_transfer;
mod call_log;
mod cluster;
mod collect_digits;
mod error;
mod hand_over;
mod held_talk;
mod hold_music;
mod identity;
mod intercept;
mod last_dialled;
mod last_peer;
mod leg_commands;
mod lock_stats;
mod no_slot;
mod notify;
mod panic_recovery;
mod park;
mod park_event;
mod permission;
mod pick_up;
mod prompts;
mod recover;
mod retrieve;
mod ring;
mod rings;
mod talking_legs;
mod template;
mod views;
mod voicemail;
mod wait;

use std::error::Error;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::config::{self, Config, ConfigError, ConfigFault, ConfigHandle};
use crate::freeswitch::{self, Leg, OutgoingCalls, SessionGuard, guard};
use crate::moh::SharedMusic;
use crate::parking::{
    Call, ChangedSlot, Destination, Layout, LotId, LotName, LotSelector, LotStatus, LotView, MonotonicTime, Refusal,
    RetrieveTarget, Slot, SlotRequest, SlotStatus, State, Table,
};

use hand_over::following;

pub(crate) use call_log::{About, log_call};
pub(crate) use cluster::{RetrieveTicket, SlotStore};
pub(crate) use collect_digits::digits as ask_digits;
pub(crate) use error::ActionError;
pub(crate) use intercept::{on_core_park, on_execute};
pub(crate) use last_peer::on_answer;
pub(crate) use lock_stats::LockTimes;
pub(crate) use park::{ParkOrder, Whose};
pub(crate) use park_event::{EventKind, Observer, ParkEvent, Retriever, Subscription};
pub(crate) use prompts::AppResult;
pub(crate) use retrieve::RetrieveOrder;
pub(crate) use talking_legs::{on_bridge, on_hangup};
pub(crate) use views::{CallRow, LotRow, words};
#[cfg(feature = "fuzzing")]
pub(crate) use {
    recover::read_snapshot,
    template::{filled_in, is_address, is_part_of_address, one_word},
};

/// Calls that are copied for a listing while the table is locked, before others get their turn.
const AT_ONCE: usize = 100;

pub(crate) struct ParkingService {
    table: lock_stats::TimedMutex<Table>,
    config: ConfigHandle,
    music: Arc<SharedMusic>,
    outgoing: OutgoingCalls,
    leg_commands: leg_commands::LegCommandQueues,
    rings: rings::Rings,
    assigned: assigned::Assigned,
    pages: notify::Pages,
    hand_overs: hand_over::HandOvers,
    talking_legs: talking_legs::TalkingLegs,
    held_talks: held_talk::HeldTalks,
    intercepts: intercept::Intercepts,
    observers: Vec<Box<dyn Observer>>,
    slot_store: Box<dyn SlotStore>,
    /// Why the configuration in force is not the file's; empty when it is.
    faults: Mutex<Vec<ConfigError>>,
    /// Times that this module had the core read its files, and that it has not been told of yet.
    own_rereads: AtomicU32,
    pub(crate) since: MonotonicTime,
}

impl ParkingService {
    /// `faults`: what was wrong with the file, if `config` is the emergency one.
    pub(crate) fn new(
        config: ConfigHandle,
        faults: Vec<ConfigError>,
        music: Arc<SharedMusic>,
        observers: Vec<Box<dyn Observer>>,
        slot_store: Box<dyn SlotStore>,
    ) -> ParkingService {
        let in_force = config.get();
        let table = Table::new(&in_force.lots, in_force.default_lot.as_deref());
        ParkingService {
            table: lock_stats::TimedMutex::new(table),
            config,
            music,
            outgoing: OutgoingCalls::default(),
            leg_commands: leg_commands::LegCommandQueues::default(),
            rings: rings::Rings::default(),
            assigned: assigned::Assigned::default(),
            pages: notify::Pages::default(),
            hand_overs: hand_over::HandOvers::default(),
            talking_legs: talking_legs::TalkingLegs::default(),
            held_talks: held_talk::HeldTalks::default(),
            intercepts: intercept::Intercepts::default(),
            observers,
            slot_store,
            faults: Mutex::new(faults),
            own_rereads: AtomicU32::new(0),
            since: freeswitch::now(),
        }
    }

    /// Once a second: ends calls to phones that have rung for long enough.
    pub(crate) fn end_overdue_calls(&self) {
        self.outgoing.end_overdue();
    }

    /// Unload: when this comes back, nothing rings and no thread of the service's runs.
    pub(crate) fn end(&self) {
        self.rings.end_all();
    }

    /// Has the core read its files again, and takes in the configuration. `apply`: also for calls that are parked already.
    pub(crate) fn reread(&self, apply: bool) -> Result<(), Vec<ConfigError>> {
        self.own_rereads.fetch_add(1, Ordering::Relaxed);
        let read = freeswitch::reread().map_err(|why| {
            self.is_own_reread();
            vec![ConfigError::of_file(ConfigFault::FilesUnreadable(why.to_string()))]
        });
        self.take_in(read.and_then(|()| read_config()), apply)
    }

    /// Whether a `reloadxml` that was told of is one that this module asked for: then its configuration is taken in already.
    fn is_own_reread(&self) -> bool {
        let one_less = |count: u32| count.checked_sub(1);
        self.own_rereads.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    }

    /// The core has read its files again. Whether there is a new configuration.
    pub(crate) fn files_were_read(&self) -> bool {
        // What is wrong is told in the log.
        !self.is_own_reread() && self.take_in(read_config(), false).is_ok()
    }

    /// A new configuration. A faulty one changes nothing.
    fn take_in(&self, outcome: Result<Config, Vec<ConfigError>>, apply: bool) -> Result<(), Vec<ConfigError>> {
        if let Err(faults) = &outcome {
            for fault in faults {
                log::error!("{fault}");
            }
            log::error!("callpark.conf.xml is faulty: nothing changed");
        }
        let cause = outcome.as_ref().err().map(|faults| format!("{} faults", faults.len()));
        let answer = match outcome {
            Ok(config) => {
                let in_use = self.table.lock().domains_in_use();
                let layout = Layout::new(&config.lots, config.default_lot.as_deref(), &in_use);
                let before = self.change(|table, now| {
                    let before = table.replace(layout);
                    if apply {
                        table.apply_settings(now);
                    }
                    before
                });
                drop(before);
                self.config.replace(config);
                self.faults.lock().clear();
                Ok(())
            }
            Err(faults) => {
                (*self.faults.lock()).clone_from(&faults);
                Err(faults)
            }
        };
        self.notify(&ParkEvent { cause: cause.as_deref(), ..ParkEvent::of(EventKind::Reload) });
        answer
    }

    /// Lock, decide, unlock; then whoever watches is told which slots look different now.
    #[track_caller]
    fn change<T>(&self, decide: impl FnOnce(&mut Table, MonotonicTime) -> T) -> T {
        let now = freeswitch::now();
        let (answer, touched) = {
            let mut table = self.table.lock();
            let answer = decide(&mut table, now);
            (answer, table.touched())
        };
        if !touched.is_empty() {
            self.each_observer(|observer| observer.on_slots_changed(self, &touched));
            self.save_changed(&touched);
        }
        answer
    }

    fn notify(&self, event: &ParkEvent<'_>) {
        self.each_observer(|observer| observer.on_event(self, event));
    }

    /// What one of them cannot do, the others do all the same.
    fn each_observer(&self, tell: impl Fn(&dyn Observer)) {
        for observer in &self.observers {
            guard::fence("observer", (), || tell(&**observer));
        }
    }

    /// What must be true of the table at any moment; see [`Table::check`].
    #[cfg(feature = "fuzzing")]
    pub(crate) fn check(&self) -> Result<(), String> {
        self.table.lock().check()
    }

    pub(crate) fn faults(&self) -> Vec<ConfigError> {
        self.faults.lock().clone()
    }

    pub(crate) fn settings(&self) -> config::Settings {
        self.config.settings()
    }

    pub(crate) fn node_name(&self) -> String {
        self.config.get().node_name.clone().unwrap_or_else(freeswitch::switch_name)
    }

    /// Every parked call, by lot and slot; of one lot where one is named.
    pub(crate) fn calls(&self, lot: Option<&LotName>) -> Result<Vec<Call>, Refusal> {
        let lot = lot.map(|_| self.lot_named(&understood(lot))).transpose()?;
        let mut calls: Vec<Call> = Vec::new();
        loop {
            let after = calls.last().map(|call| call.id);
            let piece = self.table.lock().calls_after(after, lot.as_ref(), AT_ONCE);
            let last = piece.len() < AT_ONCE;
            calls.extend(piece);
            if last {
                break;
            }
        }
        calls.sort_by(|a, b| (&a.info.lot, &a.info.slot).cmp(&(&b.info.lot, &b.info.slot)));
        Ok(calls)
    }

    /// How long the table was locked.
    pub(crate) fn lock_held(&self) -> LockTimes {
        self.table.times()
    }

    pub(crate) fn call_count(&self) -> usize {
        self.table.lock().call_count()
    }

    pub(crate) fn lots(&self) -> Vec<LotView> {
        self.table.lock().lots(freeswitch::now())
    }

    /// How a slot looks now; `None` if the domain has no such slot.
    pub(crate) fn look(&self, domain: &str, slot: &Slot) -> Option<(LotId, SlotStatus)> {
        self.table.lock().look(domain, slot)
    }

    pub(crate) fn look_of_lot(&self, domain: &str, lot: &str) -> Option<(LotId, LotStatus)> {
        self.table.lock().look_of_lot(domain, lot)
    }

    /// Every slot there is, and those of `domain` although nobody has parked there yet.
    pub(crate) fn every_slot(&self, domain: &str) -> Vec<ChangedSlot> {
        self.table.lock().every_slot(domain)
    }

    /// The domain that a phone means by `host`, which may be an address of this server's: then it is the usual one.
    pub(crate) fn domain_meant(&self, host: &str) -> String {
        let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        let usual = freeswitch::usual_domain().filter(|_| is_address && !self.table.lock().has_domain(host));
        usual.unwrap_or_else(|| host.to_owned())
    }

    /// A phone has subscribed to a lamp.
    pub(crate) fn subscribed(&self, subscription: &Subscription) {
        self.each_observer(|observer| observer.subscribed(self, subscription));
    }

    /// Has every lamp told as it is now.
    pub(crate) fn tell_all_lamps(&self) {
        self.each_observer(|observer| observer.tell_all_lamps(self));
    }

    pub(crate) fn call_in(&self, slot: &Slot, lot: Option<&LotName>) -> Result<Call, Refusal> {
        self.table.lock().find(&understood(lot), slot)
    }

    /// The call in a slot of a domain.
    pub(crate) fn call_at(&self, domain: &str, slot: &Slot) -> Result<Call, Refusal> {
        self.table.lock().find(&LotSelector { lot: None, domains: vec![domain.to_owned()], any: false }, slot)
    }

    /// The slots of a lot, with their labels.
    pub(crate) fn slots_of(&self, lot: &LotId) -> Vec<(Slot, String)> {
        self.table.lock().slots_of(lot)
    }

    /// Rings back now, not at the time-out.
    pub(crate) fn ring_back_now(self: &Arc<Self>, call: &Call) -> Result<(), Refusal> {
        let due = self.change(|table, _| table.ring_now(&call.info.uuid))?;
        self.act(due);
        Ok(())
    }

    /// Moves the next time-out.
    pub(crate) fn extend(&self, call: &Call, more: Duration) -> Result<Call, Refusal> {
        let extended = self.change(|table, _| table.extend(&call.info.uuid, more))?;
        let (leg, wait) = (SessionGuard::find(&call.info.uuid), freeswitch::now().since(extended.parked_at));
        self.notify(&ParkEvent {
            call: Some(&extended),
            leg: leg.as_deref(),
            wait,
            ..ParkEvent::of(EventKind::Extend)
        });
        Ok(extended)
    }

    /// Another label, for the team to read.
    pub(crate) fn label(&self, call: &Call, text: &str) -> Result<(), Refusal> {
        must_be_here(call)?;
        let labelled = self.change(|table, _| table.set_label(&call.info.uuid, text));
        let call = labelled.ok_or_else(|| Refusal::Empty(format!("slot {}", call.info.slot)))?;
        if let Some(leg) = SessionGuard::find(&call.info.uuid) {
            leg.set_var("callpark_label", text);
            let wait = freeswitch::now().since(call.parked_at);
            self.notify(&ParkEvent { call: Some(&call), leg: Some(&leg), wait, ..ParkEvent::of(EventKind::Label) });
        }
        Ok(())
    }

    /// Sends the parked caller elsewhere.
    pub(crate) fn transfer(&self, call: &Call, to: &Destination) -> Result<(), ActionError> {
        must_be_here(call)?;
        let leg = SessionGuard::find(&call.info.uuid).ok_or(ActionError::CallerGone)?;
        send_if_reachable(&leg, to)
    }

    /// The application for one extension that parks and retrieves: a leg that a transfer brought is parked, and so is the
    /// other party of one that is in a conversation; one that dialled retrieves, and is never parked itself, but an empty slot
    /// is kept for the call that its user holds.
    pub(crate) fn at_slot(self: &Arc<Self>, leg: &Leg<'_>, park: &ParkOrder, retrieve: &RetrieveOrder) -> AppResult {
        if self.brings_ticket(leg) {
            return self.retrieve(leg, retrieve);
        }
        if leg.partner().is_some() || identity::was_transferred(leg) {
            return self.park(leg, park);
        }
        if !self.is_empty(leg, retrieve) {
            return self.retrieve(leg, retrieve);
        }
        match self.other_call(leg) {
            Some(other) => self.consult(leg, other, park),
            None => {
                let lot = self.lot_of_order(leg, park);
                let slot = park.wanted.slot();
                following(leg, "callpark_slot", slot, lot.as_deref(), || self.retrieve(leg, retrieve))
            }
        }
    }

    fn is_empty(&self, leg: &Leg<'_>, order: &RetrieveOrder) -> bool {
        let place = self.place(leg, order.lot.clone(), None);
        let RetrieveTarget::Slot(slot) = &order.pick else { return false };
        matches!(self.table.lock().find(&place, slot), Err(Refusal::Empty(_)))
    }

    /// The same where a leg was to be parked. One that a transfer brought cannot be told, and goes back to its parker as from a slot that
    /// does not exist.
    pub(crate) fn invalid_park(self: &Arc<Self>, leg: &Leg<'_>, application: &str, why: &dyn Error) -> AppResult {
        if leg.partner().is_some() || !identity::was_transferred(leg) {
            return self.invalid(leg, application, why);
        }
        let request = self.request(leg, &ParkOrder { wanted: SlotRequest::Auto, lot: None }, self.parker_of(leg), None);
        let verdict = self.refuse(leg, application, AppResult::Invalid(why.to_string()), None, None);
        self.without_slot(leg, &request, verdict, true)
    }

    /// What an application was told makes no sense: the leg is told so and goes on in its dialplan.
    pub(crate) fn invalid(&self, leg: &Leg<'_>, application: &str, why: &dyn Error) -> AppResult {
        let verdict = self.refuse(leg, application, AppResult::Invalid(why.to_string()), None, None);
        self.explain(leg, verdict, None)
    }

    fn call_of(&self, uuid: &str) -> Option<Call> {
        self.table.lock().find_leg(uuid)
    }

    fn lot_named(&self, place: &LotSelector) -> Result<LotId, Refusal> {
        self.table.lock().resolve(place, None)
    }
}

/// Sends a leg to a destination that exists.
fn send_if_reachable(leg: &Leg<'_>, to: &Destination) -> Result<(), ActionError> {
    leg.can_reach(to)?;
    let sent = leg.transfer(&to.extension, to.dialplan.as_deref(), to.context.as_deref());
    sent.then_some(()).ok_or_else(|| ActionError::TransferRefused(to.extension.clone()))
}

fn must_be_here(call: &Call) -> Result<(), Refusal> {
    let slot = call.info.slot.clone();
    match &call.state {
        State::AwaitingRecovery => Err(Refusal::AwaitingRecovery(slot)),
        State::OnOtherNode { node, .. } => Err(Refusal::OnOtherNode(slot, Arc::clone(node))),
        _ => Ok(()),
    }
}

/// What a command means, which has no leg to tell its domain.
fn understood(lot: Option<&LotName>) -> LotSelector {
    LotSelector { lot: lot.cloned(), domains: freeswitch::usual_domain().into_iter().collect(), any: true }
}

/// The file as it is now, checked.
pub(crate) fn read_config() -> Result<Config, Vec<ConfigError>> {
    let config = match freeswitch::configuration("callpark.conf") {
        Some(text) => config::read(&text, freeswitch::configuration_file("callpark.conf").as_deref())?,
        None => return Err(vec![ConfigError::of_file(ConfigFault::NotFound)]),
    };
    for lot in config.lots.iter().filter(|lot| lot.slots.iter().any(|slot| slot.as_str().contains('#'))) {
        log::warn!(
            "lot {} has slots with #, which phones write as %23 in a transfer: the dialplan must know both, such as ^((?:#|%23)701)$",
            lot.id
        );
    }
    Ok(config)
}

/// A number nobody can foresee, for `slot-order` random. Keys of std's hasher come from the system's random source.
pub(crate) fn entropy() -> u64 {
    RandomState::new().build_hasher().finish()
}
