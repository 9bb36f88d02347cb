//! Publishes that an application's own table refuses.

use std::sync::Arc;

use tidegate::Json;
use tidegate::backend::{Backend, BackendError, Keep, Postgres};
use tidegate_core::protocol::PublishRequest;
use tidegate_server_tests::conformance::request;
use tidegate_server_tests::damage::{damage_each, is_left_out};
use tidegate_server_tests::heard::Heard;
use tidegate_server_tests::refusals::are_refused_alone;
use tidegate_server_tests::servers::postgres::PostgresServer;
use tidegate_tests::{pattern, topic};

fn at(server: &PostgresServer) -> Postgres {
    Postgres::new(&server.patient_url(), Keep::default()).expect("an address")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_topic_that_is_too_long_for_the_column_is_refused_alone() {
    let server = PostgresServer::start();
    server.sql(
        "CREATE TABLE pubsub_events (id bigserial PRIMARY KEY, channel varchar(50), data json)",
    );
    let name = format!("job:{}", "x".repeat(50));
    are_refused_alone(Arc::new(at(&server)), &name, "1").await;
    server.wait_until_left_alone();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_a_constraint_or_a_trigger_refuses_is_of_the_publication() {
    let server = PostgresServer::start();
    server.sql(
        "CREATE TABLE pubsub_events (id bigserial PRIMARY KEY, channel text CHECK (channel <> 'checked'), data jsonb);
         CREATE UNIQUE INDEX ON pubsub_events (channel) WHERE channel = 'unique';
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN RAISE EXCEPTION 'not this one'; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON pubsub_events FOR EACH ROW WHEN (NEW.channel = 'triggered') EXECUTE FUNCTION refuse();
         CREATE FUNCTION deny() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN RAISE insufficient_privilege; END $$;
         CREATE TRIGGER deny BEFORE INSERT ON pubsub_events FOR EACH ROW WHEN (NEW.channel = 'denied') EXECUTE FUNCTION deny();",
    );
    let backend = at(&server);
    let mut heard = Heard::open(&backend).await;
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    // As an application may pass it, without the checks at the endpoints.
    let deep: Json = serde_json::from_str(&deep).expect("JSON");
    let deep = PublishRequest::new(topic("deep"), deep);
    let taken = backend
        .publish(&[request("unique", "1"), request("a", "1")])
        .await;
    assert!(taken.expect("stored").iter().all(Result::is_ok));
    for wrong in [
        request("checked", "1"),
        request("unique", "2"),
        request("triggered", "1"),
        request("denied", "1"),
        deep,
    ] {
        let error = backend.publish(&[request("a", "2"), wrong.clone()]).await;
        assert!(
            matches!(error, Err(BackendError::Content { .. })),
            "{}: {error:?}",
            wrong.topic
        );
    }
    let position = backend.publish(&[request("a", "3")]).await.expect("stored")[0];
    assert_eq!(
        position.expect("stored").offset,
        2,
        "nothing of them is left"
    );
    assert!(heard.rest().is_empty(), "the link stands");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_not_of_the_publication_waits_for_the_backend() {
    let server = PostgresServer::start();
    let backend = at(&server);
    Heard::open(&backend).await;
    server.sql("DROP TABLE tidegate_pubsub_events_topics");
    let error = backend.publish(&[request("a", "1")]).await;
    assert!(
        matches!(error, Err(BackendError::Unexpected { .. })),
        "{error:?}"
    );
}

/// Makes the table refuse changes to rows with some data, as an application's own trigger might.
fn refuse_changes(server: &PostgresServer, when: &str) {
    server.sql(&format!(
        "CREATE FUNCTION refuse_changes() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN RAISE EXCEPTION 'append-only table'; END $$;
         CREATE TRIGGER refuse_changes BEFORE UPDATE ON pubsub_events FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION refuse_changes();"
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_row_that_cannot_be_taken_in_is_in_nobodys_way_and_tried_again() {
    const ROWS: u64 = 200;
    let server = PostgresServer::start();
    let backends = [at(&server), at(&server)];
    let mut heard = Vec::new();
    for backend in &backends {
        heard.push(Heard::open(backend).await);
        backend.follow(&[pattern("**")]).await.expect("followed");
    }
    refuse_changes(&server, "OLD.channel = 'stuck'");
    server.sql(&format!(
        "INSERT INTO pubsub_events (channel, data)
           SELECT CASE WHEN n % 40 = 7 THEN 'stuck' ELSE 'job:1' END, to_json(n) FROM generate_series(1, {ROWS}) n;"
    ));
    let is_stuck = |number: &u64| number % 40 == 7;
    let fine: Vec<u64> = (1..=ROWS).filter(|number| !is_stuck(number)).collect();
    let lines: Vec<String> = (1..)
        .zip(fine)
        .map(|(at, it)| format!("{at} {it}"))
        .collect();
    for heard in &mut heard {
        assert_eq!(heard.lines(lines.len()).await, lines);
    }
    let published = backends[0].publish(&[request("a", "1")]).await;
    published.expect("stored")[0].expect("stored");
    for heard in &mut heard {
        assert_eq!(heard.lines(1).await, ["1 1"]);
        assert!(heard.rest().is_empty(), "the link stands");
    }
    server.sql("DROP TRIGGER refuse_changes ON pubsub_events");
    let stuck: Vec<u64> = (1..=ROWS).filter(is_stuck).collect();
    for heard in &mut heard {
        let mut told: Vec<u64> = Vec::new();
        for _ in &stuck {
            let publication = heard.publication().await;
            told.push(publication.payload.parse().expect("a number"));
        }
        told.sort_unstable();
        assert_eq!(told, stuck);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_table_that_refuses_every_change_loses_no_link() {
    let server = PostgresServer::start();
    let backend = at(&server);
    let mut heard = Heard::open(&backend).await;
    backend.follow(&[pattern("**")]).await.expect("followed");
    refuse_changes(&server, "true");
    server.sql(
        "INSERT INTO pubsub_events (channel, data) SELECT 'job:1', to_json(n) FROM generate_series(1, 400) n;",
    );
    for number in 1..=50 {
        let published = backend.publish(&[request("a", "1")]).await;
        let position = published.expect("stored")[0].expect("stored");
        assert_eq!(position.offset, number);
        assert_eq!(heard.lines(1).await, [format!("{number} 1")]);
    }
    server.sql("DROP TRIGGER refuse_changes ON pubsub_events");
    let mut told: Vec<u64> = Vec::new();
    for _ in 0..400 {
        let publication = heard.publication().await;
        told.push(publication.payload.parse().expect("a number"));
    }
    told.sort_unstable();
    assert!(told.into_iter().eq(1..=400));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_privilege_that_is_taken_away_loses_no_link() {
    let server = PostgresServer::start();
    Heard::open(&at(&server)).await;
    server.sql(
        "CREATE ROLE app LOGIN PASSWORD 'apps own';
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app;
         GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO app",
    );
    let port = server.port();
    let url = format!("postgres://app:apps%20own@127.0.0.1:{port}/postgres?timeout_ms=60000");
    let backend = Postgres::new(&url, Keep::default()).expect("an address");
    let mut heard = Heard::open(&backend).await;
    backend.follow(&[pattern("**")]).await.expect("followed");
    server.sql("REVOKE USAGE ON ALL SEQUENCES IN SCHEMA public FROM app");
    server.sql("INSERT INTO pubsub_events (channel, data) VALUES ('job:1', '1')");
    let error = backend.publish(&[request("a", "1")]).await;
    assert!(
        matches!(error, Err(BackendError::Content { .. })),
        "{error:?}"
    );
    server.sql("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO app");
    assert_eq!(heard.lines(1).await, ["1 1"]);
    assert!(heard.rest().is_empty(), "the link stands");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_an_application_has_damaged_is_left_out_of_what_is_read() {
    let server = PostgresServer::start();
    server.sql("CREATE TABLE pubsub_events (id bigserial PRIMARY KEY, channel text, data text)");
    let backend = at(&server);
    Heard::open(&backend).await;
    let damages = [
        "data = '' WHERE \"offset\" = 3 AND",
        "data = '{' WHERE \"offset\" = 2 AND",
        "data = NULL WHERE \"offset\" = 2 AND",
        "ended = 'never' WHERE \"offset\" = 3 AND",
        "data = '' WHERE",
    ];
    let damage = |damage: &str, name: &str| {
        server.sql(&format!(
            "UPDATE pubsub_events SET {damage} channel = '{name}'"
        ));
    };
    let damaged = damage_each(&backend, &damages, damage).await;
    backend.close().await.expect("closed");
    is_left_out(Arc::new(at(&server)), &damaged).await;
    server.wait_until_left_alone();
}
