//! The parking service: it executes what the rules decide.
//!
//! The service holds the one lock and works in the same order everywhere: take the lock, ask the rules, release the lock,
//! then act. It never calls FreeSWITCH while it holds the lock. The thread of a parked leg plays the music to that leg,
//! connects the retriever and reports the end of the call, so no other thread ends a call that is just being connected.
//! ARCHITECTURE.md lists what other threads may do to the leg.
//!
//! | module | what is there |
//! |---|---|
//! | `identity` | how a leg came here, and to which user it belongs |
//! | `permission` | the facts by which the rules decide who may park and who may retrieve; the PIN |
//! | `park` | from an application or a command to a call in its slot, or without one; attended transfers |
//! | `wait` | the loop of a parked leg, its music, and the commands that other threads send it |
//! | `retrieve` | from an application or a command to two connected legs |
//! | `feature_code` | digits that park the other party of a conversation |
//! | `recall` | ringing the parker: whom, on which thread, who answered |
//! | `transfer_dialplan` | makes the numbers of the lots reachable by a transfer |
//! | `verto_variables` | removes the variables by which a Verto client could decide about parked calls |
//! | `recovery` | the snapshot of a parked call, and the call that is restored from it |
//! | `timers`, `ending`, `actions`, `http_actors` | what is due; the one end of each call; what others may do to a parked call, and who did it |
//! | `allocation` | a slot that the rules chose, allocated for all nodes of a cluster |
//! | `cluster`, `call_action`, `remote_actions` | the slots of other nodes, and tickets; actions on calls of other nodes |
//! | `configuration` | reads the configuration at load and at a reload |
//! | `park_event`, `notify`, `pages`, `page_phones`, `prompts`, `speech`, `call_log` | who is told: observers, `notify`, the user on the line, the log |
//! | `collect_digits`, `template` | the digits that a user enters; `${name}` in dial strings and commands |
//! | `numbers`, `queries`, `views`, `colleagues` | what a dialled number does; calls, lots and users for listings, and their rows |
//! | `error`, `lock_stats` | the errors of actions; how long the slot table is locked |

mod actions;
mod allocation;
mod call_action;
mod call_log;
mod cluster;
mod colleagues;
mod collect_digits;
mod configuration;
mod ending;
mod error;
mod feature_code;
mod http_actors;
mod identity;
mod lock_stats;
mod notify;
mod numbers;
mod page_phones;
mod pages;
mod park;
mod park_event;
mod permission;
mod prompts;
mod queries;
mod recall;
mod recovery;
mod remote_actions;
mod retrieve;
mod speech;
mod template;
mod timers;
mod transfer_dialplan;
mod verto_variables;
mod views;
mod wait;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use parking_lot::Mutex;

use crate::config::{ConfigError, ConfigHandle};
use crate::freeswitch::{self, OutgoingCalls, guard};
use crate::moh::SharedMusic;
use crate::parking::{Call, ChangedSlot, LotId, LotSelector, MonotonicTime, Refusal, Table};

pub(crate) use call_action::{CallAction, CallsOf, ParkChoice, RingOrder};
pub(crate) use call_log::{About, log_call};
pub(crate) use cluster::{NodeMessage, RetrieveTicket, SlotStore};
pub(crate) use colleagues::UserRow;
pub(crate) use collect_digits::{ask_digits, collect_digits};
pub(crate) use configuration::{log_config_errors, read_config};
pub(crate) use ending::History;
pub(crate) use error::{ActionError, ErrorKind};
pub(crate) use feature_code::{FeatureCodeHooks, hook_digits};
pub(crate) use identity::last_peer::on_answer;
pub(crate) use lock_stats::LockTimes;
pub(crate) use park::announce::DATA as PARKED_ANNOUNCEMENT;
pub(crate) use park::conversations::Conversation;
pub(crate) use park::talking_legs::{on_bridge, on_hangup};
pub(crate) use park::{ParkOrder, TargetLeg};
pub(crate) use park_event::{EventKind, Observer, ParkEvent, Retriever, Subscription};
pub(crate) use prompts::AppResult;
pub(crate) use recall::intercept::{on_core_park, on_execute};
pub(crate) use retrieve::RetrieveOrder;
pub(crate) use retrieve::ringing::EARLY_FAILURE_TIME;
pub(crate) use speech::Prompt;
pub(crate) use template::{for_xml, is_part_of_address};
pub(crate) use transfer_dialplan::on_new_leg;
#[cfg(test)]
pub(crate) use verto_variables::PROTECTED as PROTECTED_FROM_VERTO;
pub(crate) use verto_variables::on_verto_leg;
pub(crate) use views::{CallRow, LotRow, text_enum};
#[cfg(feature = "fuzzing")]
pub(crate) use {
    recovery::snapshot::read_snapshot,
    template::{fill_in, is_address, percent_encoded},
};

pub(crate) struct ParkingService {
    table: lock_stats::TimedMutex<Table>,
    config: ConfigHandle,
    music: Arc<SharedMusic>,
    outgoing: OutgoingCalls,
    leg_commands: wait::leg_commands::LegCommandQueues,
    rings: recall::ring_threads::Rings,
    assigned: retrieve::assigned::Assigned,
    answered: retrieve::answered::AnsweredLegs,
    pages: pages::Pages,
    hand_overs: park::hand_over::HandOvers,
    talking_legs: park::talking_legs::TalkingLegs,
    announcements: park::announce::Announcements,
    held_conversations: retrieve::held_conversations::HeldConversations,
    intercepts: recall::intercept::Intercepts,
    profiles: transfer_dialplan::Profiles,
    verto_legs: verto_variables::VertoLegs,
    feature_codes: feature_code::FeatureCodes,
    http_actors: http_actors::HttpActors,
    node_holds: retrieve::hold::NodeHolds,
    observers: Vec<Box<dyn Observer>>,
    slot_store: Arc<dyn SlotStore>,
    allocations: allocation::Allocations,
    history: Arc<dyn History>,
    /// The errors of the configuration file, if it is not the configuration in force.
    config_errors: Mutex<Vec<ConfigError>>,
    /// The number of re-reads that this module has requested and for which no event has arrived yet.
    own_reloads: AtomicU32,
    pub(crate) loaded_at: MonotonicTime,
}

impl ParkingService {
    /// Makes the service. `errors` are those of the configuration file, if `config` is the emergency configuration.
    pub(crate) fn new(
        config: ConfigHandle,
        errors: Vec<ConfigError>,
        music: Arc<SharedMusic>,
        observers: Vec<Box<dyn Observer>>,
        slot_store: Arc<dyn SlotStore>,
        history: Arc<dyn History>,
    ) -> ParkingService {
        let in_force = config.get();
        let table = Table::new(&in_force.lots, in_force.default_lot.as_deref());
        ParkingService {
            table: lock_stats::TimedMutex::new(table),
            config,
            music,
            outgoing: OutgoingCalls::default(),
            leg_commands: wait::leg_commands::LegCommandQueues::default(),
            rings: recall::ring_threads::Rings::default(),
            assigned: retrieve::assigned::Assigned::default(),
            answered: retrieve::answered::AnsweredLegs::default(),
            pages: pages::Pages::default(),
            hand_overs: park::hand_over::HandOvers::default(),
            talking_legs: park::talking_legs::TalkingLegs::default(),
            announcements: park::announce::Announcements::default(),
            held_conversations: retrieve::held_conversations::HeldConversations::default(),
            intercepts: recall::intercept::Intercepts::default(),
            profiles: transfer_dialplan::Profiles::default(),
            verto_legs: verto_variables::VertoLegs::default(),
            feature_codes: feature_code::FeatureCodes::default(),
            http_actors: http_actors::HttpActors::default(),
            node_holds: retrieve::hold::NodeHolds::default(),
            observers,
            slot_store,
            allocations: allocation::Allocations::default(),
            history,
            config_errors: Mutex::new(errors),
            own_reloads: AtomicU32::new(0),
            loaded_at: freeswitch::now(),
        }
    }

    /// Ends calls to phones that have rung for long enough. It is called once a second.
    pub(crate) fn end_overdue_calls(&self) {
        self.outgoing.end_overdue();
    }

    /// Ends the service at unload. When this returns, no phone rings and no thread of the service runs.
    pub(crate) fn end(&self) {
        self.end_feature_code();
        self.rings.end_all();
    }

    /// Takes the lock, decides, and releases it. Then the slots that changed are written, and the observers get them.
    #[track_caller]
    fn change<T>(&self, decide: impl FnOnce(&mut Table, MonotonicTime) -> T) -> T {
        self.change_slots(decide).0
    }

    /// As [`ParkingService::change`]. Also returns the slots that changed.
    #[track_caller]
    fn change_slots<T>(&self, decide: impl FnOnce(&mut Table, MonotonicTime) -> T) -> (T, Vec<ChangedSlot>) {
        let now = freeswitch::now();
        let (answer, changed) = {
            let mut table = self.table.lock();
            let answer = decide(&mut table, now);
            (answer, table.take_changed_slots())
        };
        if !changed.is_empty() {
            self.save_slots(&changed);
            self.each_observer(|observer| observer.on_slots_changed(self, &changed));
            self.save_changed(&changed);
        }
        (answer, changed)
    }

    /// Has the slot store write what is in these slots.
    fn save_slots(&self, slots: &[ChangedSlot]) {
        guard::fence("slot store", (), || self.slot_store.save(self, slots));
    }

    /// Gives an event to the observers, with who has caused it by HTTP.
    pub(crate) fn publish(&self, event: &ParkEvent<'_>) {
        let actor = event.call.and_then(|call| self.actor_of_event(&call.info.uuid, event.kind));
        let event = &ParkEvent { actor: event.actor.or(actor.as_deref()), ..*event };
        self.each_observer(|observer| observer.on_event(self, event));
    }

    /// Calls each observer. A panic in one does not affect the others.
    fn each_observer(&self, tell: impl Fn(&dyn Observer)) {
        for observer in &self.observers {
            guard::fence("observer", (), || tell(&**observer));
        }
    }

    /// Checks the invariants of the table; see [`Table::check`].
    #[cfg(feature = "fuzzing")]
    pub(crate) fn check(&self) -> Result<(), String> {
        self.table.lock().check()
    }

    /// Tells the observers that a phone has subscribed to a lamp.
    pub(crate) fn subscribed(&self, subscription: &Subscription) {
        self.each_observer(|observer| observer.subscribed(self, subscription));
    }

    /// Publishes the state of every lamp.
    pub(crate) fn publish_all_lamps(&self) {
        self.each_observer(|observer| observer.publish_all_lamps(self));
    }

    fn call_of(&self, uuid: &str) -> Option<Call> {
        self.table.lock().find_leg(uuid)
    }

    fn lot_named(&self, place: &LotSelector) -> Result<LotId, Refusal> {
        self.table.lock().resolve(place, None)
    }
}

/// Returns an unpredictable number, for `slot-order` random. The keys of std's hasher come from the random source of the system.
pub(crate) fn entropy() -> u64 {
    RandomState::new().build_hasher().finish()
}
