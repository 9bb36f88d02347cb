//! Topics in PostgreSQL when the server dies, hangs, or is behind a pooler.

use std::sync::Arc;

use tidegate::Json;
use tidegate::backend::{Backend, BackendError, Keep, Postgres};
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::Position;
use tidegate_server_tests::conformance::{Peer, request};
use tidegate_server_tests::heard::Heard;
use tidegate_server_tests::servers::postgres::{PASSWORD, Pooler, PostgresServer};
use tidegate_tests::{pattern, topic};

fn backend(url: &str) -> Postgres {
    Postgres::new(url, Keep::default()).expect("an address")
}

#[tokio::test]
async fn a_killed_server_is_told_once_and_everything_is_there_when_it_is_back() {
    let mut server = PostgresServer::start();
    let backend = backend(&server.patient_url());
    let mut heard = Heard::open(&backend).await;
    backend.follow(&[pattern("a")]).await.expect("followed");
    let before = backend.publish(&[request("a", "1")]).await.expect("stored")[0].expect("stored");
    assert_eq!(heard.lines(1).await, ["1 1"]);
    server.kill();
    let error = heard.lost().await;
    assert!(
        matches!(error, BackendError::Unreachable { .. }),
        "{error:?}"
    );
    for _ in 0..3 {
        let error = backend
            .publish(&[request("a", "2")])
            .await
            .expect_err("lost");
        assert!(
            matches!(error, BackendError::Unreachable { .. }),
            "{error:?}"
        );
        assert!(!error.to_string().contains(PASSWORD), "{error}");
    }
    assert!(heard.rest().is_empty(), "told once");
    server.restart();
    let mut heard = Heard::open(&backend).await;
    backend.follow(&[pattern("a")]).await.expect("followed");
    let after = backend.publish(&[request("a", "3")]).await.expect("stored")[0].expect("stored");
    assert_eq!((after.epoch, after.offset), (before.epoch, 2));
    assert_eq!(heard.lines(1).await, ["2 3"]);
    let excerpt = backend.read(&topic("a"), Some(before)).await.expect("read");
    assert_eq!(excerpt.publications.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_repeated_after_a_kill_under_load_is_stored_once() {
    const KILLS: u64 = 4;
    let mut server = PostgresServer::start();
    let backend = Arc::new(backend(&server.patient_url()));
    let mut positions: Vec<Position> = Vec::new();
    for round in 0..KILLS {
        let mut heard = Heard::open(&*backend).await;
        let publisher = Arc::clone(&backend);
        let publishing = tokio::spawn(async move {
            let mut stored = Vec::new();
            for number in 0.. {
                let batch = numbered(round, number);
                match publisher.publish(&batch).await {
                    Ok(answers) => {
                        stored.extend(answers.into_iter().map(|one| one.expect("stored")))
                    }
                    Err(_) => return (stored, batch),
                }
            }
            unreachable!("the server is killed");
        });
        // While the link is in use.
        backend.follow(&[pattern("a")]).await.expect("followed");
        heard.publication().await;
        server.kill();
        heard.lost().await;
        let (stored, unknown) = publishing.await.expect("it ends with the server");
        positions.extend(stored);
        server.restart();
        let _heard = Heard::open(&*backend).await;
        let first = backend.publish(&unknown).await.expect("stored");
        let again = backend.publish(&unknown).await.expect("stored");
        assert_eq!(first, again);
        positions.extend(first.into_iter().map(|one| one.expect("stored")));
    }
    let offsets: Vec<u64> = positions.iter().map(|position| position.offset).collect();
    let all: Vec<u64> = (1..=positions.len() as u64).collect();
    assert_eq!(offsets, all);
    let top = backend
        .read(&topic("a"), None)
        .await
        .expect("read")
        .position;
    assert_eq!(Some(&top), positions.last());
}

fn numbered(round: u64, number: u64) -> Vec<PublishRequest<Json>> {
    (0..10)
        .map(|item| PublishRequest {
            id: Some(format!("{round}.{number}.{item}")),
            ..request("a", &number.to_string())
        })
        .collect()
}

#[tokio::test]
async fn a_server_that_hangs_is_noticed_within_the_timeout() {
    let server = PostgresServer::start();
    let backend = backend(&format!("{}?timeout_ms=5000", server.url()));
    let mut heard = Heard::open(&backend).await;
    server.pause();
    let error = heard.lost().await;
    assert!(
        error.to_string().contains("no answer within 5000 ms"),
        "{error}"
    );
    assert!(backend.probe().await.is_err());
    server.resume();
    // The server may need longer than that to recover.
    let patient = Postgres::new(&server.patient_url(), Keep::default()).expect("an address");
    Heard::open(&patient).await;
    patient.probe().await.expect("it answers");
}

#[tokio::test]
async fn connections_that_an_administrator_ends_are_noticed() {
    let server = PostgresServer::start();
    let backend = backend(&server.patient_url());
    let mut heard = Heard::open(&backend).await;
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tidegate' LIMIT 1");
    let error = heard.lost().await;
    assert!(
        matches!(error, BackendError::Unreachable { .. }),
        "{error:?}"
    );
    // The backend's other connection ends, too.
    server.wait_until_left_alone();
    let _again = Heard::open(&backend).await;
    backend.probe().await.expect("it answers");
    backend.close().await.expect("closed");
}

#[tokio::test]
async fn tables_that_are_dropped_while_running_are_noticed_and_made_again() {
    let server = PostgresServer::start();
    let backend = backend(&server.patient_url());
    let mut heard = Heard::open(&backend).await;
    backend.publish(&[request("a", "1")]).await.expect("stored")[0].expect("stored");
    server.sql("DROP TABLE pubsub_events, tidegate_pubsub_events_topics CASCADE");
    let error = heard.lost().await;
    assert!(
        matches!(error, BackendError::Unexpected { .. }),
        "{error:?}"
    );
    let _again = Heard::open(&backend).await;
    let position = backend.publish(&[request("a", "2")]).await.expect("stored")[0].expect("stored");
    assert_eq!(position.offset, 1);
}

/// The same address with a short timeout.
fn impatient(patient: &str) -> String {
    let (address, _) = patient.split_once("timeout_ms=").expect("an option");
    format!("{address}timeout_ms=500")
}

/// Lets backends wait for a locked table, again and again: even while it is locked, no session may be left waiting.
async fn locked_table_leaves_no_sessions(server: &PostgresServer, url: &str) {
    let first = backend(url);
    let _heard = Heard::open(&first).await;
    first.close().await.expect("closed");
    let backend = backend(&impatient(url));
    let mut heard = loop {
        let (feed, heard) = Heard::new();
        if backend.open(feed).await.is_ok() {
            break heard;
        }
    };
    let mut application = server.psql_session();
    application.run("BEGIN; LOCK TABLE pubsub_events IN ACCESS EXCLUSIVE MODE;");
    let error = heard.lost().await;
    assert!(error.to_string().contains("no answer within"), "{error}");
    for _ in 0..6 {
        let (feed, _heard) = Heard::new();
        let error = backend.open(feed).await.expect_err("the table is locked");
        assert!(matches!(error, BackendError::Unreachable { .. }), "{error}");
    }
    server.wait_for(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
        "0",
    );
    application.run("ROLLBACK;");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_locked_leaves_no_sessions_behind() {
    let server = PostgresServer::start();
    locked_table_leaves_no_sessions(&server, &server.patient_url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_pooler_a_lock_timeout_of_the_role_leaves_no_sessions_behind() {
    let server = PostgresServer::start();
    server.sql("ALTER ROLE tidegate SET lock_timeout = '2s'");
    let pooler = Pooler::start(&server);
    locked_table_leaves_no_sessions(&server, &pooler.patient_url()).await;
}

#[tokio::test]
async fn behind_a_pooler_for_transactions_everything_arrives_by_polling() {
    let server = PostgresServer::start();
    let pooler = Pooler::start(&server);
    let mut peers = Vec::new();
    for _ in 0..4 {
        let peer = Peer::open_backend(Arc::new(backend(&pooler.patient_url()))).await;
        peer.follow(&["job:*"]).await;
        peers.push(peer);
    }
    let mut positions = Vec::new();
    for number in 0..40 {
        let publisher = &peers[number % peers.len()];
        positions.push(publisher.publish("job:1", &number.to_string()).await);
    }
    server.sql("INSERT INTO pubsub_events (channel, data) VALUES ('job:2', '1')");
    for peer in &mut peers {
        peer.hear("job:1", &positions).await;
        assert_eq!(peer.read("job:1", None).await.position, positions[39]);
    }
    for peer in &mut peers {
        let position = loop {
            let position = peer.read("job:2", None).await.position;
            if position.offset == 1 {
                break position;
            }
        };
        peer.hear("job:2", &[position]).await;
    }
}
