//! Faults of a PostgreSQL server, and what hubs, jobs and watchers notice of them.

use std::net::SocketAddr;
use std::sync::Arc;

use tidegate::backend::{Backend, Keep, Postgres};
use tidegate_server_tests::ordeal::{Ordeal, cut_off, live_through, slow_reader, unanswered};
use tidegate_server_tests::proxy::Proxy;
use tidegate_server_tests::servers::postgres::PostgresServer;

/// A backend that waits one second for an answer.
fn at(url: &str) -> Arc<dyn Backend> {
    let mark = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{mark}timeout_ms=1000");
    Arc::new(Postgres::new(&url, Keep::default()).expect("an address"))
}

/// A backend that does not time out, however busy the machine is.
fn patient(server: &PostgresServer) -> Arc<dyn Backend> {
    Arc::new(Postgres::new(&server.patient_url(), Keep::default()).expect("an address"))
}

/// A proxy to the server that can break connections, and the address through it.
async fn proxied(server: &PostgresServer) -> (Proxy, String) {
    let url = server.url();
    let place = url
        .split('@')
        .next_back()
        .and_then(|rest| rest.split('/').next());
    let place = place.expect("a place").to_owned();
    let address: SocketAddr = place.parse().expect("an address with a port");
    let proxy = Proxy::to(address).await;
    let proxied = url.replace(&place, &proxy.address().to_string());
    (proxy, proxied)
}

#[tokio::test]
async fn nothing_happens() {
    let server = PostgresServer::start();
    let seen = live_through(Ordeal::without_loss(), || patient(&server), |_| async {}).await;
    assert_eq!((seen.resets, seen.stales), (0, 0));
    server.wait_until_left_alone();
}

#[tokio::test]
async fn it_is_killed_and_comes_back() {
    let mut server = PostgresServer::start_with(&["fsync=on"]);
    let url = server.url();
    let seen = live_through(
        Ordeal::default(),
        || at(&url),
        async |mut progress| {
            for percent in [20, 60] {
                progress.reaches(percent).await;
                server.kill();
                server.restart();
            }
        },
    )
    .await;
    assert!(seen.stales > 0);
    server.wait_until_left_alone();
}

#[tokio::test]
async fn it_stands_still_for_longer_than_anybody_waits() {
    let server = PostgresServer::start();
    let (proxy, url) = proxied(&server).await;
    unanswered(&proxy, || at(&url), || server.pause(), || server.resume()).await;
}

#[tokio::test]
async fn connections_are_cut_in_the_midst_of_a_message() {
    let server = PostgresServer::start();
    let (proxy, url) = proxied(&server).await;
    cut_off(&proxy, || at(&url)).await;
}

#[tokio::test]
async fn a_network_that_swallows_everything_heals() {
    let server = PostgresServer::start();
    let (proxy, url) = proxied(&server).await;
    unanswered(&proxy, || at(&url), || proxy.stall(), || proxy.heal()).await;
}

#[tokio::test]
async fn its_administrator_ends_every_connection_again_and_again() {
    let server = PostgresServer::start();
    let url = server.url();
    live_through(
        Ordeal::default(),
        || at(&url),
        async |mut progress| {
            for percent in [20, 40, 60, 80] {
                progress.reaches(percent).await;
                server.sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
                );
            }
        },
    )
    .await;
}

#[tokio::test]
async fn an_application_keeps_a_transaction_open_all_the_while() {
    let server = PostgresServer::start();
    let hub_made_the_table = patient(&server);
    hub_made_the_table
        .open(tidegate::backend::Feed::new(|_| ()))
        .await
        .expect("it is there");
    hub_made_the_table.close().await.expect("it is there");
    let mut session = server.psql_session();
    session.run("BEGIN; INSERT INTO pubsub_events (channel, data) VALUES ('other', '{}');");
    let seen = live_through(Ordeal::without_loss(), || patient(&server), |_| async {}).await;
    assert_eq!((seen.resets, seen.stales), (0, 0));
    session.run("COMMIT;");
}

#[tokio::test]
async fn a_reader_who_stops_reading_is_told_and_holds_up_nobody() {
    let server = PostgresServer::start();
    slow_reader(|| patient(&server)).await;
}
