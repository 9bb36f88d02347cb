//! Any program can publish by inserting rows into the table: tested with the real `psql`.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate::backend::{Backend, Keep, Postgres};
use tidegate_core::hub::PublishError;
use tidegate_core::lifecycle::EndReason;
use tidegate_server_tests::conformance::{Peer, request};
use tidegate_server_tests::heard::Heard;
use tidegate_server_tests::servers::postgres::PostgresServer;
use tidegate_tests::pattern;

async fn open(server: &PostgresServer) -> (Postgres, Heard) {
    let backend = Postgres::new(&server.patient_url(), Keep::default()).expect("an address");
    let heard = Heard::open(&backend).await;
    backend.follow(&[pattern("**")]).await.expect("followed");
    (backend, heard)
}

fn insert(channel: &str, data: &str) -> String {
    format!("INSERT INTO pubsub_events (channel, data) VALUES ('{channel}', '{data}');")
}

#[tokio::test]
async fn an_inserted_row_arrives_once_on_every_server_with_an_offset() {
    let server = PostgresServer::start();
    let (one, mut heard_by_one) = open(&server).await;
    let (_two, mut heard_by_two) = open(&server).await;
    for number in 1..=20 {
        server.psql(&["-c", &insert("dashboard_updates", &number.to_string())]);
    }
    let expected: Vec<String> = (1..=20)
        .map(|number| format!("{number} {number}"))
        .collect();
    assert_eq!(heard_by_one.lines(20).await, expected);
    assert_eq!(heard_by_two.lines(20).await, expected);
    one.publish(&[request("dashboard_updates", "21")])
        .await
        .expect("stored")[0]
        .expect("stored");
    assert_eq!(heard_by_one.lines(1).await, ["21 21"]);
    assert_eq!(heard_by_two.lines(1).await, ["21 21"]);
}

#[tokio::test]
async fn rows_that_were_inserted_while_nobody_ran_are_taken_in_later() {
    let server = PostgresServer::start();
    let (first, _) = open(&server).await;
    first.close().await.expect("closed");
    let rows: String = (1..=150)
        .map(|number| insert("job:1", &number.to_string()))
        .collect();
    server.sql(&rows);
    let (_later, mut heard) = open(&server).await;
    assert_eq!(heard.lines(150).await.last().expect("many"), "150 150");
}

#[tokio::test]
async fn an_open_transaction_delays_its_own_row_and_nobody_elses() {
    let server = PostgresServer::start();
    let (backend, mut heard) = open(&server).await;
    let mut slow = server.psql_session();
    slow.run(&format!(
        "BEGIN; {}",
        insert("job:1", r#""early, but open""#)
    ));
    server.sql(&insert("job:1", r#""inserted later""#));
    assert_eq!(heard.lines(1).await, [r#"1 "inserted later""#]);
    backend
        .publish(&[request("job:1", r#""published""#)])
        .await
        .expect("stored")[0]
        .expect("stored");
    assert_eq!(heard.lines(1).await, [r#"2 "published""#]);
    slow.run("COMMIT;");
    assert_eq!(heard.lines(1).await, [r#"3 "early, but open""#]);
    let mut undone = server.psql_session();
    undone.run(&format!("BEGIN; {} ROLLBACK;", insert("job:1", "0")));
    server.sql(&insert("job:1", "4"));
    assert_eq!(heard.lines(1).await, ["4 4"]);
}

#[tokio::test]
async fn a_row_that_an_application_holds_locked_waits_alone() {
    let server = PostgresServer::start();
    let (first, _) = open(&server).await;
    first.close().await.expect("closed");
    server.sql(&format!("{}{}", insert("a", "1"), insert("a", "2")));
    let mut holder = server.psql_session();
    holder.run("BEGIN; SELECT 1 FROM pubsub_events WHERE data::text = '1' FOR UPDATE;");
    let (_backend, mut heard) = open(&server).await;
    assert_eq!(heard.lines(1).await, ["1 2"]);
    holder.run("COMMIT;");
    assert_eq!(heard.lines(1).await, ["2 1"]);
}

#[tokio::test]
async fn a_terminal_status_in_a_row_ends_the_topic_and_a_later_row_starts_it_anew() {
    let server = PostgresServer::start();
    let (backend, mut heard) = open(&server).await;
    server.sql(&insert("job:1", r#"{"status":"RUNNING"}"#));
    server.sql(&insert("job:1", r#"{"status":"FAILED"}"#));
    let before = heard.publication().await.position;
    let ended = heard.publication().await;
    assert_eq!(ended.end, Some(EndReason::Failed));
    assert_eq!(
        (ended.position.epoch, ended.position.offset),
        (before.epoch, 2)
    );
    let refused = backend
        .publish(&[request("job:1", "1")])
        .await
        .expect("answered");
    assert_eq!(refused, [Err(PublishError::Ended(EndReason::Failed))]);
    server.sql(&insert("job:1", r#"{"status":"QUEUED"}"#));
    server.sql(&insert("job:1", "2"));
    let anew = heard.publication().await;
    assert_eq!((anew.end, anew.position.offset), (None, 1));
    assert_eq!(anew.payload.as_str(), r#"{"status":"QUEUED"}"#);
    assert_ne!(anew.position.epoch, before.epoch);
    let next = heard.publication().await.position;
    assert_eq!((next.epoch, next.offset), (anew.position.epoch, 2));
    assert_eq!(
        server.sql("SELECT count(*) FROM pubsub_events WHERE seq = -1"),
        "0"
    );
}

#[tokio::test]
async fn rows_that_are_no_publications_are_refused_once() {
    let server = PostgresServer::start();
    server.sql("CREATE TABLE pubsub_events (id bigserial PRIMARY KEY, channel text, data text)");
    let keep = Keep {
        payload_bytes_max: 1000,
        ..Keep::default()
    };
    let backend = Postgres::new(&server.patient_url(), keep).expect("an address");
    let mut heard = Heard::open(&backend).await;
    backend.follow(&[pattern("**")]).await.expect("followed");
    for row in [
        "('a b', '1')",
        "('', '1')",
        "(NULL, '1')",
        "('a', NULL)",
        "('a', 'no json')",
        "('a', '\"' || repeat('x', 999) || '\"')",
        "('a', '{\"fine\":\n true}')",
    ] {
        server.sql(&format!(
            "INSERT INTO pubsub_events (channel, data) VALUES {row}"
        ));
    }
    assert_eq!(heard.lines(1).await, [r#"1 {"fine": true}"#]);
    assert_eq!(
        server.sql("SELECT count(*) FROM pubsub_events WHERE seq = -1"),
        "6"
    );
    assert_eq!(
        server.sql("SELECT count(*) FROM pubsub_events WHERE seq IS NULL"),
        "0"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_publishes_at_the_same_time_offsets_have_no_gap_and_come_in_order() {
    const EACH: usize = 60;
    let server = Arc::new(PostgresServer::start());
    let (_listener, mut heard) = open(&server).await;
    let mut publishers = tokio::task::JoinSet::new();
    for publisher in 0..4 {
        let backend = Postgres::new(&server.patient_url(), Keep::default()).expect("an address");
        let peer = Arc::new(Peer::open_backend(Arc::new(backend)).await);
        for task in 0..2 {
            let peer = Arc::clone(&peer);
            publishers.spawn(async move {
                for number in 0..EACH {
                    let name = format!("job:{}", (publisher + number) % 3);
                    peer.publish(&name, &format!("\"{publisher}.{task}.{number}\""))
                        .await;
                }
            });
        }
    }
    let inserting = Arc::clone(&server);
    let inserted = tokio::task::spawn_blocking(move || {
        let mut slow = inserting.psql_session();
        for number in 0..EACH {
            slow.run(&format!(
                "BEGIN; {}",
                insert("job:0", &format!("\"slow.{number}\""))
            ));
            inserting.sql(&insert("job:0", &format!("\"quick.{number}\"")));
            slow.run("COMMIT;");
        }
    });
    let mut tops: BTreeMap<String, u64> = BTreeMap::new();
    let mut payloads = std::collections::BTreeSet::new();
    for _ in 0..(4 * 2 + 2) * EACH {
        let publication = heard.publication().await;
        let top = tops.entry(publication.topic.to_string()).or_default();
        assert_eq!(
            publication.position.offset,
            *top + 1,
            "{}",
            publication.topic
        );
        *top += 1;
        assert!(payloads.insert(publication.payload.to_string()));
    }
    while let Some(published) = publishers.join_next().await {
        published.expect("published");
    }
    inserted.await.expect("inserted");
    assert!(heard.rest().is_empty());
}
