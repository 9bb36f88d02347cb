//! A Redis does what every backend does.

use std::sync::Arc;

use tidegate::backend::{Backend, Keep, Redis};
use tidegate_tests::conformance;
use tidegate_tests::conformance::Place;
use tidegate_tests::servers::redis::RedisServer;

/// A server of its own.
struct InRedis {
    server: RedisServer,
    keep: Keep,
}

impl Place for InRedis {
    async fn start(keep: Keep) -> Self {
        let server = RedisServer::start();
        Self { server, keep }
    }

    async fn backend(&self) -> Arc<dyn Backend> {
        let backend = Redis::new(&self.server.url(), self.keep.clone());
        Arc::new(backend.expect("a correct address"))
    }
}

conformance!(InRedis);
