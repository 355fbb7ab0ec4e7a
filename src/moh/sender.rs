//! The threads that send shared music: each sends a packet to all its listeners, on a schedule that does not drift.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::MusicCounters;
use super::stream::{MohStream, StreamKey};
use crate::freeswitch::{AudioFormat, RtpWriter, Worker};

/// The number of listeners of one thread, which keep it busy for a few milliseconds of each packet.
const MAX_LISTENERS: usize = 250;
/// A thread that is late by less sends the missing packets one after the other.
const MAX_CATCH_UP: Duration = Duration::from_millis(200);

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
    /// The number of late packets of all senders.
    late: Arc<AtomicU64>,
    listeners: AtomicUsize,
    inbox: Mutex<SenderInbox>,
    waker: Condvar,
}

/// What other threads tell a sender, and may read of it.
#[derive(Default)]
struct SenderInbox {
    /// The streams that it sends.
    streams: Vec<StreamKey>,
    /// New listeners, each for a stream that it sends already, or with the stream.
    joining: Vec<(StreamKey, Option<MohStream>, Arc<RtpWriter>)>,
    closing: bool,
}

impl std::fmt::Debug for MohSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} listeners", self.listeners.load(Ordering::Relaxed))
    }
}

impl MohSenders {
    /// Ends all threads and waits for them.
    pub(super) fn end(&self) {
        for Running { sender, worker } in self.running.lock().take().into_iter().flatten() {
            sender.inbox.lock().closing = true;
            sender.waker.notify_all();
            worker.join();
        }
    }

    /// Sends music to `writer` from the next packet on. Returns false if the music cannot be played.
    pub(super) fn subscribe(&self, music: &str, format: &AudioFormat, writer: &Arc<RtpWriter>) -> bool {
        let key = StreamKey { music: music.to_owned(), format: format.clone() };
        // The stream is opened on the caller's own thread and without a lock, because that may take a while.
        let joined = self.join(&key, None, writer).and_then(|joined| match joined {
            true => Ok(true),
            false => MohStream::open(&key).map_or(Ok(false), |stream| self.join(&key, Some(stream), writer)),
        });
        joined.unwrap_or_else(|error| {
            log::error!(cause:% = error; "music is not shared, there is no thread");
            false
        })
    }

    /// Adds a listener. Without a `stream` it succeeds only if a sender with room sends that stream already.
    fn join(&self, key: &StreamKey, stream: Option<MohStream>, writer: &Arc<RtpWriter>) -> io::Result<bool> {
        let mut running = self.running.lock();
        let Some(running) = running.as_mut() else { return Ok(false) };
        let sends = |one: &&Arc<MohSender>| one.packet == key.format.packet() && !one.inbox.lock().closing;
        let all = || running.iter().map(|running| &running.sender).filter(sends);
        let with_room = all().filter(|one| one.listeners.load(Ordering::Relaxed) < MAX_LISTENERS);
        let sender = match &stream {
            None => with_room.clone().find(|one| one.inbox.lock().streams.contains(key)),
            Some(_) => with_room.min_by_key(|one| one.listeners.load(Ordering::Relaxed)),
        };
        let sender = match (sender, &stream) {
            (Some(sender), _) => Arc::clone(sender),
            (None, None) => return Ok(false),
            (None, Some(_)) if all().count() >= cores() => {
                let least_busy = all().min_by_key(|one| one.listeners.load(Ordering::Relaxed));
                let Some(sender) = least_busy else { return Ok(false) };
                Arc::clone(sender)
            }
            (None, Some(_)) => {
                let started = MohSender::start(key.format.packet(), Arc::clone(&self.late))?;
                let sender = Arc::clone(&started.sender);
                running.push(started);
                sender
            }
        };
        let mut inbox = sender.inbox.lock();
        // This is checked again under the lock, because a thread that has ended does not serve new listeners.
        if inbox.closing {
            return Ok(false);
        }
        sender.listeners.fetch_add(1, Ordering::Relaxed);
        if !inbox.streams.contains(key) {
            inbox.streams.push(key.clone());
        }
        inbox.joining.push((key.clone(), stream, Arc::clone(writer)));
        drop(inbox);
        sender.waker.notify_one();
        Ok(true)
    }

    pub(super) fn count(&self, counts: &mut MusicCounters) {
        counts.late = self.late.load(Ordering::Relaxed);
        for Running { sender, .. } in self.running.lock().iter().flatten() {
            counts.threads += 1;
            counts.shared += sender.listeners.load(Ordering::Relaxed);
            counts.streams += sender.inbox.lock().streams.len();
        }
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

impl MohSender {
    fn start(packet: Duration, late: Arc<AtomicU64>) -> io::Result<Running> {
        let sender = Arc::new(MohSender {
            packet,
            late,
            listeners: AtomicUsize::new(0),
            inbox: Mutex::default(),
            waker: Condvar::new(),
        });
        let on_end = CloseOnEnd(Arc::clone(&sender));
        let worker = Worker::start("music", move || on_end.0.send())?;
        Ok(Running { sender, worker })
    }

    fn send(&self) {
        let mut streams = Vec::new();
        let mut due = Instant::now();
        while self.update_listeners(&mut streams, &mut due) {
            streams.retain_mut(|stream| stream.send());
            due += self.packet;
            match due.checked_duration_since(Instant::now()) {
                Some(early) => thread::sleep(early),
                None => self.catch_up(&mut streams, &mut due),
            }
        }
    }

    /// Adds new listeners, and drops streams without any. Waits while there is nothing to send. Returns false if the thread must end.
    fn update_listeners(&self, streams: &mut Vec<MohStream>, due: &mut Instant) -> bool {
        let mut inbox = self.inbox.lock();
        for (key, stream, writer) in inbox.joining.drain(..) {
            if !streams.iter().any(|sent| sent.key == key) {
                streams.extend(stream);
            }
            match streams.iter_mut().find(|sent| sent.key == key) {
                Some(sent) => sent.add_listener(writer),
                // The stream has just ended.
                None => writer.forget(),
            }
        }
        streams.retain(|stream| stream.listeners() > 0);
        inbox.streams = streams.iter().map(|stream| stream.key.clone()).collect();
        self.listeners.store(streams.iter().map(MohStream::listeners).sum(), Ordering::Relaxed);
        if !streams.is_empty() || inbox.closing {
            return !inbox.closing;
        }
        while inbox.joining.is_empty() && !inbox.closing {
            self.waker.wait(&mut inbox);
        }
        drop(inbox);
        *due = Instant::now();
        self.update_listeners(streams, due)
    }

    /// Counts a late packet, and skips what cannot be caught up with.
    fn catch_up(&self, streams: &mut [MohStream], due: &mut Instant) {
        let behind = due.elapsed();
        if behind > self.packet {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
        if behind > MAX_CATCH_UP {
            let packets = behind.as_nanos() / self.packet.as_nanos().max(1);
            let packets = u32::try_from(packets).unwrap_or(u32::MAX);
            for stream in streams {
                stream.skip(packets);
            }
            *due += self.packet * packets;
        }
    }
}

/// Refuses listeners and tells those that wait, however the thread ends, and also if it never starts.
struct CloseOnEnd(Arc<MohSender>);

impl Drop for CloseOnEnd {
    fn drop(&mut self) {
        let mut inbox = self.0.inbox.lock();
        inbox.closing = true;
        inbox.streams.clear();
        self.0.listeners.store(0, Ordering::Relaxed);
        for (_, _, writer) in inbox.joining.drain(..) {
            writer.forget();
        }
    }
}
