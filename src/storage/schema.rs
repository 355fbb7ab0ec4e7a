//! Creates and checks the tables, and knows the widths of their columns.
//!
//! Several versions of this module may use one database at a time, while the nodes of a cluster are upgraded one after the other. So tables are only
//! extended, by columns with defaults; each statement names its columns; and this version checks whether these columns exist. It does not refuse
//! a database of a newer version: the version number that it writes is for older versions, see [`SCHEMA_VERSION`].

use super::connection::{Connection, Dialect, StorageError, number_at, text_at, unless_away};

/// The width of a column in bytes. A UUID of FreeSWITCH has at most 256 characters, if it is a SIP Call-ID.
pub(super) mod width {
    /// The names of lots, domains and nodes.
    pub(crate) const KEY: usize = 255;
    pub(crate) const NAME: usize = 1024;
    pub(crate) const NUMBER: usize = 1024;
    pub(crate) const USER: usize = 512;
    pub(crate) const LABEL: usize = 4096;
}

/// The version of the schema, which is written to the database. This version only logs a higher one. But the first versions of the module refuse a
/// database with a higher version than their own, so the number increases only for a change with which they could not work.
const SCHEMA_VERSION: i64 = 2;

struct DbTable {
    name: &'static str,
    columns: &'static str,
    create: &'static [&'static str],
}

pub(super) const RECORD_COLUMNS: &str = "uuid, parked_at, wait_ms, lot, domain, slot, caller_name, caller_number, parker, \
                                         retriever, label, outcome, attempts, node, actor";
pub(super) const SLOT_COLUMNS: &str = "domain, slot, uuid, node, lot, state, parked_at, since, due, caller_name, caller_number, \
                                       parker, label, attempt";

const DB_TABLES: [DbTable; 7] = [
    DbTable {
        name: "callpark_schema",
        columns: "version",
        create: &["CREATE TABLE IF NOT EXISTS callpark_schema (version INTEGER NOT NULL)"],
    },
    DbTable {
        name: "callpark_records",
        columns: RECORD_COLUMNS,
        create: &[
            "CREATE TABLE IF NOT EXISTS callpark_records (uuid VARCHAR(256) NOT NULL, parked_at BIGINT NOT NULL, \
             wait_ms BIGINT NOT NULL, lot VARCHAR(255) NOT NULL, domain VARCHAR(255) NOT NULL, slot VARCHAR(32) NOT NULL, \
             caller_name VARCHAR(1024) NOT NULL, caller_number VARCHAR(1024) NOT NULL, parker VARCHAR(512) NOT NULL, \
             retriever VARCHAR(512) NOT NULL, label VARCHAR(4096) NOT NULL, outcome VARCHAR(16) NOT NULL, \
             attempts INTEGER NOT NULL, node VARCHAR(255) NOT NULL, actor VARCHAR(512) DEFAULT '' NOT NULL, \
             PRIMARY KEY (uuid, parked_at))",
            "CREATE INDEX IF NOT EXISTS callpark_records_at ON callpark_records (parked_at)",
        ],
    },
    DbTable {
        name: "callpark_refused",
        columns: "refused_at, lot, domain",
        create: &[
            "CREATE TABLE IF NOT EXISTS callpark_refused (refused_at BIGINT NOT NULL, lot VARCHAR(255) NOT NULL, \
             domain VARCHAR(255) NOT NULL)",
            "CREATE INDEX IF NOT EXISTS callpark_refused_at ON callpark_refused (refused_at)",
        ],
    },
    DbTable {
        // The occupied slots. `turn` is 0 unless two nodes assigned a slot while they could not reach each other.
        name: "callpark_calls",
        columns: SLOT_COLUMNS,
        create: &[
            "CREATE TABLE IF NOT EXISTS callpark_calls (domain VARCHAR(255) NOT NULL, slot VARCHAR(32) NOT NULL, \
             turn INTEGER NOT NULL, uuid VARCHAR(256) NOT NULL, node VARCHAR(255) NOT NULL, lot VARCHAR(255) NOT NULL, \
             state VARCHAR(16) NOT NULL, parked_at BIGINT NOT NULL, since BIGINT NOT NULL, due BIGINT NOT NULL, \
             caller_name VARCHAR(1024) NOT NULL, caller_number VARCHAR(1024) NOT NULL, parker VARCHAR(512) NOT NULL, \
             label VARCHAR(4096) NOT NULL, attempt INTEGER NOT NULL, PRIMARY KEY (domain, slot, turn))",
            "CREATE INDEX IF NOT EXISTS callpark_calls_uuid ON callpark_calls (uuid)",
            "CREATE INDEX IF NOT EXISTS callpark_calls_node ON callpark_calls (node)",
        ],
    },
    DbTable {
        name: "callpark_nodes",
        columns: "node, beat",
        create: &[
            "CREATE TABLE IF NOT EXISTS callpark_nodes (node VARCHAR(255) NOT NULL PRIMARY KEY, beat BIGINT NOT NULL)",
        ],
    },
    DbTable {
        name: "callpark_messages",
        columns: "id, node, answer, body, expires",
        create: &[
            "CREATE TABLE IF NOT EXISTS callpark_messages (id VARCHAR(64) NOT NULL, node VARCHAR(255) NOT NULL, \
                   answer INTEGER NOT NULL, body TEXT NOT NULL, expires BIGINT NOT NULL, PRIMARY KEY (node, answer, id))",
        ],
    },
    DbTable {
        name: "callpark_tickets",
        columns: "ticket, node, uuid, retriever, expires",
        create: &["CREATE TABLE IF NOT EXISTS callpark_tickets (ticket VARCHAR(64) NOT NULL PRIMARY KEY, \
                   node VARCHAR(255) NOT NULL, uuid VARCHAR(256) NOT NULL, retriever VARCHAR(512) NOT NULL, \
                   expires BIGINT NOT NULL)"],
    },
];

/// The columns that earlier versions did not have: the table, the column, and its definition. The default is for nodes that run such a version.
const ADDED_COLUMNS: [(&str, &str, &str); 1] = [("callpark_records", "actor", "VARCHAR(512) DEFAULT '' NOT NULL")];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TablesState {
    Unchanged,
    /// A table was missing and has been created.
    Created,
}

/// Creates what is missing, and checks that everything that is used exists. The version is written only then.
pub(super) fn prepare(connection: &Connection) -> Result<TablesState, StorageError> {
    let mut failed = None;
    let there = all_exist(connection)?;
    if there != Some(true) {
        for statement in DB_TABLES.iter().flat_map(|table| table.create) {
            match connection.execute(statement) {
                Err(why) if why.is_away() => return Err(why),
                // Another node may create the same table at the same time. The check below decides.
                outcome => failed = failed.or(outcome.err()),
            }
        }
    }
    failed = failed.or(add_columns(connection)?);
    for table in &DB_TABLES {
        let columns = format!("SELECT {} FROM {} WHERE 1 = 0", table.columns, table.name);
        if let Err(why) = connection.query(&columns, &mut |_| {}) {
            let why = failed.unwrap_or(why);
            return Err(StorageError::WrongTable { table: table.name, why: why.into() });
        }
    }
    widen(connection)?;
    note_version(connection)?;
    Ok(if there == Some(false) { TablesState::Created } else { TablesState::Unchanged })
}

/// Whether no table is missing. Returns `None` if this database cannot tell; then they are created.
fn all_exist(connection: &Connection) -> Result<Option<bool>, StorageError> {
    let mut count = 0;
    let names: Vec<String> = DB_TABLES.iter().map(|table| connection.text(table.name)).collect();
    let sql = match connection.dialect() {
        Dialect::Sqlite => {
            format!("SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name IN ({})", names.join(", "))
        }
        Dialect::Postgres => {
            let found: Vec<String> =
                names.iter().map(|name| format!("(to_regclass({name}) IS NOT NULL)::int")).collect();
            format!("SELECT {}", found.join(" + "))
        }
        Dialect::Other => return Ok(None),
    };
    connection.query(&sql, &mut |row| count = number_at(row, 0))?;
    Ok(Some(count == DB_TABLES.len() as i64))
}

/// Adds the columns that tables of earlier versions lack. Returns why one could not be added; another node may have added it.
fn add_columns(connection: &Connection) -> Result<Option<StorageError>, StorageError> {
    let mut failed = None;
    for (table, column, definition) in ADDED_COLUMNS {
        let (table_name, column_name) = (connection.text(table), connection.text(column));
        let sql = match connection.dialect() {
            Dialect::Sqlite => {
                format!("SELECT COUNT(*) FROM pragma_table_info({table_name}) WHERE name = {column_name}")
            }
            Dialect::Postgres => format!(
                "SELECT COUNT(*) FROM pg_attribute WHERE attrelid = to_regclass({table_name}) AND attname = {column_name} AND NOT attisdropped"
            ),
            Dialect::Other => format!(
                "SELECT COUNT(*) FROM information_schema.columns WHERE table_name = {table_name} AND column_name = {column_name}"
            ),
        };
        let mut count = 0;
        connection.query(&sql, &mut |row| count = number_at(row, 0))?;
        if count == 0 {
            let added = connection.execute(&format!("ALTER TABLE {table} ADD COLUMN {column} {definition}"));
            failed = failed.or(unless_away(added)?);
        }
    }
    Ok(failed)
}

/// Widens the columns for UUIDs, which earlier versions made one character too short. (SQLite ignores widths.)
fn widen(connection: &Connection) -> Result<(), StorageError> {
    if connection.dialect() != Dialect::Postgres {
        return Ok(());
    }
    let mut narrow = Vec::new();
    let sql = "SELECT attrelid::regclass FROM pg_attribute WHERE attname = 'uuid' AND atttypmod BETWEEN 5 AND 259 AND attrelid IN \
               (to_regclass('callpark_records'), to_regclass('callpark_calls'), to_regclass('callpark_tickets'))";
    connection.query(sql, &mut |row| narrow.push(text_at(row, 0)))?;
    for table in narrow {
        match connection.execute(&format!("ALTER TABLE {table} ALTER COLUMN uuid TYPE VARCHAR(256)")) {
            Err(why) if why.is_away() => return Err(why),
            Err(why) => log::warn!(
                table:% = table, cause:% = why;
                "column uuid cannot be widened, so the row of a call with a longer UUID is refused"
            ),
            Ok(()) => {}
        }
    }
    Ok(())
}

fn note_version(connection: &Connection) -> Result<(), StorageError> {
    let mut version = 0;
    connection.query("SELECT MAX(version) FROM callpark_schema", &mut |row| version = number_at(row, 0))?;
    if version > SCHEMA_VERSION {
        log::info!(version = version; "tables were created by a newer mod_callpark");
    }
    if version < SCHEMA_VERSION {
        match connection.execute(&format!("INSERT INTO callpark_schema (version) VALUES ({SCHEMA_VERSION})")) {
            Err(why) if why.is_away() => return Err(why),
            // The database is read-only now. The version is written later.
            _ => {}
        }
    }
    Ok(())
}
