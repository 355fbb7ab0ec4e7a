//! The register of taken slots: in the database, so that it outlives this process, and so that the nodes of a cluster share it.
//!
//! Alone, a node writes down which call is in which slot, behind the calls' backs; started again after a crash it finds them
//! there and keeps their slots. In a cluster a slot is this node's when its row is in the table: the table's key gives it away
//! once. Each node hears of the others' calls once a second. Without the database a node goes on with its own calls.

mod clerk;
mod desk;
mod entry;
mod nodes;
mod notes;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock};

use crate::attendant::{self, Attendant, Bearer, Notice, Registrar, Witness};
use crate::config::Settings;
use crate::host::{self, Worker};
use crate::parking::{Absent, Call, Moment, Touched};
use clerk::Clerk;
use desk::{Desk, Order, Standing};
use entry::Entry;
#[cfg(feature = "fuzzing")]
pub(crate) use entry::read as read_row;

/// For how long a caller waits for the database before this node decides alone.
const PATIENCE: Duration = Duration::from_secs(1);
/// For how long loading waits to learn which slots are to be kept, shutdown for the last entries, and who dials for a call of another
/// node: mod_pgsql looks once a second whether its server is back.
const LONG: Duration = Duration::from_secs(3);
/// For how long a change may wait for others: a transaction of SQLite is files made and removed, and costs the same for one
/// as for many.
const GATHER: Duration = Duration::from_millis(50);
/// Between one try and the next while the database is away.
const RETRY: Duration = Duration::from_secs(2);
/// How often it is tried for somebody who waits.
const TRIES: u32 = 12;

static OPEN: RwLock<Option<Arc<Register>>> = RwLock::new(None);

fn open() -> Option<Arc<Register>> {
    OPEN.read().clone()
}

#[derive(Default)]
struct Register {
    desk: Mutex<Desk>,
    /// Something has been done that somebody waits for.
    bell: Condvar,
    /// The database does not answer.
    away: AtomicBool,
    next_try: Mutex<Moment>,
    clerk: Mutex<Clerk>,
    notes_kept: OnceLock<()>,
    working: AtomicBool,
    worker: Mutex<Option<Worker>>,
}

/// Load. Comes back when the slots of a run that died are kept, and the core's notes of its legs; or a database takes too long.
pub(crate) fn begin() {
    let register = Arc::new(Register::default());
    *OPEN.write() = Some(Arc::clone(&register));
    register.wake();
    let mut desk = register.desk.lock();
    let until = Instant::now() + LONG;
    while !desk.looked_back && !register.away.load(Ordering::Relaxed) {
        if register.bell.wait_until(&mut desk, until).timed_out() {
            log::error!("the database does not say which slots were taken before; they are free for all");
            break;
        }
    }
}

/// Once a second: the other nodes are heard, and what could not be written is tried again.
pub(crate) fn attend() {
    notes::attend();
    let Some(register) = open() else { return };
    let waits = || {
        let desk = register.desk.lock();
        !(desk.looked_back && desk.is_clear())
    };
    if settings().cluster || waits() {
        register.wake();
    }
}

/// Shutdown. False if the database holds the thread up, whose code must stay.
pub(crate) fn end() -> bool {
    let last = OPEN.write().take();
    last.is_none_or(|register| register.close())
}

impl Register {
    /// Sees to it that a thread works.
    fn wake(self: &Arc<Self>) {
        if self.away.load(Ordering::Relaxed) && host::now() < *self.next_try.lock() {
            return;
        }
        if self.working.swap(true, Ordering::AcqRel) {
            return;
        }
        let register = Arc::clone(self);
        match Worker::start("register", move || register.work()) {
            // The one before is over, or about to be: `working` was false.
            Ok(worker) => drop(self.worker.lock().replace(worker).map(Worker::join)),
            Err(error) => {
                log::error!("no thread for the register of slots: {error}");
                self.working.store(false, Ordering::Release);
            }
        }
    }

    fn work(&self) {
        let idle = Idle(&self.working);
        self.notes_kept.get_or_init(notes::keep);
        let mut clerk = self.clerk.lock();
        loop {
            // Where nobody waits for an answer, what comes within a moment is written together.
            if self.desk.lock().looked_back && !settings().cluster {
                std::thread::sleep(GATHER);
            }
            match clerk.work(self) {
                Ok(()) => self.is_back(),
                Err(why) => self.is_away(&why),
            }
            drop(Idle(&self.working));
            // What came in this very moment found a thread that was working, and started none.
            let more = !self.away.load(Ordering::Relaxed) && !self.desk.lock().is_clear();
            if !more || self.working.swap(true, Ordering::AcqRel) {
                return std::mem::forget(idle);
            }
        }
    }

    fn is_back(&self) {
        if self.away.swap(false, Ordering::Relaxed) {
            log::warn!("the register of slots is back");
        }
    }

    fn is_away(&self, why: &str) {
        *self.next_try.lock() = host::now().after(RETRY);
        let mut desk = self.desk.lock();
        // Whoever waits is told by the other end being dropped.
        desk.orders.clear();
        if !self.away.swap(true, Ordering::Relaxed) {
            log::error!("the register of slots: {why}; this node goes on with its own calls");
        }
        drop(desk);
        self.bell.notify_all();
    }

    fn close(self: &Arc<Self>) -> bool {
        self.away.store(false, Ordering::Relaxed);
        if !self.desk.lock().is_clear() {
            self.wake();
        }
        let worker = self.worker.lock().take();
        let ended = worker.is_none_or(|worker| worker.join_within(LONG));
        if !ended {
            log::error!("the database of the register does not answer");
        }
        ended
    }

    /// Waits until the slot is ours or another node's. Without an answer it is ours: a caller does not wait for a database.
    fn await_claim(&self, call: &Call) -> Result<(), Box<Absent>> {
        let place = (call.facts.lot.domain.to_string(), call.facts.slot.to_string());
        let until = Instant::now() + PATIENCE;
        let mut desk = self.desk.lock();
        loop {
            let Some(wanted) = desk.wanted.get(&place).filter(|wanted| wanted.entry.uuid == *call.facts.uuid) else {
                return Ok(());
            };
            match &wanted.standing {
                Standing::New | Standing::Anew | Standing::Written => return Ok(()),
                Standing::Refused(other) => return Err(other.clone()),
                Standing::Asking => {}
            }
            let late = self.away.load(Ordering::Relaxed) || self.bell.wait_until(&mut desk, until).timed_out();
            if late {
                desk.stands(&place, &call.facts.uuid, Standing::New);
                desk.changed.insert(place);
                if !self.away.swap(true, Ordering::Relaxed) {
                    log::error!("the register of slots does not answer; this node goes on with its own calls");
                }
                return Ok(());
            }
        }
    }

    /// Has something done that somebody waits for. A database that was away is tried at once, and not only when its turn has come; and
    /// again, since one that comes back refuses what it is first asked over an old connection.
    fn order<T>(self: &Arc<Self>, order: impl Fn(mpsc::SyncSender<T>) -> Order) -> Option<T> {
        let until = Instant::now() + LONG;
        for _ in 0..TRIES {
            let (done, answer) = mpsc::sync_channel(1);
            self.desk.lock().orders.push_back(order(done));
            *self.next_try.lock() = Moment::default();
            self.wake();
            match answer.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(answer) => return Some(answer),
                Err(mpsc::RecvTimeoutError::Timeout) => return None,
                Err(mpsc::RecvTimeoutError::Disconnected) => std::thread::sleep(LONG / TRIES),
            }
        }
        None
    }
}

/// Says that nobody works any more, however that came about.
struct Idle<'a>(&'a AtomicBool);

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Follows what is in the slots.
pub(crate) struct Scribe;

impl Witness for Scribe {
    fn saw(&self, notice: &Notice<'_>) {
        notes::saw(notice);
    }

    fn touched(&self, attendant: &Attendant, slots: &[Touched]) {
        let Some(register) = open() else { return };
        let ask = attendant.clustered() && !register.away.load(Ordering::Relaxed);
        let (now, epoch_ms) = (host::now(), host::epoch_ms());
        {
            // The table is looked at under the desk's lock: of two threads, the one that looked later writes later.
            let mut desk = register.desk.lock();
            for (lot, slot) in slots {
                let own = attendant.own_call_at(&lot.domain, slot);
                let entry = own.map(|call| Entry::of(&call, now, epoch_ms));
                desk.note((lot.domain.to_string(), slot.to_string()), entry, ask);
            }
            if desk.is_clear() {
                return;
            }
        }
        register.wake();
    }
}

/// The door between the nodes.
pub(crate) struct Shared;

impl Registrar for Shared {
    fn claim(&self, call: &Call) -> Result<(), Box<Absent>> {
        open().map_or(Ok(()), |register| register.await_claim(call))
    }

    fn issue(&self, ticket: &str, node: &str, bearer: Bearer) -> bool {
        let order = |done| Order::Issue { ticket: ticket.into(), node: node.into(), bearer: bearer.clone(), done };
        open().and_then(|register| register.order(order)).unwrap_or(false)
    }

    fn redeem(&self, ticket: &str) -> Option<Bearer> {
        let order = |done| Order::Redeem { ticket: ticket.into(), done };
        open().and_then(|register| register.order(order)).flatten()
    }
}

fn settings() -> Settings {
    attendant::on_duty().map(|attendant| attendant.settings()).unwrap_or_default()
}

/// Whether the register can be read and written.
pub(crate) fn answers() -> bool {
    open().is_some_and(|register| !register.away.load(Ordering::Relaxed))
}
