//! Topics in a Redis Cluster keep the promises of every backend.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tidegate::backend::{Backend, Keep, Redis};
use tidegate_server_tests::conformance;
use tidegate_server_tests::conformance::Place;
use tidegate_server_tests::servers::redis::RedisCluster;
use tidegate_server_tests::servers::shared::{Running, Shared};

static CLUSTER: Shared<RedisCluster> = Shared::new();

/// A namespace on the Cluster that all tests here share.
struct InCluster {
    url: String,
    keep: Keep,
    _cluster: Arc<Running<RedisCluster>>,
}

impl Place for InCluster {
    async fn start(keep: Keep) -> Self {
        static PLACES: AtomicU32 = AtomicU32::new(0);
        let started = tokio::task::spawn_blocking(|| CLUSTER.run(RedisCluster::start));
        let cluster = started.await.expect("the Cluster starts");
        let number = PLACES.fetch_add(1, Ordering::Relaxed);
        Self {
            url: format!("{}&namespace=place{number}", cluster.url()),
            keep,
            _cluster: cluster,
        }
    }

    async fn backend(&self) -> Arc<dyn Backend> {
        let backend = Redis::new(&self.url, self.keep.clone());
        Arc::new(backend.expect("the Cluster's address"))
    }
}

conformance!(InCluster);
