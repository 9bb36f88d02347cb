//! Messages that other programs publish arrive once, however many servers hear them.

use crate::rig::Rig;
use tidegate::backend::{Backend, Keep, Redis};
use tidegate::core::lifecycle::EndReason;
use tidegate::core::publication::Position;
use tidegate_server_tests::conformance::request;
use tidegate_server_tests::heard::Heard;
use tidegate_server_tests::servers::redis::RedisServer;
use tidegate_tests::pattern;

/// Several backends on one Redis, which follow a pattern.
async fn rigs<const N: usize>(url: &str, followed: &str) -> [Rig; N] {
    let mut rigs = Vec::new();
    for _ in 0..N {
        let rig = Rig::open(url).await;
        rig.backend.follow(&[pattern(followed)]).await.unwrap();
        rigs.push(rig);
    }
    rigs.try_into().ok().expect("as many")
}

/// Checks that all hear the same publication next.
async fn all_hear(rigs: &mut [Rig], offset: u64, payload: &str) {
    let mut epochs = Vec::new();
    for rig in rigs {
        let publication = rig.publication().await;
        let position = publication.position;
        assert_eq!(
            (position.offset, publication.payload.as_str()),
            (offset, payload)
        );
        epochs.push(position.epoch);
    }
    assert!(epochs.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_redis_cli_arrives_once_everywhere() {
    let server = RedisServer::start();
    let mut rigs = rigs::<3>(&server.url(), "job:*").await;
    for (offset, text) in [
        (1, r#"{"progress":0.5}"#),
        (2, r#"{"progress":0.5}"#),
        (3, r#"{"b":1.0,"a":"ü"}"#),
    ] {
        assert_eq!(server.cli(&["publish", "tidegate:job:42", text]), "3");
        all_hear(&mut rigs, offset, text).await;
    }
    let read = rigs[0].read("job:42", Some(Position::default())).await;
    assert_eq!(read.publications.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_status_ends_the_topic_and_a_later_message_starts_it_anew() {
    let server = RedisServer::start();
    let mut rig = Rig::open(&server.url()).await;
    rig.backend.follow(&[pattern("job:*")]).await.unwrap();
    let last = r#"{"status":"FAILED"}"#;
    for text in ["0", last, "1", "2"] {
        server.cli(&["publish", "tidegate:job:1", text]);
    }
    let before = rig.publication().await.position;
    let ended = rig.publication().await;
    assert_eq!(
        (ended.end, ended.payload.as_str()),
        (Some(EndReason::Failed), last)
    );
    assert_eq!(
        (ended.position.epoch, ended.position.offset),
        (before.epoch, 2)
    );
    let anew = rig.publication().await;
    assert_eq!((anew.end, anew.payload.as_str()), (None, "1"));
    assert_eq!(anew.position.offset, 1);
    assert_ne!(anew.position.epoch, before.epoch);
    let next = rig.publication().await.position;
    assert_eq!((next.epoch, next.offset), (anew.position.epoch, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_are_no_publications_are_refused_and_hold_nothing_up() {
    let server = RedisServer::start();
    let mut rig = Rig::open(&server.url()).await;
    rig.backend.follow(&[pattern("job:*")]).await.unwrap();
    for (channel, text) in [
        ("tidegate:job:2", "no json"),
        ("tidegate:job::2", "2"),
        ("tidegate:job:*", "2"),
        ("tidegate:job:2", "3"),
    ] {
        server.cli(&["publish", channel, text]);
    }
    let next = rig.publication().await;
    assert_eq!((next.topic.as_str(), next.payload.as_str()), ("job:2", "3"));
    assert_eq!(next.position.offset, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_message_arrives_and_a_too_large_one_does_not() {
    let server = RedisServer::start();
    let keep = Keep {
        payload_bytes_max: 1024 * 1024,
        ..Keep::default()
    };
    let mut rig = Rig::open_with(&server.url(), keep).await;
    rig.backend.follow(&[pattern("big")]).await.unwrap();
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    for bytes in [1024 * 1024 + 1, 1024 * 1024] {
        let script = "return redis.call('PUBLISH', 'tidegate:big', '\"' .. string.rep('x', ARGV[1]) .. '\"')";
        server.cli(&["eval", script, "0", &(bytes - 2).to_string()]);
    }
    assert_eq!(rig.publication().await.payload.as_str(), text(1024 * 1024));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_holder_is_gone_another_takes_in_what_it_left() {
    let server = RedisServer::start();
    let [mut first, mut second] = rigs::<2>(&server.url(), "a").await;
    server.cli(&["publish", "tidegate:a", "0"]);
    first.publication().await;
    second.publication().await;
    // It loses the lease without noticing: another process, which will never renew it, holds it.
    let script = "redis.call('SET', 'tidegate:{0}:lease:0', 'ghost', 'PX', 1000) for n = 1, 50 do redis.call('PUBLISH', 'tidegate:a', n) end";
    server.cli(&["eval", script, "0"]);
    for n in 1..=50 {
        for rig in [&mut first, &mut second] {
            let publication = rig.publication().await;
            assert_eq!(publication.position.offset, n + 1);
            assert_eq!(publication.payload.as_str(), n.to_string());
        }
    }
    let holder = server.cli(&["get", "tidegate:{0}:lease:0"]);
    first.backend.close().await.unwrap();
    server.cli(&["publish", "tidegate:a", "51"]);
    assert_eq!(second.publication().await.payload.as_str(), "51");
    assert_ne!(holder, "ghost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_taken_in_under_load_comes_neither_twice_nor_out_of_order() {
    let server = RedisServer::start();
    let mut rigs = rigs::<3>(&server.url(), "a").await;
    let script =
        "for n = 1, ARGV[1] do redis.call('PUBLISH', 'tidegate:a', math.floor(n / 10)) end";
    server.cli(&["eval", script, "0", "1000"]);
    let holder = server.cli(&["get", "tidegate:{0}:lease:0"]);
    server.cli(&["set", "tidegate:{0}:lease:0", &holder, "px", "1"]);
    server.cli(&["eval", script, "0", "1000"]);
    for round in 0..2 {
        for n in 1..=1000 {
            all_hear(&mut rigs, round * 1000 + n, &(n / 10).to_string()).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_prefix_channels_are_topics_and_what_is_followed_is_taken_in() {
    let server = RedisServer::start();
    let url = format!("{}?prefix=", server.url());
    let mut rigs = rigs::<2>(&url, "run_events").await;
    rigs[0]
        .backend
        .follow(&[pattern("*"), pattern("**")])
        .await
        .unwrap();
    for n in 1..=3 {
        server.cli(&["publish", "run_events", &n.to_string()]);
    }
    for n in 1..=3 {
        assert_eq!(rigs[1].publication().await.payload.as_str(), n.to_string());
    }
    let read = rigs[0].read("run_events", Some(Position::default())).await;
    assert_eq!(read.publications.len(), 3);
    rigs[0]
        .backend
        .unfollow(&[pattern("*"), pattern("**"), pattern("run_events")])
        .await
        .unwrap();
    rigs[1]
        .backend
        .unfollow(&[pattern("run_events")])
        .await
        .unwrap();
    assert_eq!(server.cli(&["publish", "run_events", "4"]), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_take_in_hears_no_raw_message() {
    let server = RedisServer::start();
    let backend = Redis::new(&server.url(), Keep::default())
        .unwrap()
        .takes_in(false);
    let (feed, _heard) = Heard::new();
    backend.open(feed).await.unwrap();
    assert_eq!(server.cli(&["publish", "tidegate:a", "1"]), "0");
    backend.publish(&[request("a", "1")]).await.unwrap();
    backend.close().await.unwrap();
}
