//! Reads the history for commands and HTTP. One query runs at a time, on a thread that is joined at unload; the requester waits for a limited time.

use std::sync::mpsc::{self, RecvTimeoutError, SyncSender, TrySendError};
use std::time::Duration;

use parking_lot::Mutex;

use super::answer_cache::AnswerCache;
use super::connection::{Connection, StorageError};
use super::record::HistoryFilter;
use super::report::{Report, ReportQuery};
use super::statistics::Tally;
use crate::freeswitch::{Worker, guard};

/// The maximum number of requests that wait. Others are refused.
const MAX_WAITING_QUERIES: usize = 16;
/// How long a request waits for its answer.
pub(super) const QUERY_TIMEOUT: Duration = Duration::from_secs(12);
/// How long shutdown waits for a query.
const READER_CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// After how long a query that was refused is tried again.
const REFUSED_RETRY_DELAY: Duration = Duration::from_millis(200);

type QueryJob = Box<dyn FnOnce() + Send>;

#[derive(Default)]
pub(super) struct Reader {
    thread: Mutex<Option<(SyncSender<QueryJob>, Worker)>>,
    pub(super) tallies: AnswerCache<(u32, HistoryFilter), Vec<Tally>>,
    pub(super) reports: AnswerCache<ReportQuery, Report>,
}

/// Tries a query that was refused once more. SQLite says that a table does not exist if the handle read the schema before the table was made, and another
/// handle writes just now.
fn again_after<T>(why: StorageError, query: impl FnOnce() -> Result<T, StorageError>) -> Result<T, StorageError> {
    if !matches!(why, StorageError::Refused(_)) {
        return Err(why);
    }
    std::thread::sleep(REFUSED_RETRY_DELAY);
    query()
}

impl Reader {
    /// Executes a query on the thread of the reader, and waits for its answer.
    pub(super) fn read<T: Send + 'static>(
        &self,
        dsn: String,
        query: impl Fn(&Connection) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let (done, answer) = mpsc::sync_channel(1);
        let job = move || {
            let once = || Connection::open(&dsn).and_then(|connection| query(&connection));
            let read = || once().or_else(|why| again_after(why, once));
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

    /// Ends the thread. Returns false if it still waits for the database, so that its code must stay.
    pub(super) fn close(&self) -> bool {
        let Some((jobs, worker)) = self.thread.lock().take() else { return true };
        drop(jobs);
        worker.join_within(READER_CLOSE_TIMEOUT)
    }
}
