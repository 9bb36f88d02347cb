//! A peer that accepts nothing, while its client has more to send than the buffers on the way hold.

use std::time::Duration;

use crate::support::proxy::Proxy;
use crate::support::{served_hub_with, until_counts, within};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use tidegate::client::{Answer, ClientError};
use tidegate::core::client::{ClosedReason, ConnectionState};
use tidegate::core::hub::ServerConfig;
use tidegate::{Client, Event, Hub, Publish};

/// How many publications there are, and how many bytes each has: far more than the system takes from a writer whose peer
/// reads nothing.
const PUBLICATIONS: usize = 100;
const BYTES: usize = 400_000;

/// A server, a proxy to it, and a connected client.
async fn connected(change: impl FnOnce(&mut ServerConfig)) -> (Hub, Proxy, Client) {
    let (hub, address) = served_hub_with(change).await;
    let proxy = Proxy::start(&address).await;
    let connecting = Client::connect(&proxy.address);
    let client = within("a connection", connecting).await.unwrap();
    (hub, proxy, client)
}

fn enqueue_much(client: &Client) -> Vec<Answer> {
    let text = "x".repeat(BYTES);
    (0..PUBLICATIONS)
        .map(|number| {
            let topic = format!("much:{number}");
            client.enqueue(&topic, &text, Publish::default()).unwrap()
        })
        .collect()
}

async fn until_state(client: &Client, wanted: ConnectionState) {
    let mut status = client.status();
    let reached = status.wait_for(|status| status.state == wanted);
    within("a state", reached).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_given_up_and_the_next_gets_all_of_it() {
    // A short heartbeat notices silence soon.
    let (hub, proxy, client) =
        connected(|config| config.session.heartbeat = Duration::from_secs(1)).await;
    proxy.block(true);
    let answers = enqueue_much(&client);
    until_state(&client, ConnectionState::Disconnected).await;
    let told = client.status().borrow().last_error.clone();
    assert_eq!(told.as_deref(), Some("the server has fallen silent"));
    proxy.block(false);
    for answer in within("the answers", join_all(answers)).await {
        assert_eq!(answer.unwrap().offset, 1, "each happens once");
    }
    assert!(proxy.connections() > 1, "on another connection");
    let last = hub.latest("much:99").await.unwrap().unwrap();
    assert_eq!(last.payload.as_str().len(), BYTES + 2);
}

#[tokio::test]
async fn a_client_whose_peer_takes_nothing_can_be_closed() {
    let (_hub, proxy, client) = connected(|_| {}).await;
    proxy.block(true);
    let answers = enqueue_much(&client);
    client.close();
    until_state(&client, ConnectionState::Closed(ClosedReason::ByUser)).await;
    for answer in within("the answers", join_all(answers)).await {
        assert!(answer.is_err(), "{answer:?}");
    }
    let late = client.publish("a", &1).await.unwrap_err();
    assert!(matches!(late, ClientError::Closed), "{late}");
}

#[tokio::test]
async fn what_comes_is_read_while_nothing_can_be_written() {
    let (hub, proxy, client) = connected(|_| {}).await;
    let mut events = client.subscribe("a").await.unwrap();
    until_counts(&hub, 1, 1).await;
    proxy.block_to_server();
    let answers = enqueue_much(&client);
    // All of it was handed to the connection before this request.
    let _beside = client.subscribe("b").await.unwrap();
    for number in 1..=3 {
        hub.publish("a", &number).await.unwrap();
        match within("a publication", events.next()).await {
            Some(Event::Publication(publication)) => {
                assert_eq!(publication.position.offset, number);
            }
            other => panic!("{other:?}"),
        }
    }
    drop(answers);
}
