//! Requests whose caller goes away meanwhile, as a task does that is aborted or times out.

use std::pin::pin;
use std::task::{Context, Waker};

use crate::support::{eventually, served_hub, within};
use tidegate::{Client, Hub};

const TOPICS: usize = 50;

/// Makes a request, and goes away before the answer, which may be there already.
async fn ask_and_go<F: Future>(client: &Client, asking: F) {
    {
        let mut asking = pin!(asking);
        let mut context = Context::from_waker(Waker::noop());
        // It may have been answered by now: then what was requested is released with the answer.
        let _ = asking.as_mut().poll(&mut context);
        // The client's task answers in order, so the earlier request has been answered.
        client.publish("after", &1).await.unwrap();
    }
}

async fn connected() -> (Hub, Client) {
    let (hub, address) = served_hub().await;
    let client = within("a connection", Client::connect(&address)).await;
    (hub, client.unwrap())
}

#[tokio::test]
async fn a_subscription_that_nobody_waited_for_ends() {
    let (hub, client) = connected().await;
    for number in 0..TOPICS {
        ask_and_go(&client, client.subscribe(&format!("job:{number}"))).await;
    }
    eventually("the subscriptions to end", async || {
        hub.counts().await.unwrap().hub.subscriptions == 0
    })
    .await;
    // A subscription that is held continues.
    let _held = client.subscribe("job:1").await.unwrap();
    client.publish("after", &1).await.unwrap();
    assert_eq!(hub.counts().await.unwrap().hub.subscriptions, 1);
}

#[tokio::test]
async fn a_presence_that_nobody_waited_for_ends() {
    let (hub, client) = connected().await;
    for number in 0..TOPICS {
        let presence = client.presence(&format!("doc:{number}")).unwrap();
        ask_and_go(&client, presence.track("ada", &1)).await;
    }
    for number in 0..TOPICS {
        let presence = hub.presence(&format!("doc:{number}")).unwrap();
        eventually("nobody to be present", async || {
            presence.list().await.unwrap().is_empty()
        })
        .await;
    }
}
