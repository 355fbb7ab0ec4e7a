//! The register's one thread: all that it has to do with the database.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::desk::{Change, Order, Standing, Wanted};
use super::entry::{self, COLUMNS, Entry, Place};
use super::nodes::{BEAT, Watch};
use super::{Register, settings};
use crate::attendant::{self, Attendant, Bearer};
use crate::config::Settings;
use crate::host;
use crate::parking::{Absent, Afar, Moment};
use crate::records::{Store, number, word};

/// Changes that are written together.
const AT_ONCE: usize = 100;
/// For how long a ticket can be redeemed.
const TICKET_MS: i64 = 30_000;
/// How far each node has counted. Who has calls in the register and never counted is among them: else nobody would ever free
/// those slots.
const BEATS: &str = "SELECT node, beat FROM callpark_nodes UNION ALL SELECT DISTINCT node, -1 FROM callpark_calls WHERE node \
                     NOT IN (SELECT node FROM callpark_nodes)";

/// What is known of the database from one turn of work to the next.
#[derive(Default)]
pub(super) struct Clerk {
    /// The database that was written to last.
    dsn: Option<String>,
    watch: Watch,
    beat: Option<i64>,
    /// Of the database's clock, in milliseconds; its clock is the one that all nodes share.
    ahead: i64,
    next_look: Moment,
}

impl Clerk {
    /// One turn of work: all that there is to do.
    pub(super) fn work(&mut self, register: &Register) -> Result<(), String> {
        let Some(attendant) = attendant::on_duty() else { return Ok(()) };
        let (settings, node) = (settings(), attendant.node_name());
        let known = self.dsn.as_ref() == Some(&settings.db_dsn);
        // Forgotten until this turn has gone well: after an error, the tables are looked at again.
        self.dsn = None;
        let store = if known { Store::open_again(&settings.db_dsn)? } else { Store::open(&settings.db_dsn)? };
        if !known {
            self.beat = None;
            self.next_look = Moment::default();
            register.desk.lock().all_anew();
            self.ahead = if settings.cluster { clock(&store)? - host::epoch_ms() } else { 0 };
        }
        let desk = Work { store: &store, register, attendant: &attendant, node: &node, ahead: self.ahead };
        desk.look_back(&settings)?;
        if desk.clear()? == Found::Taken {
            // This node knows too little of the others.
            self.next_look = Moment::default();
        }
        if settings.cluster && host::now() >= self.next_look {
            self.look(&desk, &settings)?;
        }
        self.dsn = Some(settings.db_dsn);
        Ok(())
    }

    /// Counts on, and hears what the other nodes have.
    fn look(&mut self, desk: &Work<'_>, settings: &Settings) -> Result<(), String> {
        self.next_look = host::now().after(BEAT / 2);
        self.count(desk)?;
        let clock = clock(desk.store)?;
        self.ahead = clock - host::epoch_ms();
        let mut beats = Vec::new();
        desk.store.query(BEATS, &mut |row| beats.push((word(row, 0), number(row, 1))))?;
        let now = host::now();
        self.watch.look(&beats, now);
        let window = Duration::from_secs(settings.recover_window.into());
        for (node, beat) in self.watch.gone(window, now).into_iter().filter(|(node, _)| node != desk.node) {
            desk.bury(&node, beat, clock)?;
        }
        let (own, mut others): (Vec<Absent>, Vec<Absent>) =
            desk.rows("", clock)?.into_iter().partition(|absent| *absent.node == *desk.node);
        for absent in others.iter_mut().filter(|absent| self.watch.silent(&absent.node, now)) {
            absent.is = Afar::Reserved;
        }
        // What this node is just taking over is another's in the register for one moment more.
        let settled = desk.register.desk.lock().written();
        for absent in others.iter().filter(|absent| settled.contains(&*absent.uuid)) {
            desk.attendant.let_go(absent);
        }
        desk.attendant.hear(&others);
        desk.compare(&own)
    }

    fn count(&mut self, desk: &Work<'_>) -> Result<(), String> {
        let node = desk.store.text(desk.node);
        let mut there = None;
        let sql = format!("SELECT beat FROM callpark_nodes WHERE node = {node}");
        desk.store.query(&sql, &mut |row| there = Some(number(row, 0)))?;
        if let (Some(there), Some(mine)) = (there, self.beat) {
            if there != mine {
                log::error!("another FreeSWITCH calls itself {} in this cluster: node-name must differ", desk.node);
            }
        }
        let next = there.unwrap_or(0) + 1;
        let sql = match there {
            Some(_) => format!("UPDATE callpark_nodes SET beat = {next} WHERE node = {node}"),
            None => format!("INSERT INTO callpark_nodes (node, beat) VALUES ({node}, {next})"),
        };
        desk.store.execute(&sql)?;
        self.beat = Some(next);
        Ok(())
    }
}

/// The database's clock, in milliseconds since 1970.
fn clock(store: &Store) -> Result<i64, String> {
    let mut clock = 0;
    let sql = "SELECT CAST(EXTRACT(EPOCH FROM CURRENT_TIMESTAMP) * 1000 AS BIGINT)";
    store.query(sql, &mut |row| clock = number(row, 0))?;
    Ok(clock)
}

/// What the register had that this node did not know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Found {
    Nothing,
    /// A slot that this node held to be free.
    Taken,
}

/// One turn's work in an open database.
struct Work<'a> {
    store: &'a Store,
    register: &'a Register,
    attendant: &'a Arc<Attendant>,
    node: &'a str,
    ahead: i64,
}

impl Work<'_> {
    /// Once, at the beginning: the calls that this node had when it died. Their slots are kept.
    fn look_back(&self, settings: &Settings) -> Result<(), String> {
        if self.register.desk.lock().looked_back {
            return Ok(());
        }
        let node = self.store.text(self.node);
        // Those whose outcome is on record had ended; only that was not noted here any more.
        self.store.execute(&format!(
            "DELETE FROM callpark_calls WHERE node = {node} AND EXISTS (SELECT 1 FROM callpark_records WHERE \
             callpark_records.uuid = callpark_calls.uuid AND callpark_records.parked_at = callpark_calls.parked_at)"
        ))?;
        let left = self.rows(&format!("WHERE node = {node}"), host::epoch_ms() + self.ahead)?;
        if !left.is_empty() {
            let window = settings.recover_window;
            log::warn!("{} slots are kept for {window} s for callers who were parked when FreeSWITCH died", left.len());
            self.attendant.expect_back(&left, Duration::from_secs(window.into()));
        }
        self.register.desk.lock().looked_back = true;
        self.register.bell.notify_all();
        Ok(())
    }

    /// What has changed, and what somebody waits for.
    fn clear(&self) -> Result<Found, String> {
        let mut found = Found::Nothing;
        loop {
            let order = self.register.desk.lock().orders.pop_front();
            if let Some(order) = order {
                self.carry_out(order)?;
                continue;
            }
            let changes = self.register.desk.lock().take_changes(AT_ONCE);
            if changes.is_empty() {
                return Ok(found);
            }
            match self.write(&changes) {
                Ok(Found::Nothing) => {}
                Ok(Found::Taken) => found = Found::Taken,
                Err(why) => {
                    self.register.desk.lock().changed.extend(changes.into_iter().map(|(place, _)| place));
                    return Err(why);
                }
            }
        }
    }

    fn write(&self, changes: &[Change]) -> Result<Found, String> {
        let asking = |wanted: &Wanted| matches!(wanted.standing, Standing::Asking);
        let (questions, facts): (Vec<&Change>, Vec<&Change>) =
            changes.iter().partition(|(_, wanted)| wanted.as_ref().is_some_and(asking));
        let statements: Vec<String> =
            facts.iter().flat_map(|(place, wanted)| self.statements(place, wanted.as_ref())).collect();
        self.store.transaction(&statements)?;
        for (place, wanted) in facts {
            let Some(Wanted { entry, standing: Standing::New | Standing::Anew }) = wanted else { continue };
            if self.attendant.clustered() {
                self.report_double(place, &entry.uuid)?;
            }
            self.answer(place, entry, Standing::Written);
        }
        let mut found = Found::Nothing;
        for (place, wanted) in questions {
            let Some(wanted) = wanted else { continue };
            let standing = self.ask(place, wanted)?;
            if matches!(standing, Standing::Refused(_)) {
                found = Found::Taken;
            }
            self.answer(place, &wanted.entry, standing);
        }
        Ok(found)
    }

    fn answer(&self, place: &Place, entry: &Entry, standing: Standing) {
        self.register.desk.lock().answered(place, &entry.uuid, standing);
        self.register.bell.notify_all();
    }

    /// What makes the register say what is in a slot of this node's.
    fn statements(&self, place: &Place, wanted: Option<&Wanted>) -> Vec<String> {
        let (here, node) = (self.at(place), self.store.text(self.node));
        let Some(Wanted { entry, standing }) = wanted else {
            return vec![format!("DELETE FROM callpark_calls WHERE {here} AND node = {node}")];
        };
        let uuid = self.store.text(&entry.uuid);
        let old = match standing {
            Standing::Asking | Standing::Refused(_) => return Vec::new(),
            Standing::Written => {
                let changes = entry.changes(self.store, self.ahead);
                return vec![format!("UPDATE callpark_calls SET {changes} WHERE uuid = {uuid} AND node = {node}")];
            }
            Standing::New => format!("({here} AND node = {node}) OR uuid = {uuid}"),
            Standing::Anew => format!("({here} OR uuid = {uuid}) AND node = {node}"),
        };
        let turn = format!("(SELECT COALESCE(MAX(turn), -1) + 1 FROM callpark_calls WHERE {here})");
        let nobody = format!("WHERE NOT EXISTS (SELECT 1 FROM callpark_calls WHERE uuid = {uuid})");
        vec![
            format!("DELETE FROM callpark_calls WHERE {old}"),
            format!("INSERT INTO callpark_calls (turn, {COLUMNS}) SELECT {turn}, {} {nobody}", self.values(entry)),
        ]
    }

    /// Whether a slot is this node's.
    fn ask(&self, place: &Place, Wanted { entry, .. }: &Wanted) -> Result<Standing, String> {
        let (here, node, uuid) = (self.at(place), self.store.text(self.node), self.store.text(&entry.uuid));
        let free = format!("WHERE NOT EXISTS (SELECT 1 FROM callpark_calls WHERE {here})");
        let changes = entry.changes(self.store, self.ahead);
        let claimed = self.store.transaction(&[
            format!("DELETE FROM callpark_calls WHERE {here} AND node = {node} AND uuid <> {uuid}"),
            // A caller who was recovered from another node brings the slot along.
            format!("UPDATE callpark_calls SET node = {node}, {changes} WHERE uuid = {uuid}"),
            format!("INSERT INTO callpark_calls (turn, {COLUMNS}) SELECT 0, {} {free}", self.values(entry)),
        ]);
        if claimed.is_err() && !self.store.alive() {
            claimed?;
        }
        let there = self.rows(&format!("WHERE {here} ORDER BY turn"), host::epoch_ms() + self.ahead)?;
        let ours = |absent: &&Absent| *absent.node == *self.node && *absent.uuid == *entry.uuid;
        match (there.iter().find(ours), there.first()) {
            (None, Some(other)) => Ok(Standing::Refused(Box::new(other.clone()))),
            (None, None) => Err("a slot that was claimed is not there".into()),
            (Some(_), _) => Ok(Standing::Written),
        }
    }

    fn values(&self, entry: &Entry) -> String {
        entry.values(self.store, self.node, self.ahead)
    }

    /// Two nodes that could not see each other gave one slot away. Both callers wait on.
    fn report_double(&self, place: &Place, uuid: &str) -> Result<(), String> {
        for other in self.rows(&format!("WHERE {}", self.at(place)), 0)?.iter().filter(|other| *other.uuid != *uuid) {
            let (slot, here) = (&place.1, self.node);
            log::error!(
                "slot {slot}@{} was given away twice, here ({here}) to {uuid} and on {} to {}: each waits on where \
                 it is, and is listed",
                place.0,
                other.node,
                other.uuid
            );
        }
        Ok(())
    }

    /// What the register has of this node's calls is what it is to have, or is mended.
    fn compare(&self, own: &[Absent]) -> Result<(), String> {
        let mut vanished = Vec::new();
        let mut stale = Vec::new();
        let in_it: HashSet<(&str, &str, &str)> =
            own.iter().map(|absent| (&*absent.lot.domain, absent.slot.as_str(), &*absent.uuid)).collect();
        {
            let mut desk = self.register.desk.lock();
            let written = |wanted: &Wanted| matches!(wanted.standing, Standing::Written);
            for (place, wanted) in desk.wanted.iter().filter(|(_, wanted)| written(wanted)) {
                let is_in_it = in_it.contains(&(&*place.0, &*place.1, &*wanted.entry.uuid));
                if !is_in_it && !desk.changed.contains(place) {
                    vanished.push((place.clone(), wanted.entry.clone()));
                }
            }
            for (place, entry) in &vanished {
                desk.stands(place, &entry.uuid, Standing::Anew);
                desk.changed.insert(place.clone());
            }
            for absent in own {
                let place = (absent.lot.domain.to_string(), absent.slot.to_string());
                let known = desk.wanted.get(&place).is_some_and(|wanted| *wanted.entry.uuid == *absent.uuid);
                if !known && !desk.changed.contains(&place) {
                    stale.push(format!("{} AND uuid = {}", self.at(&place), self.store.text(&absent.uuid)));
                }
            }
        }
        let node = self.store.text(self.node);
        for row in stale {
            self.store.execute(&format!("DELETE FROM callpark_calls WHERE node = {node} AND {row}"))?;
        }
        if !vanished.is_empty() {
            log::warn!("{} calls of this node had been given up by another: they are not lost", vanished.len());
        }
        for (_, entry) in &vanished {
            self.store.forget_one(&entry.uuid, entry.parked_at)?;
        }
        self.clear().map(|_| ())
    }

    /// A node is dead and nobody recovered its callers: whichever node is first says so.
    fn bury(&self, node: &str, beat: i64, clock: i64) -> Result<(), String> {
        let name = self.store.text(node);
        let still = format!("COALESCE((SELECT beat FROM callpark_nodes WHERE node = {name}), {beat}) = {beat}");
        let mut lost = Vec::new();
        let sql = format!("DELETE FROM callpark_calls WHERE node = {name} AND {still} RETURNING {COLUMNS}");
        self.store.query(&sql, &mut |row| lost.extend(entry::read(row, clock)))?;
        self.store.execute(&format!("DELETE FROM callpark_nodes WHERE node = {name} AND beat = {beat}"))?;
        if !lost.is_empty() {
            log::warn!("node {node} is dead, and nobody recovered {} of its callers", lost.len());
        }
        for absent in &lost {
            self.attendant.lost_afar(absent);
        }
        Ok(())
    }

    fn carry_out(&self, order: Order) -> Result<(), String> {
        let clock = host::epoch_ms() + self.ahead;
        let node = self.store.text(self.node);
        match order {
            Order::Issue { ticket, node, bearer, done } => {
                let (ticket, node) = (self.store.text(&ticket), self.store.text(&node));
                let (uuid, retriever) = (self.store.text(&bearer.uuid), self.store.text(&bearer.retriever));
                self.store.execute(&format!("DELETE FROM callpark_tickets WHERE expires < {clock}"))?;
                self.store.execute(&format!(
                    "INSERT INTO callpark_tickets (ticket, node, uuid, retriever, expires) VALUES ({ticket}, {node}, {uuid}, \
                     {retriever}, {})",
                    clock + TICKET_MS
                ))?;
                // Who asked may have given up by now.
                let _ = done.try_send(true);
            }
            Order::Redeem { ticket, done } => {
                let ticket = self.store.text(&ticket);
                let mut bearer = None;
                let sql = format!(
                    "DELETE FROM callpark_tickets WHERE ticket = {ticket} AND node = {node} AND expires >= {clock} RETURNING \
                     uuid, retriever"
                );
                self.store
                    .query(&sql, &mut |row| bearer = Some(Bearer { uuid: word(row, 0), retriever: word(row, 1) }))?;
                let _ = done.try_send(bearer);
            }
        }
        Ok(())
    }

    fn rows(&self, which: &str, clock: i64) -> Result<Vec<Absent>, String> {
        let mut rows = Vec::new();
        let sql = format!("SELECT {COLUMNS} FROM callpark_calls {which}");
        self.store.query(&sql, &mut |row| rows.extend(entry::read(row, clock)))?;
        Ok(rows)
    }

    fn at(&self, (domain, slot): &Place) -> String {
        format!("domain = {} AND slot = {}", self.store.text(domain), self.store.text(slot))
    }
}
