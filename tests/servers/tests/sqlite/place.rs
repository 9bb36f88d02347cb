//! A file, the backends that have it open, and another program.

use std::path::PathBuf;
use std::time::Instant;

use rusqlite::Connection;
use tempfile::TempDir;
use tidegate::Json;
use tidegate::backend::{Backend, BackendError, Keep, Sqlite};
use tidegate_core::history::HistoryLimits;
use tidegate_core::hub::PublishError;
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::Position;
use tidegate_server_tests::heard::{Heard, PATIENCE};
use tidegate_tests::{pattern, topic};

/// A file, which need not exist, in a directory of its own.
pub(crate) struct File {
    directory: TempDir,
}

impl File {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("topics.db")
    }

    /// A backend, not opened yet.
    pub(crate) fn backend(&self) -> Sqlite {
        Sqlite::new(self.path(), long_keep()).unwrap()
    }

    /// An open backend that follows everything, and the end of its feed.
    pub(crate) async fn open(&self) -> (Sqlite, Heard) {
        let backend = self.backend();
        let heard = open(&backend).await;
        (backend, heard)
    }

    /// Another program's connection to the file.
    pub(crate) fn program(&self) -> Connection {
        let connection = Connection::open(self.path()).unwrap();
        connection.busy_timeout(PATIENCE).unwrap();
        connection
    }
}

/// Limits so high that nothing that a test publishes is trimmed.
pub(crate) fn long_keep() -> Keep {
    Keep {
        history: HistoryLimits {
            count_max: 1_000_000,
            bytes_max: 1 << 30,
            ..HistoryLimits::default()
        },
        ..Keep::default()
    }
}

/// Opens a backend and follows everything.
pub(crate) async fn open(backend: &Sqlite) -> Heard {
    let (feed, heard) = Heard::new();
    backend.open(feed).await.unwrap();
    backend.follow(&[pattern("**")]).await.unwrap();
    heard
}

pub(crate) fn json(text: &str) -> Json {
    Json::from_text(text).unwrap()
}

/// Publishes, and returns the result.
pub(crate) async fn try_publish(
    backend: &Sqlite,
    to: &str,
    text: &str,
) -> Result<Result<Position, PublishError>, BackendError> {
    let request = PublishRequest::new(topic(to), json(text));
    let results = backend.publish(&[request]).await?;
    Ok(results[0])
}

/// Publishes, which must succeed.
pub(crate) async fn publish(backend: &Sqlite, to: &str, text: &str) -> Position {
    try_publish(backend, to, text).await.unwrap().unwrap()
}

/// Inserts a row, as another program.
pub(crate) fn insert(program: &Connection, channel: &str, data: &str) {
    let sql = "INSERT INTO pubsub_events (channel, data) VALUES (?1, ?2)";
    program.execute(sql, [channel, data]).unwrap();
}

/// Runs a query whose result is a number.
pub(crate) fn number(program: &Connection, sql: &str) -> i64 {
    program.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Waits until a backend has brought something about, and calls the backend meanwhile.
pub(crate) async fn until(what: &str, backend: &Sqlite, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "{what} takes too long");
        backend.probe().await.unwrap();
    }
}
