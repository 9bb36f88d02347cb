//! Topics in PostgreSQL: tables, rights and connections, against a real server.

use std::process::Command;

use tidegate::backend::{Backend, BackendError, Feed, Keep, Postgres};
use tidegate_server_tests::conformance::{Peer, request};
use tidegate_server_tests::heard::Heard;
use tidegate_server_tests::servers::postgres::{PASSWORD, PostgresServer};
use tidegate_tests::{pattern, topic};

fn backend(url: &str) -> Postgres {
    Postgres::new(url, Keep::default()).expect("an address")
}

async fn refusal(url: &str) -> String {
    let (feed, _heard) = Heard::new();
    let error = backend(url).open(feed).await.expect_err("refused");
    assert!(matches!(error, BackendError::Refused { .. }), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn closing_leaves_no_connection() {
    let server = PostgresServer::start();
    let backend = backend(&server.patient_url());
    let mut heard = Heard::open(&backend).await;
    let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tidegate'";
    assert_eq!(server.sql(count), "2");
    backend.close().await.expect("closed");
    // The server takes a moment to notice that a connection has ended.
    server.wait_until_left_alone();
    assert!(matches!(
        backend.probe().await,
        Err(BackendError::Closed { .. })
    ));
    assert!(heard.rest().is_empty());
}

#[tokio::test]
async fn a_refusal_says_what_to_do_and_no_password() {
    let server = PostgresServer::start();
    let port = server.port();
    for (url, advice) in [
        (
            format!("postgres://tidegate:{PASSWORD}x@127.0.0.1:{port}/postgres"),
            "check user and password",
        ),
        (
            format!("postgres://tidegate:{PASSWORD}@127.0.0.1:{port}/nowhere"),
            "CREATE DATABASE",
        ),
        (
            format!("postgres://tidegate@127.0.0.1:{port}/postgres"),
            "password",
        ),
        (
            format!("{}?sslmode=require", server.url()),
            "does not support TLS",
        ),
    ] {
        let text = refusal(&url).await;
        assert!(text.contains(advice), "{text}");
        assert!(!text.contains(PASSWORD), "{text}");
    }
}

#[tokio::test]
async fn what_is_missing_is_shown_and_can_be_added_by_somebody_else() {
    let server = PostgresServer::start();
    server.sql("CREATE ROLE app LOGIN PASSWORD 'apps own'");
    let port = server.port();
    let url = format!("postgres://app:apps%20own@127.0.0.1:{port}/postgres");
    let text = refusal(&url).await;
    assert!(text.contains("permission denied"), "{text}");
    let text = refusal(&format!("{url}&migrate=false").replace("&m", "?m")).await;
    assert!(text.contains("CREATE TABLE"), "{text}");

    let owner = backend(&server.patient_url());
    let migration = owner.migration().await.expect("reachable").expect("all");
    server.sql(&migration);
    assert_eq!(owner.migration().await.expect("reachable"), None);
    server.sql("REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC");
    // Each error must list all grants that are still missing.
    let text = refusal(&url).await;
    let (_, grants) = text.split_once("run: ").expect("what to do");
    let grants: Vec<&str> = grants.split_inclusive(';').collect();
    assert_eq!(grants.len(), 3, "{text}");
    for (number, grant) in grants.iter().enumerate() {
        let text = refusal(&url).await;
        assert!(text.contains(grant.trim()), "{text}");
        assert_eq!(text.matches("GRANT").count(), 3 - number, "{text}");
        server.sql(&grant.replace("...", "app"));
    }
    let app = backend(&format!("{url}?migrate=false"));
    let mut heard = Heard::open(&app).await;
    app.follow(&[pattern("a")]).await.expect("followed");
    app.publish(&[request("a", "1")]).await.expect("stored")[0].expect("stored");
    assert_eq!(heard.lines(1).await, ["1 1"]);
}

#[tokio::test]
async fn rights_that_the_documentation_names_are_enough() {
    let server = PostgresServer::start();
    server.sql("CREATE ROLE app LOGIN PASSWORD 'apps own'");
    Heard::open(&backend(&server.patient_url())).await;
    let documentation = include_str!("../../../../docs/BACKENDS.md");
    let grants = documentation
        .lines()
        .filter(|line| line.trim().starts_with("GRANT"));
    let grants: Vec<&str> = grants.collect();
    assert!(grants.len() > 2, "{grants:?}");
    server.sql("REVOKE ALL ON SCHEMA public FROM PUBLIC; REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC");
    server.sql(&grants.concat());
    let port = server.port();
    let url = format!("postgres://app:apps%20own@127.0.0.1:{port}/postgres?migrate=false");
    let app = backend(&url);
    let mut heard = Heard::open(&app).await;
    app.follow(&[pattern("a")]).await.expect("followed");
    app.publish(&[request("a", "1")]).await.expect("stored")[0].expect("stored");
    server.sql("INSERT INTO pubsub_events (channel, data) VALUES ('a', '2')");
    assert_eq!(heard.lines(2).await, ["1 1", "2 2"]);
}

#[tokio::test]
async fn tables_that_came_without_their_rows_are_mended() {
    let server = PostgresServer::start();
    let owner = backend(&server.patient_url());
    let mut heard = Heard::open(&owner).await;
    let empty = || {
        server.sql(
            "TRUNCATE pubsub_events, tidegate_pubsub_events_topics, tidegate_pubsub_events_upkeep, tidegate_pubsub_events_keep, tidegate_pubsub_events_cursors",
        )
    };
    empty();
    heard.lost().await;
    let migration = owner.migration().await.expect("reachable").expect("a row");
    assert_eq!(migration.lines().count(), 1, "{migration}");
    assert!(migration.starts_with("INSERT INTO"), "{migration}");
    let text = refusal(&format!("{}?migrate=false", server.url())).await;
    assert!(text.contains(&migration), "{text}");
    let mut heard = Heard::open(&owner).await;
    assert_eq!(owner.migration().await.expect("reachable"), None);
    owner.follow(&[pattern("a")]).await.expect("followed");
    owner.publish(&[request("a", "1")]).await.expect("stored")[0].expect("stored");
    assert_eq!(heard.lines(1).await, ["1 1"]);
}

#[tokio::test]
async fn an_isolation_that_shows_the_past_is_refused() {
    let server = PostgresServer::start();
    server.sql("ALTER ROLE tidegate SET default_transaction_isolation = 'repeatable read'");
    let text = refusal(&server.url()).await;
    assert!(text.contains("ALTER ROLE"), "{text}");
}

#[tokio::test]
async fn servers_that_start_together_prepare_the_database_once() {
    let server = PostgresServer::start();
    let backends: Vec<Postgres> = (0..5).map(|_| backend(&server.patient_url())).collect();
    let silent = || Feed::new(|_| {});
    let opened =
        futures_util::future::join_all(backends.iter().map(|one| one.open(silent()))).await;
    assert!(opened.iter().all(Result::is_ok), "{opened:?}");
}

#[tokio::test]
async fn an_applications_table_is_kept_and_its_old_rows_are_not_replayed() {
    let server = PostgresServer::start();
    server.sql("CREATE SCHEMA app");
    for (table, data) in [("run_events", "jsonb"), ("user", "text"), ("plain", "json")] {
        let name = format!("app.\"{table}\"");
        server.sql(&format!(
            "CREATE TABLE {name} (id serial PRIMARY KEY, channel varchar(255) NOT NULL, data {data}, note text DEFAULT 'n', created_at timestamp NOT NULL);
             INSERT INTO {name} (channel, data, created_at) SELECT 'old:' || n, '{{\"b\": 1, \"a\": 2}}', now() FROM generate_series(1, 1000) n;"
        ));
        let backend = backend(&format!("{}&table=app.{table}", server.patient_url()));
        let mut heard = Heard::open(&backend).await;
        backend.follow(&[pattern("**")]).await.expect("followed");
        let text = r#"{"b":1,"a":"\u0000 \ud83d"}"#;
        backend
            .publish(&[request("new:1", text)])
            .await
            .expect("stored")[0]
            .expect("stored");
        server.sql(&format!(
            "INSERT INTO {name} (channel, data, created_at) VALUES ('new:1', '{{\"a\": 1}}', now())"
        ));
        let stored = if data == "jsonb" {
            r#"{"a": "� �", "b": 1}"#
        } else {
            text
        };
        assert_eq!(
            heard.lines(2).await,
            [format!("1 {stored}"), r#"2 {"a": 1}"#.to_owned()],
            "{data}"
        );
        let listed = backend.list(&pattern("**")).await.expect("listed");
        assert_eq!(listed.len(), 1);
        let left = format!(
            "SELECT count(*), min(note), max(note) FROM {name} WHERE channel LIKE 'old:%' AND seq = 0"
        );
        assert_eq!(server.sql(&left), "1000|n|n");
    }
}

#[tokio::test]
async fn a_table_that_does_not_fit_is_refused_and_left_alone() {
    let server = PostgresServer::start();
    for (columns, reason) in [
        ("id uuid, channel text, data json", "whole numbers"),
        (
            "id bigserial, channel text, data bytea",
            "json, jsonb or text",
        ),
        ("id bigserial, data json", "channel"),
        (
            "id bigserial, channel text, data json, key text",
            "key of its own",
        ),
        (
            "id bigserial, channel text, data json, tenant int NOT NULL",
            "SET DEFAULT",
        ),
    ] {
        server.sql(&format!(
            "DROP TABLE IF EXISTS pubsub_events; CREATE TABLE pubsub_events ({columns})"
        ));
        let text = refusal(&server.url()).await;
        assert!(text.contains(reason), "{text}");
    }
    assert_eq!(
        server.sql("SELECT count(*) FROM pg_class WHERE relname LIKE 'tidegate%'"),
        "0"
    );
}

#[tokio::test]
async fn a_transaction_that_holds_the_table_makes_nobody_queue_up_behind_the_migration() {
    let server = PostgresServer::start();
    server.sql("CREATE TABLE pubsub_events (id bigserial PRIMARY KEY, channel text, data json)");
    let mut application = server.psql_session();
    application.run("BEGIN; INSERT INTO pubsub_events (channel, data) VALUES ('a', '1');");
    let backend = backend(&server.patient_url());
    let (feed, _heard) = Heard::new();
    let error = backend.open(feed).await.expect_err("held");
    assert!(error.to_string().contains("lock timeout"), "{error}");
    application.run("COMMIT;");
    Heard::open(&backend).await;
    // Rows from before the migration are not published.
    let excerpt = backend.read(&topic("a"), None).await.expect("read");
    assert!(excerpt.publications.is_empty());
}

#[tokio::test]
async fn tls_is_used_and_the_server_checked_as_the_address_says() {
    let server = PostgresServer::start();
    let folder = server.folder().join("data");
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "server.key", "-out", "server.crt"])
        .current_dir(&folder)
        .output()
        .expect("openssl is installed");
    assert!(made.status.success());
    server.own("server.key");
    server.sql("ALTER SYSTEM SET ssl = on");
    server.sql("SELECT pg_reload_conf()");
    let named = server.url().replace("127.0.0.1", "localhost");
    let file = folder.join("server.crt");
    let file = file.display();
    // The server takes a moment to reload.
    server.wait_for("SHOW ssl", "on");
    for (url, is_encrypted) in [
        (format!("{named}?sslmode=disable"), "f"),
        (named.clone(), "t"),
        (format!("{named}?sslmode=require"), "t"),
        (
            format!("{named}?sslmode=verify-full&sslrootcert={file}"),
            "t",
        ),
    ] {
        let peer = Peer::open_backend(std::sync::Arc::new(backend(&url))).await;
        peer.publish("a", "1").await;
        let shown = server.sql(
            "SELECT DISTINCT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'tidegate'",
        );
        assert_eq!(shown, is_encrypted, "{url}");
        peer.close().await;
        server.wait_until_left_alone();
    }
    for url in [
        format!("{}?sslmode=verify-full&sslrootcert={file}", server.url()),
        format!("{named}?sslmode=verify-full"),
    ] {
        let text = refusal(&url).await;
        assert!(text.contains("certificate"), "{text}");
    }
}

/// Logical replication, and dumps of the tables alone, leave the sequence behind. New publications would then get
/// positions that every reader has passed already.
#[tokio::test]
async fn a_sequence_behind_its_tables_is_brought_up() {
    let server = PostgresServer::start();
    let owner = backend(&server.patient_url());
    let mut heard = Heard::open(&owner).await;
    for number in 1..=8 {
        owner.publish(&[request("a", "1")]).await.expect("stored")[0].expect("stored");
        assert_eq!(
            owner.migration().await.expect("reachable"),
            None,
            "{number}"
        );
    }
    let only_the_upkeep_knows =
        "DELETE FROM pubsub_events; UPDATE tidegate_pubsub_events_upkeep SET ";
    for (round, loss) in [
        "SELECT setval('tidegate_pubsub_events_seq', 1, false)".to_owned(),
        "SELECT setval('tidegate_pubsub_events_seq', 7)".to_owned(),
        "DROP SEQUENCE tidegate_pubsub_events_seq".to_owned(),
        format!("{only_the_upkeep_knows} trimmed_seq = 100"),
        format!("{only_the_upkeep_knows} looked_at_seq = 200"),
        format!("{only_the_upkeep_knows} aged_seq = 300"),
    ]
    .iter()
    .enumerate()
    {
        server.sql(loss);
        let text = refusal(&format!("{}?migrate=false", server.url())).await;
        let migration = owner.migration().await.expect("reachable").expect("setval");
        assert!(migration.contains("setval"), "{loss}: {migration}");
        assert!(text.contains(&migration), "{loss}: {text}");
        heard = Heard::open(&owner).await;
        assert_eq!(owner.migration().await.expect("reachable"), None, "{loss}");
        owner.follow(&[pattern("a")]).await.expect("followed");
        owner.publish(&[request("a", "2")]).await.expect("stored")[0].expect("stored");
        server.sql("INSERT INTO pubsub_events (channel, data) VALUES ('a', '3')");
        let offset = 9 + 2 * round;
        let expected = [format!("{offset} 2"), format!("{} 3", offset + 1)];
        assert_eq!(heard.lines(2).await, expected, "{loss}");
    }
    assert!(heard.rest().is_empty());
}

/// Every page of a listing costs the same, wherever it begins, and whatever statistics the planner has.
#[tokio::test]
async fn the_last_page_of_a_listing_reads_no_more_than_the_first() {
    const TOPICS: usize = 5000;
    let server = PostgresServer::start();
    let backend = backend(&server.patient_url());
    Heard::open(&backend).await;
    server.sql(&format!(
        "INSERT INTO tidegate_pubsub_events_topics SELECT 'job:' || lpad(t::text, 8, '0'), 7, 20, NULL, now() FROM generate_series(1, {TOPICS}) t;
         INSERT INTO pubsub_events (channel, data, seq, epoch, \"offset\", placed_at, bytes)
           SELECT 'job:' || lpad(t::text, 8, '0'), '1', nextval('tidegate_pubsub_events_seq'), 7, o, now(), 1
           FROM generate_series(1, 20) o, generate_series(1, {TOPICS}) t;"
    ));
    let read = "SELECT pg_stat_get_tuples_fetched('pubsub_events'::regclass) + pg_stat_get_tuples_returned('pubsub_events'::regclass)
        + sum(pg_stat_get_tuples_returned(indexrelid)) FROM pg_index WHERE indrelid = 'pubsub_events'::regclass";
    for settings in [
        "enable_nestloop = on",
        "enable_nestloop = off",
        "enable_seqscan = off",
    ] {
        server.sql(&format!("ALTER ROLE tidegate SET {settings}; ANALYZE"));
        Heard::open(&backend).await;
        // The statistics are counted when a session ends.
        backend.close().await.expect("closed");
        server.wait_until_left_alone();
        let before: usize = server.sql(read).parse().expect("a number");
        Heard::open(&backend).await;
        let listed = backend.list(&pattern("job:*")).await.expect("listed");
        assert_eq!(listed.len(), TOPICS);
        assert!(listed.iter().all(|excerpt| excerpt.publications.len() == 1));
        backend.close().await.expect("closed");
        server.wait_until_left_alone();
        let after: usize = server.sql(read).parse().expect("a number");
        assert!(
            after - before < 5 * TOPICS,
            "{settings}: {} rows",
            after - before
        );
        server.sql("ALTER ROLE tidegate RESET ALL");
    }
}
