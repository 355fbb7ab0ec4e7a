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

/// The senders that run.
#[derive(Debug)]
pub(super) struct MohSenders {
    /// `None` once the module is being unloaded.
    running: Mutex<Option<Vec<Running>>>,
    late: Arc<AtomicU64>,
}

impl Default for MohSenders {
    fn default() -> MohSenders {
        MohSenders { running: Mutex::new(Some(Vec::new())), late: Arc::default() }
    }
}

/// A sender and its thread.
#[derive(Debug)]
struct Running {
    sender: Arc<MohSender>,
    worker: Worker,
}

/// Sends packets of one length.
struct MohSender {
    packet: Duration,
    /// Packets of all senders that went out late.
    late: Arc<AtomicU64>,
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

impl std::fmt::Debug for MohSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} listeners", self.listeners.load(Ordering::Relaxed))
    }
}

impl MohSenders {
    /// Unload. When this comes back, no thread sends any more.
    pub(super) fn end(&self) {
        for Running { sender, worker } in self.running.lock().take().into_iter().flatten() {
            sender.desk.lock().closing = true;
            sender.waker.notify_all();
            worker.join();
        }
    }

    /// Has `seat` sent to from the next packet on. False if the music cannot be had.
    pub(super) fn subscribe(&self, music: &str, format: &Format, seat: &Arc<RtpWriter>) -> bool {
        let title = StreamKey { music: music.to_owned(), format: format.clone() };
        if self.join(&title, None, seat) {
            return true;
        }
        // On the caller's own thread, and without a lock: it may take a while.
        let Some(programme) = MohStream::open(&title) else { return false };
        self.join(&title, Some(programme), seat)
    }

    /// Without a `programme`, only where that is on already and there is room.
    fn join(&self, title: &StreamKey, programme: Option<MohStream>, seat: &Arc<RtpWriter>) -> bool {
        let mut running = self.running.lock();
        let Some(running) = running.as_mut() else { return false };
        let sends = |one: &&Arc<MohSender>| one.packet == title.format.packet() && !one.desk.lock().closing;
        let all = || running.iter().map(|running| &running.sender).filter(sends);
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
                let started = MohSender::start(title.format.packet(), Arc::clone(&self.late));
                let Some(started) = started else { return false };
                let place = Arc::clone(&started.sender);
                running.push(started);
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

    pub(super) fn count(&self, counts: &mut Counts) {
        counts.late = self.late.load(Ordering::Relaxed);
        for Running { sender, .. } in self.running.lock().iter().flatten() {
            counts.threads += 1;
            counts.shared += sender.listeners.load(Ordering::Relaxed);
            counts.programmes += sender.desk.lock().titles.len();
        }
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

impl MohSender {
    fn start(packet: Duration, late: Arc<AtomicU64>) -> Option<Running> {
        let sender = Arc::new(MohSender {
            packet,
            late,
            listeners: AtomicUsize::new(0),
            desk: Mutex::default(),
            waker: Condvar::new(),
        });
        let closes = Closes(Arc::clone(&sender));
        match Worker::start("music", move || closes.0.send()) {
            Ok(worker) => Some(Running { sender, worker }),
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
            self.late.fetch_add(1, Ordering::Relaxed);
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
