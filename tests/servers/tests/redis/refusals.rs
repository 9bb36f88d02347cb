//! Topics whose keys another program has overwritten.

use std::sync::Arc;

use futures_util::StreamExt as _;
use tidegate::backend::{Backend, Keep, Redis};
use tidegate::{BackendLink, Config, Event, Hub};
use tidegate_server_tests::conformance::{in_time, request};
use tidegate_server_tests::damage::is_left_out;
use tidegate_server_tests::refusals::are_refused_alone;
use tidegate_server_tests::servers::redis::RedisServer;
use tidegate_tests::pattern;

use crate::rig::Rig;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_whose_keys_are_damaged_is_refused_alone() {
    let server = RedisServer::start();
    let rig = Rig::open(&server.url()).await;
    rig.publish(&[request("wrong:1", "1")]).await;
    let keys = server.cli(&["--scan", "--pattern", "*wrong:1*"]);
    assert!(keys.lines().count() > 1, "{keys}");
    for key in keys.lines() {
        server.cli(&["SET", key, "of another program"]);
    }
    let backend = Redis::new(&server.url(), Keep::default()).expect("an address");
    are_refused_alone(Arc::new(backend), "wrong:1", "1").await;
}

/// More messages than are imported at a time, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raw_messages_of_a_topic_whose_keys_are_damaged_hold_nothing_up() {
    let server = RedisServer::start();
    let mut rigs = [
        Rig::open(&server.url()).await,
        Rig::open(&server.url()).await,
    ];
    rigs[0].publish(&[request("wrong:1", "1")]).await;
    let key = server.cli(&["--scan", "--pattern", "*:meta:wrong:1"]);
    server.cli(&["SET", &key, "of another program"]);
    for rig in &rigs {
        rig.backend.follow(&[pattern("job:1")]).await.unwrap();
    }
    let script = "for n = 1, 300 do redis.call('PUBLISH', 'tidegate:wrong:1', n) end
        redis.call('PUBLISH', 'tidegate:job:1', ARGV[1])";
    for number in 1..=20 {
        server.cli(&["EVAL", script, "0", &number.to_string()]);
        for rig in &mut rigs {
            let publication = rig.publication().await;
            assert_eq!(publication.payload.as_str(), number.to_string());
        }
    }
    // The process that takes over has nothing left to retry.
    let [first, mut second] = rigs;
    first.backend.close().await.unwrap();
    server.cli(&["PUBLISH", "tidegate:job:1", "21"]);
    assert_eq!(second.publication().await.payload.as_str(), "21");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_whose_keys_are_damaged_is_read_as_if_nothing_were_known_of_it() {
    let server = RedisServer::start();
    let rig = Rig::open(&server.url()).await;
    let damages: [&[&str]; 6] = [
        &["SET", "sizes", "of another program"],
        &["SET", "log", "of another program"],
        &["SET", "meta", "of another program"],
        &["HSET", "meta", "epoch", "of another program"],
        &["HDEL", "meta", "offset"],
        &["HSET", "meta", "offset", "-1"],
    ];
    let mut damaged = Vec::new();
    for (number, damage) in damages.iter().enumerate() {
        let name = format!("wrong:{number}");
        let batch = [request(&name, "1"), request(&name, "2")];
        let last = rig.publish(&batch).await[1];
        let keys = server.cli(&["--scan", "--pattern", &format!("*:{}:{name}", damage[1])]);
        let key = keys.trim();
        assert!(key.ends_with(&name), "{keys:?}");
        let words: Vec<&str> = [&[damage[0], key], &damage[2..]].concat();
        server.cli(&words);
        damaged.push((name, last));
    }
    let backend = Redis::new(&server.url(), Keep::default()).expect("an address");
    is_left_out(Arc::new(backend), &damaged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_no_writes_is_read_all_the_same() {
    let server = RedisServer::start();
    let mut rig = Rig::open(&server.url()).await;
    rig.publish(&[request("job:1", "1")]).await;
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    rig.backend.probe().await.expect("the link stands");
    rig.reopen().await;
    let backend = Redis::new(&server.url(), Keep::default()).expect("an address");
    let hub = Hub::with_backend(Config::default(), Arc::new(backend)).expect("a thread");
    let mut events = in_time("the link", hub.subscribe("job:1"))
        .await
        .expect("subscribed");
    match in_time("an event", events.next()).await {
        Some(Event::Publication(it)) => assert_eq!(it.payload.as_str(), "1"),
        other => panic!("{other:?} instead of what is stored"),
    }
    let health = hub.backend().expect("a backend").borrow().clone();
    assert_eq!(health.link, BackendLink::Live, "{:?}", health.last_error);
    hub.stop();
    hub.stopped().await;
}
