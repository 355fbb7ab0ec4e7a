//! Remembers the state that was published last for each lamp, and limits how many are published at once.
//!
//! mod_sofia queries its database for each published lamp, even if nobody has subscribed to it, on one thread for all phones of a server. So if
//! very many lamps change, or only the count of a lit lot does, the final state is published up to a second later. A slot that is free again by then
//! is not published at all.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::lamp::{Lamp, LampName, LampTarget};
use crate::parking::MonotonicTime;

/// The number of lamps that may be published at once in each second. After a quiet second, it is twice as many.
const MAX_LAMPS_PER_SECOND: u32 = 20;
const SECOND: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct PublishedStates {
    /// The lamps that are not dark.
    lit: HashMap<LampName, Lamp>,
    /// When the count of a lit lot was published.
    counted: HashMap<LampName, MonotonicTime>,
    /// The time until which the allowed number of lamps is used up.
    used_until: Option<MonotonicTime>,
    postponed: BTreeSet<LampName>,
}

impl PublishedStates {
    /// Whether a lamp must be published now; then it counts as published. If not, its state is not new, or it is published later.
    pub(super) fn takes_now(&mut self, name: &LampName, lamp: &Lamp, now: MonotonicTime) -> bool {
        if !self.is_new(name, lamp) {
            return false;
        }
        let at_once = !self.only_counts(name, lamp, now) && self.is_within_rate(now);
        if at_once {
            self.note_published(name, lamp, now);
        } else {
            self.postponed.insert(name.clone());
        }
        at_once
    }

    /// Returns the lamps that were postponed.
    pub(super) fn take_postponed(&mut self) -> BTreeSet<LampName> {
        std::mem::take(&mut self.postponed)
    }

    pub(super) fn is_new(&self, name: &LampName, lamp: &Lamp) -> bool {
        self.lit.get(name).unwrap_or(&Lamp::Dark) != lamp
    }

    pub(super) fn note_published(&mut self, name: &LampName, lamp: &Lamp, now: MonotonicTime) {
        if *lamp == Lamp::Dark {
            self.lit.remove(name);
            self.counted.remove(name);
            return;
        }
        self.lit.insert(name.clone(), lamp.clone());
        if let LampTarget::Lot(_) = name.target {
            self.counted.insert(name.clone(), now);
        }
    }

    /// Whether only the count of a lit lot changes, which was published within the last second.
    fn only_counts(&self, name: &LampName, lamp: &Lamp, now: MonotonicTime) -> bool {
        let stays = *lamp != Lamp::Dark && self.lit.contains_key(name);
        stays && self.counted.get(name).is_some_and(|told| now.since(*told) < SECOND)
    }

    fn is_within_rate(&mut self, now: MonotonicTime) -> bool {
        let used_until = self.used_until.map_or(now, |used_until| used_until.max(now));
        let may = used_until.since(now) < SECOND;
        if may {
            self.used_until = Some(used_until.after(SECOND / MAX_LAMPS_PER_SECOND));
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parking::{LampState, LotId, Slot};

    fn slot(number: u32) -> LampName {
        LampName::of_slot(&"example.com".into(), &Slot::parse(&number.to_string()).unwrap())
    }

    fn lit(note: &str) -> Lamp {
        Lamp::Lit { state: LampState::Confirmed, note: note.into(), caller: None, login: "main".into() }
    }

    fn at(ms: u64) -> MonotonicTime {
        MonotonicTime(Duration::from_millis(ms))
    }

    #[test]
    fn nothing_is_told_twice() {
        let mut published = PublishedStates::default();
        assert!(published.takes_now(&slot(701), &lit("Parked"), at(0)));
        assert!(!published.takes_now(&slot(701), &lit("Parked"), at(10)));
        assert!(published.takes_now(&slot(701), &Lamp::Dark, at(20)));
        assert!(!published.takes_now(&slot(701), &Lamp::Dark, at(30)));
        assert!(published.take_postponed().is_empty());
    }

    #[test]
    fn of_a_crowd_the_first_are_told_at_once_and_the_others_late() {
        let mut published = PublishedStates::default();
        let told = (0..100).filter(|&n| published.takes_now(&slot(n), &lit("Parked"), at(0))).count();
        assert_eq!((told, published.take_postponed().len()), (20, 80));
        let told =
            (0..100).filter(|&n| published.takes_now(&slot(200 + n), &lit("Parked"), at(10 * u64::from(n)))).count();
        assert_eq!(told, 20, "as many in the second after it");
        let told = (0..100).filter(|&n| published.takes_now(&slot(400 + n), &lit("Parked"), at(60_000))).count();
        assert_eq!(told, 20, "however long it was quiet");
    }

    #[test]
    fn a_slot_that_is_free_again_is_not_told_late() {
        let mut published = PublishedStates::default();
        while published.is_within_rate(at(0)) {}
        assert!(!published.takes_now(&slot(701), &lit("Parked"), at(0)));
        assert!(!published.takes_now(&slot(701), &Lamp::Dark, at(500)));
        assert!(published.take_postponed().into_iter().all(|name| !published.is_new(&name, &Lamp::Dark)));
    }

    #[test]
    fn the_count_of_a_lit_lot_is_told_once_a_second_and_its_light_at_once() {
        let (mut published, lot) = (PublishedStates::default(), LampName::of_lot(&LotId::new("main", "example.com")));
        assert!(published.takes_now(&lot, &lit("1"), at(0)));
        assert!(!published.takes_now(&lot, &lit("2"), at(100)));
        assert!(published.takes_now(&lot, &Lamp::Dark, at(200)));
        assert!(published.takes_now(&lot, &lit("1"), at(300)));
        assert!(published.takes_now(&lot, &lit("2"), at(1300)));
    }
}
