//! Reads the history for commands and HTTP. One query runs at a time, on a thread that is joined at unload; the requester waits for a limited time.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender, TrySendError};
use std::time::Duration;

use parking_lot::Mutex;

use super::connection::{Connection, StorageError};
use super::record::HistoryFilter;
use super::statistics::Tally;
use crate::freeswitch::{self, Worker, guard};
use crate::parking::MonotonicTime;

/// The maximum number of requests that wait. Others are refused.
const MAX_WAITING_QUERIES: usize = 16;
/// How long a request waits for its answer.
const QUERY_TIMEOUT: Duration = Duration::from_secs(12);
/// How long shutdown waits for a query.
const READER_CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long statistics are cached.
const CACHE_TIME: Duration = Duration::from_secs(3);
/// The maximum number of cached statistics.
const MAX_CACHED: usize = 64;

type QueryJob = Box<dyn FnOnce() + Send>;

#[derive(Default)]
pub(super) struct Reader {
    thread: Mutex<Option<(SyncSender<QueryJob>, Worker)>>,
    cache: Mutex<Vec<Cached>>,
}

struct Cached {
    asked: (u32, HistoryFilter),
    answer: CachedAnswer,
}

/// A cached answer, for which requests wait until it is known.
type CachedAnswer = Arc<Mutex<Option<(MonotonicTime, Vec<Tally>)>>>;

impl Reader {
    /// Executes a query on the thread of the reader, and waits for its answer.
    pub(super) fn read<T: Send + 'static>(
        &self,
        dsn: String,
        query: impl FnOnce(&Connection) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let (done, answer) = mpsc::sync_channel(1);
        let job = move || {
            let read = || Connection::open(&dsn).and_then(|connection| query(&connection));
            let bug = Err(StorageError::Panicked);
            // The requester may have given up.
            let _ = done.try_send(guard::fence("history query", bug, read));
        };
        self.send(Box::new(job))?;
        match answer.recv_timeout(QUERY_TIMEOUT) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => Err(StorageError::NoAnswer),
            Err(RecvTimeoutError::Disconnected) => Err(StorageError::Closed),
        }
    }

    fn send(&self, job: QueryJob) -> Result<(), StorageError> {
        let mut thread = self.thread.lock();
        // A thread that a bug has ended is replaced.
        if let Some((_, over)) = thread.take_if(|(_, worker)| worker.is_over()) {
            over.join();
        }
        if thread.is_none() {
            let (jobs, to_do) = mpsc::sync_channel::<QueryJob>(MAX_WAITING_QUERIES);
            let body = move || to_do.into_iter().for_each(|job| job());
            let worker =
                Worker::start("storage reader", body).map_err(|error| StorageError::NoThread(error.to_string()))?;
            *thread = Some((jobs, worker));
        }
        let jobs = thread.as_ref().map(|(jobs, _)| jobs).ok_or(StorageError::Closed)?;
        jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StorageError::Busy,
            TrySendError::Disconnected(_) => StorageError::Closed,
        })
    }

    /// Returns the answer of `read`, or a cached one of the same query.
    pub(super) fn cached(
        &self,
        days: u32,
        filter: HistoryFilter,
        read: impl FnOnce() -> Result<Vec<Tally>, StorageError>,
    ) -> Result<Vec<Tally>, StorageError> {
        let answer = self.cache_entry((days, filter));
        let mut answer = answer.try_lock_for(QUERY_TIMEOUT).ok_or(StorageError::NoAnswer)?;
        if let Some((at, tallies)) = &*answer {
            if freeswitch::now().since(*at) < CACHE_TIME {
                return Ok(tallies.clone());
            }
        }
        let tallies = read()?;
        *answer = Some((freeswitch::now(), tallies.clone()));
        Ok(tallies)
    }

    fn cache_entry(&self, asked: (u32, HistoryFilter)) -> CachedAnswer {
        let mut cache = self.cache.lock();
        if let Some(found) = cache.iter().find(|cached| cached.asked == asked) {
            return Arc::clone(&found.answer);
        }
        if cache.len() >= MAX_CACHED {
            cache.remove(0);
        }
        let answer = CachedAnswer::default();
        cache.push(Cached { asked, answer: Arc::clone(&answer) });
        answer
    }

    /// Ends the thread. Returns false if it still waits for the database, so that its code must stay.
    pub(super) fn close(&self) -> bool {
        let Some((jobs, worker)) = self.thread.lock().take() else { return true };
        drop(jobs);
        worker.join_within(READER_CLOSE_TIMEOUT)
    }
}
