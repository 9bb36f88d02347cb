//! The client of a backend, with no server in between.

use crate::support;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use crate::support::fragile::Fragile;
use crate::support::{config, within};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tidegate::backend::{Keep, Memory};
use tidegate::client::{ClientError, ClientSubscription};
use tidegate::core::client::{ClosedReason, ConnectionState};
use tidegate::core::lifecycle::EndReason;
use tidegate::core::protocol::ErrorCode;
use tidegate::{Client, Event, Hub, Publish, Stop};

/// Two clients of one store, as two processes would have.
fn clients() -> (Client, Client) {
    let backend = Memory::new(Keep::default());
    let client = || Client::with_backend(Arc::new(backend.share())).unwrap();
    (client(), client())
}

async fn value(events: &mut ClientSubscription) -> Value {
    match within("an event", events.next()).await {
        Some(Event::Publication(publication)) => publication.payload.parse().unwrap(),
        other => panic!("expected a publication, got {other:?}"),
    }
}

async fn until_state(client: &Client, state: ConnectionState) {
    let mut status = client.status();
    within("a state", status.wait_for(|status| status.state == state))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_published_by_one_client_reaches_another() {
    let (publisher, watcher) = clients();
    let mut events = watcher.subscribe("job:*").await.unwrap();
    for number in 1..=100 {
        let position = publisher.publish("job:1", &number).await.unwrap();
        assert_eq!(position.offset, number);
        assert_eq!(value(&mut events).await, number);
    }
    let mut ending = watcher.subscribe("job:1").await.unwrap();
    assert_eq!(value(&mut ending).await, 100);
    let last = Publish::end(EndReason::Failed);
    publisher.publish_with("job:1", &101, last).await.unwrap();
    assert_eq!(value(&mut ending).await, 101);
    let reason = EndReason::Failed;
    assert_eq!(ending.next().await, Some(Event::End { reason }));
    assert_eq!(ending.next().await, None);
    match publisher.publish("job:1", &102).await {
        Err(ClientError::Refused(error)) => assert_eq!(error.code, ErrorCode::TopicEnded),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_queued_is_published_in_its_order_and_flushed_by_closing() {
    let (publisher, watcher) = clients();
    for number in 1..=500 {
        // Nobody waits for the answers.
        drop(publisher.enqueue("a", &number, Publish::default()).unwrap());
    }
    publisher.close_flushed().await.unwrap();
    let mut events = watcher.subscribe("a").await.unwrap();
    assert_eq!(value(&mut events).await, 500);
    let closed = publisher.publish("a", &1).await.unwrap_err();
    assert!(matches!(closed, ClientError::Closed), "{closed}");
    let closed = publisher.subscribe("a").await.err().unwrap();
    assert!(matches!(closed, ClientError::Closed), "{closed}");
}

#[tokio::test]
async fn closing_a_client_ends_its_streams_and_leaves_the_hub_of_others() {
    let hub = Hub::new(config()).unwrap();
    let client = Client::from_hub(hub.clone()).unwrap();
    assert_eq!(client.status().borrow().state, ConnectionState::Connected);
    let mut events = client.subscribe("a").await.unwrap();
    client.close();
    assert_eq!(within("the end", events.next()).await, None);
    until_state(&client, ConnectionState::Closed(ClosedReason::ByUser)).await;
    drop(client);
    hub.publish("a", &1).await.unwrap();
}

#[tokio::test]
async fn a_subscription_outlives_its_client() {
    let (publisher, watcher) = clients();
    let mut events = watcher.subscribe("a").await.unwrap();
    drop(watcher);
    publisher.publish("a", &1).await.unwrap();
    assert_eq!(value(&mut events).await, 1);
}

#[test]
fn a_thread_without_a_runtime_publishes_and_listens() {
    let (publisher, watcher) = clients();
    let (publisher, watcher) = (publisher.blocking(), watcher.blocking());
    publisher.publish("job:1", &json!(0)).unwrap();
    let (heard, hears) = mpsc::channel();
    let listener = std::thread::spawn(move || {
        let mut values = Vec::new();
        let callback = |publication: tidegate::Publication| {
            values.push(publication.payload.parse::<u64>().unwrap());
            // The test may be over.
            let _ = heard.send(());
        };
        let end = watcher.listen("job:1", callback, &Stop::new()).unwrap();
        watcher.close().unwrap();
        (values, end)
    });
    hears.recv_timeout(support::PATIENCE).unwrap();
    for number in 1..=200 {
        publisher.publish("job:1", &number).unwrap();
    }
    let last = Publish::end(EndReason::Complete);
    publisher.publish_with("job:1", &201, last).unwrap();
    publisher.close().unwrap();
    let (values, end) = listener.join().unwrap();
    assert_eq!(values, (0..=201).collect::<Vec<_>>());
    assert_eq!(end, Some(EndReason::Complete));
}

#[tokio::test]
async fn blocking_works_within_a_runtime_of_one_thread_and_within_a_callback() {
    let (publisher, watcher) = clients();
    let (publisher, watcher) = (publisher.blocking(), watcher.blocking());
    // More than a task may do before its runtime makes it yield.
    for number in 1..=300 {
        publisher.publish("a", &number).unwrap();
    }
    let stop = Stop::new();
    let mut left = 300;
    let callback = |_| {
        left -= 1;
        if left == 0 {
            return stop.stop();
        }
        publisher.publish("a", &left).unwrap();
    };
    let end = watcher.listen("a", callback, &stop).unwrap();
    assert_eq!((end, left), (None, 0));
    assert!(stop.is_stopped());
    // A handle that was used stays so.
    assert_eq!(watcher.listen("a", |_| panic!(), &stop).unwrap(), None);
}

#[test]
fn listening_stops_from_another_thread_while_nothing_comes() {
    let (_, watcher) = clients();
    let stop = Stop::new();
    let listener = {
        let (watcher, stop) = (watcher.blocking(), stop.clone());
        std::thread::spawn(move || watcher.listen("a", |_| {}, &stop))
    };
    stop.stop();
    assert_eq!(listener.join().unwrap().unwrap(), None);
}

#[test]
fn a_server_is_reached_without_a_runtime_too() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (_hub, address) = runtime.block_on(support::served_hub());
    let client = Client::start(&address).unwrap().blocking();
    for number in 1..=50 {
        assert_eq!(client.publish("a", &number).unwrap().offset, number);
    }
    client.close().unwrap();
    // Its thread knows that it is closed.
    let closed = client.publish("a", &1).unwrap_err();
    assert!(matches!(closed, ClientError::Closed), "{closed}");
}

#[test]
fn the_shared_client_can_be_replaced() {
    let (client, other) = clients();
    assert!(Client::replace_shared(Some(client)).is_none());
    let shared = Client::shared().unwrap().blocking();
    shared.publish("a", &1).unwrap();
    let mut values = Vec::new();
    let stop = Stop::new();
    let callback = |publication: tidegate::Publication| {
        values.push(publication.payload.to_string());
        stop.stop();
    };
    other.blocking().listen("a", callback, &stop).unwrap();
    assert_eq!(values, ["1"]);
    assert!(Client::replace_shared(None).is_some());
}

#[tokio::test]
async fn a_client_tells_when_its_backend_is_away_and_back() {
    let is_away = Arc::new(AtomicBool::new(false));
    let client = Client::with_backend(Arc::new(Fragile::new(&is_away))).unwrap();
    assert_eq!(client.place(), "a fragile store");
    until_state(&client, ConnectionState::Connected).await;
    is_away.store(true, Ordering::SeqCst);
    let waiting = client.enqueue("a", &1, Publish::default()).unwrap();
    until_state(&client, ConnectionState::Stale).await;
    let told = client.status().borrow().last_error.clone().unwrap();
    assert!(told.contains("it is away"), "{told}");
    is_away.store(false, Ordering::SeqCst);
    assert_eq!(within("the answer", waiting).await.unwrap().offset, 1);
    until_state(&client, ConnectionState::Connected).await;
    assert_eq!(client.status().borrow().last_error, None);
}

/// Chooses, publishes and listens, all of it by blocking.
#[cfg(feature = "sqlite")]
fn work_in_a_file(directory: &std::path::Path) {
    let address: tidegate::backend::Address =
        format!("sqlite:{}", directory.join("jobs.db").display())
            .parse()
            .unwrap();
    let client = || Client::at(Some(address.clone())).unwrap().blocking();
    let (publisher, watcher) = (client(), client());
    assert!(publisher.client().place().starts_with("sqlite file "));
    publisher
        .publish("job:1", &json!({"progress": 0.5}))
        .unwrap();
    let last = json!({"status": "Cancelled"});
    assert_eq!(publisher.publish("job:1", &last).unwrap().offset, 2);
    let mut values = Vec::new();
    let callback =
        |publication: tidegate::Publication| values.push(publication.payload.to_string());
    let end = watcher.listen("job:1", callback, &Stop::new()).unwrap();
    assert_eq!(end, Some(EndReason::Cancelled));
    assert_eq!(values, [last.to_string()]);
    publisher.close().unwrap();
    watcher.close().unwrap();
}

#[cfg(feature = "sqlite")]
#[test]
fn a_backend_is_chosen_without_a_runtime() {
    let directory = tempfile::tempdir().unwrap();
    work_in_a_file(directory.path());
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_backend_is_chosen_within_a_runtime_of_one_thread() {
    let directory = tempfile::tempdir().unwrap();
    work_in_a_file(directory.path());
}

#[cfg(feature = "redis")]
#[test]
fn a_backend_that_can_not_be_reached_is_an_error_at_once() {
    let address: tidegate::backend::Address = "redis://:hunter2@127.0.0.1:1".parse().unwrap();
    let error = Client::at(Some(address)).err().unwrap();
    assert!(
        matches!(
            &error,
            ClientError::Backend(tidegate::backend::BackendError::Unreachable { .. })
        ),
        "{error}"
    );
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_backend_is_closed_once_its_client_is() {
    let is_away = Arc::new(AtomicBool::new(false));
    let backend = Arc::new(Fragile::new(&is_away));
    let client = Client::with_backend(Arc::clone(&backend) as _).unwrap();
    client.publish("a", &1).await.unwrap();
    let _events = client.subscribe("a").await.unwrap();
    client.close_flushed().await.unwrap();
    assert_eq!(Arc::strong_count(&backend), 1);
}
