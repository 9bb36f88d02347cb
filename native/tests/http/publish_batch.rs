//! Several publications in one request.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::support::fragile::{Fragile, WRONG_TOPIC};
use crate::support::http::{Answer, get, publish, request};
use crate::support::socket::Socket;
use crate::support::{config, eventually, hub_with, serve, serve_by_own_loop, served_hub};
use serde_json::{Value, json};
use tidegate::Hub;
use tidegate::auth::{AuthError, Authenticate, Authenticating, Credentials, Identity};
use tidegate::backend::{Keep, Memory};
use tidegate::core::rate::Rate;

/// Lets everyone with a token publish chats, and nothing else.
struct Chats;

impl Authenticate for Chats {
    fn authenticate(&self, shown: Credentials) -> Authenticating<'_> {
        let identity = shown.token.ok_or(AuthError::Missing).map(|user| Identity {
            user: Some(user),
            publish: vec!["chat:*".parse().unwrap()],
            ..Identity::default()
        });
        Box::pin(std::future::ready(identity))
    }
}

/// The outcome of each publication: its topic with its offset, or with the code of its error.
fn outcomes(answer: &Answer) -> Vec<(String, Result<u64, String>)> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let results = answer.json();
    let results = results.as_array().unwrap().iter();
    let told = results.map(|result| {
        let topic = result["topic"].as_str().unwrap_or("-").to_owned();
        let Some(error) = result.get("error") else {
            assert!(result["epoch"].as_u64().unwrap() > 0, "{result}");
            return (topic, Ok(result["offset"].as_u64().unwrap()));
        };
        assert!(!error["message"].as_str().unwrap().is_empty(), "{result}");
        (topic, Err(error["code"].as_str().unwrap().to_owned()))
    });
    told.collect()
}

fn stored(topic: &str, offset: u64) -> (String, Result<u64, String>) {
    (topic.to_owned(), Ok(offset))
}

fn refused(topic: &str, code: &str) -> (String, Result<u64, String>) {
    (topic.to_owned(), Err(code.to_owned()))
}

#[tokio::test]
async fn each_is_answered_in_its_place_and_a_topic_keeps_its_order() {
    let (_hub, address) = served_hub().await;
    let mut socket = Socket::open(&address).await;
    socket.subscribe("job:*", json!({})).await;
    let all: Vec<Value> = (0..300)
        .map(|number| json!({ "topic": format!("job:{}", number % 3), "data": number }))
        .collect();
    let answer = publish(&address, &json!(all)).await;
    let due = (0..300).map(|number| stored(&format!("job:{}", number % 3), number / 3 + 1));
    assert_eq!(outcomes(&answer), due.collect::<Vec<_>>());
    let mut next = [0, 1, 2];
    for _ in 0..300 {
        let publication = socket.expect("pub").await;
        let number = publication["data"].as_u64().unwrap();
        let next = &mut next[(number % 3) as usize];
        assert_eq!(number, *next);
        *next += 3;
    }
}

#[tokio::test]
async fn what_is_wrong_with_one_stops_no_other() {
    let hub = hub_with(|config| config.hub.payload_bytes_max = 100);
    let address = serve_by_own_loop(tidegate::axum::router(hub)).await;
    let deep = format!("{}1{}", "[".repeat(101), "]".repeat(101));
    let deep: Value = serde_json::from_str(&deep).unwrap();
    let answer = publish(
        &address,
        &json!([
            { "topic": "a", "data": 1, "id": "k" },
            { "topic": "a b", "data": 1 },
            { "topic": "a" },
            7,
            { "topic": "a", "data": "x".repeat(100) },
            { "topic": "a", "data": deep },
            { "topic": "a", "data": 1, "id": "k" },
            { "topic": "a", "data": 2, "end": "complete" },
            { "topic": "a", "data": 3 },
            { "topic": "a", "data": 4, "restart": true },
        ]),
    )
    .await;
    let due = [
        stored("a", 1),
        refused("a b", "bad_topic"),
        refused("-", "bad_frame"),
        refused("-", "bad_frame"),
        refused("a", "too_large"),
        refused("a", "bad_frame"),
        stored("a", 1),
        stored("a", 2),
        refused("a", "topic_ended"),
        stored("a", 1),
    ];
    assert_eq!(outcomes(&answer), due);
    assert_eq!(
        answer.header("retry-after"),
        None,
        "none would be taken later"
    );
    let metrics = get(&address, "/metrics").await;
    for told in [r#"{code="bad_frame"} 3"#, r#"{code="topic_ended"} 1"#] {
        assert!(metrics.body.contains(told), "{told}: {metrics:?}");
    }
}

#[tokio::test]
async fn rights_are_those_of_each() {
    let mut config = config();
    config.access.authenticate = Some(Arc::new(Chats));
    let hub = Hub::new(config).unwrap();
    let address = serve(tidegate::axum::router(hub.clone())).await;
    let body = json!([{ "topic": "job:1", "data": 1 }, { "topic": "chat:1", "data": 1 }]);
    let token = "Authorization: Bearer ada\r\n";
    let answer = request(&address, "POST /publish", token, body.to_string()).await;
    let due = [refused("job:1", "forbidden"), stored("chat:1", 1)];
    assert_eq!(outcomes(&answer), due);
    assert_eq!(hub.latest("job:1").await.unwrap(), None);
    let nobody = publish(&address, &body).await;
    assert_eq!(nobody.error(), (401, "unauthorized".to_owned()));
}

#[tokio::test]
async fn what_is_no_array_of_so_many_is_refused_as_a_whole() {
    let (hub, address) = served_hub().await;
    let one = json!({ "topic": "a", "data": 1 });
    let many = publish(&address, &json!(vec![&one; 1_001])).await;
    assert_eq!(many.error(), (413, "too_large".to_owned()));
    for broken in ["[", r#"[{"topic":"a","data":1}"#, "[1,]", "[] []"] {
        let answer = request(&address, "POST /publish", "", broken).await;
        assert_eq!(answer.error(), (400, "bad_frame".to_owned()), "{broken}");
    }
    assert_eq!(
        hub.latest("a").await.unwrap(),
        None,
        "nothing was published"
    );
    let most = publish(&address, &json!(vec![&one; 1_000])).await;
    assert_eq!(outcomes(&most).last(), Some(&stored("a", 1_000)));
    assert_eq!(publish(&address, &json!([])).await.body, "[]");
}

#[tokio::test]
async fn a_rate_lets_the_first_ones_in_and_none_after_one_that_is_refused() {
    let mut config = config();
    config.server.session.publish_rate = Some(Rate {
        per_second: NonZeroU32::MIN,
        burst: NonZeroU32::new(10).unwrap(),
    });
    let hub = Hub::new(config).unwrap();
    let address = serve_by_own_loop(tidegate::axum::router(hub.clone())).await;
    let body: Vec<Value> = (1..=50)
        .map(|number| json!({ "topic": "a", "data": number }))
        .collect();
    let answer = publish(&address, &json!(body)).await;
    let outcomes = outcomes(&answer);
    let through = outcomes
        .iter()
        .take_while(|(_, result)| result.is_ok())
        .count();
    // One more may have been allowed again meanwhile.
    assert!((10..20).contains(&through), "{through}");
    let rest = &outcomes[through..];
    assert!(
        rest.iter()
            .all(|it| *it == refused("a", "too_many_requests"))
    );
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(answer.body.contains("try again in "), "{answer:?}");
    let latest = hub.latest("a").await.unwrap().unwrap();
    assert_eq!(latest.payload.as_str(), through.to_string());
    let later = publish(&address, &json!(body)).await;
    assert_eq!(
        later.error().1,
        "too_many_requests",
        "nothing of it is read"
    );
}

#[tokio::test]
async fn they_wait_for_the_backend_together() {
    let store = Memory::new(Keep::default());
    let (late, go_on, _is_over) = Fragile::way_to(store.share(), &Arc::default()).late();
    let hub = Hub::with_backend(config(), Arc::new(late)).unwrap();
    let address = serve(tidegate::axum::router(hub.clone())).await;
    let body: Vec<Value> = (0..500)
        .map(|number| json!({ "topic": format!("job:{}", number % 7), "data": number }))
        .collect();
    let asking = tokio::spawn(async move { publish(&address, &json!(body)).await });
    eventually("all of them to wait", async || {
        hub.counts().await.unwrap().uplink.publishes == 500
    })
    .await;
    go_on.send(()).unwrap();
    let answer = asking.await.unwrap();
    let due = (0..500).map(|number| stored(&format!("job:{}", number % 7), number / 7 + 1));
    assert_eq!(outcomes(&answer), due.collect::<Vec<_>>());
}

#[tokio::test]
async fn what_the_backend_does_not_take_is_told_of_that_one_and_what_it_can_not_now_is_worth_repeating()
 {
    let is_away = Arc::new(AtomicBool::new(false));
    let mut impatient = config();
    impatient.uplink.publish_patience = std::time::Duration::from_millis(50);
    let hub = Hub::with_backend(impatient, Arc::new(Fragile::new(&is_away))).unwrap();
    let address = serve(tidegate::axum::router(hub)).await;
    let body = json!([
        { "topic": "a", "data": 1 },
        { "topic": WRONG_TOPIC, "data": 1 },
        { "topic": "a", "data": 2 },
    ]);
    let answer = publish(&address, &body).await;
    let due = [
        stored("a", 1),
        refused(WRONG_TOPIC, "refused"),
        stored("a", 2),
    ];
    assert_eq!(outcomes(&answer), due);
    assert_eq!(answer.header("retry-after"), None);
    is_away.store(true, std::sync::atomic::Ordering::SeqCst);
    let answer = publish(&address, &body).await;
    assert!(
        outcomes(&answer)
            .iter()
            .all(|(_, result)| *result == Err("unavailable".to_owned()))
    );
    assert_eq!(answer.header("retry-after"), Some("1"));
}
