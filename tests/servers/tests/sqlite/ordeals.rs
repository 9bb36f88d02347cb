//! Faults of a file that several processes share, and what hubs, jobs and watchers notice of them.

use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt as _;
use rusqlite::Connection;
use tempfile::TempDir;
use tidegate::backend::{Backend, Keep, Sqlite};
use tidegate::core::hub::PublishError as CorePublishError;
use tidegate::{Config, Event, Hub, PublishError};
use tidegate_server_tests::heard::PATIENCE;
use tidegate_server_tests::ordeal::{Ordeal, live_through, slow_reader, until};

fn at(path: &Path) -> Arc<dyn Backend> {
    Arc::new(Sqlite::new(path, Keep::default()).expect("a path"))
}

#[tokio::test]
async fn nothing_happens() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("topics.db");
    let seen = live_through(Ordeal::without_loss(), || at(&path), |_| async {}).await;
    assert_eq!((seen.resets, seen.stales), (0, 0));
}

#[tokio::test]
async fn somebody_else_locks_the_file_for_longer_than_anybody_waits() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("topics.db");
    live_through(
        Ordeal::default(),
        || at(&path),
        async |mut progress| {
            progress.reaches(30).await;
            let other = Connection::open(&path).unwrap();
            other.execute_batch("BEGIN IMMEDIATE").unwrap();
            // A failing call of another backend shows that the hubs have waited in vain.
            let backend = at(&path);
            let feed = tidegate::backend::Feed::new(|_| ());
            if backend.open(feed).await.is_ok() {
                let request = tidegate::core::protocol::PublishRequest::new(
                    tidegate_tests::topic("other"),
                    tidegate::Json::from_text("1").unwrap(),
                );
                let refused = backend.publish(&[request]).await;
                assert!(refused.is_err(), "{refused:?}");
            }
            other.execute_batch("ROLLBACK").unwrap();
            backend.close().await.ok();
        },
    )
    .await;
}

#[tokio::test]
async fn a_reader_who_stops_reading_is_told_and_holds_up_nobody() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("topics.db");
    slow_reader(|| at(&path)).await;
}

#[tokio::test]
async fn a_full_file_is_told_to_publishers_and_subscribers_stay() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("topics.db");
    let backend = Sqlite::new(&path, Keep::default()).expect("a path");
    let backend = Arc::new(backend.with_bytes_max(256 * 1024));
    let hub = Hub::with_backend(Config::default(), backend).expect("a thread");
    let mut events = hub.subscribe("job:1").await.expect("subscribed");
    let filling = "x".repeat(8 * 1024);
    let mut stored = 0;
    let refused = loop {
        match hub.publish("job:1", &filling).await {
            Ok(position) => stored = position.offset,
            Err(error) => break error,
        }
    };
    let full = CorePublishError::BackendFull;
    assert!(
        matches!(&refused, PublishError::Refused(why) if *why == full),
        "{refused}"
    );
    let program = Connection::open(&path).unwrap();
    program.busy_timeout(PATIENCE).unwrap();
    program
        .execute("DELETE FROM pubsub_events WHERE \"offset\" < 5", [])
        .unwrap();
    until(|| async { hub.publish("job:1", &"there is room").await.is_ok() }).await;
    let mut heard = Vec::new();
    while heard.len() as u64 <= stored {
        match events.next().await {
            Some(Event::Publication(publication)) => heard.push(publication),
            other => panic!("{other:?} instead of a publication"),
        }
    }
    let last = heard.last().expect("many");
    assert_eq!(last.payload.as_str(), "\"there is room\"");
    assert_eq!(last.position.offset, stored + 1);
    let offsets: Vec<u64> = heard.iter().map(|it| it.position.offset).collect();
    assert_eq!(offsets, (1..=stored + 1).collect::<Vec<u64>>());
    hub.stop();
}
