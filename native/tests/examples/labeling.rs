//! The labeling example: people share work on several servers, some of which are killed.
#![cfg(all(feature = "redis", feature = "sqlite"))]

use serde_json::{Value, json};

use crate::servers::redis::RedisServer;
use crate::support::application::{follow, post, serves_its_page, socket, start, told};
use crate::support::http::{Answer, get, request};
use crate::support::program::{Server, example};
use crate::support::socket::Socket;
use crate::support::{eventually, within};

/// The name of the work, and the topic of its progress.
const LABELING: &str = "labeling:reviews";

/// How many reviews there are to label.
const REVIEWS: u64 = 500;

/// A labeler who is present as long as this lasts.
async fn labeler(server: &Server, name: &str) -> Socket {
    let mut there = socket(server, "/live/ws", &[]).await;
    let track = json!({"type": "track", "ref": 1, "topic": LABELING, "key": name, "data": {}});
    there.send(track).await;
    eventually("it to be known", async || {
        next_review(server, name).await.status == 200
    })
    .await;
    there
}

async fn next_review(server: &Server, name: &str) -> Answer {
    post(server, "/next", json!({"labeler": name})).await
}

async fn label(server: &Server, name: &str, item: &Value) -> u16 {
    let body = json!({"labeler": name, "item": item, "label": "good"});
    post(server, "/labels", body).await.status
}

/// Labels whatever is available, until this labeler has done `count`.
async fn label_until(server: &Server, name: &str, count: u64) {
    for _ in 0..count {
        within("a review to label", label_one(server, name)).await;
    }
}

async fn label_one(server: &Server, name: &str) {
    loop {
        let answer = next_review(server, name).await;
        // 204: the remaining items are still held by somebody who is about to leave.
        if answer.status == 200 && label(server, name, &answer.json()["item"]).await == 204 {
            return;
        }
    }
}

#[tokio::test]
async fn labelers_share_the_work_and_what_one_leaves_behind_is_for_the_others() {
    let server = start("labeling").await;
    serves_its_page(&server, "Labeling").await;
    let overview = get(&server.address, "/admin").await;
    assert!(overview.body.contains("<h1>Labeling: overview</h1>"));
    let topic = format!("{LABELING}:progress");
    let mut counting = follow(&server, &topic).await;
    assert_eq!(
        next_review(&server, "ada").await.status,
        409,
        "who is not here gets nothing"
    );
    let _ada = labeler(&server, "ada").await;
    let ben = labeler(&server, "ben").await;
    let bens = next_review(&server, "ben").await.json()["item"].clone();
    let adas = next_review(&server, "ada").await.json()["item"].clone();
    assert_ne!(adas, bens);
    assert_eq!(label(&server, "ada", &bens).await, 409, "it is with ben");
    assert_eq!(label(&server, "ada", &adas).await, 204);
    assert_eq!(label(&server, "ada", &adas).await, 409, "it has a label");
    assert_eq!(label(&server, "ben", &bens).await, 204);
    // Now ben holds another one, and leaves.
    assert_eq!(next_review(&server, "ben").await.status, 200);
    drop(ben);
    label_until(&server, "ada", REVIEWS - 2).await;
    let last = told(&mut counting, &json!(topic)).await.pop().unwrap();
    assert_eq!(
        (&last["done"], &last["remaining"]),
        (&json!(REVIEWS), &json!(0))
    );
    assert_eq!(last["sessions"], json!({"ada": REVIEWS - 1, "ben": 1}));
    let stored = get(&server.address, "/labels").await.json();
    assert_eq!(stored["done"], REVIEWS);
    assert_eq!(stored["labelers"], last["sessions"]);
}

/// Labels at a server as long as it answers.
async fn label_for_ever(address: String, name: String, _there: Socket) {
    let headers = "Content-Type: application/json\r\n";
    loop {
        let body = json!({"labeler": name}).to_string();
        let answer = request(&address, "POST /next", headers, body).await;
        let item = answer.json()["item"].clone();
        let body = json!({"labeler": name, "item": item, "label": "bad"}).to_string();
        request(&address, "POST /labels", headers, body).await;
    }
}

#[tokio::test]
async fn no_label_is_lost_or_counted_twice_when_servers_are_killed() {
    let redis = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("labels.db");
    let start = async || {
        let mut program = example("labeling");
        program.args(["127.0.0.1:0", "--backend", &redis.url(), "--labels"]);
        Server::start_with({
            program.arg(&file);
            program
        })
        .await
    };
    let one = start().await;
    let ada = labeler(&one, "ada").await;
    for round in 0..3 {
        // Others work at another server, which is killed meanwhile.
        let mut other = start().await;
        let mut working = Vec::new();
        for number in 0..4 {
            let name = format!("ben-{round}-{number}");
            let there = labeler(&other, &name).await;
            let work = label_for_ever(other.address.clone(), name, there);
            working.push(tokio::spawn(work));
        }
        label_until(&one, "ada", 20).await;
        other.kill().await;
        for work in working {
            let end = within("their work to break off", work).await;
            assert!(end.is_err(), "it was amid something");
        }
    }
    drop(ada);
    // Both the server that was there all the time and a new one report what is stored.
    let stored = get(&one.address, "/labels").await.json();
    assert!(stored["done"].as_u64() > Some(60), "{stored}");
    until_told(&one, &stored).await;
    until_told(&start().await, &stored).await;
}

/// Waits until a server reports what is stored.
async fn until_told(server: &Server, stored: &Value) {
    eventually("the counts to agree", async || {
        let mut told = socket(server, "/live/ws", &[]).await;
        let pattern = format!("{LABELING}:progress");
        told.send(json!({"type": "subscribe", "pattern": pattern}))
            .await;
        told.expect("subscribed").await;
        let last = told.expect("pub").await["data"].clone();
        last["done"] == stored["done"] && last["sessions"] == stored["labelers"]
    })
    .await;
}
