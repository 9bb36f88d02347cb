//! Who is present, read once.

use std::sync::Arc;

use crate::support::http::{Answer, get};
use crate::support::{config, eventually, serve, served_hub, until_counts};
use serde_json::{Value, json};
use tidegate::Hub;
use tidegate::backend::{Keep, Memory};

async fn ask(address: &str, query: &str) -> Answer {
    let answer = get(address, &format!("/presence?topic=doc:7{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer
}

/// The keys that are present, each as often as it has metas.
fn keys(answer: &Answer) -> Vec<String> {
    let present = answer.json()["present"].clone();
    let present = present.as_array().unwrap().iter();
    present
        .map(|meta| meta["key"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn who_is_here_is_told_as_to_those_who_watch() {
    let (hub, address) = served_hub().await;
    let nobody = ask(&address, "").await.json();
    assert_eq!(nobody, json!({"topic": "doc:7", "keys": 0, "present": []}));
    let doc = hub.presence("doc:7").unwrap();
    let _ada = doc.track("ada", &json!({"device": "phone"})).await.unwrap();
    let _again = doc.track("ada", &json!({"device": "desk"})).await.unwrap();
    let bob = doc.track("bob", &Value::Null).await.unwrap();
    let answer = ask(&address, "").await;
    assert_eq!(keys(&answer), ["ada", "ada", "bob"]);
    let told = answer.json();
    assert_eq!(told["keys"], 2);
    let present = doc.list().await.unwrap();
    let due: Vec<Value> = present
        .iter()
        .map(|meta| {
            json!({
                "key": meta.key, "node": meta.id.node, "clock": meta.id.clock,
                "data": meta.meta.parse::<Value>().unwrap(),
            })
        })
        .collect();
    assert_eq!(told["present"], json!(due));
    for query in ["&count", "&count=true"] {
        let count = ask(&address, query).await.json();
        assert_eq!(count, json!({"topic": "doc:7", "keys": 2}));
    }
    assert_eq!(keys(&ask(&address, "&count=false").await).len(), 3);
    drop(bob);
    eventually("bob to leave", async || {
        ask(&address, "&count").await.json()["keys"] == 1
    })
    .await;
    // Only those who are present stay.
    until_counts(&hub, 2, 0).await;
}

#[tokio::test]
async fn who_is_at_another_server_is_here_too() {
    let store = Memory::new(Keep::default());
    let hub = || Hub::with_backend(config(), Arc::new(store.share())).unwrap();
    let (here, there) = (hub(), hub());
    let address = serve(tidegate::axum::router(there)).await;
    let doc = here.presence("doc:7").unwrap();
    let _ada = doc.track("ada", &1).await.unwrap();
    eventually("ada", async || keys(&ask(&address, "").await) == ["ada"]).await;
}

#[tokio::test]
async fn more_than_an_answer_holds_is_counted_only() {
    let (hub, address) = served_hub().await;
    let doc = hub.presence("doc:7").unwrap();
    let meta = "x".repeat(4_000);
    let mut here = Vec::new();
    for number in 0..1_100 {
        here.push(doc.track(&format!("user {number}"), &meta).await.unwrap());
    }
    let answer = get(&address, "/presence?topic=doc:7").await;
    assert_eq!(answer.error(), (413, "too_large".to_owned()));
    assert!(answer.body.contains("count"), "{answer:?}");
    assert_eq!(ask(&address, "&count").await.json()["keys"], 1_100);
}
