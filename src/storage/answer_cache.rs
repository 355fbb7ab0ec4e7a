//! Keeps answers for some seconds, because many dashboards may ask the same.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::connection::StorageError;
use crate::freeswitch;
use crate::parking::MonotonicTime;

/// How long an answer is kept.
const CACHE_TIME: Duration = Duration::from_secs(3);
/// The maximum number of answers of one cache.
const MAX_CACHED: usize = 64;

/// Answers `A` to queries `Q`.
pub(super) struct AnswerCache<Q, A>(Mutex<Vec<(Q, CachedAnswer<A>)>>);

/// A cached answer, for which requests wait until it is known.
type CachedAnswer<A> = Arc<Mutex<Option<(MonotonicTime, A)>>>;

impl<Q, A> Default for AnswerCache<Q, A> {
    fn default() -> AnswerCache<Q, A> {
        AnswerCache(Mutex::default())
    }
}

impl<Q: PartialEq, A: Clone> AnswerCache<Q, A> {
    /// Returns the answer of `read`, or a kept one of the same query. Another request for it is waited for at most for `patience`.
    pub(super) fn get(
        &self,
        query: Q,
        patience: Duration,
        read: impl FnOnce() -> Result<A, StorageError>,
    ) -> Result<A, StorageError> {
        let answer = self.entry(query);
        let mut answer = answer.try_lock_for(patience).ok_or(StorageError::NoAnswer)?;
        if let Some((at, known)) = &*answer {
            if freeswitch::now().since(*at) < CACHE_TIME {
                return Ok(known.clone());
            }
        }
        let new = read()?;
        *answer = Some((freeswitch::now(), new.clone()));
        Ok(new)
    }

    fn entry(&self, query: Q) -> CachedAnswer<A> {
        let mut cache = self.0.lock();
        if let Some((_, answer)) = cache.iter().find(|(known, _)| *known == query) {
            return Arc::clone(answer);
        }
        let is_new = |answer: &CachedAnswer<A>| {
            // A locked answer is being asked for.
            let answer = answer.try_lock();
            answer.is_none_or(|known| known.as_ref().is_none_or(|(at, _)| freeswitch::now().since(*at) < CACHE_TIME))
        };
        cache.retain(|(_, answer)| is_new(answer));
        if cache.len() >= MAX_CACHED {
            cache.remove(0);
        }
        let answer = CachedAnswer::default();
        cache.push((query, Arc::clone(&answer)));
        answer
    }
}
