//! From the calls' threads to the database: a bounded queue, and one writer thread while there is anything in it. A call never waits
//! here, whatever the database does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::record::{Of, Record, Refused};
use super::stats::{Tally, start_of, tally};
use super::store::Store;
use crate::attendant;
use crate::config::Settings;
use crate::host::{self, Worker};
use crate::parking::Moment;

/// Rows that wait at most; at a hundred calls a minute that is more than an hour without the database.
const MOST: usize = 10_000;
/// Rows of one statement.
const BATCH: usize = 200;
/// Between one try and the next while the database is away.
const RETRY: Duration = Duration::from_secs(2);
/// How often old rows are looked for.
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

#[derive(Debug, Default)]
pub(crate) struct Records {
    waiting: Mutex<Waiting>,
    writing: AtomicBool,
    writer: Mutex<Option<Worker>>,
    /// The database did not answer the last time.
    away: AtomicBool,
    next_try: Mutex<Moment>,
    forgot_at: AtomicI64,
    dropped: AtomicU64,
    errors: AtomicU64,
}

/// What happened to a call, in the order in which it did.
#[derive(Clone, Debug)]
enum News {
    Ended(Box<Record>),
    /// It was given up, and came back: that was not its outcome. UUID and when it was parked.
    Back(String, i64),
}

#[derive(Debug, Default)]
struct Waiting {
    calls: VecDeque<News>,
    refused: VecDeque<Refused>,
}

impl News {
    fn record(&self) -> Option<&Record> {
        match self {
            News::Ended(record) => Some(record),
            News::Back(..) => None,
        }
    }
}

impl Records {
    pub(super) fn note(self: &Arc<Self>, record: Record) {
        self.put_news(News::Ended(Box::new(record.private(settings().record_privacy))));
    }

    pub(super) fn note_back(self: &Arc<Self>, uuid: String, parked_at: i64) {
        self.put_news(News::Back(uuid, parked_at));
    }

    fn put_news(self: &Arc<Self>, news: News) {
        self.put(|waiting| {
            let room = waiting.calls.len() < MOST;
            if room {
                waiting.calls.push_back(news);
            }
            room
        });
    }

    pub(super) fn note_refused(self: &Arc<Self>, refused: Refused) {
        self.put(|waiting| {
            let room = waiting.refused.len() < MOST;
            if room {
                waiting.refused.push_back(refused);
            }
            room
        });
    }

    fn put(self: &Arc<Self>, put: impl FnOnce(&mut Waiting) -> bool) {
        if !put(&mut self.waiting.lock()) {
            // Once for a hundred: a log line each would be the next thing to overflow.
            if self.dropped.fetch_add(1, Ordering::Relaxed) % 100 == 0 {
                log::error!("{MOST} records wait for the database: newer ones are dropped");
            }
        }
        self.write();
    }

    /// Rows that wait for the database.
    pub(crate) fn backlog(&self) -> usize {
        let waiting = self.waiting.lock();
        waiting.calls.len() + waiting.refused.len()
    }

    /// Once a second: whatever waits is tried again, and old rows are forgotten.
    pub(crate) fn attend(self: &Arc<Self>) {
        let forget = host::epoch_ms() - self.forgot_at.load(Ordering::Relaxed) > HOUR_MS;
        if self.backlog() > 0 || forget {
            self.write();
        }
    }

    /// Sees to it that a thread writes.
    fn write(self: &Arc<Self>) {
        if self.away.load(Ordering::Relaxed) && host::now() < *self.next_try.lock() {
            return;
        }
        if self.writing.swap(true, Ordering::AcqRel) {
            return;
        }
        let records = Arc::clone(self);
        let body = move || {
            let _over = Over(&records.writing);
            records.write_all();
        };
        match Worker::start("records", body) {
            // The one before is over, or about to be: `writing` was false.
            Ok(thread) => drop(self.writer.lock().replace(thread).map(Worker::join)),
            Err(error) => {
                log::error!("no thread for the records: {error}");
                self.writing.store(false, Ordering::Release);
            }
        }
    }

    fn write_all(&self) {
        let done = Store::open(&settings().db_dsn).and_then(|store| {
            while self.write_batch(&store)? {}
            let now = host::epoch_ms();
            if now - self.forgot_at.load(Ordering::Relaxed) > HOUR_MS {
                store.forget(now - i64::from(settings().record_days) * DAY_MS)?;
                self.forgot_at.store(now, Ordering::Relaxed);
            }
            Ok(())
        });
        match done {
            Ok(()) => {
                if self.away.swap(false, Ordering::Relaxed) {
                    log::warn!("the database of the records is back");
                }
            }
            Err(why) => {
                self.errors.fetch_add(1, Ordering::Relaxed);
                *self.next_try.lock() = host::now().after(RETRY);
                if !self.away.swap(true, Ordering::Relaxed) {
                    log::error!("the database of the records: {why}; {} rows wait for it", self.backlog());
                }
            }
        }
    }

    /// True if there may be more. A row leaves the queue only when it is in the database.
    fn write_batch(&self, store: &Store) -> Result<bool, String> {
        let (back, records, refused) = {
            let waiting = self.waiting.lock();
            let back = match waiting.calls.front() {
                Some(News::Back(uuid, parked_at)) => Some((uuid.clone(), *parked_at)),
                _ => None,
            };
            let records: Vec<Record> = waiting.calls.iter().take(BATCH).map_while(News::record).cloned().collect();
            (back, records, waiting.refused.iter().take(BATCH).cloned().collect::<Vec<_>>())
        };
        if back.is_none() && records.is_empty() && refused.is_empty() {
            return Ok(false);
        }
        if let Some((uuid, parked_at)) = back {
            store.forget_one(&uuid, parked_at)?;
            self.waiting.lock().calls.pop_front();
        }
        if !records.is_empty() {
            if let Err(why) = store.insert(&records) {
                if !store.alive() {
                    return Err(why);
                }
                self.write_singly(store, &records)?;
            }
            self.waiting.lock().calls.drain(..records.len());
        }
        if !refused.is_empty() {
            store.insert_refused(&refused)?;
            self.waiting.lock().refused.drain(..refused.len());
        }
        Ok(true)
    }

    /// A row among these will not do, or is there already from a try that broke: each by itself.
    fn write_singly(&self, store: &Store, records: &[Record]) -> Result<(), String> {
        for record in records {
            if let Err(why) = store.insert(std::slice::from_ref(record)) {
                if !store.alive() {
                    return Err(why);
                }
                if !store.has(record) {
                    self.errors.fetch_add(1, Ordering::Relaxed);
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                    log::error!("the database refuses the record of {}: {why}", record.uuid);
                }
            }
        }
        Ok(())
    }

    /// Records parked at or after `since`, the newest first, also those that are not in the database yet.
    pub(crate) fn since(&self, since: i64, of: &Of, most: Option<usize>) -> Result<Vec<Record>, String> {
        let mut records: Vec<Record> = {
            let waiting = self.waiting.lock();
            let meant = |record: &&Record| record.parked_at >= since && of.has(&record.lot, &record.domain);
            waiting.calls.iter().filter_map(News::record).filter(meant).rev().cloned().collect()
        };
        // Asked after the queue: what moved over meanwhile is in both, and told apart by its key.
        let known: std::collections::HashSet<(String, i64)> =
            records.iter().map(|record| (record.uuid.clone(), record.parked_at)).collect();
        let stored = Store::open(&settings().db_dsn).and_then(|store| store.records(since, of, most))?;
        records.extend(stored.into_iter().filter(|record| !known.contains(&(record.uuid.clone(), record.parked_at))));
        records.sort_by_key(|record| std::cmp::Reverse(record.parked_at));
        records.truncate(most.unwrap_or(usize::MAX));
        Ok(records)
    }

    /// Each lot on each of the last `days` days, today being the first.
    pub(crate) fn tallies(&self, days: u32, of: &Of) -> Result<Vec<Tally>, String> {
        let since = start_of(host::epoch_ms(), days);
        Ok(tally(&self.since(since, of, None)?, &self.refused_since(since, of)?, settings().service_level))
    }

    /// Rows that are lost since the module was loaded.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Times that the database failed.
    pub(crate) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    fn refused_since(&self, since: i64, of: &Of) -> Result<Vec<Refused>, String> {
        let stored = Store::open(&settings().db_dsn).and_then(|store| store.refused(since))?;
        let waiting = self.waiting.lock();
        let late = waiting.refused.iter().filter(|refused| refused.at >= since).cloned();
        Ok(late.chain(stored).filter(|refused| of.has(&refused.lot, &refused.domain)).collect())
    }

    /// Shutdown: what waits is written. False if the database holds the writer up for longer than `patience`.
    pub(super) fn close(self: &Arc<Self>, patience: Duration) -> bool {
        self.away.store(false, Ordering::Relaxed);
        if self.backlog() > 0 {
            self.write();
        }
        let writer = self.writer.lock().take();
        if writer.is_some_and(|writer| !writer.join_within(patience)) {
            log::error!("the database of the records does not answer: {} rows are lost", self.backlog());
            return false;
        }
        if self.backlog() > 0 {
            log::error!("{} records could not be written", self.backlog());
        }
        true
    }
}

/// Says that the writer is over, however it ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

fn settings() -> Settings {
    attendant::on_duty().map(|attendant| attendant.settings()).unwrap_or_default()
}
