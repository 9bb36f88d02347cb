//! Topics in PostgreSQL: what servers publish and read, against a real server.

use tidegate::Json;
use tidegate::backend::{Backend, BackendError, Keep, Postgres};
use tidegate_core::hub::PublishError;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::Position;
use tidegate_tests::heard::Heard;
use tidegate_tests::servers::postgres::{PASSWORD, PostgresServer};
use tidegate_tests::{pattern, topic};

async fn open(url: &str) -> (Postgres, Heard) {
    open_keeping(url, Keep::default()).await
}

async fn open_keeping(url: &str, keep: Keep) -> (Postgres, Heard) {
    let backend = Postgres::new(url, keep).expect("an address");
    let (feed, heard) = Heard::new();
    backend.open(feed).await.expect("opened");
    (backend, heard)
}

fn request(name: &str, payload: &str) -> PublishRequest<Json> {
    PublishRequest::new(topic(name), Json::from_text(payload).expect("JSON"))
}

async fn publish(
    backend: &Postgres,
    request: PublishRequest<Json>,
) -> Result<Position, PublishError> {
    backend.publish(&[request]).await.expect("stored")[0]
}

async fn publish_text(backend: &Postgres, name: &str, payload: &str) -> Position {
    publish(backend, request(name, payload))
        .await
        .expect("stored")
}

/// What a topic keeps after `since`, as `offset payload`, and where it stands.
async fn read(backend: &Postgres, name: &str, since: Option<Position>) -> (Vec<String>, Position) {
    let excerpt = backend.read(&topic(name), since).await.expect("read");
    let lines = excerpt
        .publications
        .iter()
        .map(|kept| format!("{} {}", kept.position.offset, kept.payload))
        .collect();
    (lines, excerpt.position)
}

const fn before(position: Position, steps: u64) -> Option<Position> {
    Some(Position {
        epoch: position.epoch,
        offset: position.offset - steps,
    })
}

#[tokio::test]
async fn publications_get_offsets_and_reach_all_who_follow() {
    let server = PostgresServer::start();
    let (one, mut heard_by_one) = open(&server.url()).await;
    let (other, mut heard_by_other) = open(&server.url()).await;
    one.follow(&[pattern("job:*")]).await.expect("followed");
    other.follow(&[pattern("job:1")]).await.expect("followed");
    let batch = [
        request("job:1", r#"{"n":1}"#),
        request("job:2", r#"{"n":2}"#),
        request("job:1", r#"{"n":3}"#),
        request("elsewhere", "4"),
    ];
    let answers = one.publish(&batch).await.expect("stored");
    let offsets: Vec<u64> = answers
        .iter()
        .map(|answer| answer.unwrap().offset)
        .collect();
    assert_eq!(offsets, [1, 1, 2, 1]);
    assert_ne!(answers[0].unwrap().epoch, 0);
    publish_text(&other, "job:1", "5").await;
    assert_eq!(
        heard_by_one.lines(4).await,
        [r#"1 {"n":1}"#, r#"1 {"n":2}"#, r#"2 {"n":3}"#, "3 5"]
    );
    assert_eq!(
        heard_by_other.lines(3).await,
        [r#"1 {"n":1}"#, r#"2 {"n":3}"#, "3 5"]
    );
}

#[tokio::test]
async fn a_repeated_key_answers_the_first_position_even_of_an_end() {
    let server = PostgresServer::start();
    let (backend, _) = open(&server.url()).await;
    let keyed = |payload: &str, end| PublishRequest {
        id: Some("k\0\\1".into()),
        end,
        ..request("job:1", payload)
    };
    let end = Some(EndReason::Complete);
    publish_text(&backend, "job:1", "0").await;
    let batch = [keyed("1", end), keyed("2", end)];
    let answers = backend.publish(&batch).await.expect("stored");
    assert_eq!(answers[0], answers[1]);
    assert_eq!(publish(&backend, keyed("3", None)).await, answers[0]);
    let elsewhere = PublishRequest {
        topic: topic("job:2"),
        ..keyed("4", None)
    };
    assert_ne!(publish(&backend, elsewhere).await, answers[0]);
    assert_eq!(read(&backend, "job:1", None).await.0, ["2 1"]);
}

#[tokio::test]
async fn an_ended_topic_takes_nothing_until_it_is_started_anew() {
    let server = PostgresServer::start();
    let (backend, mut heard) = open(&server.url()).await;
    backend.follow(&[pattern("**")]).await.expect("followed");
    let last = PublishRequest {
        end: Some(EndReason::Failed),
        ..request("job:1", "1")
    };
    let ended = publish(&backend, last).await.expect("stored");
    let refused = publish(&backend, request("job:1", "2")).await;
    assert_eq!(refused, Err(PublishError::Ended(EndReason::Failed)));
    let anew = PublishRequest {
        restart: true,
        ..request("job:1", "3")
    };
    let position = publish(&backend, anew).await.expect("stored");
    assert_eq!(position.offset, 1);
    assert_ne!(position.epoch, ended.epoch);
    assert_eq!(heard.publication().await.end, Some(EndReason::Failed));
    assert_eq!(heard.lines(1).await, ["1 3"]);
    assert_eq!(read(&backend, "job:1", Some(ended)).await.0, ["1 3"]);
}

#[tokio::test]
async fn reading_gives_what_was_missed_or_the_latest() {
    let server = PostgresServer::start();
    let (backend, _) = open(&server.url()).await;
    assert_eq!(
        read(&backend, "job:1", None).await,
        (vec![], Position::default())
    );
    let mut top = Position::default();
    for number in 1..=4 {
        top = publish_text(&backend, "job:1", &number.to_string()).await;
    }
    assert_eq!(
        read(&backend, "job:1", None).await,
        (vec!["4 4".into()], top)
    );
    let missed = read(&backend, "job:1", before(top, 2)).await;
    assert_eq!(missed, (vec!["3 3".into(), "4 4".into()], top));
    assert_eq!(read(&backend, "job:1", Some(top)).await, (vec![], top));
    let whole = read(&backend, "job:1", Some(Position::default())).await;
    assert_eq!(whole.0, ["1 1", "2 2", "3 3", "4 4"]);
    for elsewhere in [
        Position {
            epoch: top.epoch ^ 1,
            offset: 2,
        },
        Position {
            epoch: top.epoch,
            offset: 5,
        },
        Position {
            epoch: u64::MAX,
            offset: u64::MAX,
        },
    ] {
        assert_eq!(read(&backend, "job:1", Some(elsewhere)).await.0, ["4 4"]);
    }
}

#[tokio::test]
async fn listing_gives_the_latest_of_what_a_pattern_matches() {
    let server = PostgresServer::start();
    let (backend, _) = open(&server.url()).await;
    for name in ["job:1", "job:2", "job:2", "job:2:log", "jobs", "ü:1"] {
        publish_text(&backend, name, &format!("{name:?}")).await;
    }
    for (text, expected) in [
        ("job:*", vec!["job:1 1", "job:2 2"]),
        ("job:**", vec!["job:1 1", "job:2 2", "job:2:log 1"]),
        ("*:1", vec!["job:1 1", "ü:1 1"]),
        ("jobs", vec!["jobs 1"]),
        ("nobody:*", vec![]),
        ("nobody", vec![]),
    ] {
        let listed = backend.list(&pattern(text)).await.expect("listed");
        let lines: Vec<String> = listed
            .iter()
            .map(|excerpt| {
                assert_eq!(excerpt.publications[0].position, excerpt.position);
                format!("{} {}", excerpt.topic, excerpt.position.offset)
            })
            .collect();
        assert_eq!(lines, expected, "{text}");
    }
}

#[tokio::test]
async fn large_and_foreign_payloads_arrive_as_they_were_written() {
    let server = PostgresServer::start();
    let (backend, mut heard) = open(&server.url()).await;
    backend.follow(&[pattern("**")]).await.expect("followed");
    let large = format!("\"{}\"", "ä".repeat(512 * 1024 - 1));
    for text in [
        r#"{"a": "\u0000 \ud800", "a" : 1e400, "ü": "𝄞"}"#,
        r#"{ "b":1,"a":2 }"#,
        &large,
        "null",
    ] {
        let position = publish_text(&backend, "größe:1", text).await;
        let publication = heard.publication().await;
        assert!(publication.payload.as_str() == text, "{:.80}", text);
        assert_eq!(publication.position, position);
    }
}

#[tokio::test]
async fn a_renewed_topic_keeps_its_latest_under_a_new_epoch() {
    let server = PostgresServer::start();
    let (backend, mut heard) = open(&server.url()).await;
    backend.follow(&[pattern("job:1")]).await.expect("followed");
    publish_text(&backend, "job:1", "1").await;
    let top = publish_text(&backend, "job:1", "2").await;
    backend
        .renew(&topic("job:1"), top.epoch ^ 1)
        .await
        .expect("no such epoch");
    backend
        .renew(&topic("job:1"), top.epoch)
        .await
        .expect("renewed");
    let (lines, position) = read(&backend, "job:1", Some(top)).await;
    assert_eq!(lines, ["1 2"]);
    assert_ne!(position.epoch, top.epoch);
    assert_eq!(heard.lines(3).await, ["1 1", "2 2", "1 2"]);
    assert_eq!(publish_text(&backend, "job:1", "3").await.offset, 2);
}

#[tokio::test]
async fn closing_leaves_no_connection() {
    let server = PostgresServer::start();
    let (backend, mut heard) = open(&server.url()).await;
    let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tidegate'";
    assert_eq!(server.sql(count), "2");
    backend.close().await.expect("closed");
    // The server notices the end of a connection in its own time.
    while server.sql(count) != "0" {}
    assert!(matches!(
        backend.probe().await,
        Err(BackendError::Closed { .. })
    ));
    assert!(heard.rest().is_empty());
}

#[tokio::test]
async fn what_refuses_says_what_to_do_and_no_password() {
    let server = PostgresServer::start();
    let port = server.port();
    for (url, expected) in [
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
    ] {
        let backend = Postgres::new(&url, Keep::default()).expect("an address");
        let (feed, _heard) = Heard::new();
        let error = backend.open(feed).await.expect_err("refused");
        assert!(matches!(error, BackendError::Refused { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains(PASSWORD), "{text}");
    }
}
