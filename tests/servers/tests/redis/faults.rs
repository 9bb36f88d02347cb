//! A Redis that is lost: killed, cut off, paused, closed.

use std::io::{Read as _, Write as _};

use crate::rig::Rig;
use futures_util::FutureExt as _;
use tidegate::backend::{Backend, BackendError, Keep, Redis};
use tidegate::core::publication::Position;
use tidegate_server_tests::conformance::request;
use tidegate_server_tests::heard::Heard;
use tidegate_server_tests::servers::redis::RedisServer;
use tidegate_tests::pattern;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_connection_is_a_loss_once_and_opening_again_mends_it() {
    let server = RedisServer::start();
    let mut rig = Rig::open(&server.url()).await;
    for (kind, text) in [("pubsub", "1"), ("normal", "2")] {
        rig.backend.follow(&[pattern("a")]).await.unwrap();
        server.cli(&["client", "kill", "type", kind, "skipme", "yes"]);
        rig.lost().await;
        let error = rig.backend.publish(&[request("a", "0")]).await.unwrap_err();
        assert!(matches!(error, BackendError::Unreachable { .. }), "{error}");
        rig.reopen().await;
        rig.backend.follow(&[pattern("a")]).await.unwrap();
        rig.publish(&[request("a", text)]).await;
        assert_eq!(rig.publication().await.payload.as_str(), text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_is_a_loss_and_what_it_kept_is_there_again() {
    let mut server = RedisServer::start_durable();
    let mut rig = Rig::open(&server.url()).await;
    let top = rig.publish(&[request("a", "1"), request("a", "2")]).await[1];
    server.kill();
    rig.lost().await;
    let (feed, _heard) = Heard::new();
    let error = rig.backend.open(feed).await.unwrap_err();
    assert!(matches!(error, BackendError::Unreachable { .. }), "{error}");
    server.restart();
    rig.reopen().await;
    assert_eq!(rig.read("a", None).await.position, top);
    assert_eq!(rig.publish(&[request("a", "3")]).await[0].offset, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_came_back_without_its_data_begins_anew() {
    let mut server = RedisServer::start();
    let mut rig = Rig::open(&server.url()).await;
    let old = rig.publish(&[request("a", "1")]).await[0];
    server.restart();
    rig.lost().await;
    rig.reopen().await;
    assert_eq!(rig.read("a", Some(old)).await.position, Position::default());
    let new = rig.publish(&[request("a", "2")]).await[0];
    assert_ne!(new.epoch, old.epoch);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_server_is_a_loss() {
    let server = RedisServer::start();
    let url = format!("{}?timeout_ms=1500", server.url());
    let mut rig = Rig::open(&url).await;
    server.pause();
    let error = rig.backend.probe().await.unwrap_err();
    assert!(matches!(error, BackendError::Unreachable { .. }), "{error}");
    rig.lost().await;
    server.resume();
    rig.reopen().await;
    rig.backend.probe().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_backend_leaves_no_connection() {
    let server = RedisServer::start();
    let (closed, dropped) = (
        Rig::open(&server.url()).await,
        Rig::open(&server.url()).await,
    );
    let clients = || server.cli(&["client", "list"]).lines().count() - 1;
    assert_eq!(clients(), 4);
    closed.backend.follow(&[pattern("**")]).await.unwrap();
    closed.backend.close().await.unwrap();
    drop(dropped);
    let mut patience = 10_000;
    while clients() > 0 {
        patience -= 1;
        assert!(patience > 0, "{}", server.cli(&["client", "list"]));
    }
    let error = closed
        .backend
        .publish(&[request("a", "1")])
        .await
        .unwrap_err();
    assert!(matches!(error, BackendError::Closed { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_read_may_have_been_missed() {
    let server = RedisServer::start();
    let mut rig = Rig::open(&server.url()).await;
    rig.backend.follow(&[pattern("a")]).await.unwrap();
    server.cli(&["publish", "tidegate.feed:a", "P 1 1 - a"]);
    rig.missed().await;
    rig.publish(&[request("a", "1")]).await;
    assert_eq!(rig.publication().await.payload.as_str(), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_one_client_too_many_reads_what_it_may_be() {
    let server = RedisServer::start();
    server.cli(&["config", "set", "maxclients", "1"]);
    // The connection of that command may stay open for a moment.
    let _only = loop {
        let mut client = std::net::TcpStream::connect(server.place()).expect("it listens");
        let mut answer = [0; 7];
        let asked = client.write_all(b"PING\r\n");
        if asked.is_ok() && client.read_exact(&mut answer).is_ok() && &answer == b"+PONG\r\n" {
            break client;
        }
    };
    let backend = Redis::new(&server.url(), Keep::default()).expect("an address");
    for _ in 0..20 {
        let (feed, _heard) = Heard::new();
        let text = backend.open(feed).await.expect_err("full").to_string();
        assert!(text.contains("max"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_opening_that_ends_after_the_next_one_leaves_that_ones_link_alone() {
    let server = RedisServer::start();
    let backend = Redis::new(&server.url(), Keep::default()).unwrap();
    let mut early = backend.open(Heard::new().0);
    assert_eq!((&mut early).now_or_never(), None);
    let mut heard = Heard::open(&backend).await;
    backend.follow(&[pattern("a")]).await.unwrap();
    early.await.unwrap_err();
    backend.publish(&[request("a", "1")]).await.unwrap();
    assert_eq!(heard.publication().await.payload.as_str(), "1");
}
