//! Which nodes live. Each counts on in its row of the table; the others look whether it still does, by clocks of their own that
//! never jump. So no node's idea of the time matters to another.

use std::collections::HashMap;
use std::time::Duration;

use crate::parking::Moment;

/// How often each node counts on and looks.
pub(super) const BEAT: Duration = Duration::from_secs(1);
/// A node that has not counted for so long is taken to be dead: its calls cannot be reached.
const SILENCE: Duration = Duration::from_secs(5);
/// Who has not looked for so long knows nothing of what the others did meanwhile.
const BLINK: Duration = Duration::from_secs(3);

#[derive(Debug, Default)]
pub(super) struct Watch {
    seen: HashMap<String, (i64, Moment)>,
    looked: Option<Moment>,
}

impl Watch {
    /// What the nodes count now. Those that are not among them have left.
    pub(super) fn look(&mut self, beats: &[(String, i64)], now: Moment) {
        if self.looked.is_none_or(|looked| now.since(looked) > BLINK) {
            self.seen.clear();
        }
        self.looked = Some(now);
        self.seen.retain(|node, _| beats.iter().any(|(name, _)| name == node));
        for (node, beat) in beats {
            let seen = self.seen.entry(node.clone()).or_insert((*beat, now));
            if seen.0 != *beat {
                *seen = (*beat, now);
            }
        }
    }

    pub(super) fn silent(&self, node: &str, now: Moment) -> bool {
        self.seen.get(node).is_none_or(|(_, since)| now.since(*since) >= SILENCE)
    }

    /// Nodes that have been silent for `window` longer than it takes to be taken for dead, with their last count.
    pub(super) fn gone(&self, window: Duration, now: Moment) -> Vec<(String, i64)> {
        let gone = self.seen.iter().filter(|(_, (_, since))| now.since(*since) >= SILENCE + window);
        gone.map(|(node, (beat, _))| (node.clone(), *beat)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    #[test]
    fn a_node_lives_while_it_counts() {
        let window = Duration::from_secs(60);
        let mut watch = Watch::default();
        for second in 0..200 {
            watch.look(&[("a".into(), second), ("b".into(), second.min(10))], at(second as u64));
        }
        let now = at(199);
        assert!(!watch.silent("a", now) && watch.silent("b", now));
        assert_eq!(watch.gone(window, now), [("b".to_owned(), 10)]);
        assert!(watch.gone(Duration::from_secs(190), now).is_empty());
    }

    #[test]
    fn who_could_not_look_declares_nobody_dead() {
        let mut watch = Watch::default();
        watch.look(&[("a".into(), 1)], at(0));
        watch.look(&[("a".into(), 1)], at(500));
        assert!(!watch.silent("a", at(500)) && watch.gone(Duration::ZERO, at(500)).is_empty());
    }
}
