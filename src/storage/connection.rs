//! A connection to the database, which quotes texts as that database requires.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::freeswitch::{Database, DatabaseError, DatabaseKind};

/// A statement that fails after this time counts as one without an answer, whatever the error says. (The core tries a locked SQLite file for 30 s,
/// and mod_pgsql waits 10 s for an answer.)
const NO_ANSWER_TIME: Duration = Duration::from_secs(5);
/// The time-outs for PostgreSQL. A statement that waits for a lock ends before this node's heartbeat is late; any other, before mod_pgsql gives up
/// and must cancel it.
const SET_TIMEOUTS: &str =
    "SELECT set_config('lock_timeout', '500', false), set_config('statement_timeout', '8000', false)";
/// Separates this module's connections from others to the same database, because they are pooled by their DSN and the time-outs are this
/// module's.
const POOL_PREFIX: &str = "application_name=mod_callpark ";

/// The core has SQLite sort in memory (`switch_core_db_connection_setup` in switch_core_db.c): all rows are there at once, and sorting takes twice the
/// time. With temporary files and a cache of 2 MiB, SQLite sorts parts that fit in the processor's cache.
const GROUPING_OF_SQLITE: [(&str, &str); 2] = [("temp_store", "1"), ("cache_size", "-2048")];
/// PostgreSQL expects more groups of rows than there are: with less memory it would sort the rows instead of hashing them. Parallel workers take a
/// quarter more processor time, from whatever else the server does.
const GROUPING_OF_POSTGRES: [(&str, &str); 2] = [("work_mem", "32MB"), ("max_parallel_workers_per_gather", "0")];

pub(crate) type DbRow = [Option<String>];

/// Why an operation on the storage failed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub(crate) enum StorageError {
    /// The database cannot be reached, or does not answer.
    #[error(transparent)]
    Away(DatabaseError),
    #[error("the database does not answer")]
    NoAnswer,
    #[error("too many wait for the database")]
    Busy,
    #[error("no thread for the database: {0}")]
    NoThread(String),
    #[error("a bug; see the log")]
    Panicked,
    /// The module is being unloaded.
    #[error("the storage is closed")]
    Closed,
    /// The database answers and refuses.
    #[error(transparent)]
    Refused(DatabaseError),
    #[error("the database does not keep the rows that it was given")]
    RowsNotKept,
    #[error("the database does not keep this node's heartbeat")]
    HeartbeatNotKept,
    #[error("the database does not answer; the caller is erased as soon as it does")]
    ErasedLater,
    #[error("a row cannot be deleted")]
    RowNotDeleted,
    #[error("no row can be written: {0}")]
    NoRowWritten(String),
    #[error("the table {table} is not as it must be: {why}")]
    WrongTable { table: &'static str, why: Box<StorageError> },
}

impl StorageError {
    /// Whether the database cannot be reached or does not answer. Otherwise it answers, and has refused the operation.
    pub(super) fn is_away(&self) -> bool {
        match self {
            StorageError::Away(_)
            | StorageError::NoAnswer
            | StorageError::Busy
            | StorageError::NoThread(_)
            | StorageError::Panicked
            | StorageError::ErasedLater
            | StorageError::Closed => true,
            StorageError::Refused(_)
            | StorageError::RowsNotKept
            | StorageError::HeartbeatNotKept
            | StorageError::RowNotDeleted
            | StorageError::NoRowWritten(_)
            | StorageError::WrongTable { .. } => false,
        }
    }
}

/// How texts are quoted in SQL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Quoting {
    /// `'...'`, in which a backslash has no special meaning.
    Plain,
    /// `'...'`, in which a backslash is an escape: MariaDB's default.
    Escaping,
    /// `E'...'`, in which a backslash is an escape whatever `standard_conforming_strings` is, also after the driver has reconnected by itself.
    Postgres,
}

impl Quoting {
    /// Quotes a text for SQL. A NUL is left out, because no database accepts it in a text.
    pub(crate) fn text(self, value: &str) -> String {
        let doubled = value.replace('\0', "").replace('\'', "''");
        match self {
            Quoting::Plain => format!("'{doubled}'"),
            Quoting::Escaping => format!("'{}'", doubled.replace('\\', "\\\\")),
            Quoting::Postgres => format!("E'{}'", doubled.replace('\\', "\\\\")),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
    /// MariaDB, or the database behind ODBC.
    Other,
}

/// An open database.
pub(crate) struct Connection {
    database: Database,
    dialect: Dialect,
    quoting: Quoting,
}

impl Connection {
    pub(super) fn open(dsn: &str) -> Result<Connection, StorageError> {
        let postgres = is_postgres(dsn);
        let pooled = pooled_dsn(dsn);
        let database = Database::open(&pooled).map_err(StorageError::Away)?;
        let dialect = match database.kind() {
            DatabaseKind::Sqlite => Dialect::Sqlite,
            DatabaseKind::Module if postgres => Dialect::Postgres,
            DatabaseKind::Module | DatabaseKind::Odbc => Dialect::Other,
        };
        let mut connection = Connection { database, dialect, quoting: Quoting::Plain };
        match dialect {
            Dialect::Sqlite => connection.keep_journal()?,
            Dialect::Postgres => connection.quoting = Quoting::Postgres,
            Dialect::Other => connection.quoting = asked_quoting(&connection.database)?,
        }
        if matches!(pooled, Cow::Owned(_)) {
            connection.query(SET_TIMEOUTS, &mut |_| {})?;
        }
        Ok(connection)
    }

    /// Opens the database. For a SQLite file it uses a new handle, because a handle that was opened while the file was read-only never writes, and the
    /// core keeps it as long as it is used.
    pub(super) fn open_again(dsn: &str) -> Result<Connection, StorageError> {
        let connection = Connection::open(dsn)?;
        if connection.dialect != Dialect::Sqlite {
            return Ok(connection);
        }
        connection.database.close_idle();
        Connection::open(dsn)
    }

    /// Opens the core's own database. Returns `None` if this core has none.
    pub(super) fn of_the_core() -> Option<Result<Connection, StorageError>> {
        let database = Database::of_the_core()?;
        let (dialect, quoting) = match database.kind() {
            DatabaseKind::Sqlite => (Dialect::Sqlite, Ok(Quoting::Plain)),
            _ => (Dialect::Other, asked_quoting(&database)),
        };
        Some(quoting.map(|quoting| Connection { database, dialect, quoting }))
    }

    /// Turns the journal of a SQLite file on. The core turns it off, so a full disk or a crash could damage the file.
    fn keep_journal(&self) -> Result<(), StorageError> {
        self.query("PRAGMA journal_mode = TRUNCATE", &mut |_| {})?;
        self.query("PRAGMA synchronous = NORMAL", &mut |_| {})
    }

    /// Runs queries that group or sort many rows, with settings that are restored afterwards, because the core gives the same connection to others.
    /// See [`GROUPING_OF_SQLITE`] and [`GROUPING_OF_POSTGRES`].
    pub(super) fn with_grouping_settings<T>(&self, queries: impl FnOnce() -> T) -> T {
        let settings: &[(&'static str, &str)] = match self.dialect {
            Dialect::Sqlite => &GROUPING_OF_SQLITE,
            Dialect::Postgres => &GROUPING_OF_POSTGRES,
            Dialect::Other => &[],
        };
        let mut changed = ChangedSettings { connection: self, before: Vec::new() };
        for &(name, value) in settings {
            // A setting that cannot be read stays as it is. The queries are right with any setting.
            if let Ok(Some(before)) = self.setting(name) {
                changed.before.push((name, before));
                let _ = self.set(name, value);
            }
        }
        queries()
    }

    fn setting(&self, name: &str) -> Result<Option<String>, StorageError> {
        let sql = match self.dialect {
            Dialect::Sqlite => format!("PRAGMA {name}"),
            Dialect::Postgres | Dialect::Other => format!("SELECT current_setting('{name}')"),
        };
        let mut value = None;
        self.query(&sql, &mut |row| value = row.first().cloned().flatten())?;
        Ok(value)
    }

    fn set(&self, name: &str, value: &str) -> Result<(), StorageError> {
        let sql = match self.dialect {
            Dialect::Sqlite => format!("PRAGMA {name} = {value}"),
            Dialect::Postgres | Dialect::Other => format!("SELECT set_config('{name}', {}, false)", self.text(value)),
        };
        self.query(&sql, &mut |_| {})
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    pub(super) fn quoting(&self) -> Quoting {
        self.quoting
    }

    /// Quotes a text for this database.
    pub(super) fn text(&self, value: &str) -> String {
        self.quoting.text(value)
    }

    /// Calls `row` for each row of the answer.
    pub(super) fn query(&self, sql: &str, row: &mut dyn FnMut(&DbRow)) -> Result<(), StorageError> {
        let began = Instant::now();
        self.database.query(sql, row).map_err(|why| self.classify(why, began))
    }

    /// Executes a statement. The caller must read back what it wrote; see the documentation of [`super`].
    pub(super) fn execute(&self, sql: &str) -> Result<(), StorageError> {
        let began = Instant::now();
        self.database.execute(sql).map_err(|why| self.classify(why, began))
    }

    /// Executes all of these statements, or none.
    pub(super) fn execute_together(&self, statements: &[String]) -> Result<(), StorageError> {
        match statements {
            [] => return Ok(()),
            [one] => return self.execute(one),
            // PostgreSQL executes one message as one transaction. A COMMIT in it would seem to succeed although the transaction was aborted.
            _ if self.dialect == Dialect::Postgres => return self.execute(&statements.join("; ")),
            _ => {}
        }
        self.execute("BEGIN")?;
        let done = statements.iter().try_for_each(|statement| self.execute(statement));
        let end = self.execute(if done.is_ok() { "COMMIT" } else { "ROLLBACK" });
        done.and(end)
    }

    /// Checks whether the database accepts writes at all. A standby does not.
    pub(super) fn can_write(&self) -> bool {
        self.execute("UPDATE callpark_schema SET version = version").is_ok()
    }

    fn classify(&self, why: DatabaseError, began: Instant) -> StorageError {
        if began.elapsed() > NO_ANSWER_TIME || self.database.query("SELECT 1", &mut |_| {}).is_err() {
            StorageError::Away(why)
        } else {
            StorageError::Refused(why)
        }
    }
}

/// Restores settings when it is dropped.
struct ChangedSettings<'a> {
    connection: &'a Connection,
    before: Vec<(&'static str, String)>,
}

impl Drop for ChangedSettings<'_> {
    fn drop(&mut self) {
        for (name, value) in &self.before {
            // A connection that does not answer is not used again.
            let _ = self.connection.set(name, value);
        }
    }
}

/// Ignores that the database refused a statement, but not that it is away.
pub(super) fn unless_away<T>(done: Result<T, StorageError>) -> Result<Option<StorageError>, StorageError> {
    match done {
        Ok(_) => Ok(None),
        Err(why) if why.is_away() => Err(why),
        Err(why) => Ok(Some(why)),
    }
}

fn is_postgres(dsn: &str) -> bool {
    ["pgsql://", "postgres://", "postgresql://"].iter().any(|prefix| dsn.starts_with(prefix))
}

fn pooled_dsn(dsn: &str) -> Cow<'_, str> {
    match dsn.strip_prefix("pgsql://") {
        // A URI within the URI has another form.
        Some(words) if words.contains('=') && !words.contains("://") => format!("pgsql://{POOL_PREFIX}{words}").into(),
        _ => dsn.into(),
    }
}

/// Asks whether a backslash is an escape. It asks on each connection, because that is a setting of the connection.
fn asked_quoting(database: &Database) -> Result<Quoting, StorageError> {
    let mut two_are_one = false;
    let asked = database.query(r"SELECT '\\'", &mut |row| two_are_one = text_at(row, 0) == r"\");
    asked.map_err(StorageError::Away)?;
    Ok(if two_are_one { Quoting::Escaping } else { Quoting::Plain })
}

/// Cuts a text to the width of its column in bytes, because not every database counts characters.
pub(super) fn truncated(value: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(value.len())).rev().find(|at| value.is_char_boundary(*at));
    &value[..end.unwrap_or(0)]
}

pub(crate) fn text_at(row: &DbRow, at: usize) -> String {
    row.get(at).cloned().flatten().unwrap_or_default()
}

pub(crate) fn number_at(row: &DbRow, at: usize) -> i64 {
    text_at(row, at).parse().unwrap_or(0)
}

pub(super) fn unsigned_at(row: &DbRow, at: usize) -> u64 {
    u64::try_from(number_at(row, at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_its_quotes() {
        assert_eq!(Quoting::Plain.text("O'Neil \\'; DROP"), "'O''Neil \\''; DROP'");
        assert_eq!(Quoting::Escaping.text("\\' x"), "'\\\\'' x'");
        assert_eq!(Quoting::Postgres.text("\\' x"), "E'\\\\'' x'");
        assert_eq!(Quoting::Plain.text("a\0b"), "'ab'");
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(truncated("Jürgen", 2), "J");
        assert_eq!(truncated("Jürgen", 3), "Jü");
        assert_eq!(truncated("x", 10), "x");
        assert_eq!(truncated("ü", 0), "");
    }

    #[test]
    fn this_module_has_connections_of_its_own() {
        assert_eq!(pooled_dsn("pgsql://host=x dbname=y"), "pgsql://application_name=mod_callpark host=x dbname=y");
        for as_it_is in
            ["callpark", "sqlite:///tmp/x.db", "postgresql://u@h/d", "odbc://d:u:p", "pgsql://postgresql://h/d?a=b"]
        {
            assert_eq!(pooled_dsn(as_it_is), as_it_is);
        }
    }
}
