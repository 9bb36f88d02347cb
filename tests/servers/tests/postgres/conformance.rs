//! Topics in a PostgreSQL database keep the promises of every backend.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tidegate::backend::{Backend, Keep, Postgres};
use tidegate_server_tests::conformance;
use tidegate_server_tests::conformance::Place;
use tidegate_server_tests::servers::postgres::PostgresServer;
use tidegate_server_tests::servers::shared::{Running, Shared};

static SERVER: Shared<PostgresServer> = Shared::new();

/// A schema on the server that all tests here share.
struct InPostgres {
    url: String,
    keep: Keep,
    _server: Arc<Running<PostgresServer>>,
}

impl Place for InPostgres {
    async fn start(keep: Keep) -> Self {
        static PLACES: AtomicU32 = AtomicU32::new(0);
        let number = PLACES.fetch_add(1, Ordering::Relaxed);
        let made = tokio::task::spawn_blocking(move || {
            let server = SERVER.run(PostgresServer::start);
            server.sql(&format!("CREATE SCHEMA place{number}"));
            server
        });
        let server = made.await.expect("the server starts");
        Self {
            url: format!("{}?table=place{number}.pubsub_events", server.url()),
            keep,
            _server: server,
        }
    }

    async fn backend(&self) -> Arc<dyn Backend> {
        let backend = Postgres::new(&self.url, self.keep.clone());
        Arc::new(backend.expect("the server's address"))
    }
}

conformance!(InPostgres);
