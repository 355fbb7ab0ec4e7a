//! Remembers how phones spell the domain of a lamp.
//!
//! mod_sofia compares the host of a subscription as it is written. So a lamp needs an event for each spelling of its domain in capital and
//! small letters. Each lamp has its own spellings: a limited number, each for as long as its subscription lasts. So a phone that subscribes
//! with many spellings does not multiply the events of other lamps, and those of this lamp only up to the limit.

use std::collections::HashMap;

use super::lamp::LampName;
use crate::parking::MonotonicTime;

/// The maximum number of spellings of one lamp's domain besides the usual one, which is in lower case.
const MAX_SPELLINGS_PER_LAMP: usize = 3;
/// The maximum number of lamps with such spellings.
const MAX_LAMPS: usize = 10_000;

#[derive(Default)]
pub(super) struct Spellings {
    /// The spellings of each lamp; the one that was learned last is at the end.
    of: HashMap<LampName, Vec<Spelling>>,
}

struct Spelling {
    host: String,
    learned: MonotonicTime,
    /// When the last subscription with this spelling ends.
    until: MonotonicTime,
}

impl Spellings {
    /// Learns the spelling `host` of a subscription to `name`, which ends at `until`.
    pub(super) fn learn(&mut self, name: &LampName, host: &str, until: MonotonicTime, now: MonotonicTime) {
        if host == &*name.domain || !host.eq_ignore_ascii_case(&name.domain) {
            return;
        }
        if self.of.len() >= MAX_LAMPS && !self.of.contains_key(name) {
            self.make_room(now);
        }
        let known = self.of.entry(name.clone()).or_default();
        known.retain(|spelling| spelling.until > now);
        let before = known.iter().position(|spelling| spelling.host == host).map(|at| known.remove(at).until);
        if known.len() >= MAX_SPELLINGS_PER_LAMP {
            known.remove(0);
        }
        let until = before.map_or(until, |before| before.max(until));
        known.push(Spelling { host: host.to_owned(), learned: now, until });
    }

    /// The other spellings of the domain of a lamp.
    pub(super) fn of(&self, name: &LampName, now: MonotonicTime) -> Vec<String> {
        let known = self.of.get(name).into_iter().flatten();
        known.filter(|spelling| spelling.until > now).map(|spelling| spelling.host.clone()).collect()
    }

    /// Removes the lamps whose subscriptions have ended; if there are none, the one whose last subscription is the oldest.
    fn make_room(&mut self, now: MonotonicTime) {
        self.of.retain(|_, known| known.iter().any(|spelling| spelling.until > now));
        let last_learned = |known: &Vec<Spelling>| known.last().map(|spelling| spelling.learned);
        if self.of.len() >= MAX_LAMPS {
            let oldest = self.of.iter().min_by_key(|(_, known)| last_learned(known)).map(|(name, _)| name.clone());
            oldest.inspect(|name| drop(self.of.remove(name)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::parking::Slot;

    fn name(slot: u32) -> LampName {
        LampName::of_slot(&"example.com".into(), &Slot::parse(&slot.to_string()).unwrap())
    }

    fn at(seconds: u64) -> MonotonicTime {
        MonotonicTime(Duration::from_secs(seconds))
    }

    #[test]
    fn only_other_letters_of_the_domain_are_learned_and_for_one_lamp_only() {
        let mut spellings = Spellings::default();
        for host in ["example.com", "Example.COM", "192.0.2.1", "example.org"] {
            spellings.learn(&name(701), host, at(300), at(0));
        }
        assert_eq!(spellings.of(&name(701), at(1)), ["Example.COM"]);
        assert_eq!(spellings.of(&name(702), at(1)), [] as [String; 0]);
    }

    #[test]
    fn one_that_is_renewed_outlasts_any_number_of_others() {
        let mut spellings = Spellings::default();
        for n in 0..50 {
            let odd: String = "example.com"
                .char_indices()
                .map(|(i, c)| if n >> i & 1 == 1 { c.to_ascii_uppercase() } else { c })
                .collect();
            spellings.learn(&name(701), &odd, at(86_400), at(n));
            spellings.learn(&name(701), "EXAMPLE.COM", at(n + 300), at(n));
        }
        let known = spellings.of(&name(701), at(50));
        assert_eq!(known.len(), MAX_SPELLINGS_PER_LAMP);
        assert!(known.contains(&"EXAMPLE.COM".to_owned()));
    }

    #[test]
    fn it_is_kept_for_as_long_as_the_longest_subscription() {
        let mut spellings = Spellings::default();
        spellings.learn(&name(701), "EXAMPLE.COM", at(300), at(0));
        spellings.learn(&name(701), "EXAMPLE.COM", at(60), at(10));
        assert_eq!(spellings.of(&name(701), at(299)).len(), 1);
        assert_eq!(spellings.of(&name(701), at(300)).len(), 0);
    }

    #[test]
    fn the_lamp_that_was_not_subscribed_to_for_the_longest_time_gives_way() {
        let mut spellings = Spellings::default();
        for n in 0..=MAX_LAMPS as u32 {
            spellings.learn(&name(n), "EXAMPLE.COM", at(1_000_000), at(u64::from(n)));
        }
        assert_eq!(spellings.of.len(), MAX_LAMPS);
        assert!(spellings.of(&name(0), at(20_000)).is_empty() && !spellings.of(&name(1), at(20_000)).is_empty());
    }
}
