//! What topics have published, read once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::fragile::Fragile;
use crate::support::http::{Answer, get, request};
use crate::support::{
    config, end, eventually, hub_with, publish_range, serve, served_hub, served_hub_with,
    until_counts, within,
};
use serde_json::{Value, json};
use tidegate::auth::{AuthError, Authenticate, Authenticating, Credentials, Identity};
use tidegate::backend::{Keep, Memory};
use tidegate::{Config, Hub};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The topics of an answer's publications, with their data.
fn values(answer: &Answer) -> Vec<(String, Value)> {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let answer = answer.json();
    let publications = answer["publications"].as_array().unwrap().iter();
    let told = publications.map(|publication| {
        assert_eq!(publication["type"], "pub", "{publication}");
        let topic = publication["topic"].as_str().unwrap().to_owned();
        (topic, publication["data"].clone())
    });
    told.collect()
}

fn of(topic: &str, data: impl Into<Value>) -> (String, Value) {
    (topic.to_owned(), data.into())
}

/// Two servers that share topics. Nobody follows any at the second one.
async fn two_servers() -> (Hub, String) {
    let store = Memory::new(Keep::default());
    let hub = || Hub::with_backend(config(), Arc::new(store.share())).unwrap();
    let there = hub();
    (hub(), serve(tidegate::axum::router(there)).await)
}

#[tokio::test]
async fn the_latest_values_come_by_topic_and_each_once() {
    let alone = served_hub().await;
    for (hub, address) in [alone, two_servers().await] {
        publish_range(&hub, "job:2", 1..=3).await;
        publish_range(&hub, "job:1", 7..=7).await;
        publish_range(&hub, "task:1", 9..=9).await;
        end(&hub, "job:2").await;
        let path = "/latest?topic=job:2&topic=job:*&topic=none:1&topic=task%3A1";
        let answer = get(&address, path).await;
        let due = [of("job:1", 7), of("job:2", "end"), of("task:1", 9)];
        assert_eq!(values(&answer), due);
        let told = answer.json();
        assert_eq!(told["more"], false);
        let latest = hub.latest("job:2").await.unwrap().unwrap();
        let ended = &told["publications"][1];
        assert_eq!(ended["end"], "complete");
        assert_eq!(ended["epoch"], latest.position.epoch);
        assert_eq!(ended["offset"], 4);
        let nothing = get(&address, "/latest?topic=none:*").await;
        assert_eq!(nothing.body, "{\"more\":false,\"publications\":[]}\n");
        until_counts(&hub, 0, 0).await;
    }
}

#[tokio::test]
async fn whoever_has_published_reads_what_that_was() {
    let store = Memory::new(Keep::default());
    let hub = Hub::with_backend(config(), Arc::new(store.share())).unwrap();
    let address = serve(tidegate::axum::router(hub.clone())).await;
    // Copies of what is followed come later than the answer.
    let _followed = hub.subscribe("job:*").await.unwrap();
    for number in 1..=200 {
        hub.publish("job:1", &number).await.unwrap();
        let answer = get(&address, "/latest?topic=job:1").await;
        assert_eq!(values(&answer), [of("job:1", number)]);
    }
}

#[tokio::test]
async fn a_long_list_comes_in_parts() {
    let (hub, address) = served_hub().await;
    for number in 0..25 {
        hub.publish(&format!("job:{number:02}"), &number)
            .await
            .unwrap();
    }
    let (mut after, mut all) = (String::new(), Vec::new());
    loop {
        let answer = get(&address, &format!("/latest?topic=job:*&limit=10{after}")).await;
        let part = values(&answer);
        let (last, _) = part.last().unwrap();
        after = format!("&after={last}");
        all.extend(part);
        if answer.json()["more"] == false {
            break;
        }
    }
    let due: Vec<_> = (0..25)
        .map(|number| of(&format!("job:{number:02}"), number))
        .collect();
    assert_eq!(all, due);
}

#[tokio::test]
async fn an_answer_has_so_many_bytes_and_at_least_one_publication() {
    let (hub, address) = served_hub_with(|config| {
        config.hub.payload_bytes_max = 6 << 20;
    })
    .await;
    let (large, half) = ("x".repeat(5 << 20), "x".repeat(2_000_000));
    for (topic, value) in [("a", &large), ("b", &half), ("c", &half), ("d", &half)] {
        hub.publish(topic, value).await.unwrap();
    }
    for (after, due, more) in [
        ("", vec!["a"], true),
        ("&after=a", vec!["b", "c"], true),
        ("&after=c", vec!["d"], false),
    ] {
        let answer = get(&address, &format!("/latest?topic=*{after}")).await;
        let topics: Vec<String> = values(&answer)
            .into_iter()
            .map(|(topic, _)| topic)
            .collect();
        assert_eq!(
            (topics, &answer.json()["more"]),
            (due.iter().map(ToString::to_string).collect(), &json!(more))
        );
    }
}

#[tokio::test]
async fn a_history_is_whole_or_said_not_to_be() {
    let short = hub_with(|config| config.hub.history.count_max = 5);
    let alone = (short.clone(), serve(tidegate::axum::router(short)).await);
    let store = Memory::new(Keep {
        history: tidegate::core::history::HistoryLimits {
            count_max: 5,
            ..Default::default()
        },
        ..Keep::default()
    });
    let hub = || Hub::with_backend(config(), Arc::new(store.share())).unwrap();
    let there = (hub(), serve(tidegate::axum::router(hub())).await);
    for (hub, address) in [alone, there] {
        let ask = async |query: &str| get(&address, &format!("/history?topic=job:1{query}")).await;
        let numbers = |answer: &Answer| -> Vec<Value> {
            values(answer).into_iter().map(|(_, data)| data).collect()
        };
        let unknown = ask("").await.json();
        assert_eq!(
            unknown,
            json!({
                "topic": "job:1", "epoch": 0, "offset": 0, "recovered": true, "more": false, "publications": [],
            })
        );
        publish_range(&hub, "job:1", 1..=4).await;
        let whole = ask("").await;
        assert_eq!(numbers(&whole), [1, 2, 3, 4]);
        let told = whole.json();
        assert_eq!(
            (&told["recovered"], &told["offset"]),
            (&json!(true), &json!(4))
        );
        let epoch = told["epoch"].as_u64().unwrap();
        let rest = ask(&format!("&since={epoch}:2")).await;
        assert_eq!(numbers(&rest), [3, 4]);
        assert_eq!(rest.json()["recovered"], true);
        let nothing = ask(&format!("&since={epoch}:4")).await;
        assert_eq!(numbers(&nothing), [0; 0]);
        assert_eq!(
            (&nothing.json()["recovered"], &nothing.json()["offset"]),
            (&json!(true), &json!(4))
        );
        publish_range(&hub, "job:1", 5..=9).await;
        // 1 to 4 are no longer kept.
        let ahead = epoch + 1;
        for query in [
            String::new(),
            "&since=0:0".into(),
            format!("&since={epoch}:3"),
            format!("&since={epoch}:10"),
            format!("&since={ahead}:6"),
        ] {
            let lost = ask(&query).await;
            assert_eq!(numbers(&lost), [5, 6, 7, 8, 9], "{query}");
            assert_eq!(lost.json()["recovered"], false, "{query}");
        }
        let kept = ask(&format!("&since={epoch}:4")).await;
        assert_eq!(
            (numbers(&kept), &kept.json()["recovered"]),
            (
                vec![json!(5), json!(6), json!(7), json!(8), json!(9)],
                &json!(true)
            )
        );
        until_counts(&hub, 0, 0).await;
    }
}

#[tokio::test]
async fn a_history_goes_on_where_its_last_part_ended() {
    let (hub, address) = served_hub().await;
    publish_range(&hub, "job:1", 1..=25).await;
    let (mut since, mut all) = (String::new(), Vec::new());
    loop {
        let answer = get(&address, &format!("/history?topic=job:1&limit=10{since}")).await;
        all.extend(values(&answer).into_iter().map(|(_, data)| data));
        let told = answer.json();
        assert_eq!(told["recovered"], true);
        since = format!("&since={}:{}", told["epoch"], told["offset"]);
        if told["more"] == false {
            break;
        }
    }
    assert_eq!(all, (1..=25).map(Value::from).collect::<Vec<_>>());
    hub.publish("job:1", &26).await.unwrap();
    let news = get(&address, &format!("/history?topic=job:1{since}")).await;
    assert_eq!(values(&news), [of("job:1", 26)]);
}

/// The token is the user's name, and everyone may read jobs.
struct Jobs;

impl Authenticate for Jobs {
    fn authenticate(&self, shown: Credentials) -> Authenticating<'_> {
        let identity = shown.token.ok_or(AuthError::Missing).map(|user| Identity {
            user: Some(user),
            subscribe: vec!["job:*".parse().unwrap()],
            publish: vec!["**".parse().unwrap()],
            ..Identity::default()
        });
        Box::pin(std::future::ready(identity))
    }
}

async fn asking(change: impl FnOnce(&mut Config)) -> (Hub, String) {
    let mut config = config();
    config.access.authenticate = Some(Arc::new(Jobs));
    change(&mut config);
    let hub = Hub::new(config).unwrap();
    (hub.clone(), serve(tidegate::axum::router(hub)).await)
}

const TOKEN: &str = "Authorization: Bearer 7\r\n";

#[tokio::test]
async fn whoever_may_subscribe_may_read_and_nobody_else() {
    let (hub, address) = asking(|_| {}).await;
    for topic in ["job:1", "task:1", "user:7", "user:8"] {
        hub.publish(topic, &1).await.unwrap();
    }
    let status = async |path: &str, headers: &str| {
        request(&address, &format!("GET {path}"), headers, "")
            .await
            .status
    };
    for path in ["/latest", "/history", "/presence"] {
        let own = status(&format!("{path}?topic=user:7"), TOKEN).await;
        // Users may read their own room, but not see who else is there.
        assert_eq!(own, if path == "/presence" { 403 } else { 200 }, "{path}");
        let covered = status(&format!("{path}?topic=job:1"), TOKEN).await;
        assert_eq!(covered, 200, "{path}");
        for topic in ["task:1", "user:8"] {
            let path = format!("{path}?topic={topic}");
            assert_eq!(status(&path, TOKEN).await, 403, "{path}");
        }
        let path = format!("{path}?topic=job:1");
        assert_eq!(status(&path, "").await, 401, "{path}");
        assert_eq!(status(&format!("{path}&ticket=x"), "").await, 401, "{path}");
        let elsewhere = format!("{TOKEN}Origin: http://evil.example\r\n");
        assert_eq!(status(&path, &elsewhere).await, 403, "{path}");
        let posted = request(&address, &format!("POST {path}"), TOKEN, "").await;
        assert_eq!(posted.status, 405, "{path}");
    }
    assert_eq!(status("/latest?topic=job:*&topic=task:1", TOKEN).await, 403);
    assert_eq!(status("/latest?topic=**", TOKEN).await, 403);
}

#[tokio::test]
async fn what_can_not_be_meant_is_refused_with_the_reason() {
    let (_hub, address) = served_hub().await;
    let many = format!("/latest?{}", "topic=a&".repeat(101));
    let cases = [
        ("/latest", "bad_topic", "/latest?topic=job:42"),
        (many.as_str(), "bad_topic", "100"),
        ("/latest?topic=a%20b", "bad_topic", "byte"),
        ("/latest?topic=a&after=b:*", "bad_topic", "b:*"),
        ("/latest?topic=a&since=1:2", "bad_frame", "since"),
        ("/latest?topic=a&limit=0", "bad_frame", "1000"),
        ("/latest?topic=a&limit=1001", "bad_frame", "1000"),
        ("/latest?topic=a&limit=x", "bad_frame", "x"),
        ("/latest?topic=%FF", "bad_frame", "query"),
        ("/history", "bad_topic", "/history?topic=job:42"),
        ("/history?topic=a&topic=b", "bad_topic", "one topic"),
        ("/history?topic=a:*", "bad_topic", "a:*"),
        ("/history?topic=a&since=1", "bad_frame", "epoch:offset"),
        (
            "/history?topic=a&since=1:9007199254740992",
            "bad_frame",
            "2^53",
        ),
        ("/history?topic=a&after=b", "bad_frame", "after"),
        ("/presence", "bad_topic", "/presence?topic=doc:7"),
        ("/presence?topic=a:*", "bad_topic", "a:*"),
        ("/presence?topic=a&count=1", "bad_flow", "true or false"),
        ("/presence?topic=a&limit=1", "bad_frame", "limit"),
    ];
    for (path, code, word) in cases {
        let answer = get(&address, path).await;
        assert_eq!(answer.error(), (400, code.to_owned()), "{path}");
        assert!(answer.body.contains(word), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn a_backend_that_is_away_is_no_empty_answer() {
    let is_away = Arc::new(AtomicBool::new(false));
    let mut impatient = config();
    impatient.uplink.lookup_patience = Duration::from_millis(100);
    let hub = Hub::with_backend(impatient, Arc::new(Fragile::new(&is_away))).unwrap();
    let address = serve(tidegate::axum::router(hub.clone())).await;
    hub.publish("job:1", &1).await.unwrap();
    // The follower has a copy, which may be old.
    let _followed = hub.subscribe("job:1").await.unwrap();
    let paths = [
        "/latest?topic=job:1",
        "/latest?topic=job:*",
        "/history?topic=job:1",
    ];
    for path in paths {
        assert_eq!(values(&get(&address, path).await), [of("job:1", 1)]);
    }
    is_away.store(true, Ordering::SeqCst);
    for path in paths {
        let answer = get(&address, path).await;
        assert_eq!(answer.error(), (503, "unavailable".to_owned()), "{path}");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
}

#[tokio::test]
async fn a_lookup_waits_for_a_backend_that_is_only_just_opened() {
    let store = Memory::new(Keep::default());
    let (late, go_on, _is_over) = Fragile::way_to(store.share(), &Arc::default()).late();
    let here = Hub::with_backend(config(), Arc::new(store.share())).unwrap();
    here.publish("job:1", &1).await.unwrap();
    let hub = Hub::with_backend(config(), Arc::new(late)).unwrap();
    let address = serve(tidegate::axum::router(hub)).await;
    let asking = tokio::spawn(async move { get(&address, "/latest?topic=job:1").await });
    tokio::task::yield_now().await;
    go_on.send(()).unwrap();
    assert_eq!(values(&asking.await.unwrap()), [of("job:1", 1)]);
}

#[tokio::test]
async fn an_answer_counts_as_a_connection_and_takes_room_until_it_is_read() {
    let (hub, address) = asking(|config| {
        config.server.hub.payload_bytes_max = 32 << 20;
        config.bodies_bytes_max = 1 << 20;
        config.access.limits.per_user_max = 1;
    })
    .await;
    hub.publish("job:1", &"x".repeat(30_000_000)).await.unwrap();
    hub.publish("job:2", &1).await.unwrap();
    let small = async |user: u32| {
        let headers = format!("Authorization: Bearer {user}\r\n");
        request(&address, "GET /latest?topic=job:2", &headers, "").await
    };
    assert_eq!(small(7).await.status, 200);
    let mut slow = TcpStream::connect(&address).await.unwrap();
    let asked = format!("GET /latest?topic=job:1 HTTP/1.1\r\nHost: {address}\r\n{TOKEN}\r\n");
    slow.write_all(asked.as_bytes()).await.unwrap();
    within("the beginning", slow.read_u8()).await.unwrap();
    assert_eq!(small(7).await.error(), (429, "too_many_connections".into()));
    assert_eq!(small(8).await.error(), (503, "unavailable".into()));
    drop(slow);
    eventually("the room", async || {
        small(7).await.status == 200 && small(8).await.status == 200
    })
    .await;
}
