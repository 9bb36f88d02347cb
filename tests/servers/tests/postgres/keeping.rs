//! Which rows are deleted from PostgreSQL, and which stay.

use std::time::Duration;

use tidegate::backend::{Backend, FeedEvent, Keep, Postgres};
use tidegate_core::history::{HistoryLimits, HistoryRules};
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::Position;
use tidegate_server_tests::conformance::request;
use tidegate_server_tests::heard::Heard;
use tidegate_server_tests::servers::postgres::PostgresServer;
use tidegate_tests::{pattern, topic};

/// A backend that trims rows after a moment.
async fn open(server: &PostgresServer, keep: Keep) -> Postgres {
    let url = format!("{}&stall_ms=1", server.patient_url());
    let backend = Postgres::new(&url, keep).expect("an address");
    Heard::open(&backend).await;
    backend
}

fn keep(count_max: usize, bytes_max: usize, age_max: Duration) -> Keep {
    Keep {
        history: HistoryLimits {
            count_max,
            bytes_max,
            age_max,
        },
        ..Keep::default()
    }
}

async fn publish_many(backend: &Postgres, name: &str, count: usize) -> Position {
    let batch: Vec<_> = (0..count)
        .map(|number| request(name, &format!("\"{number:098}\"")))
        .collect();
    let answers = backend.publish(&batch).await.expect("stored");
    answers[count - 1].expect("stored")
}

/// Tidegate's functions in the database.
const PUBLISH: &str = "tidegate_pubsub_events_publish_4";
const TRIM: &str = "tidegate_pubsub_events_trim_4";

/// Longer than any test.
const AGE_MAX: Duration = Duration::from_secs(1000);

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn rows_beyond_the_limits_go_and_the_latest_and_old_rows_stay() {
    let server = PostgresServer::start();
    server.sql(
        "CREATE TABLE pubsub_events (id bigserial PRIMARY KEY, channel text, data json);
         INSERT INTO pubsub_events (channel, data) SELECT 'a', '0' FROM generate_series(1, 700);",
    );
    let backend = open(&server, keep(10, 300, AGE_MAX)).await;
    let top = publish_many(&backend, "a", 2000).await;
    publish_many(&backend, "b", 1).await;
    let keyed = PublishRequest {
        id: Some("once".into()),
        ..request("c", "1")
    };
    let first = backend
        .publish(std::slice::from_ref(&keyed))
        .await
        .expect("stored")[0];
    publish_many(&backend, "c", 50).await;
    server.wait_for(
        "SELECT string_agg(channel || ' ' || count, ', ' ORDER BY channel) FROM (SELECT channel, count(*) FROM pubsub_events WHERE seq > 0 GROUP BY channel) c",
        // Rows have 100 bytes each; the one with the key stays for a while.
        "a 3, b 1, c 4",
    );
    assert_eq!(
        server.sql("SELECT count(*) FROM pubsub_events WHERE seq = 0"),
        "700"
    );
    let excerpt = backend.read(&topic("a"), None).await.expect("read");
    assert_eq!(excerpt.position, top);
    assert_eq!(backend.publish(&[keyed]).await.expect("answered")[0], first);
}

/// As servers publish, with idempotency keys: a key is remembered for a while, and its row with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn rows_with_keys_go_once_those_are_forgotten_though_nothing_more_is_published() {
    let server = PostgresServer::start();
    let backend = open(&server, keep(10, 100_000, AGE_MAX)).await;
    let keyed: Vec<_> = (0..50)
        .map(|number| PublishRequest {
            id: Some(number.to_string()),
            ..request("a", "1")
        })
        .collect();
    backend.publish(&keyed).await.expect("stored");
    publish_many(&backend, "b", 50).await;
    let counts = "SELECT string_agg(channel || ' ' || count, ', ' ORDER BY channel) FROM (SELECT channel, count(*) FROM pubsub_events GROUP BY channel) c";
    server.wait_for(counts, "a 50, b 10");
    // As from a clock that was ahead.
    publish_many(&backend, "c", 1).await;
    server.sql(
        "UPDATE pubsub_events SET placed_at = placed_at + interval '1 year' WHERE channel = 'c';
         UPDATE pubsub_events SET placed_at = placed_at - interval '61 s' WHERE channel <> 'c'",
    );
    server.wait_for(counts, "a 10, b 10, c 1");
    let looked_at = "SELECT looked_at_seq FROM tidegate_pubsub_events_upkeep";
    server.wait_for(looked_at, "101");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_has_grown_old_goes_though_nothing_more_is_published() {
    let server = PostgresServer::start();
    let backend = open(&server, keep(100, 100_000, Duration::from_secs(600))).await;
    publish_many(&backend, "a", 20).await;
    publish_many(&backend, "b", 1).await;
    server.sql("INSERT INTO pubsub_events (channel, data) VALUES ('no topic', '1')");
    server.wait_for("SELECT count(*) FROM pubsub_events WHERE seq = -1", "1");
    server.sql("UPDATE pubsub_events SET placed_at = placed_at - interval '601 s'");
    server.wait_for(
        "SELECT string_agg(channel, ', ' ORDER BY channel) FROM pubsub_events",
        "a, b",
    );
}

/// A long history of one topic must not make other topics keep more.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn each_topic_is_trimmed_and_forgotten_by_its_own_rule() {
    let server = PostgresServer::start();
    let backend = open(&server, Keep::default()).await;
    for name in ["job:1", "user:7", "quick"] {
        publish_many(&backend, name, 20).await;
    }
    backend.close().await.expect("closed");
    server.sql("UPDATE pubsub_events SET placed_at = placed_at - interval '1 hour'");
    server.sql("UPDATE tidegate_pubsub_events_topics SET updated_at = updated_at - interval '1 hour' WHERE channel <> 'quick'");
    let limits = |count_max, seconds| HistoryLimits {
        count_max,
        age_max: Duration::from_secs(seconds),
        ..HistoryLimits::default()
    };
    let keep = Keep {
        history: limits(256, 3000),
        histories: HistoryRules::none()
            .with(pattern("user:*"), limits(15, 7 * 24 * 3600))
            .with(pattern("quick"), limits(256, 600)),
        retention: Duration::from_secs(1800),
        ..Keep::default()
    };
    let backend = open(&server, keep).await;
    publish_many(&backend, "user:7", 1).await;
    server.wait_for(
        "SELECT string_agg(channel || ' ' || count, ', ' ORDER BY channel) FROM (SELECT channel, count(*) FROM pubsub_events WHERE seq > 0 GROUP BY channel) c",
        "quick 1, user:7 15",
    );
    let user = topic("user:7");
    let all = backend.read(&user, Some(Position::default())).await;
    assert_eq!(all.expect("read").publications.len(), 15);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn topics_are_forgotten_after_their_retention_and_begin_anew() {
    let server = PostgresServer::start();
    let keep = Keep {
        retention: Duration::from_secs(3600),
        ..Keep::default()
    };
    let backend = open(&server, keep).await;
    let mut tops = Vec::new();
    for number in 0..30 {
        tops.push(publish_many(&backend, &format!("t:{number}"), 3).await);
    }
    server.sql("UPDATE tidegate_pubsub_events_topics SET updated_at = updated_at - interval '3601 s' WHERE channel <> 't:7'");
    server.wait_for(
        "SELECT string_agg(channel, ', ') FROM tidegate_pubsub_events_topics",
        "t:7",
    );
    assert_eq!(server.sql("SELECT count(*) FROM pubsub_events"), "3");
    let anew = publish_many(&backend, "t:1", 1).await;
    assert_eq!(anew.offset, 1);
    assert_ne!(anew.epoch, tops[1].epoch);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_may_not_have_read_it_yet_finds_what_is_beyond_the_limits() {
    let server = PostgresServer::start();
    let backend = Postgres::new(&server.patient_url(), keep(1, 1, AGE_MAX)).expect("an address");
    let mut heard = Heard::open(&backend).await;
    backend.follow(&[pattern("a")]).await.expect("followed");
    let top = publish_many(&backend, "a", 50).await;
    let trimmed = format!(
        "SELECT {TRIM}(ARRAY[''], ARRAY[1::bigint], ARRAY[1::bigint], ARRAY[1000::float8], 60, 30, 500)"
    );
    server.sql(&trimmed);
    assert_eq!(server.sql("SELECT count(*) FROM pubsub_events"), "50");
    assert_eq!(heard.lines(50).await.len(), 50);
    let (topic, since) = (topic("a"), Some(Position::default()));
    let excerpt = backend.read(&topic, since).await.expect("read");
    assert_eq!((excerpt.position, excerpt.publications.len()), (top, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_stood_still_for_too_long_is_told_of_what_went_meanwhile() {
    let server = PostgresServer::start();
    let backend = open(&server, Keep::default()).await;
    let mut heard = Heard::open(&backend).await;
    backend.follow(&[pattern("a")]).await.expect("followed");
    // In one transaction, so that readers never see the rows untrimmed.
    server.sql(&format!(
        "BEGIN;
         SELECT {PUBLISH}(ARRAY['a', 'a'], ARRAY['1', '2'], ARRAY[1, 1], ARRAY[NULL, NULL], ARRAY[NULL, NULL],
           ARRAY[false, false], ARRAY[7, 7]::bigint[]);
         UPDATE pubsub_events SET placed_at = placed_at - interval '1 s';
         DO $$ BEGIN
           WHILE (SELECT count(*) FROM pubsub_events) > 1 LOOP PERFORM
             {TRIM}(ARRAY[''], ARRAY[1::bigint], ARRAY[1000::bigint], ARRAY[600::float8], 60, 0.5, 500); END LOOP;
         END $$;
         COMMIT;"
    ));
    assert!(matches!(heard.event().await, FeedEvent::Missed));
    assert_eq!(heard.lines(1).await, ["2 2"]);
    publish_many(&backend, "a", 1).await;
    assert_eq!(heard.publication().await.position.offset, 3);
    assert!(heard.rest().is_empty());
}

/// Inserts old rows of the topics `t:0` to `t:3`.
fn insert_old(server: &PostgresServer, count: usize) {
    server.sql(&format!(
        "INSERT INTO tidegate_pubsub_events_topics
           SELECT 't:' || t, 7, {count}, NULL, now() - interval '1 hour' FROM generate_series(0, 3) t;
         INSERT INTO pubsub_events (channel, data, seq, epoch, \"offset\", placed_at, bytes)
           SELECT 't:' || t, '1', nextval('tidegate_pubsub_events_seq'), 7, o, now() - interval '1 hour', 1
           FROM generate_series(1, {count}) o, generate_series(0, 3) t;"
    ));
}

/// No statement may take long, however much there is to delete.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn no_statement_deletes_more_than_so_many_rows() {
    let server = PostgresServer::start();
    let backend = open(&server, Keep::default()).await;
    backend.close().await.expect("closed");
    insert_old(&server, 100);
    let count = || -> usize {
        let counted = server.sql("SELECT count(*) FROM pubsub_events");
        counted.parse().expect("a number")
    };
    let age = "SELECT tidegate_pubsub_events_age_4('', ARRAY['^t:', ''], ARRAY[600, 7200], 0, 0, 200, 30)";
    for left in (4..=400).rev().step_by(30).skip(1).chain([4]) {
        let next = server.sql(age);
        assert_eq!(count(), left, "{next}");
        // The oldest rows of a topic are deleted first, so that its history has no gaps.
        let holes = "SELECT count(*) FROM (SELECT max(\"offset\") - min(\"offset\") + 1 - count(*) AS missing, max(\"offset\") AS top
            FROM pubsub_events GROUP BY channel) c WHERE missing > 0 OR top < 100";
        assert_eq!(server.sql(holes), "0");
    }
    server.sql("TRUNCATE pubsub_events, tidegate_pubsub_events_topics");
    insert_old(&server, 100);
    let forget = "SELECT tidegate_pubsub_events_forget_4(ARRAY[''], ARRAY[600], 20, 30)";
    for left in (0..=400).rev().step_by(30).skip(1) {
        assert_eq!(server.sql(forget), "t", "{left}");
        assert_eq!(count(), left);
    }
    assert_eq!(server.sql(forget), "f");
    let topics = "SELECT count(*) FROM tidegate_pubsub_events_topics";
    assert_eq!((count(), server.sql(topics)), (0, "0".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn many_that_are_too_old_at_once_go() {
    let server = PostgresServer::start();
    let backend = open(&server, Keep::default()).await;
    backend.close().await.expect("closed");
    insert_old(&server, 3000);
    let keep = Keep {
        histories: HistoryRules::none().with(
            pattern("t:*"),
            HistoryLimits {
                age_max: Duration::from_secs(600),
                ..HistoryLimits::default()
            },
        ),
        retention: Duration::from_secs(7 * 24 * 3600),
        ..keep(256, 1 << 20, Duration::from_secs(24 * 3600))
    };
    let _backend = open(&server, keep).await;
    server.wait_for("SELECT count(*) FROM pubsub_events", "4");
}

/// The calls queued behind a trim must not time out because of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_trim_that_takes_too_long_is_cancelled_and_the_link_stands() {
    let server = PostgresServer::start();
    let keep = keep(1, 1, Duration::from_secs(1));
    let url = format!("{}?stall_ms=1&timeout_ms=4000", server.url());
    let backend = Postgres::new(&url, keep).expect("an address");
    let mut heard = Heard::open(&backend).await;
    backend.follow(&[pattern("a")]).await.expect("followed");
    let mut application = server.psql_session();
    application.run("BEGIN; SELECT 1 FROM tidegate_pubsub_events_upkeep FOR UPDATE;");
    for number in 1..=3 {
        publish_many(&backend, "a", 1).await;
        assert_eq!(heard.publication().await.position.offset, number);
        server.wait_for(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
            "1",
        );
    }
    application.run("COMMIT;");
    server.wait_for("SELECT count(*) FROM pubsub_events", "1");
    assert!(heard.rest().is_empty());
}

/// A connection runs one statement at a time: a trim that is queued behind a publication has not begun, so its time
/// limit must not run.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_publication_that_takes_long_is_not_cancelled_for_a_trim_behind_it() {
    let server = PostgresServer::start();
    let url = format!("{}?stall_ms=1&timeout_ms=10000", server.url());
    let backend = Postgres::new(&url, keep(1, 1, Duration::from_secs(1))).expect("an address");
    let mut heard = Heard::open(&backend).await;
    backend.follow(&[pattern("a")]).await.expect("followed");
    server.sql(
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(6); RETURN NEW; END $$;
         CREATE TRIGGER dawdle BEFORE INSERT ON pubsub_events FOR EACH ROW EXECUTE FUNCTION dawdle();",
    );
    publish_many(&backend, "a", 1).await;
    assert_eq!(heard.publication().await.position.offset, 1);
    assert!(heard.rest().is_empty(), "the link stands");
}
