//! Rows that other programs insert.

use tidegate::backend::{Backend, FeedEvent};
use tidegate_core::lifecycle::EndReason;
use tidegate_core::publication::Position;
use tidegate_tests::topic;

use crate::place::{File, insert, number, publish, try_publish, until};

#[tokio::test]
async fn an_inserted_row_is_published_once_however_many_look() {
    let file = File::new();
    let (first, mut heard_first) = file.open().await;
    let (_second, mut heard_second) = file.open().await;
    let (_third, mut heard_third) = file.open().await;
    let program = file.program();
    for number in 0..200 {
        insert(
            &program,
            "dashboard_updates",
            &format!(r#"{{"n": {number}}}"#),
        );
    }
    insert(&program, "last", "true");
    let expected: Vec<String> = (0..200)
        .map(|n| format!(r#"dashboard_updates {} {{"n": {n}}}"#, n + 1))
        .collect();
    for heard in [&mut heard_first, &mut heard_second, &mut heard_third] {
        assert_eq!(heard.until(&topic("last"), "true").await, expected);
        assert!(heard.rest().is_empty());
    }
    let kept = first
        .read(&topic("dashboard_updates"), Some(Position::default()))
        .await
        .unwrap();
    assert_eq!(kept.publications.len(), 200);
    assert_eq!(number(&program, "SELECT count(*) FROM pubsub_events"), 201);
}

#[tokio::test]
async fn rows_inserted_while_nobody_looks_are_published_before_what_comes_later() {
    let file = File::new();
    let (backend, _) = file.open().await;
    backend.close().await.unwrap();
    insert(&file.program(), "job:1", "1");
    let (backend, _heard) = file.open().await;
    let position = publish(&backend, "job:1", "2").await;
    assert_eq!(position.offset, 2);
    let kept = backend
        .read(&topic("job:1"), Some(Position::default()))
        .await
        .unwrap();
    let texts: Vec<&str> = kept
        .publications
        .iter()
        .map(|it| it.payload.as_str())
        .collect();
    assert_eq!(texts, ["1", "2"]);
}

#[tokio::test]
async fn inserts_and_publications_share_one_order() {
    let file = File::new();
    let (backend, mut heard) = file.open().await;
    let program = file.program();
    for number in 0..50 {
        insert(&program, "job:1", &format!("{}", 2 * number));
        publish(&backend, "job:1", &format!("{}", 2 * number + 1)).await;
    }
    let expected: Vec<String> = (0..100).map(|n| format!("{} {n}", n + 1)).collect();
    assert_eq!(heard.lines(100).await, expected);
}

#[tokio::test]
async fn an_inserted_status_ends_the_topic() {
    let file = File::new();
    let (backend, mut heard) = file.open().await;
    insert(&file.program(), "job:1", r#"{"status": "Complete"}"#);
    assert_eq!(heard.publication().await.end, Some(EndReason::Complete));
    let refused = try_publish(&backend, "job:1", "1").await.unwrap();
    assert_eq!(
        refused,
        Err(tidegate_core::hub::PublishError::Ended(EndReason::Complete))
    );
}

#[tokio::test]
async fn a_row_that_comes_after_the_end_starts_the_topic_anew() {
    let file = File::new();
    let (_backend, mut heard) = file.open().await;
    let program = file.program();
    insert(&program, "job:1", "0");
    insert(&program, "job:1", r#"{"status": "Failed"}"#);
    let before = heard.publication().await.position;
    assert_eq!(heard.publication().await.end, Some(EndReason::Failed));
    insert(&program, "job:1", "1");
    insert(&program, "job:1", "2");
    let anew = heard.publication().await;
    assert_eq!((anew.end, anew.position.offset), (None, 1));
    assert_ne!(anew.position.epoch, before.epoch);
    let next = heard.publication().await.position;
    assert_eq!((next.epoch, next.offset), (anew.position.epoch, 2));
}

#[tokio::test]
async fn rows_that_make_no_publication_are_refused_once_and_hold_nothing_up() {
    let file = File::new();
    let (backend, mut heard) = file.open().await;
    let program = file.program();
    insert(&program, "not a topic", "1");
    insert(&program, "no:json", "{");
    insert(
        &program,
        "too:large",
        &format!("\"{}\"", "x".repeat(1024 * 1024)),
    );
    insert(&program, "good", "1");
    assert_eq!(heard.lines(1).await, ["1 1"]);
    let refused = "SELECT group_concat(substr(channel, 1, 9)) FROM pubsub_events WHERE seq = -1";
    let channels: String = program.query_row(refused, [], |row| row.get(0)).unwrap();
    assert_eq!(channels, "not a top,no:json,too:large");
    assert_eq!(
        number(
            &program,
            "SELECT count(*) FROM pubsub_events WHERE seq IS NULL"
        ),
        0
    );
    publish(&backend, "good", "2").await;
    assert_eq!(heard.lines(1).await, ["2 2"]);
    assert!(heard.rest().is_empty());
}

#[tokio::test]
async fn a_table_of_an_application_is_kept_and_its_old_rows_stay_silent() {
    let file = File::new();
    let program = file.program();
    program
        .execute_batch(
            "CREATE TABLE pubsub_events (
               id INTEGER PRIMARY KEY, channel VARCHAR(100) NOT NULL, data JSON NOT NULL,
               created_at TIMESTAMP NOT NULL, tenant TEXT);
             INSERT INTO pubsub_events (channel, data, created_at, tenant) VALUES
               ('job:old', '{\"n\":1}', '2020-01-01', 'a'), ('job:old', '{\"n\":2}', '2020-01-01', 'b');",
        )
        .unwrap();
    let shown = file.backend().migration().unwrap().unwrap();
    assert!(
        shown.contains("ALTER TABLE pubsub_events ADD COLUMN"),
        "{shown}"
    );
    let (backend, mut heard) = file.open().await;
    assert_eq!(backend.migration().unwrap(), None);
    let sql = "INSERT INTO pubsub_events (channel, data, created_at) VALUES ('job:new', '{\"n\":3}', '2026-01-01')";
    program.execute(sql, []).unwrap();
    publish(&backend, "job:new", r#"{"n":4}"#).await;
    assert_eq!(heard.lines(2).await, [r#"1 {"n":3}"#, r#"2 {"n":4}"#]);
    let old = backend.read(&topic("job:old"), None).await.unwrap();
    assert!(old.publications.is_empty());
    assert_eq!(
        number(
            &program,
            "SELECT count(*) FROM pubsub_events WHERE tenant IS NOT NULL"
        ),
        2
    );
    assert_eq!(
        number(
            &program,
            "SELECT count(*) FROM pubsub_events WHERE created_at IS NULL"
        ),
        0
    );
}

#[tokio::test]
async fn numbers_keep_their_text_in_a_column_of_the_type_json() {
    let file = File::new();
    let columns = "id INTEGER PRIMARY KEY, channel TEXT, data JSON, created_at TIMESTAMP";
    let sql = format!("CREATE TABLE pubsub_events ({columns})");
    file.program().execute_batch(&sql).unwrap();
    let (backend, _heard) = file.open().await;
    for text in ["1.0", "-0", "12345678901234567890", "1e3", "\"1\"", "[1.0]"] {
        publish(&backend, "number", text).await;
        let kept = backend.read(&topic("number"), None).await.unwrap();
        assert_eq!(kept.publications[0].payload.as_str(), text);
    }
}

#[tokio::test]
async fn what_an_application_deletes_is_reported_as_missed() {
    let file = File::new();
    let (backend, mut heard) = file.open().await;
    let mut program = file.program();
    let transaction = program.transaction().unwrap();
    // Published and deleted at once, as if a process had slept in between.
    insert(&transaction, "job:1", "1");
    transaction
        .execute_batch("UPDATE pubsub_events SET seq = 1; UPDATE tidegate_state SET value = 1 WHERE name = 'seq';
                        DELETE FROM pubsub_events")
        .unwrap();
    transaction.commit().unwrap();
    assert!(matches!(heard.event().await, FeedEvent::Missed));
    until("an empty table", &backend, || {
        number(&program, "SELECT count(*) FROM pubsub_events") == 0
    })
    .await;
}

/// Values of every SQLite type in both columns, in Tidegate's own table and in one without column types.
#[tokio::test]
async fn a_row_of_any_types_makes_nobody_deaf() {
    const VALUES: [&str; 9] = [
        "NULL",
        "7",
        "7.5",
        "'job:2'",
        "'\"text\"'",
        "CAST(x'ff' AS TEXT)",
        "CAST(x'226aff22' AS TEXT)",
        "x'6a6f623a32'",
        "x'ff'",
    ];
    for table in [
        "",
        "CREATE TABLE pubsub_events (id INTEGER PRIMARY KEY, channel, data)",
        "CREATE TABLE pubsub_events (id INTEGER PRIMARY KEY, channel INTEGER, data BLOB)",
    ] {
        let file = File::new();
        file.program().execute_batch(table).unwrap();
        let (first, mut heard_first) = file.open().await;
        let (second, mut heard_second) = file.open().await;
        let program = file.program();
        for channel in VALUES {
            for data in VALUES {
                let row = format!(
                    "INSERT OR IGNORE INTO pubsub_events (channel, data) VALUES ({channel}, {data})"
                );
                program.execute(&row, []).unwrap();
                for (backend, text) in [(&first, "1"), (&second, "2")] {
                    publish(backend, "job:1", text).await;
                    for heard in [&mut heard_first, &mut heard_second] {
                        // The others are rows that are valid publications.
                        heard.until_heard(&topic("job:1"), text).await;
                    }
                }
            }
        }
        let odd = "SELECT count(*) FROM pubsub_events WHERE seq IS NULL OR seq > 0 AND typeof(channel) <> 'text'";
        assert_eq!(number(&program, odd), 0, "{table}");
        // Changes to a row that is already published.
        for change in VALUES {
            for column in ["channel", "data", "epoch", "\"offset\"", "ended"] {
                let position = publish(&first, "job:3", "1").await;
                let offset = position.offset;
                let sql = format!(
                    "UPDATE OR IGNORE pubsub_events SET {column} = {change} WHERE channel = 'job:3' AND \"offset\" = {offset}"
                );
                program.execute(&sql, []).unwrap();
                publish(&second, "job:1", "1").await;
                for heard in [&mut heard_first, &mut heard_second] {
                    heard.until_heard(&topic("job:1"), "1").await;
                }
            }
        }
    }
}
