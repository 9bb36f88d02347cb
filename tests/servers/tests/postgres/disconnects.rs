//! Servers that tell each other through a PostgreSQL which users to disconnect.

use std::sync::Arc;

use tidegate::backend::{Backend, Keep, Postgres};
use tidegate_server_tests::disconnects::end_at_all_servers;
use tidegate_server_tests::servers::postgres::PostgresServer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connections_of_a_user_end_at_all_servers() {
    let server = PostgresServer::start();
    let backend = || -> Arc<dyn Backend> {
        Arc::new(Postgres::new(&server.url(), Keep::default()).expect("an address"))
    };
    end_at_all_servers([backend(), backend()]).await;
}
