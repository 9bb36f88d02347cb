//! The open file: its settings, its tables, and transactions on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, TransactionBehavior};
use tidegate_core::random::Random;

use super::fault::is_busy;
use super::rows::stored;
use super::schema::{self, EventsTable, SchemaError};
use super::writing::{Writing, Written};
use super::{BUSY_TIMEOUT, WAL_BYTES_MAX};
use crate::backend::kept::Kept;
use crate::backend::{Keep, RefusedLog};

/// How many prepared statements are cached: more than there are.
const STATEMENTS_MAX: usize = 48;

/// One connection to the file.
pub(super) struct Store {
    pub(super) connection: Connection,
    pub(super) keep: Arc<Keep>,
    kept: Kept,
    path: PathBuf,
    identity: Option<Identity>,
    table: EventsTable,
    epochs: Random,
    pub(super) damaged: RefusedLog,
}

/// Distinguishes a file from another one with the same name.
type Identity = (u64, u64);

impl Store {
    /// Opens the file at `path`, creates it if it is missing, and migrates its tables.
    pub(super) fn open(
        path: &Path,
        keep: Keep,
        bytes_max: Option<u64>,
    ) -> Result<Self, SchemaError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        use_wal(&connection)?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "journal_size_limit", stored(WAL_BYTES_MAX))?;
        if let Some(bytes_max) = bytes_max {
            let page_bytes: u32 =
                connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
            let pages = stored((bytes_max / u64::from(page_bytes)).max(1));
            connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
        }
        migrate(&mut connection, path)?;
        let kept = Kept::new(keep);
        let mut store = Self {
            table: schema::events_table(&connection)?,
            identity: identity(path),
            connection,
            keep: kept.get(),
            kept,
            path: path.to_owned(),
            epochs: Random::new(crate::random_seed()),
            damaged: RefusedLog::default(),
        };
        store.say_what_is_kept()?;
        store.load_keep()?;
        Ok(store)
    }

    /// Writes what the backend keeps, as a server does, unless it is there already.
    fn say_what_is_kept(&self) -> Result<(), rusqlite::Error> {
        let Some(text) = self.kept.to_write() else {
            return Ok(());
        };
        if self.said()?.as_ref() != Some(&text) {
            self.connection.execute(
                "INSERT INTO tidegate_keep VALUES (1, ?1) ON CONFLICT (is_single) DO UPDATE SET said = excluded.said",
                [&text],
            )?;
        }
        Ok(())
    }

    /// Takes over what servers have written, if they are the ones who say what is kept.
    pub(super) fn load_keep(&mut self) -> Result<(), rusqlite::Error> {
        if self.keep.is_as_servers_say
            && let Some(said) = self.said()?
        {
            self.kept.update(&said);
            self.keep = self.kept.get();
        }
        Ok(())
    }

    fn said(&self) -> Result<Option<String>, rusqlite::Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT said FROM tidegate_keep")?;
        statement.query_row([], |row| row.get(0)).optional()
    }

    /// Whether the path still leads to the file that is open.
    pub(super) fn is_in_place(&self) -> bool {
        self.identity.is_none() || identity(&self.path) == self.identity
    }

    /// A number that changes when another connection has written.
    pub(super) fn data_version(&self) -> Result<i64, rusqlite::Error> {
        let mut statement = self.connection.prepare_cached("PRAGMA data_version")?;
        statement.query_row([], |row| row.get(0))
    }

    /// The `seq` that was assigned last.
    pub(super) fn seq(&self) -> Result<i64, rusqlite::Error> {
        self.state("seq")
    }

    /// A number that all processes share.
    pub(super) fn state(&self, name: &str) -> Result<i64, rusqlite::Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT value FROM tidegate_state WHERE name = ?1")?;
        statement.query_row([name], |row| row.get(0))
    }

    /// Whether there are inserted rows that were not taken in yet.
    pub(super) fn has_raw_rows(&self) -> Result<bool, rusqlite::Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM pubsub_events WHERE seq IS NULL)")?;
        statement.query_row([], |row| row.get(0))
    }

    /// Writes within one transaction, which excludes all other writers. Nothing is written if `work` fails.
    pub(super) fn write<T>(
        &mut self,
        work: impl FnOnce(&mut Writing<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<Written<T>, rusqlite::Error> {
        self.load_keep()?;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut writing = Writing::begin(&transaction, &self.keep, self.table, &mut self.epochs)?;
        let value = work(&mut writing)?;
        let written = writing.finish(value)?;
        transaction.commit()?;
        Ok(written)
    }

    /// Calls `work`, which waits for other processes no longer than `patience`.
    pub(super) fn with_patience<T>(
        &mut self,
        patience: Duration,
        work: impl FnOnce(&mut Self) -> Result<T, rusqlite::Error>,
    ) -> Result<T, rusqlite::Error> {
        self.connection.busy_timeout(patience)?;
        let result = work(self);
        self.connection.busy_timeout(BUSY_TIMEOUT)?;
        result
    }

    /// The size of the write-ahead log.
    pub(super) fn wal_bytes(&self) -> u64 {
        let mut name = self.path.clone().into_os_string();
        name.push("-wal");
        std::fs::metadata(name).map_or(0, |metadata| metadata.len())
    }

    /// Moves the write-ahead log into the file and empties it. Returns false if a reader prevents that.
    pub(super) fn checkpoint(&self) -> Result<bool, rusqlite::Error> {
        let is_busy: i64 =
            self.connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        Ok(is_busy == 0)
    }
}

/// The wall clock, in milliseconds since 1970.
pub(super) fn now_millis() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Processes that create the file at the same time get `locked` at once, without the busy timeout, so this retries.
fn use_wal(connection: &Connection) -> Result<(), SchemaError> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        let result = connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match result {
            Ok(mode) if mode.eq_ignore_ascii_case("wal") => return Ok(()),
            Ok(mode) => {
                return Err(SchemaError::Unfit(format!(
                    "its journal can't be set to WAL and stays {mode}; put it on a local disk"
                )));
            }
            Err(error) if is_busy(&error) && Instant::now() < deadline => {
                std::thread::park_timeout(Duration::from_millis(5));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), SchemaError> {
    if schema::migration(connection)?.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have done it in the meantime.
    let statements = schema::migration(&transaction)?;
    let place = path.display();
    let script = schema::script(&statements);
    if !statements.is_empty() && schema::has_events(&transaction)? {
        tracing::info!("sqlite file {place}: its tables are brought up to date by\n{script}");
    } else {
        tracing::debug!("sqlite file {place}: its tables are made by\n{script}");
    }
    for statement in statements {
        transaction.execute_batch(&statement)?;
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(unix)]
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Not needed: on other systems, an open file can't be removed or replaced.
#[cfg(not(unix))]
fn identity(_path: &Path) -> Option<Identity> {
    None
}
