//! Plain HTTP at servers that share a Redis: what is published at one can be read at another that follows nothing.
#![cfg(feature = "redis")]

use crate::servers::redis::RedisServer;
use crate::support::eventually;
use crate::support::http::{Answer, get, publish};
use crate::support::program::{Server, program};
use crate::support::socket::Socket;
use serde_json::{Value, json};

async fn serve(redis: &RedisServer) -> Server {
    let url = redis.url();
    let arguments = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--backend",
        &url,
        "--history",
        "5",
    ];
    Server::start_with(program(&arguments)).await
}

/// The topics and data of an answer's publications.
fn values(answer: &Answer) -> Vec<(String, Value)> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let told = answer.json();
    let publications = told["publications"].as_array().unwrap().iter();
    let value = |it: &Value| (it["topic"].as_str().unwrap().to_owned(), it["data"].clone());
    publications.map(value).collect()
}

fn of(topic: &str, data: u64) -> (String, Value) {
    (topic.to_owned(), data.into())
}

#[tokio::test]
async fn what_is_published_at_one_server_is_read_at_another() {
    let redis = RedisServer::start();
    let (here, there) = (serve(&redis).await, serve(&redis).await);
    let batch: Vec<Value> = (1..=9)
        .map(|number| json!({"topic": format!("job:{}", number % 2), "data": number}))
        .collect();
    let told = publish(&here.address, &json!(batch)).await.json();
    let offsets: Vec<&Value> = told
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["offset"])
        .collect();
    assert_eq!(json!(offsets), json!([1, 1, 2, 2, 3, 3, 4, 4, 5]));
    let latest = get(
        &there.address,
        "/latest?topic=job:*&topic=job:1&topic=none:1",
    )
    .await;
    assert_eq!(values(&latest), [of("job:0", 8), of("job:1", 9)]);
    let history = get(&there.address, "/history?topic=job:1").await;
    let all = [1, 3, 5, 7, 9].map(|number| of("job:1", number));
    assert_eq!(values(&history), all);
    assert_eq!(history.json()["recovered"], true);
    let epoch = &history.json()["epoch"];
    let since = format!("/history?topic=job:1&since={epoch}");
    publish(&here.address, &json!({"topic": "job:1", "data": 11})).await;
    let lost = get(&there.address, &format!("{since}:0")).await;
    let kept = [3, 5, 7, 9, 11].map(|number| of("job:1", number));
    assert_eq!(
        (values(&lost), &lost.json()["recovered"]),
        (kept.to_vec(), &json!(false))
    );
    let rest = get(&there.address, &format!("{since}:4")).await;
    assert_eq!(
        (values(&rest), &rest.json()["recovered"]),
        (kept[3..].to_vec(), &json!(true))
    );
    let debug = get(&there.address, "/debug").await.json();
    assert_eq!(
        (&debug["subscriptions"], &debug["connections"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(debug["uplink"]["followed"], 0, "nothing is left of it");
}

#[tokio::test]
async fn who_is_at_one_server_is_known_at_another() {
    let redis = RedisServer::start();
    let (here, there) = (serve(&redis).await, serve(&redis).await);
    let mut socket = Socket::open(&here.address).await;
    socket
        .send(json!({"type": "track", "ref": 1, "topic": "doc:7", "key": "ada", "data": 1}))
        .await;
    eventually("ada", async || {
        let told = get(&there.address, "/presence?topic=doc:7").await.json();
        told["keys"] == 1 && told["present"][0]["key"] == "ada"
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_is_gone_is_no_empty_answer() {
    let redis = RedisServer::start();
    let server = serve(&redis).await;
    publish(&server.address, &json!({"topic": "job:1", "data": 1})).await;
    drop(redis);
    let (latest, history) = tokio::join!(
        get(&server.address, "/latest?topic=job:1"),
        get(&server.address, "/history?topic=job:1"),
    );
    assert_eq!(latest.error(), (503, "unavailable".to_owned()));
    assert_eq!(history.error(), (503, "unavailable".to_owned()));
}
