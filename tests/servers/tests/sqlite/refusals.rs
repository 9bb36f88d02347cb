//! Publishes that an application's own table refuses.

use std::sync::Arc;

use rusqlite::Connection;
use tempfile::TempDir;
use tidegate::backend::{Backend as _, Keep, Sqlite};
use tidegate::core::history::HistoryLimits;
use tidegate_server_tests::damage::{damage_each, is_left_out};
use tidegate_server_tests::heard::Heard;
use tidegate_server_tests::refusals::are_refused_alone;

use crate::place::{File, number, publish, until};

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

#[tokio::test]
async fn what_an_application_has_damaged_is_left_out_of_what_is_read_and_trimmed() {
    let file = File::new();
    let table = "CREATE TABLE pubsub_events (id INTEGER PRIMARY KEY, channel TEXT, data TEXT)";
    file.program().execute_batch(table).unwrap();
    let keep = Keep {
        history: HistoryLimits {
            count_max: 5,
            ..HistoryLimits::default()
        },
        ..Keep::default()
    };
    let backend = Sqlite::new(file.path(), keep.clone()).expect("a path");
    Heard::open(&backend).await;
    let damages = [
        "UPDATE pubsub_events SET data = NULL WHERE \"offset\" = 2 AND channel = ?1",
        "UPDATE pubsub_events SET data = '' WHERE \"offset\" = 3 AND channel = ?1",
        "UPDATE pubsub_events SET placed_at = 'never' WHERE \"offset\" = 2 AND channel = ?1",
        "UPDATE tidegate_topics SET \"offset\" = 'none' WHERE channel = ?1",
    ];
    let damage = |damage: &str, name: &str| {
        file.program().execute(damage, [name]).expect("damaged");
    };
    let damaged = damage_each(&backend, &damages, damage).await;
    for text in 0..20 {
        publish(&backend, "trimmed:1", &text.to_string()).await;
    }
    let program = file.program();
    let left = "SELECT count(*) FROM pubsub_events WHERE channel = 'trimmed:1'";
    until("trimming", &backend, || number(&program, left) == 5).await;
    backend.close().await.expect("closed");
    let backend = Sqlite::new(file.path(), keep).expect("a path");
    is_left_out(Arc::new(backend), &damaged).await;
}
