//! What a restored backup does to clients that resume.
#![cfg(all(unix, feature = "postgres", feature = "redis", feature = "sqlite"))]

use crate::servers::postgres::PostgresServer;
use crate::servers::redis::RedisServer;
use crate::support::program::{Server, program, run};
use crate::support::within;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What a reader that resumes receives, up to the last publication.
async fn resumed(backend: &str, last_id: &str) -> String {
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--backend", backend];
    let server = Server::start_with(program(&arguments)).await;
    let mut stream = TcpStream::connect(&server.address).await.unwrap();
    let head = format!(
        "GET /events?topic=job:1 HTTP/1.1\r\nHost: {}\r\nLast-Event-ID: {last_id}\r\n\r\n",
        server.address
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut told = String::new();
    while !told.contains("after the restore") {
        let mut bytes = [0; 4096];
        let count = within("an event", stream.read(&mut bytes)).await.unwrap();
        assert!(count > 0, "{told}");
        told += &String::from_utf8_lossy(&bytes[..count]);
    }
    told
}

async fn publish(backend: &str, text: &str) -> String {
    let text = format!("\"{text}\"");
    let told = run(&["pub", "--backend", backend, "job:1", &text, "--json"]).await;
    assert_eq!(told.code, 0, "{told:?}");
    let position: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    format!("{}:{}", position["epoch"], position["offset"])
}

#[tokio::test]
async fn who_has_seen_more_than_a_restored_backend_holds_is_told_after_new_epochs() {
    let (postgres, redis) = (PostgresServer::start(), RedisServer::start());
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("topics.db").display());
    for backend in [file, redis.url(), postgres.patient_url()] {
        let known = publish(&backend, "kept").await;
        // What the reader has seen beyond the backup.
        let (epoch, _) = known.split_once(':').unwrap();
        let seen = format!("{epoch}:2");
        let told = run(&["migrate", "--backend", &backend, "--new-epochs"]).await;
        assert_eq!(told.code, 0, "{told:?}");
        assert!(told.stderr.contains("new epoch: 1"), "{told:?}");
        publish(&backend, "again").await;
        publish(&backend, "after the restore").await;
        let told = resumed(&backend, &seen).await;
        assert!(told.contains("event: reset"), "{backend}: {told}");
    }
}
