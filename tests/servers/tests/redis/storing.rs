//! What a Redis backend stores and announces.

use crate::rig::Rig;
use tidegate::backend::{Backend, BackendError, Keep, Redis};
use tidegate::core::hub::PublishError;
use tidegate::core::lifecycle::EndReason;
use tidegate::core::publication::Position;
use tidegate::core::uplink::Page;
use tidegate_server_tests::conformance::{json, request};
use tidegate_server_tests::heard::Heard;
use tidegate_server_tests::servers::redis::RedisServer;
use tidegate_tests::{pattern, topic};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_rise_by_one_in_the_order_of_the_batch() {
    let server = RedisServer::start();
    let rig = Rig::open(&server.url()).await;
    let batch: Vec<_> = (0..700)
        .map(|n| request(if n % 2 == 0 { "a" } else { "b" }, &n.to_string()))
        .collect();
    let positions = rig.publish(&batch).await;
    let epochs: Vec<u64> = positions[..2].iter().map(|p| p.epoch).collect();
    for (n, position) in (0_u64..).zip(&positions) {
        let epoch = epochs[usize::from(n % 2 == 1)];
        assert_eq!(
            *position,
            Position {
                epoch,
                offset: n / 2 + 1
            }
        );
    }
    let excerpt = rig
        .read(
            "b",
            Some(Position {
                epoch: epochs[1],
                offset: 340,
            }),
        )
        .await;
    let payloads: Vec<&str> = excerpt
        .publications
        .iter()
        .map(|p| p.payload.as_str())
        .collect();
    assert_eq!(payloads.len(), 10);
    assert_eq!(payloads[9], "699");
    assert_eq!(excerpt.position, positions[699]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_followed_is_heard_and_nothing_else() {
    let server = RedisServer::start();
    let mut rig = Rig::open(&server.url()).await;
    rig.backend
        .follow(&[pattern("job:42"), pattern("täsk:*:lög"), pattern("[a]:**")])
        .await
        .unwrap();
    let text = r#"{"z":1.0,"a":"\u00e9ü","n":12345678901234567890}"#;
    let batch = [
        request("job:43", "0"),
        request("job:42", text),
        request("täsk:1:2:lög", "0"),
        request("täsk:1:lög", "1"),
        request("a:1", "0"),
        request("[a]:1:2", "2"),
    ];
    let positions = rig.publish(&batch).await;
    for (n, text) in [(1, text), (3, "1"), (5, "2")] {
        let publication = rig.publication().await;
        assert_eq!(publication.topic, batch[n].topic);
        assert_eq!(publication.position, positions[n]);
        assert_eq!(publication.payload.as_str(), text);
    }
    rig.backend
        .unfollow(&[pattern("job:42"), pattern("täsk:*:lög")])
        .await
        .unwrap();
    rig.publish(&[
        request("job:42", "3"),
        request("täsk:1:lög", "4"),
        request("[a]:1", "5"),
    ])
    .await;
    assert_eq!(rig.publication().await.payload.as_str(), "5");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publication_of_one_mebibyte_arrives_whole() {
    let server = RedisServer::start();
    let mut rig = Rig::open(&server.url()).await;
    rig.backend.follow(&[pattern("big")]).await.unwrap();
    let text = format!("\"{}\"", "x".repeat(1024 * 1024 - 2));
    let batch: Vec<_> = (0..6).map(|_| request("big", &text)).collect();
    rig.publish(&batch).await;
    for _ in 0..6 {
        assert_eq!(rig.publication().await.payload.as_str(), text);
    }
    assert_eq!(
        rig.read("big", None).await.publications[0].payload.as_str(),
        text
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_answers_the_first_position_before_all_else() {
    let server = RedisServer::start();
    let rig = Rig::open(&server.url()).await;
    let mut last = request("job:1", r#"{"status":"done"}"#);
    last.id = Some("k".to_owned());
    last.end = Some(EndReason::Complete.into());
    let first = rig.publish(&[last.clone()]).await[0];
    assert_eq!(rig.publish(&[last.clone()]).await, [first]);
    let refused = rig.backend.publish(&[request("job:1", "1")]).await.unwrap();
    assert_eq!(refused, [Err(PublishError::Ended(EndReason::Complete))]);
    let mut anew = request("job:1", "2");
    anew.restart = true;
    let second = rig.publish(&[anew]).await[0];
    assert_ne!(second.epoch, first.epoch);
    assert_eq!(second.offset, 1);
    assert_eq!(rig.publish(&[last.clone()]).await, [first]);
    let others: Vec<_> = (0..128)
        .map(|n| {
            let mut other = request("job:1", "3");
            other.id = Some(format!("k{n}"));
            other
        })
        .collect();
    rig.publish(&others).await;
    let forgotten = rig.publish(&[last]).await[0];
    assert_eq!(forgotten.offset, 130);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_tells_what_is_after_a_position_or_the_latest_alone() {
    let server = RedisServer::start();
    let mut keep = Keep::default();
    keep.history.count_max = 3;
    let rig = Rig::open_with(&server.url(), keep).await;
    assert_eq!(rig.read("a", None).await.position, Position::default());
    let batch: Vec<_> = (1..=5).map(|n| request("a", &n.to_string())).collect();
    let top = rig.publish(&batch).await[4];
    let at = |offset| {
        Some(Position {
            epoch: top.epoch,
            offset,
        })
    };
    for (since, expected) in [
        (None, vec!["5"]),
        (at(5), vec![]),
        (at(4), vec!["5"]),
        (at(2), vec!["3", "4", "5"]),
        (at(1), vec!["5"]),
        (at(6), vec!["5"]),
        // The position before the topic began: everything that is kept.
        (Some(Position::default()), vec!["3", "4", "5"]),
        (
            Some(Position {
                epoch: 1,
                offset: 4,
            }),
            vec!["5"],
        ),
    ] {
        let excerpt = rig.read("a", since).await;
        assert_eq!(excerpt.position, top);
        let texts: Vec<_> = excerpt
            .publications
            .iter()
            .map(|p| p.payload.as_str())
            .collect();
        assert_eq!(texts, expected, "{since:?}");
    }
    rig.publish(&[request("b", "1"), request("b", "2")]).await;
    assert_eq!(
        rig.read("b", Some(Position::default()))
            .await
            .publications
            .len(),
        2
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_is_trimmed_by_bytes_and_the_latest_stays() {
    let server = RedisServer::start();
    let mut keep = Keep::default();
    keep.history.bytes_max = 100;
    let rig = Rig::open_with(&server.url(), keep).await;
    let text = format!("\"{}\"", "x".repeat(38));
    let top = rig
        .publish(&[
            request("a", &text),
            request("a", &text),
            request("a", &text),
        ])
        .await[2];
    let since = |offset| {
        Some(Position {
            epoch: top.epoch,
            offset,
        })
    };
    assert_eq!(rig.read("a", since(1)).await.publications.len(), 2);
    assert_eq!(rig.read("a", since(0)).await.publications.len(), 1);
    let text = format!("\"{}\"", "x".repeat(198));
    rig.publish(&[request("a", &text)]).await;
    assert_eq!(rig.read("a", since(2)).await.publications.len(), 1);
    assert_eq!(server.cli(&["xlen", "tidegate:{0}:log:a"]), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listing_finds_the_latest_of_every_topic_that_matches() {
    let server = RedisServer::start();
    let rig = Rig::open(&server.url()).await;
    let batch: Vec<_> = (0..3_000)
        .map(|n| request(&format!("job:{}", n % 1_500), &n.to_string()))
        .collect();
    rig.publish(&batch).await;
    rig.publish(&[request("job:1:log", "0"), request("other", "0")])
        .await;
    let mut listed = rig.backend.list(&pattern("job:*")).await.unwrap();
    listed.sort_by(|a, b| a.topic.cmp(&b.topic));
    assert_eq!(listed.len(), 1_500);
    for excerpt in &listed {
        assert_eq!(excerpt.position.offset, 2);
        assert!(excerpt.publications[0].payload.parse::<u32>().unwrap() >= 1_500);
    }
    assert_eq!(rig.backend.list(&pattern("**")).await.unwrap().len(), 1_502);
    assert_eq!(rig.backend.list(&pattern("other")).await.unwrap().len(), 1);
    assert!(rig.backend.list(&pattern("none")).await.unwrap().is_empty());
    // Of a page, no more is read than what is on it.
    let reads = || {
        let stats = server.cli(&["info", "commandstats"]);
        let calls = stats.split_once("cmdstat_evalsha:calls=").unwrap().1;
        calls.split_once(',').unwrap().0.parse::<usize>().unwrap()
    };
    let before = reads();
    let page = Page {
        pattern: pattern("job:*"),
        after: Some(topic("job:9")),
        count_max: 10,
        bytes_max: 1_000_000,
    };
    let listed = rig.backend.list_page(&page).await.unwrap();
    assert_eq!(listed.len(), 10);
    assert_eq!(listed[0].topic.as_str(), "job:90");
    // A server also renews its lease now and then.
    assert!((10..20).contains(&(reads() - before)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_whose_keys_were_evicted_begins_anew() {
    let server = RedisServer::start();
    let rig = Rig::open(&server.url()).await;
    for key in ["meta", "log", "sizes"] {
        let mut keyed = request("a", "1");
        keyed.id = Some("k".to_owned());
        let first = rig.publish(&[request("a", "0"), keyed.clone()]).await[1];
        assert_eq!(
            server.cli(&["del", &format!("tidegate:{{0}}:{key}:a")]),
            "1"
        );
        assert_eq!(rig.read("a", None).await.position, Position::default());
        let second = rig.publish(&[keyed]).await[0];
        assert_ne!(second.epoch, first.epoch);
        assert_eq!(second.offset, 1);
        assert_eq!(rig.read("a", Some(first)).await.publications.len(), 1);
        server.cli(&["flushall"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_the_server_forgot_are_sent_again() {
    let server = RedisServer::start();
    let rig = Rig::open(&server.url()).await;
    rig.publish(&[request("a", "0")]).await;
    server.cli(&["script", "flush"]);
    let batch: Vec<_> = (1..50).map(|n| request("a", &n.to_string())).collect();
    assert_eq!(rig.publish(&batch).await[48].offset, 50);
    assert_eq!(
        rig.read("a", None).await.publications[0].payload,
        json("49")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renewing_begins_a_new_epoch_once_and_announces_it() {
    let server = RedisServer::start();
    let mut rig = Rig::open(&server.url()).await;
    let old = rig.publish(&[request("a", "1"), request("a", "2")]).await[1];
    rig.backend.follow(&[pattern("a")]).await.unwrap();
    rig.backend.renew(&topic("a"), old.epoch).await.unwrap();
    rig.backend.renew(&topic("a"), old.epoch).await.unwrap();
    let renewed = rig.publication().await;
    assert_ne!(renewed.position.epoch, old.epoch);
    assert_eq!(
        (renewed.position.offset, renewed.payload.as_str()),
        (1, "2")
    );
    assert_eq!(rig.publish(&[request("a", "3")]).await[0].offset, 2);
    assert_eq!(rig.publication().await.payload.as_str(), "3");
    rig.backend.renew(&topic("unknown"), 7).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_room_says_so() {
    let server = RedisServer::start();
    let rig = Rig::open(&server.url()).await;
    server.cli(&["config", "set", "maxmemory", "1mb"]);
    let error = rig.backend.publish(&[request("a", "1")]).await.unwrap_err();
    assert!(matches!(error, BackendError::Full { .. }), "{error}");
    assert_eq!(rig.read("a", None).await.position, Position::default());
    server.cli(&["config", "set", "maxmemory", "0"]);
    rig.publish(&[request("a", "1")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_refused_and_shown_nowhere() {
    let server = RedisServer::start_with(&["--save", "", "--requirepass", "right"]);
    for user in [":s3cret", ""] {
        let url = server.url().replace("//", &format!("//{user}@"));
        let backend = Redis::new(&url, Keep::default()).unwrap();
        let (feed, _) = Heard::new();
        let error = backend.open(feed).await.unwrap_err();
        assert!(matches!(error, BackendError::Refused { .. }), "{error}");
        for text in [error.to_string(), format!("{error:?}"), backend.describe()] {
            assert!(!text.contains("s3cret"), "{text}");
        }
    }
    let rig = Rig::open(&server.url().replace("//", "//:right@")).await;
    rig.publish(&[request("a", "1")]).await;
}

/// As with the other backends, expired publications are not delivered, even if no later publish has trimmed them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_grown_too_old_is_not_read() {
    let server = RedisServer::start();
    let rig = Rig::open(&server.url()).await;
    let batch: Vec<_> = (1..=7).map(|n| request("a", &n.to_string())).collect();
    let positions = rig.publish(&batch).await;
    let keys = server.cli(&["keys", "*:sizes:a"]);
    let at = |offset| Position {
        offset,
        ..positions[0]
    };
    let offsets = |excerpt: tidegate_core::history::Excerpt<tidegate::Json>| -> Vec<u64> {
        let publications = excerpt.publications.iter();
        publications
            .map(|publication| publication.position.offset)
            .collect()
    };
    for old in 0..=7_u64 {
        if let Some(number) = old.checked_sub(1) {
            server.cli(&["lset", &keys, &number.to_string(), "1 1000"]);
        }
        let first = old.min(6) + 1;
        let all = rig.read("a", Some(Position::default())).await;
        assert_eq!(
            offsets(all),
            (first..=7).collect::<Vec<_>>(),
            "{old} are old"
        );
        for since in 0..7 {
            let excerpt = rig.read("a", Some(at(since))).await;
            let next = if since + 1 < first { 7 } else { since + 1 };
            assert_eq!(
                offsets(excerpt),
                (next..=7).collect::<Vec<_>>(),
                "{old} are old, after {since}"
            );
        }
        for since in [
            None,
            Some(at(8)),
            Some(Position {
                epoch: 1,
                offset: 3,
            }),
        ] {
            assert_eq!(offsets(rig.read("a", since).await), [7], "{old} are old");
        }
        assert!(offsets(rig.read("a", Some(at(7))).await).is_empty());
    }
}
