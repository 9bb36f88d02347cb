//! What an application's own table does not take.

use std::sync::Arc;

use tidegate::Json;
use tidegate::backend::{Backend, BackendError, Keep, Postgres};
use tidegate_core::protocol::PublishRequest;
use tidegate_server_tests::conformance::request;
use tidegate_server_tests::heard::Heard;
use tidegate_server_tests::refusals::are_refused_alone;
use tidegate_server_tests::servers::postgres::PostgresServer;
use tidegate_tests::topic;

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
    // As it may be that no entrance has looked at.
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
