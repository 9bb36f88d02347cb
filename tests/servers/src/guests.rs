//! Programs that use a backend without being a server: they must not trim what servers want to keep.

use std::sync::Arc;
use std::time::Duration;

use tidegate::backend::{Backend, Keep};
use tidegate_core::history::{HistoryLimits, HistoryRules};
use tidegate_core::publication::Position;
use tidegate_tests::{pattern, topic};

use crate::conformance::{in_time, request};
use crate::heard::Heard;
use crate::ordeal::until;

/// A backend under test, and ways to look into it.
pub struct Inside<B, C, F> {
    /// A backend that keeps this, to be opened.
    pub backend: B,
    /// Counts the stored publications of a topic, whatever a read would return.
    pub count: C,
    /// Turns it into one that only servers of earlier versions have used, which don't record their limits there.
    pub make_old: F,
}

/// Rules for the topics of devices that keep everything that a test publishes.
fn rules(rule: &str) -> HistoryRules {
    let limits = HistoryLimits {
        count_max: 1_000_000,
        bytes_max: 1 << 30,
        age_max: Duration::from_secs(7 * 24 * 3600),
    };
    HistoryRules::none().with(pattern(rule), limits)
}

async fn publish_many(backend: &Arc<dyn Backend>, name: &str, count: usize) {
    let batch: Vec<_> = (0..count)
        .map(|number| request(name, &number.to_string()))
        .collect();
    let results = in_time("publishing", backend.publish(&batch)).await;
    assert!(results.expect("stored").iter().all(Result::is_ok));
}

async fn open(backend: impl Backend) -> Arc<dyn Backend> {
    let (feed, _) = Heard::new();
    in_time("opening", backend.open(feed))
        .await
        .expect("it is there");
    Arc::new(backend)
}

impl<T, B, C, F> Inside<B, C, F>
where
    T: Backend,
    B: Fn(Keep) -> T,
    C: Fn(&str) -> usize,
    F: Fn(),
{
    /// After a server has gone, such a program leaves what the server keeps, and trims everything else as the server
    /// did.
    ///
    /// # Panics
    /// If not.
    pub async fn guests_keep_what_a_server_kept(&self) {
        let keep = Keep {
            history: HistoryLimits {
                count_max: 20,
                ..HistoryLimits::default()
            },
            histories: rules("user:*"),
            ..Keep::default()
        };
        let server = open((self.backend)(keep)).await;
        publish_many(&server, "user:1", 1000).await;
        server.close().await.expect("it stood");
        let guest = open((self.backend)(Keep::as_servers_say())).await;
        publish_many(&guest, "user:1", 300).await;
        publish_many(&guest, "job:1", 1000).await;
        until(|| async { (self.count)("job:1") == 20 }).await;
        assert_eq!((self.count)("user:1"), 1300);
        let all = guest
            .read(&topic("user:1"), Some(Position::default()))
            .await;
        assert_eq!(all.expect("read").publications.len(), 1300);
    }

    /// As long as there has been no server, or only one of an earlier version, such a program keeps what servers keep
    /// by default. Once there is one, it keeps what that server does.
    ///
    /// # Panics
    /// If not.
    pub async fn guests_bound_what_no_server_has_said_anything_of(&self) {
        let default = HistoryLimits::default().count_max;
        let server = open((self.backend)(Keep::default())).await;
        publish_many(&server, "job:1", 10).await;
        server.close().await.expect("it stood");
        (self.make_old)();
        let guest = open((self.backend)(Keep::as_servers_say())).await;
        publish_many(&guest, "job:1", 1000).await;
        until(|| async { (self.count)("job:1") == default }).await;
        let keep = Keep {
            histories: rules("job:*"),
            ..Keep::default()
        };
        let server = open((self.backend)(keep)).await;
        // The guest does this from time to time.
        guest.probe().await.expect("it stands");
        publish_many(&guest, "other:1", 1000).await;
        until(|| async { (self.count)("other:1") == default }).await;
        publish_many(&guest, "job:1", 1000).await;
        publish_many(&server, "job:1", 1000).await;
        publish_many(&guest, "other:2", 1000).await;
        until(|| async { (self.count)("other:2") == default }).await;
        assert_eq!((self.count)("job:1"), default + 2000);
    }
}
