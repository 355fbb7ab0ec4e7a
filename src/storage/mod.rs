//! The database: the history of parked calls, and which call is in which slot.
//!
//! **A write counts only when it was read back.** The core's drivers report success for writes that never happened. So each write can be
//! executed twice without harm, and a row leaves its queue only when a query has returned its key.
//!
//! The threads of calls do not wait for the database: they add rows to queues, which one thread writes ([`worker`]). In a cluster there are two
//! exceptions, both limited in time: a call that allocates a slot waits for the answer which node has the slot, and a retriever of a call on another
//! node waits for a ticket. A second thread answers queries of the history for commands and HTTP ([`reader`]).

mod allocations;
mod answer_cache;
mod backoff;
mod caller_number;
mod connection;
mod csv_rows;
mod cycle;
mod history;
mod history_queue;
mod history_writer;
mod messages;
mod nodes;
mod pending_history;
mod pending_slots;
mod probe_row;
mod reader;
mod reconcile;
mod record;
mod recovery_rows;
mod report;
mod schema;
mod silence;
mod slot_row;
mod slot_store;
mod slots;
mod statistics;
mod tickets;
mod worker;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

pub(crate) use caller_number::CallerNumber;
pub(crate) use connection::StorageError;
pub(crate) use csv_rows::{csv_rows, plain_text};
pub(crate) use record::{HistoryFilter, Record};
pub(crate) use report::{
    MAX_REPORT_GROUPS, REPORT_FIELDS, Report, ReportGroup, ReportQuery, ReportQueryError, ReportWords,
};
pub(crate) use statistics::{Tally, local_time};
#[cfg(feature = "fuzzing")]
pub(crate) use {
    connection::Quoting, history::read as read_record, slot_row::read as read_slot_row, statistics::read as read_tally,
    tickets::read as read_ticket,
};

use crate::config::ConfigHandle;
use crate::freeswitch::Worker;
use crate::service::ParkingService;
use backoff::Backoff;
use pending_history::PendingHistory;
use pending_slots::{PendingWrites, TicketRequest};
use reader::Reader;
use recovery_rows::RecoveryCopies;
use silence::Silence;
use worker::WorkerState;

/// How long loading waits to learn which slots must be reserved.
const LOAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a retriever of a call on another node waits. mod_pgsql checks once a second whether its server is back.
const TICKET_TIMEOUT: Duration = Duration::from_secs(3);
/// How often the database is tried for a caller who waits.
const MAX_TICKET_TRIES: u32 = 12;
/// How long shutdown waits for the last writes.
const WORKER_CLOSE_TIMEOUT: Duration = Duration::from_secs(8);
/// Ticks, each about a second, after which an idle worker is woken to compare the slot store with the calls, and to delete old rows of the history.
/// The worker decides itself whether these are due (`COMPARE_INTERVAL`, `CLEANUP_INTERVAL`), because it also runs whenever there is something
/// to write. A cleanup may be late: the wake-ups for it are far apart, so that an idle node does not touch its database.
const COMPARE_TICKS: u32 = 5;
const FORGET_TICKS: u32 = 600;

/// The storage, which exists from load to unload.
pub(crate) struct Storage {
    config: ConfigHandle,
    writes: Mutex<PendingWrites>,
    history: Mutex<PendingHistory>,
    /// Notified when the queue of the history is empty, and when the database fails, so that a query of statistics need not wait; with `history`.
    drained: Condvar,
    /// Notified when the worker has answered an allocation, has read the slots of the previous run, has written a row, or has failed; with `writes`.
    answered: Condvar,
    signal: Mutex<Signal>,
    work: Condvar,
    worker: Mutex<Option<Worker>>,
    worker_state: Mutex<WorkerState>,
    reader: Reader,
    backoff: Mutex<Backoff>,
    silence: Silence,
    /// Whether the slot store does not answer, or accepts no writes.
    slots_away: AtomicBool,
    /// The names of the other nodes that are alive.
    live_nodes: Mutex<Vec<String>>,
    history_away: AtomicBool,
    ticks: AtomicU32,
    dropped: AtomicU64,
    refused_rows: AtomicU64,
    recovery_copies: Mutex<Option<RecoveryCopies>>,
    errors: AtomicU64,
}

/// What the worker waits for.
#[derive(Default)]
struct Signal {
    work: bool,
    closing: bool,
}

impl Storage {
    pub(crate) fn new(config: ConfigHandle) -> Storage {
        Storage {
            config,
            writes: Mutex::default(),
            history: Mutex::default(),
            drained: Condvar::new(),
            answered: Condvar::new(),
            signal: Mutex::default(),
            work: Condvar::new(),
            worker: Mutex::default(),
            worker_state: Mutex::default(),
            reader: Reader::default(),
            backoff: Mutex::default(),
            silence: Silence::default(),
            slots_away: AtomicBool::new(false),
            live_nodes: Mutex::default(),
            history_away: AtomicBool::new(false),
            ticks: AtomicU32::new(0),
            dropped: AtomicU64::new(0),
            refused_rows: AtomicU64::new(0),
            recovery_copies: Mutex::default(),
            errors: AtomicU64::new(0),
        }
    }

    /// Starts the worker, and waits until the slots of a run that died are reserved and the core's recovery rows are copied, unless the database
    /// takes too long.
    pub(crate) fn load(self: &Arc<Self>, service: &Arc<ParkingService>) {
        self.wake();
        self.start_worker(service);
        if !self.wait_for_previous_calls() {
            log::error!("the database does not say which slots were taken before; they are free for all");
        }
    }

    /// Returns false if the database takes too long.
    fn wait_for_previous_calls(&self) -> bool {
        let mut writes = self.writes.lock();
        let until = Instant::now() + LOAD_TIMEOUT;
        while !writes.loaded_previous && !self.slots_away.load(Ordering::Relaxed) {
            if self.answered.wait_until(&mut writes, until).timed_out() {
                return false;
            }
        }
        true
    }

    /// Wakes the worker if something waits to be written or may be due. It is called once a second.
    pub(crate) fn on_tick(self: &Arc<Self>, service: &Arc<ParkingService>) {
        recovery_rows::on_tick(&self.recovery_copies);
        self.notice_silence();
        self.start_worker(service);
        let tick = self.ticks.fetch_add(1, Ordering::Relaxed);
        let due = |every: u32| tick % every == 0;
        let waits = {
            let writes = self.writes.lock();
            !writes.loaded_previous || !writes.is_empty() || (due(COMPARE_TICKS) && !writes.wanted.is_empty())
        };
        if waits || self.config.get().settings.cluster || self.backlog() > 0 || due(FORGET_TICKS) {
            self.wake();
        }
    }

    /// Starts the worker if it does not run.
    fn start_worker(self: &Arc<Self>, service: &Arc<ParkingService>) {
        let mut worker = self.worker.lock();
        if worker.as_ref().is_some_and(|worker| !worker.is_over()) {
            return;
        }
        if let Some(over) = worker.take() {
            over.join();
        }
        let (storage, service) = (Arc::clone(self), Arc::clone(service));
        match Worker::start("storage worker", move || storage.run_worker(&service)) {
            Ok(started) => *worker = Some(started),
            Err(error) => {
                drop(worker);
                log::error!(cause:% = error; "nothing is written to the database, there is no thread");
            }
        }
    }

    fn wake(&self) {
        self.signal.lock().work = true;
        self.work.notify_one();
    }

    /// Waits until there is something to do. Returns true if the module is being unloaded, so that the cycle that follows is the last one.
    fn wait_for_work(&self) -> bool {
        let mut signal = self.signal.lock();
        while !(signal.work || signal.closing) {
            self.work.wait(&mut signal);
        }
        signal.work = false;
        signal.closing
    }

    /// Writes what waits, and ends the threads. Returns false if a thread still waits for the database, so that its code must stay.
    pub(crate) fn close(&self) -> bool {
        self.signal.lock().closing = true;
        self.work.notify_one();
        let worker = self.worker.lock().take();
        let written = worker.is_none_or(|worker| worker.join_within(WORKER_CLOSE_TIMEOUT));
        if !written {
            log::error!(records = self.backlog(); "the database does not answer, records of the history are lost");
        } else if self.backlog() > 0 {
            log::error!(records = self.backlog(); "records of the history could not be written");
        }
        self.reader.close() & written
    }

    fn has_calls(&self) -> bool {
        !self.writes.lock().wanted.is_empty()
    }

    /// Whether a caller waits for the worker.
    fn is_urgent(&self) -> bool {
        !self.writes.lock().is_empty()
    }

    /// Executes a request for which a caller waits. A database that was away is tried at once and not only when it is due, and tried again, because one
    /// that has come back refuses the first statement over an old connection.
    fn request_ticket<T>(&self, request: impl Fn(mpsc::SyncSender<T>) -> TicketRequest) -> Option<T> {
        let until = Instant::now() + TICKET_TIMEOUT;
        for _ in 0..MAX_TICKET_TRIES {
            let (done, answer) = mpsc::sync_channel(1);
            self.writes.lock().push_ticket_request(request(done));
            self.backoff.lock().try_now();
            self.wake();
            match answer.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(answer) => return Some(answer),
                Err(mpsc::RecvTimeoutError::Timeout) => return None,
                Err(mpsc::RecvTimeoutError::Disconnected) => std::thread::sleep(TICKET_TIMEOUT / MAX_TICKET_TRIES),
            }
        }
        None
    }

    /// Whether the slot store can be read and written.
    pub(crate) fn slots_answer(&self) -> bool {
        !self.slots_away.load(Ordering::Relaxed)
    }

    fn slots_succeed(&self) {
        if self.slots_away.swap(false, Ordering::Relaxed) {
            log::warn!("the slot store is back");
        }
    }

    fn slots_fail(&self, why: &StorageError) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        let mut writes = self.writes.lock();
        writes.drop_ticket_requests();
        let is_new = !self.slots_away.swap(true, Ordering::Relaxed);
        drop(writes);
        self.answered.notify_all();
        if is_new {
            log::error!(cause:% = why; "the slot store fails; this node goes on with its own calls");
        }
    }

    fn count_refused_row(&self) {
        self.refused_rows.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of rows that the database refused since the module was loaded, although it accepts others.
    pub(crate) fn refused_rows(&self) -> u64 {
        self.refused_rows.load(Ordering::Relaxed)
    }
}
