//! The order in which a publication and its answer leave a shard.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use crate::support;
use crate::support::socket::Socket;
use rustix::net::{RecvFlags, recv};
use serde_json::json;
use tidegate::{Config, Hub};

/// As many as are written to before others that are ready.
const WATCHERS: usize = 64;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer means that the topic's first watchers have been written to: on the same machine, it can be read from their sockets.
#[tokio::test]
async fn a_publisher_is_answered_after_the_first_watchers() {
    let config = Config {
        shards: NonZeroUsize::MIN,
        ..support::config()
    };
    let hub = Hub::new(config).unwrap();
    let address = support::serve_by_own_loop(tidegate::axum::router(hub)).await;
    let mut publisher = Socket::open(&address).await;
    let mut watchers = Vec::new();
    for _ in 0..WATCHERS {
        let mut watcher = Socket::open(&address).await;
        watcher.subscribe("job:1", json!({})).await;
        watchers.push(watcher);
    }
    for number in 1..=10 {
        publisher
            .send(json!({"type": "publish", "ref": number, "topic": "job:1", "data": number}))
            .await;
        // Checked without a pause: what is written a moment later counts as missing.
        let started = Instant::now();
        while !waits(&publisher) {
            assert!(started.elapsed() < PATIENCE, "the publisher isn't answered");
        }
        assert_eq!(
            watchers.iter().rev().filter(|it| waits(it)).count(),
            WATCHERS
        );
        publisher.expect("published").await;
        for watcher in &mut watchers {
            assert_eq!(watcher.expect("pub").await["data"], number);
        }
    }
}

/// Whether there is something to read.
fn waits(socket: &Socket) -> bool {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    recv(socket.inner.get_ref(), &mut [0; 1], flags).is_ok()
}
