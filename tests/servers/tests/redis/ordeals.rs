//! Faults of a Redis, and what hubs, jobs and watchers notice of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tidegate::backend::{Backend, Keep, Redis};
use tidegate::core::history::HistoryLimits;
use tidegate_server_tests::ordeal::{
    Ordeal, cut_off, live_through, slow_reader, unanswered, until,
};
use tidegate_server_tests::proxy::Proxy;
use tidegate_server_tests::servers::redis::RedisServer;

/// A backend that waits half a second for an answer.
fn at(address: &str) -> Arc<dyn Backend> {
    let url = format!("redis://{address}/0?timeout_ms=500");
    Arc::new(Redis::new(&url, Keep::default()).expect("an address"))
}

/// A backend that does not time out, however busy the machine is.
fn patient(server: &RedisServer) -> Arc<dyn Backend> {
    let url = format!("{}?timeout_ms=60000", server.url());
    Arc::new(Redis::new(&url, Keep::default()).expect("an address"))
}

fn place(server: &RedisServer) -> SocketAddr {
    ([127, 0, 0, 1], server.port()).into()
}

/// Waits until no connection of Tidegate is left.
async fn until_left_alone(server: &RedisServer) {
    until(|| async { server.cli(&["CLIENT", "LIST"]).lines().count() <= 1 }).await;
}

#[tokio::test]
async fn nothing_happens() {
    let server = RedisServer::start();
    let seen = live_through(Ordeal::without_loss(), || patient(&server), |_| async {}).await;
    assert_eq!((seen.resets, seen.stales), (0, 0));
    until_left_alone(&server).await;
}

#[tokio::test]
async fn it_is_killed_and_comes_back_with_its_data() {
    let mut server = RedisServer::start_durable();
    let address = server.place();
    let seen = live_through(
        Ordeal::default(),
        || at(&address),
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
    until_left_alone(&server).await;
}

#[tokio::test]
async fn it_is_killed_and_comes_back_empty() {
    let mut server = RedisServer::start();
    let address = server.place();
    let ordeal = Ordeal {
        may_forget: true,
        ..Ordeal::default()
    };
    let seen = live_through(
        ordeal,
        || at(&address),
        async |mut progress| {
            progress.reaches(40).await;
            server.kill();
            server.restart();
        },
    )
    .await;
    assert!(seen.resets > 0 && seen.stales > 0);
}

#[tokio::test]
async fn it_is_emptied_while_it_runs() {
    let server = RedisServer::start();
    let address = server.place();
    let ordeal = Ordeal {
        may_forget: true,
        ..Ordeal::default()
    };
    live_through(
        ordeal,
        || at(&address),
        async |mut progress| {
            progress.reaches(40).await;
            server.cli(&["FLUSHALL"]);
        },
    )
    .await;
}

#[tokio::test]
async fn it_stands_still_for_longer_than_anybody_waits() {
    let server = RedisServer::start();
    let proxy = Proxy::to(place(&server)).await;
    let address = proxy.address().to_string();
    unanswered(
        &proxy,
        || at(&address),
        || server.pause(),
        || server.resume(),
    )
    .await;
}

#[tokio::test]
async fn connections_are_cut_in_the_midst_of_a_message() {
    let server = RedisServer::start();
    let proxy = Proxy::to(place(&server)).await;
    let address = proxy.address().to_string();
    cut_off(&proxy, || at(&address)).await;
}

#[tokio::test]
async fn a_network_that_swallows_everything_heals() {
    let server = RedisServer::start();
    let proxy = Proxy::to(place(&server)).await;
    let address = proxy.address().to_string();
    unanswered(&proxy, || at(&address), || proxy.stall(), || proxy.heal()).await;
}

#[tokio::test]
async fn who_was_away_for_longer_than_history_is_kept_is_told_so() {
    let server = RedisServer::start();
    let proxy = Proxy::to(place(&server)).await;
    let mut addresses = [server.place(), proxy.address().to_string()].into_iter();
    let keep = Keep {
        history: HistoryLimits {
            count_max: 5,
            ..HistoryLimits::default()
        },
        ..Keep::default()
    };
    let ordeal = Ordeal {
        may_forget: true,
        ..Ordeal::default()
    };
    let backend = || {
        let url = format!(
            "redis://{}/0?timeout_ms=500",
            addresses.next().expect("two hubs")
        );
        Arc::new(Redis::new(&url, keep.clone()).expect("an address")) as _
    };
    let seen = live_through(ordeal, backend, async |mut progress| {
        progress.reaches(10).await;
        proxy.refuse();
        proxy.cut().await;
        // The jobs at the other hub go on to half of all steps: far more than is kept.
        progress.reaches(45).await;
        proxy.heal();
    })
    .await;
    assert!(seen.resets > 0 && seen.stales > 0);
}

#[tokio::test]
async fn readers_too_slow_for_its_output_buffer_are_cut_off_and_come_back() {
    let server = RedisServer::start();
    server.cli(&[
        "CONFIG",
        "SET",
        "client-output-buffer-limit",
        "pubsub 65536 0 0",
    ]);
    let address = server.place();
    let ordeal = Ordeal {
        // Whole topics are kept, so that a watcher that was away for long can still resume.
        filling: 15_000,
        jobs: 4,
        ..Ordeal::default()
    };
    live_through(
        ordeal,
        || at(&address),
        async |mut progress| {
            for percent in [20, 40, 60, 80] {
                progress.reaches(percent).await;
                server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
            }
        },
    )
    .await;
}

#[tokio::test]
async fn what_is_published_while_it_is_away_waits_or_is_refused_in_time() {
    let mut server = RedisServer::start();
    let mut config = tidegate::Config::default();
    config.uplink.publish_patience = Duration::from_millis(300);
    let hub = tidegate::Hub::with_backend(config, at(&server.place())).expect("a thread");
    hub.publish("job:1", &1).await.expect("it is there");
    server.kill();
    let refused = hub.publish("job:1", &2).await.expect_err("nobody is there");
    assert!(refused.to_string().contains("backend"), "{refused}");
    server.restart();
    until(|| async { hub.publish("job:1", &3).await.is_ok() }).await;
}

#[tokio::test]
async fn a_reader_who_stops_reading_is_told_and_holds_up_nobody() {
    let server = RedisServer::start();
    slow_reader(|| patient(&server)).await;
}
