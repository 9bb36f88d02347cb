//! Topics in PostgreSQL do what every backend does.

use std::sync::Arc;

use tidegate::backend::{Backend, Keep, Postgres};
use tidegate_tests::conformance;
use tidegate_tests::conformance::Place;
use tidegate_tests::servers::postgres::PostgresServer;

/// The topics of one database.
struct InPostgres {
    server: PostgresServer,
    keep: Keep,
}

impl Place for InPostgres {
    async fn start(keep: Keep) -> Self {
        let server = PostgresServer::start();
        Self { server, keep }
    }

    async fn backend(&self) -> Arc<dyn Backend> {
        let backend = Postgres::new(&self.server.url(), self.keep.clone());
        Arc::new(backend.expect("an address"))
    }
}

conformance!(InPostgres);
