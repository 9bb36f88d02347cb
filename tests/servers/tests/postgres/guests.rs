//! Programs that use the database without being a server.

use tidegate::backend::{Keep, Postgres};
use tidegate_server_tests::guests::Inside;
use tidegate_server_tests::servers::postgres::PostgresServer;

fn inside(
    server: &PostgresServer,
) -> Inside<impl Fn(Keep) -> Postgres, impl Fn(&str) -> usize, impl Fn()> {
    // It trims rows after a moment.
    let url = format!("{}&stall_ms=1", server.patient_url());
    Inside {
        backend: move |keep| Postgres::new(&url, keep).expect("an address"),
        count: |name: &str| {
            let counted = server.sql(&format!(
                "SELECT count(*) FROM pubsub_events WHERE channel = '{name}' AND seq > 0"
            ));
            counted.parse().expect("a number")
        },
        make_old: || {
            server.sql("DROP TABLE tidegate_pubsub_events_keep");
        },
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_keep_what_a_server_kept() {
    let server = PostgresServer::start();
    inside(&server).guests_keep_what_a_server_kept().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_bound_what_no_server_has_said_anything_of() {
    let server = PostgresServer::start();
    inside(&server)
        .guests_bound_what_no_server_has_said_anything_of()
        .await;
}
