//! The threads that send: each a packet to all its listeners, on a schedule that does not drift.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::Counts;
use super::stream::{MohStream, StreamKey};
use crate::freeswitch::{Format, RtpWriter, Worker};

/// So many listeners keep a thread busy for a few of its packet's milliseconds.
const FULL: usize = 250;
/// A thread that is late by less sends what it owes, one packet after the other, and is on time again.
const CATCH_UP: Duration = Duration::from_millis(200);

/// Between load and shutdown.
static MOH_SENDERS: Mutex<Option<Vec<OnDuty>>> = Mutex::new(None);

static LATE: AtomicU64 = AtomicU64::new(0);

/// A transmitter and its thread.
struct OnDuty {
    transmitter: Arc<MohSender>,
    worker: Worker,
}

/// Sends packets of one length.
struct MohSender {
    packet: Duration,
    listeners: AtomicUsize,
    desk: Mutex<Desk>,
    waker: Condvar,
}

/// What others tell the thread, and may know of it.
#[derive(Default)]
struct Desk {
    titles: Vec<StreamKey>,
    /// A listener for a programme that is on already, or that comes with it.
    joining: Vec<(StreamKey, Option<MohStream>, Arc<RtpWriter>)>,
    closing: bool,
}

/// Load.
pub(crate) fn begin() {
    *MOH_SENDERS.lock() = Some(Vec::new());
}

/// Shutdown. When this comes back, no thread sends any more.
pub(crate) fn end() {
    for OnDuty { transmitter, worker } in MOH_SENDERS.lock().take().into_iter().flatten() {
        transmitter.desk.lock().closing = true;
        transmitter.waker.notify_all();
        worker.join();
    }
}

/// Has `seat` sent to from the next packet on. False if the music cannot be had.
pub(super) fn subscribe(music: &str, format: &Format, seat: &Arc<RtpWriter>) -> bool {
    let title = StreamKey { music: music.to_owned(), format: format.clone() };
    if join(&title, None, seat) {
        return true;
    }
    // On the caller's own thread, and without a lock: it may take a while.
    let Some(programme) = MohStream::open(&title) else { return false };
    join(&title, Some(programme), seat)
}

/// Without a `programme`, only where that is on already and there is room.
fn join(title: &StreamKey, programme: Option<MohStream>, seat: &Arc<RtpWriter>) -> bool {
    let mut studio = MOH_SENDERS.lock();
    let Some(transmitters) = studio.as_mut() else { return false };
    let sends = |one: &&Arc<MohSender>| one.packet == title.format.packet() && !one.desk.lock().closing;
    let all = || transmitters.iter().map(|current| &current.transmitter).filter(sends);
    let with_room = all().filter(|one| one.listeners.load(Ordering::Relaxed) < FULL);
    let place = match &programme {
        None => with_room.clone().find(|one| one.desk.lock().titles.contains(title)),
        Some(_) => with_room.min_by_key(|one| one.listeners.load(Ordering::Relaxed)),
    };
    let place = match (place, &programme) {
        (Some(place), _) => Arc::clone(place),
        (None, None) => return false,
        (None, Some(_)) if all().count() >= cores() => {
            let Some(place) = all().min_by_key(|one| one.listeners.load(Ordering::Relaxed)) else { return false };
            Arc::clone(place)
        }
        (None, Some(_)) => {
            let Some(started) = MohSender::start(title.format.packet()) else { return false };
            let place = Arc::clone(&started.transmitter);
            transmitters.push(started);
            place
        }
    };
    let mut desk = place.desk.lock();
    // Looked at again under the lock that it is pushed under: a thread that ended since tells nobody who comes later.
    if desk.closing {
        return false;
    }
    place.listeners.fetch_add(1, Ordering::Relaxed);
    if !desk.titles.contains(title) {
        desk.titles.push(title.clone());
    }
    desk.joining.push((title.clone(), programme, Arc::clone(seat)));
    drop(desk);
    place.waker.notify_one();
    true
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

pub(super) fn count(counts: &mut Counts) {
    counts.late = LATE.load(Ordering::Relaxed);
    for OnDuty { transmitter, .. } in MOH_SENDERS.lock().iter().flatten() {
        counts.threads += 1;
        counts.shared += transmitter.listeners.load(Ordering::Relaxed);
        counts.programmes += transmitter.desk.lock().titles.len();
    }
}

impl MohSender {
    fn start(packet: Duration) -> Option<OnDuty> {
        let transmitter = Arc::new(MohSender {
            packet,
            listeners: AtomicUsize::new(0),
            desk: Mutex::default(),
            waker: Condvar::new(),
        });
        let closes = Closes(Arc::clone(&transmitter));
        match Worker::start("music", move || closes.0.send()) {
            Ok(worker) => Some(OnDuty { transmitter, worker }),
            Err(error) => {
                log::error!("no thread for shared music, callers play for themselves: {error}");
                None
            }
        }
    }

    fn send(&self) {
        let mut programmes = Vec::new();
        let mut due = Instant::now();
        while self.arrange(&mut programmes, &mut due) {
            programmes.retain_mut(|programme| programme.send());
            due += self.packet;
            match due.checked_duration_since(Instant::now()) {
                Some(early) => thread::sleep(early),
                None => self.hurry(&mut programmes, &mut due),
            }
        }
    }

    /// Lets in who joins, and drops what nobody hears. Waits where there is nothing to send; false when the module goes.
    fn arrange(&self, programmes: &mut Vec<MohStream>, due: &mut Instant) -> bool {
        let mut desk = self.desk.lock();
        for (title, programme, seat) in desk.joining.drain(..) {
            if !programmes.iter().any(|on| on.title == title) {
                programmes.extend(programme);
            }
            match programmes.iter_mut().find(|on| on.title == title) {
                Some(on) => on.seat(seat),
                // It ended in this very moment.
                None => seat.forget(),
            }
        }
        programmes.retain(|programme| programme.listeners() > 0);
        desk.titles = programmes.iter().map(|programme| programme.title.clone()).collect();
        self.listeners.store(programmes.iter().map(MohStream::listeners).sum(), Ordering::Relaxed);
        if !programmes.is_empty() || desk.closing {
            return !desk.closing;
        }
        while desk.joining.is_empty() && !desk.closing {
            self.waker.wait(&mut desk);
        }
        drop(desk);
        *due = Instant::now();
        self.arrange(programmes, due)
    }

    /// The schedule is overrun.
    fn hurry(&self, programmes: &mut [MohStream], due: &mut Instant) {
        let behind = due.elapsed();
        if behind > self.packet {
            LATE.fetch_add(1, Ordering::Relaxed);
        }
        if behind > CATCH_UP {
            let packets = behind.as_nanos() / self.packet.as_nanos().max(1);
            let packets = u32::try_from(packets).unwrap_or(u32::MAX);
            for programme in programmes {
                programme.skip(packets);
            }
            *due += self.packet * packets;
        }
    }
}

/// However the thread ends, or if it never begins: nobody is let in any more, and who waits at the door is told.
struct Closes(Arc<MohSender>);

impl Drop for Closes {
    fn drop(&mut self) {
        let mut desk = self.0.desk.lock();
        desk.closing = true;
        desk.titles.clear();
        self.0.listeners.store(0, Ordering::Relaxed);
        for (_, _, seat) in desk.joining.drain(..) {
            seat.forget();
        }
    }
}
