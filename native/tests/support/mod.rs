//! What the tests of the native host share: servers of their own, plain clients, and patience.

// Each test file uses its own part of this.
#![allow(dead_code)]

pub(crate) mod application;
pub(crate) mod certificates;
pub(crate) mod events;
pub(crate) mod fragile;
pub(crate) mod http;
pub(crate) mod last_word;
pub(crate) mod place;
pub(crate) mod program;
pub(crate) mod provider;
pub(crate) mod proxy;
pub(crate) mod socket;

use std::num::NonZeroUsize;
use std::time::Duration;

use tidegate::core::hub::ServerConfig;
use tidegate::core::lifecycle::EndReason;
use tidegate::serve::{ServeConfig, Server};
use tidegate::{Config, Hub, Publish};
use tokio::net::TcpListener;

/// Longer than anything here takes, so that a hang becomes a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How often to check a condition that nothing announces.
const GLANCE: Duration = Duration::from_millis(2);

/// Waits for `future`, and fails if it hangs.
pub(crate) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let mut glances = tokio::time::interval(GLANCE);
    within(what, async {
        while !condition().await {
            glances.tick().await;
        }
    })
    .await;
}

/// Waits until the hub has `connections` and `subscriptions`.
pub(crate) async fn until_counts(hub: &Hub, connections: usize, subscriptions: usize) {
    let what = format!("{connections} connections and {subscriptions} subscriptions");
    eventually(&what, async || {
        let counts = hub.counts().await.unwrap();
        (counts.connections, counts.hub.subscriptions) == (connections, subscriptions)
    })
    .await;
}

/// A hub with limits that `change` sets.
pub(crate) fn hub_with(change: impl FnOnce(&mut ServerConfig)) -> Hub {
    let mut config = config();
    change(&mut config.server);
    Hub::new(config).unwrap()
}

/// The defaults, with as many shards as `TIDEGATE_TEST_SHARDS` says, because all promises hold for any number.
pub(crate) fn config() -> Config {
    let shards = std::env::var("TIDEGATE_TEST_SHARDS");
    Config {
        shards: shards.map_or(NonZeroUsize::MIN, |shards| shards.parse().unwrap()),
        ..Config::default()
    }
}

/// Serves an application on a free port until the test ends; returns its address. If `TIDEGATE_TEST_SERVER` is `axum`, axum's loop serves
/// it, because all promises hold there, too.
pub(crate) async fn serve(app: axum::Router) -> String {
    if std::env::var_os("TIDEGATE_TEST_SERVER").is_some_and(|name| name == "axum") {
        return serve_by_axum(app).await;
    }
    serve_by_own_loop(app).await
}

/// The same, by the loop of this crate.
pub(crate) async fn serve_by_own_loop(app: axum::Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = Server::new(ServeConfig::default()).listen(listener);
    tokio::spawn(server.run(app, std::future::pending()));
    address
}

/// The same, by axum's, which doesn't report where callers are.
pub(crate) async fn serve_by_axum(app: axum::Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// A hub with default limits and the address of its endpoints.
pub(crate) async fn served_hub() -> (Hub, String) {
    served_hub_with(|_| {}).await
}

/// A hub with limits that `change` sets, and the address of its endpoints.
pub(crate) async fn served_hub_with(change: impl FnOnce(&mut ServerConfig)) -> (Hub, String) {
    let hub = hub_with(change);
    let address = serve(tidegate::axum::router(hub.clone())).await;
    (hub, address)
}

/// Publishes numbers, one after the other.
pub(crate) async fn publish_range(hub: &Hub, topic: &str, numbers: std::ops::RangeInclusive<u32>) {
    for number in numbers {
        hub.publish(topic, &number).await.unwrap();
    }
}

/// Completes a topic with the value `"end"`.
pub(crate) async fn end(hub: &Hub, topic: &str) {
    hub.publish_with(topic, &"end", Publish::end(EndReason::Complete))
        .await
        .unwrap();
}
