//! The tables, and every statement there is. Values are quoted in one place: [`text`].

use super::record::{Of, Record, Refused};
use crate::host::Database;

/// Each step brings the tables from the version before it to its own, the first being 1. Never changed, only added to; each may
/// be run twice, since two threads or servers may open new tables at once.
const MIGRATIONS: [&[&str]; 2] = [
    &[
        "CREATE TABLE IF NOT EXISTS callpark_records (uuid VARCHAR(255) NOT NULL, parked_at BIGINT NOT NULL, wait_ms BIGINT NOT NULL, \
     lot VARCHAR(255) NOT NULL, domain VARCHAR(255) NOT NULL, slot VARCHAR(32) NOT NULL, caller_name VARCHAR(1024) NOT NULL, \
     caller_number VARCHAR(1024) NOT NULL, parker VARCHAR(512) NOT NULL, retriever VARCHAR(512) NOT NULL, \
     label VARCHAR(4096) NOT NULL, outcome VARCHAR(16) NOT NULL, attempts INTEGER NOT NULL, node VARCHAR(255) NOT NULL, \
     PRIMARY KEY (uuid, parked_at))",
        "CREATE INDEX IF NOT EXISTS callpark_records_at ON callpark_records (parked_at)",
        "CREATE TABLE IF NOT EXISTS callpark_refused (refused_at BIGINT NOT NULL, lot VARCHAR(255) NOT NULL, domain VARCHAR(255) NOT NULL)",
        "CREATE INDEX IF NOT EXISTS callpark_refused_at ON callpark_refused (refused_at)",
    ],
    &[
        // The register of taken slots. `turn` is 0 unless two nodes gave a slot away while they could not see each other.
        "CREATE TABLE IF NOT EXISTS callpark_calls (domain VARCHAR(255) NOT NULL, slot VARCHAR(32) NOT NULL, turn INTEGER NOT NULL, \
     uuid VARCHAR(255) NOT NULL, node VARCHAR(255) NOT NULL, lot VARCHAR(255) NOT NULL, state VARCHAR(16) NOT NULL, \
     parked_at BIGINT NOT NULL, since BIGINT NOT NULL, due BIGINT NOT NULL, caller_name VARCHAR(1024) NOT NULL, \
     caller_number VARCHAR(1024) NOT NULL, parker VARCHAR(512) NOT NULL, label VARCHAR(4096) NOT NULL, attempt INTEGER NOT NULL, \
     PRIMARY KEY (domain, slot, turn))",
        "CREATE INDEX IF NOT EXISTS callpark_calls_uuid ON callpark_calls (uuid)",
        "CREATE INDEX IF NOT EXISTS callpark_calls_node ON callpark_calls (node)",
        "CREATE TABLE IF NOT EXISTS callpark_nodes (node VARCHAR(255) NOT NULL PRIMARY KEY, beat BIGINT NOT NULL)",
        "CREATE TABLE IF NOT EXISTS callpark_tickets (ticket VARCHAR(64) NOT NULL PRIMARY KEY, node VARCHAR(255) NOT NULL, \
     uuid VARCHAR(255) NOT NULL, retriever VARCHAR(512) NOT NULL, expires BIGINT NOT NULL)",
    ],
];

const COLUMNS: &str = "uuid, parked_at, wait_ms, lot, domain, slot, caller_name, caller_number, parker, retriever, label, \
                       outcome, attempts, node";

/// An open database with tables of this version.
pub(crate) struct Store {
    database: Database,
    backslash_escapes: bool,
}

impl Store {
    pub(crate) fn open(dsn: &str) -> Result<Store, String> {
        let store = Store::open_again(dsn)?;
        store.migrate()?;
        Ok(store)
    }

    /// One whose tables are known to be of this version.
    pub(crate) fn open_again(dsn: &str) -> Result<Store, String> {
        let database = Database::open(dsn)?;
        let backslash_escapes = escapes(&database, dsn)?;
        Ok(Store { database, backslash_escapes })
    }

    /// The core's own database, where it keeps what it knows of calls. `None`: this core has none.
    pub(crate) fn of_the_core() -> Option<Result<Store, String>> {
        let database = Database::of_the_core()?;
        Some(doubles_backslashes(&database).map(|backslash_escapes| Store { database, backslash_escapes }))
    }

    fn migrate(&self) -> Result<(), String> {
        self.database.execute("CREATE TABLE IF NOT EXISTS callpark_schema (version INTEGER NOT NULL)")?;
        let mut version = 0;
        self.database.query("SELECT MAX(version) FROM callpark_schema", &mut |row| version = number(row, 0))?;
        let known = MIGRATIONS.len() as i64;
        if version > known {
            return Err(format!(
                "its tables are of version {version}, made by a newer mod_callpark; this one knows {known}"
            ));
        }
        for (step, to) in MIGRATIONS.iter().zip(1..).filter(|(_, to)| *to > version) {
            for statement in *step {
                self.database.execute(statement)?;
            }
            self.database.execute(&format!("INSERT INTO callpark_schema (version) VALUES ({to})"))?;
        }
        Ok(())
    }

    pub(crate) fn execute(&self, sql: &str) -> Result<(), String> {
        self.database.execute(sql)
    }

    pub(crate) fn query(&self, sql: &str, row: &mut dyn FnMut(&[Option<String>])) -> Result<(), String> {
        self.database.query(sql, row)
    }

    /// All of these statements, or none.
    pub(crate) fn transaction(&self, statements: &[String]) -> Result<(), String> {
        // One by itself is all or none already.
        if let [] | [_] = statements {
            return statements.iter().try_for_each(|statement| self.database.execute(statement));
        }
        self.database.execute("BEGIN")?;
        let done = statements.iter().try_for_each(|statement| self.database.execute(statement));
        let end = self.database.execute(if done.is_ok() { "COMMIT" } else { "ROLLBACK" });
        done.and(end)
    }

    /// True if the database answers at all.
    pub(crate) fn alive(&self) -> bool {
        self.database.query("SELECT 1", &mut |_| {}).is_ok()
    }

    pub(super) fn insert(&self, records: &[Record]) -> Result<(), String> {
        let rows: Vec<String> = records.iter().map(|record| self.values(record)).collect();
        self.database.execute(&format!("INSERT INTO callpark_records ({COLUMNS}) VALUES {}", rows.join(", ")))
    }

    pub(super) fn insert_refused(&self, refused: &[Refused]) -> Result<(), String> {
        let rows: Vec<String> = refused
            .iter()
            .map(|row| format!("({}, {}, {})", row.at, self.text(&row.lot), self.text(&row.domain)))
            .collect();
        let rows = rows.join(", ");
        self.database.execute(&format!("INSERT INTO callpark_refused (refused_at, lot, domain) VALUES {rows}"))
    }

    /// Whether that very call is there already: a connection that breaks may have done its work before.
    pub(super) fn has(&self, record: &Record) -> bool {
        let (uuid, at) = (self.text(&record.uuid), record.parked_at);
        let sql = format!("SELECT COUNT(*) FROM callpark_records WHERE uuid = {uuid} AND parked_at = {at}");
        let mut count = 0;
        self.database.query(&sql, &mut |row| count = number(row, 0)).is_ok() && count > 0
    }

    /// Records parked at or after `since`, the newest first, `most` of them.
    pub(super) fn records(&self, since: i64, of: &Of, most: Option<usize>) -> Result<Vec<Record>, String> {
        let limit = most.map(|most| format!(" LIMIT {most}")).unwrap_or_default();
        let meant: String = [("domain", &of.domain), ("lot", &of.lot)]
            .iter()
            .filter_map(|(column, value)| Some(format!(" AND {column} = {}", self.text(value.as_ref()?))))
            .collect();
        let sql = format!(
            "SELECT {COLUMNS} FROM callpark_records WHERE parked_at >= {since}{meant} ORDER BY parked_at DESC, uuid{limit}"
        );
        let mut records = Vec::new();
        self.database.query(&sql, &mut |row| records.push(read(row)))?;
        Ok(records)
    }

    pub(super) fn refused(&self, since: i64) -> Result<Vec<Refused>, String> {
        let sql = format!("SELECT refused_at, lot, domain FROM callpark_refused WHERE refused_at >= {since}");
        let mut refused = Vec::new();
        self.database.query(&sql, &mut |row| {
            refused.push(Refused { at: number(row, 0), lot: word(row, 1), domain: word(row, 2) });
        })?;
        Ok(refused)
    }

    /// Forgets the outcome of a call that has not ended.
    pub(crate) fn forget_one(&self, uuid: &str, parked_at: i64) -> Result<(), String> {
        let uuid = self.text(uuid);
        self.database.execute(&format!("DELETE FROM callpark_records WHERE uuid = {uuid} AND parked_at = {parked_at}"))
    }

    /// Forgets what is older than `before`.
    pub(super) fn forget(&self, before: i64) -> Result<(), String> {
        self.database.execute(&format!("DELETE FROM callpark_records WHERE parked_at < {before}"))?;
        self.database.execute(&format!("DELETE FROM callpark_refused WHERE refused_at < {before}"))
    }

    fn values(&self, record: &Record) -> String {
        let Record { parked_at, wait_ms, attempts, .. } = record;
        let text = |value: &str| self.text(value);
        format!(
            "({}, {parked_at}, {wait_ms}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {attempts}, {})",
            text(&record.uuid),
            text(&record.lot),
            text(&record.domain),
            text(&record.slot),
            text(&record.caller_name),
            text(&record.caller_number),
            text(&record.parker),
            text(&record.retriever),
            text(&record.label),
            text(&record.outcome),
            text(&record.node),
        )
    }

    /// Whether a backslash in a text is an escape there.
    pub(crate) fn backslash_escapes(&self) -> bool {
        self.backslash_escapes
    }

    /// A text as SQL writes it.
    pub(crate) fn text(&self, value: &str) -> String {
        quoted(value, self.backslash_escapes)
    }
}

/// Whether it reads a backslash in a text as an escape, as MariaDB does by default.
fn escapes(database: &Database, dsn: &str) -> Result<bool, String> {
    let known = ["pgsql://", "postgres://", "postgresql://", "sqlite://"].iter().any(|prefix| dsn.starts_with(prefix));
    if known || !dsn.contains(':') {
        return Ok(false);
    }
    doubles_backslashes(database)
}

/// What is behind ODBC may be anything, so it is asked.
fn doubles_backslashes(database: &Database) -> Result<bool, String> {
    let mut two_are_one = false;
    database.query(r"SELECT '\\'", &mut |row| two_are_one = word(row, 0) == r"\")?;
    Ok(two_are_one)
}

/// A text as SQL writes it; as long as the longest column at most.
pub(crate) fn quoted(value: &str, backslash_escapes: bool) -> String {
    let short: String = value.chars().take(1000).filter(|c| *c != '\0').collect();
    let doubled = short.replace('\'', "''");
    format!("'{}'", if backslash_escapes { doubled.replace('\\', "\\\\") } else { doubled })
}

pub(crate) fn word(row: &[Option<String>], at: usize) -> String {
    row.get(at).cloned().flatten().unwrap_or_default()
}

pub(crate) fn number(row: &[Option<String>], at: usize) -> i64 {
    word(row, at).parse().unwrap_or(0)
}

pub(crate) fn read(row: &[Option<String>]) -> Record {
    Record {
        uuid: word(row, 0),
        parked_at: number(row, 1),
        wait_ms: number(row, 2),
        lot: word(row, 3),
        domain: word(row, 4),
        slot: word(row, 5),
        caller_name: word(row, 6),
        caller_number: word(row, 7),
        parker: word(row, 8),
        retriever: word(row, 9),
        label: word(row, 10),
        outcome: word(row, 11),
        attempts: number(row, 12),
        node: word(row, 13),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn no_text_ends_its_quotes() {
        assert_eq!(quoted("O'Neil \\'; DROP", false), "'O''Neil \\''; DROP'");
        assert_eq!(quoted("\\' x", true), "'\\\\'' x'");
        assert_eq!(quoted("a\0b", false), "'ab'");
    }
}
