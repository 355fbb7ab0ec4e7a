//! Finds out which nodes are alive. Each node increases a counter in its row, and the others check by their own monotonic clocks that it increases, so
//! that the clocks of the nodes may differ.

use std::collections::HashMap;
use std::time::Duration;

use super::connection::{Connection, StorageError, number_at, text_at};
use crate::freeswitch;
use crate::parking::MonotonicTime;

/// How often each node increases its counter and reads those of the others.
pub(super) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// A node whose counter has not increased for this time counts as dead: its calls cannot be reached.
const DEAD_NODE_TIMEOUT: Duration = Duration::from_secs(5);
/// A node that has not read the counters for this time does not know what the others did in the meantime.
const MAX_READ_GAP: Duration = Duration::from_secs(3);
/// How long a starting node checks whether another node increases the counter under its name, which happens once a second.
const NAME_CHECK_TIME: Duration = Duration::from_secs(2);
const NAME_CHECK_INTERVAL: Duration = Duration::from_millis(200);
/// How often that is logged.
const NAME_REPORT_INTERVAL: Duration = Duration::from_secs(60);
/// Reads the counter of each node. A node that has rows in the slot store and no counter is included, because otherwise its slots would never be
/// freed.
const SELECT_BEATS: &str = "SELECT node, beat FROM callpark_nodes UNION ALL SELECT DISTINCT node, -1 FROM callpark_calls WHERE node \
                     NOT IN (SELECT node FROM callpark_nodes)";

/// This node's own counter.
#[derive(Debug, Default)]
pub(super) struct Heartbeat {
    written: Option<i64>,
    /// When it was logged last that another node has the name of this one.
    reported: Option<MonotonicTime>,
}

impl Heartbeat {
    /// Checks before the first heartbeat whether a living node has this node's name. Then its calls are not those of a run that died.
    pub(super) fn is_name_in_use(&mut self, connection: &Connection, node: &str) -> Result<bool, StorageError> {
        let Some(first) = read(connection, node)?.filter(|_| self.written.is_none()) else { return Ok(false) };
        for _ in 0..NAME_CHECK_TIME.as_millis() / NAME_CHECK_INTERVAL.as_millis() {
            std::thread::sleep(NAME_CHECK_INTERVAL);
            if read(connection, node)?.is_some_and(|beat| beat != first) {
                self.report_shared_name(node, freeswitch::now());
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Increases the counter by `step` and reads it back. `step` is random, so that two nodes of one name notice each other.
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

    /// Logs that another node has this one's name, which its heartbeats or rows show.
    pub(super) fn report_shared_name(&mut self, node: &str, now: MonotonicTime) {
        if self.reported.is_none_or(|last| now.since(last) >= NAME_REPORT_INTERVAL) {
            self.reported = Some(now);
            log::error!(node:% = node; "another FreeSWITCH has the node-name of this one; neither deletes rows of the other");
        }
    }
}

fn read(connection: &Connection, node: &str) -> Result<Option<i64>, StorageError> {
    let mut beat = None;
    let sql = format!("SELECT beat FROM callpark_nodes WHERE node = {}", connection.text(node));
    connection.query(&sql, &mut |row| beat = Some(number_at(row, 0)))?;
    Ok(beat)
}

/// Reads the counters of all nodes.
pub(super) fn beats(connection: &Connection) -> Result<Vec<(String, i64)>, StorageError> {
    let mut beats = Vec::new();
    connection.query(SELECT_BEATS, &mut |row| beats.push((text_at(row, 0), number_at(row, 1))))?;
    Ok(beats)
}

/// Reads the clock of the database, which all nodes share, in milliseconds since 1970.
pub(super) fn clock(connection: &Connection) -> Result<i64, StorageError> {
    let mut clock = 0;
    let sql = "SELECT CAST(EXTRACT(EPOCH FROM CURRENT_TIMESTAMP) * 1000 AS BIGINT)";
    connection.query(sql, &mut |row| clock = number_at(row, 0))?;
    Ok(clock)
}

#[derive(Debug, Default)]
pub(super) struct NodeMonitor {
    seen: HashMap<String, (i64, MonotonicTime)>,
    updated: Option<MonotonicTime>,
}

impl NodeMonitor {
    /// Takes in the present counters. Nodes that are not among them have left.
    pub(super) fn update(&mut self, beats: &[(String, i64)], now: MonotonicTime) {
        if self.updated.is_none_or(|updated| now.since(updated) > MAX_READ_GAP) {
            self.seen.clear();
        }
        self.updated = Some(now);
        self.seen.retain(|node, _| beats.iter().any(|(name, _)| name == node));
        for (node, beat) in beats {
            let seen = self.seen.entry(node.clone()).or_insert((*beat, now));
            if seen.0 != *beat {
                *seen = (*beat, now);
            }
        }
    }

    pub(super) fn is_silent(&self, node: &str, now: MonotonicTime) -> bool {
        self.seen.get(node).is_none_or(|(_, since)| now.since(*since) >= DEAD_NODE_TIMEOUT)
    }

    /// Returns the nodes that have been dead for `window`, with their last counters.
    pub(super) fn dead_nodes(&self, window: Duration, now: MonotonicTime) -> Vec<(String, i64)> {
        let gone = self.seen.iter().filter(|(_, (_, since))| now.since(*since) >= DEAD_NODE_TIMEOUT + window);
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
        let mut monitor = NodeMonitor::default();
        for second in 0..200 {
            monitor.update(&[("a".into(), second), ("b".into(), second.min(10))], at(second as u64));
        }
        let now = at(199);
        assert!(!monitor.is_silent("a", now) && monitor.is_silent("b", now));
        assert_eq!(monitor.dead_nodes(window, now), [("b".to_owned(), 10)]);
        assert!(monitor.dead_nodes(Duration::from_secs(190), now).is_empty());
    }

    #[test]
    fn who_could_not_look_declares_nobody_dead() {
        let mut monitor = NodeMonitor::default();
        monitor.update(&[("a".into(), 1)], at(0));
        monitor.update(&[("a".into(), 1)], at(500));
        assert!(!monitor.is_silent("a", at(500)) && monitor.dead_nodes(Duration::ZERO, at(500)).is_empty());
    }
}
