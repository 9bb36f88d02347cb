//! Topics in a Redis keep the promises of every backend.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tidegate::backend::{Backend, Keep, Redis};
use tidegate_server_tests::conformance;
use tidegate_server_tests::conformance::Place;
use tidegate_server_tests::servers::redis::RedisServer;
use tidegate_server_tests::servers::shared::{Running, Shared};

static SERVER: Shared<RedisServer> = Shared::new();

/// A namespace on the server that all tests here share.
struct InRedis {
    url: String,
    keep: Keep,
    _server: Arc<Running<RedisServer>>,
}

impl Place for InRedis {
    async fn start(keep: Keep) -> Self {
        static PLACES: AtomicU32 = AtomicU32::new(0);
        let started = tokio::task::spawn_blocking(|| SERVER.run(RedisServer::start));
        let server = started.await.expect("the server starts");
        let number = PLACES.fetch_add(1, Ordering::Relaxed);
        Self {
            url: format!("{}?namespace=place{number}", server.url()),
            keep,
            _server: server,
        }
    }

    async fn backend(&self) -> Arc<dyn Backend> {
        let backend = Redis::new(&self.url, self.keep.clone());
        Arc::new(backend.expect("the server's address"))
    }
}

conformance!(InRedis);
