//! `--payload-bytes` is one limit for everything: publications, and rows and raw messages that others put into a backend.
#![cfg(all(feature = "postgres", feature = "redis", feature = "sqlite"))]

use crate::servers::postgres::PostgresServer;
use crate::servers::redis::RedisServer;
use crate::support::http::publish;
use crate::support::program::{Server, program};
use crate::support::within;
use futures_util::StreamExt as _;
use serde_json::json;
use tidegate::{Client, Event};

/// More than the default, and less than the limit of the servers here.
const LARGE: usize = 1_500_000;

/// A server that accepts up to 2 MiB, then one that accepts up to 100 bytes: of publications, and of texts of a given length that `insert`
/// puts into its backend.
async fn is_one_limit(backend: &str, insert: impl Fn(&str, usize)) {
    for (bytes_max, taken, refused) in [("2097152", LARGE, 2_100_000), ("100", 90, LARGE)] {
        let told = ["serve", "--listen", "127.0.0.1:0", "--payload-bytes"];
        let arguments = [&told[..], &[bytes_max, "--backend", backend]].concat();
        let server = Server::start_with(program(&arguments)).await;
        let send = async |letters: usize| {
            let body = json!({ "topic": "ready", "data": "x".repeat(letters) });
            publish(&server.address, &body).await.status
        };
        // It is stored once the link is open.
        assert_eq!((send(taken).await, send(refused).await), (200, 413));
        let client = Client::connect(&server.url).await.unwrap();
        let topic = format!("raw:{bytes_max}");
        let mut events = client.subscribe(&topic).await.unwrap();
        for letters in [refused, taken] {
            insert(&topic, letters);
        }
        // Of the two, only the one that is small enough.
        match within("what was inserted", events.next()).await {
            Some(Event::Publication(it)) => {
                assert_eq!(it.payload.as_str().len(), taken + 2);
                assert_eq!(it.position.offset, 1);
            }
            other => panic!("{other:?} instead of a publication"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_has_the_servers_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("topics.db");
    let insert = |topic: &str, letters: usize| {
        let row = "INSERT INTO pubsub_events (channel, data) VALUES (?1, ?2)";
        let program = rusqlite::Connection::open(&path).unwrap();
        let data = format!("\"{}\"", "x".repeat(letters));
        program.execute(row, [topic, &data]).unwrap();
    };
    is_one_limit(&format!("sqlite:{}", path.display()), insert).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_has_the_servers_limit() {
    let server = PostgresServer::start();
    let insert = |topic: &str, letters: usize| {
        server.sql(&format!(
            "INSERT INTO pubsub_events (channel, data) VALUES ('{topic}', to_json(repeat('x', {letters})))"
        ));
    };
    is_one_limit(&server.patient_url(), insert).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_has_the_servers_limit() {
    let server = RedisServer::start();
    let insert = |topic: &str, letters: usize| {
        let script = format!(
            "return redis.call('PUBLISH', 'tidegate:{topic}', '\"' .. string.rep('x', {letters}) .. '\"')"
        );
        server.cli(&["EVAL", &script, "0"]);
    };
    is_one_limit(&server.url(), insert).await;
}
