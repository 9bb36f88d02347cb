//! What an application's own table does not take.

use std::sync::Arc;

use rusqlite::Connection;
use tempfile::TempDir;
use tidegate::backend::{Keep, Sqlite};
use tidegate_server_tests::refusals::are_refused_alone;

#[tokio::test]
async fn what_a_constraint_refuses_is_refused_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("topics.db");
    let table = "CREATE TABLE pubsub_events (id INTEGER PRIMARY KEY, channel TEXT CHECK (length(channel) <= 50), data TEXT)";
    Connection::open(&path)
        .unwrap()
        .execute_batch(table)
        .unwrap();
    let backend = Sqlite::new(&path, Keep::default()).expect("a path");
    let name = format!("job:{}", "x".repeat(50));
    are_refused_alone(Arc::new(backend), &name, "1").await;
}
