//! Which nodes live. Each counts on in its row of the table; the others look whether it still does, by clocks of their own that
//! never jump. So no node's idea of the time matters to another.

use std::collections::HashMap;
use std::time::Duration;

use super::connection::{Connection, StorageError, number, word};
use crate::freeswitch;
use crate::parking::MonotonicTime;

/// How often each node counts on and looks.
pub(super) const BEAT: Duration = Duration::from_secs(1);
/// A node that has not counted for so long is taken to be dead: its calls cannot be reached.
const SILENCE: Duration = Duration::from_secs(5);
/// Who has not looked for so long knows nothing of what the others did meanwhile.
const MISSED_LOOK: Duration = Duration::from_secs(3);
/// For how long a node that starts looks whether another counts under its name: that one counts once a second.
const NAME_CHECK: Duration = Duration::from_secs(2);
const NAME_CHECK_STEP: Duration = Duration::from_millis(200);
/// How often that is logged.
const REPORT: Duration = Duration::from_secs(60);
/// How far each node has counted. Who has calls in the slot store and never counted is among them: else nobody would ever free
/// those slots.
const BEATS: &str = "SELECT node, beat FROM callpark_nodes UNION ALL SELECT DISTINCT node, -1 FROM callpark_calls WHERE node \
                     NOT IN (SELECT node FROM callpark_nodes)";

/// This node's own count.
#[derive(Debug, Default)]
pub(super) struct Heartbeat {
    written: Option<i64>,
    /// When it was logged that another node has this one's name.
    reported: Option<MonotonicTime>,
}

impl Heartbeat {
    /// Before the first beat: whether a node that lives has this node's name, so that the calls there are not those of a run that died.
    pub(super) fn is_anothers(&mut self, connection: &Connection, node: &str) -> Result<bool, StorageError> {
        let Some(first) = read(connection, node)?.filter(|_| self.written.is_none()) else { return Ok(false) };
        for _ in 0..NAME_CHECK.as_millis() / NAME_CHECK_STEP.as_millis() {
            std::thread::sleep(NAME_CHECK_STEP);
            if read(connection, node)?.is_some_and(|beat| beat != first) {
                self.report_shared_name(node, freeswitch::now());
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Counts on, and reads back how far. `step` is a random number: two nodes of one name do not count to the same.
    pub(super) fn beat(
        &mut self,
        connection: &Connection,
        node: &str,
        step: u64,
        now: MonotonicTime,
    ) -> Result<(), StorageError> {
        let there = read(connection, node)?;
        if let (Some(there), Some(written)) = (there, self.written) {
            if there != written {
                self.report_shared_name(node, now);
            }
        }
        let next = there.unwrap_or(0).max(0).saturating_add(1 + (step % 1000) as i64);
        let name = connection.text(node);
        connection.execute(&match there {
            Some(_) => format!("UPDATE callpark_nodes SET beat = {next} WHERE node = {name}"),
            None => format!("INSERT INTO callpark_nodes (node, beat) VALUES ({name}, {next})"),
        })?;
        match read(connection, node)? {
            None => Err(StorageError::HeartbeatNotKept),
            counted => {
                self.written = counted;
                Ok(())
            }
        }
    }

    /// Another node has this one's name. Seen by its beats, or by rows that this node never wrote.
    pub(super) fn report_shared_name(&mut self, node: &str, now: MonotonicTime) {
        if self.reported.is_none_or(|last| now.since(last) >= REPORT) {
            self.reported = Some(now);
            log::error!(
                "another FreeSWITCH calls itself {node} in this cluster: node-name must differ; neither deletes what is not its own"
            );
        }
    }
}

fn read(connection: &Connection, node: &str) -> Result<Option<i64>, StorageError> {
    let mut beat = None;
    let sql = format!("SELECT beat FROM callpark_nodes WHERE node = {}", connection.text(node));
    connection.query(&sql, &mut |row| beat = Some(number(row, 0)))?;
    Ok(beat)
}

/// How far each node has counted.
pub(super) fn beats(connection: &Connection) -> Result<Vec<(String, i64)>, StorageError> {
    let mut beats = Vec::new();
    connection.query(BEATS, &mut |row| beats.push((word(row, 0), number(row, 1))))?;
    Ok(beats)
}

/// The database's clock, in milliseconds since 1970: the one that all nodes share.
pub(super) fn clock(connection: &Connection) -> Result<i64, StorageError> {
    let mut clock = 0;
    let sql = "SELECT CAST(EXTRACT(EPOCH FROM CURRENT_TIMESTAMP) * 1000 AS BIGINT)";
    connection.query(sql, &mut |row| clock = number(row, 0))?;
    Ok(clock)
}

#[derive(Debug, Default)]
pub(super) struct Watch {
    seen: HashMap<String, (i64, MonotonicTime)>,
    looked: Option<MonotonicTime>,
}

impl Watch {
    /// What the nodes count now. Those that are not among them have left.
    pub(super) fn look(&mut self, beats: &[(String, i64)], now: MonotonicTime) {
        if self.looked.is_none_or(|looked| now.since(looked) > MISSED_LOOK) {
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

    pub(super) fn silent(&self, node: &str, now: MonotonicTime) -> bool {
        self.seen.get(node).is_none_or(|(_, since)| now.since(*since) >= SILENCE)
    }

    /// Nodes that have been silent for `window` longer than it takes to be taken for dead, with their last count.
    pub(super) fn gone(&self, window: Duration, now: MonotonicTime) -> Vec<(String, i64)> {
        let gone = self.seen.iter().filter(|(_, (_, since))| now.since(*since) >= SILENCE + window);
        gone.map(|(node, (beat, _))| (node.clone(), *beat)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> MonotonicTime {
        MonotonicTime(Duration::from_secs(seconds))
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
