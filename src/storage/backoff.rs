//! Decides when a database that failed is tried again.

use std::time::Duration;

use super::connection::StorageError;
use crate::parking::MonotonicTime;

/// The first and the longest delay between two tries while the database is away. The delay doubles each time. (The core's drivers leak some memory
/// at each connection that fails.)
const FIRST_RETRY_DELAY: Duration = Duration::from_secs(2);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(30);
/// The longest delay if the database answers but accepts no rows.
const MAX_REFUSED_RETRY_DELAY: Duration = Duration::from_secs(5);

/// When something that failed is tried again.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    next: MonotonicTime,
    wait: Duration,
}

impl Backoff {
    pub(super) fn is_due(&self, now: MonotonicTime) -> bool {
        now >= self.next
    }

    pub(super) fn failed(&mut self, now: MonotonicTime, why: &StorageError) {
        let last = if why.is_away() { MAX_RETRY_DELAY } else { MAX_REFUSED_RETRY_DELAY };
        self.wait = (self.wait * 2).clamp(FIRST_RETRY_DELAY, last);
        self.next = now.after(self.wait);
    }

    pub(super) fn succeeded(&mut self) {
        *self = Backoff::default();
    }

    /// Allows a try now, for a caller who waits. The next delay is not changed.
    pub(super) fn try_now(&mut self) {
        self.next = MonotonicTime::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_is_away_is_asked_ever_more_rarely() {
        let mut backoff = Backoff::default();
        let mut now = MonotonicTime(Duration::from_secs(1));
        let mut waits = Vec::new();
        for _ in 0..7 {
            assert!(backoff.is_due(now));
            backoff.failed(now, &StorageError::Closed);
            waits.push(backoff.next.since(now).as_secs());
            now = backoff.next;
        }
        assert_eq!(waits, [2, 4, 8, 16, 30, 30, 30]);
        backoff.failed(now, &StorageError::RowsNotKept);
        assert_eq!(backoff.next.since(now).as_secs(), 5);
        backoff.succeeded();
        assert!(backoff.is_due(now));
    }
}
