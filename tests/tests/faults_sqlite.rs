//! What befalls a file that several processes share, and what everybody around it sees.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use tempfile::TempDir;
use tidegate::backend::{Backend, Keep, Sqlite};
use tidegate_tests::ordeal::{Ordeal, live_through};

fn at(path: &Path) -> Arc<dyn Backend> {
    Arc::new(Sqlite::new(path, Keep::default()).expect("a path"))
}

#[tokio::test]
async fn nothing_happens() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("topics.db");
    let seen = live_through(Ordeal::default(), || at(&path), |_| async {}).await;
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
            // A second hub's refusals show that they have waited in vain.
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
