//! Messages of many mebibytes.

use crate::support::{eventually, hub_with, serve, until_counts, within};
use futures_util::StreamExt as _;
use tidegate::client::ClientOptions;
use tidegate::core::client::{ClosedReason, ConnectionState};
use tidegate::core::protocol::ErrorCode;
use tidegate::{Client, Event, Hub, Subscribe};

const MIB: usize = 1024 * 1024;

/// A hub that takes payloads of many mebibytes, and its address.
async fn large_hub() -> (Hub, String) {
    let hub = hub_with(|config| {
        config.hub.payload_bytes_max = 32 * MIB;
        config.outbox_bytes_max = 64 * MIB;
    });
    let address = serve(tidegate::axum::router(hub.clone())).await;
    (hub, address)
}

#[tokio::test]
async fn a_payload_of_many_mebibytes_is_received() {
    let (hub, address) = large_hub().await;
    let client = Client::connect(&address).await.unwrap();
    let all = Subscribe {
        outbox_bytes_max: Some(64 * MIB),
        ..Subscribe::default()
    };
    let mut events = client.subscribe_with("job:1", all).await.unwrap();
    until_counts(&hub, 1, 1).await;
    // More than WebSocket libraries accept by default.
    let payload = "x".repeat(17 * MIB);
    hub.publish("job:1", &payload).await.unwrap();
    match within("the publication", events.next()).await {
        Some(Event::Publication(it)) => assert_eq!(it.payload.as_str().len(), payload.len() + 2),
        other => panic!("{other:?} instead of a publication"),
    }
}

#[tokio::test]
async fn who_is_sent_more_than_it_takes_is_told_so_and_does_not_come_back() {
    let (hub, address) = large_hub().await;
    let options = ClientOptions {
        message_bytes_max: MIB,
        ..ClientOptions::default()
    };
    let client = Client::connect_with(&address, options).await.unwrap();
    let mut events = client.subscribe("job:1").await.unwrap();
    until_counts(&hub, 1, 1).await;
    hub.publish("job:1", &"x".repeat(MIB)).await.unwrap();
    match within("an end", events.next()).await {
        Some(Event::Refused(error)) => {
            assert_eq!(error.code, ErrorCode::TooLarge);
            assert!(error.message.contains("message_bytes_max"), "{error}");
        }
        other => panic!("{other:?} instead of a refusal"),
    }
    assert_eq!(within("the close", events.next()).await, None);
    let mut status = client.status();
    let closed = status.wait_for(|status| matches!(status.state, ConnectionState::Closed(_)));
    let state = within("the status", closed).await.unwrap().state.clone();
    match state {
        ConnectionState::Closed(ClosedReason::Refused(error)) => {
            assert_eq!(error.code, ErrorCode::TooLarge);
        }
        other => panic!("{other:?}"),
    }
    // A publish that crosses the close gets the reason.
    eventually("a publish to be told why", async || {
        let refused = client.publish("job:2", &1).await.unwrap_err();
        refused.to_string().contains("message_bytes_max")
    })
    .await;
    until_counts(&hub, 0, 0).await;
}
