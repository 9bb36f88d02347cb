//! The client, over real connections that really break.

use crate::support;
use std::time::Duration;

use crate::support::place::Place;
use crate::support::program::Server;
use crate::support::{end, eventually, served_hub, until_counts, within};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tidegate::client::{ClientError, ClientSubscription};
use tidegate::core::client::ConnectionState;
use tidegate::core::flow::{Flow, Pace};
use tidegate::core::lifecycle::EndReason;
use tidegate::core::protocol::ErrorCode;
use tidegate::{Client, Event, Hub, Publish, Subscribe};
use tokio::net::TcpStream;

async fn next(events: &mut ClientSubscription) -> Option<Event> {
    within("an event", events.next()).await
}

async fn value(events: &mut ClientSubscription) -> Value {
    match next(events).await {
        Some(Event::Publication(publication)) => publication.payload.parse().unwrap(),
        other => panic!("a publication was expected: {other:?}"),
    }
}

async fn connect(address: &str) -> Client {
    let connect = Client::connect(address);
    within("a connection", connect).await.unwrap()
}

async fn until_state(client: &Client, wanted: impl Fn(&ConnectionState) -> bool) {
    let mut status = client.status();
    within("a state", status.wait_for(|status| wanted(&status.state)))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_sent_as_deltas_is_handed_on_whole() {
    let (hub, address) = served_hub().await;
    let client = connect(&address).await;
    let flow = Flow::IMMEDIATE.with_delta(true);
    let options = || Subscribe {
        flow,
        ..Subscribe::default()
    };
    let mut events = client.subscribe_with("job:1", options()).await.unwrap();
    let mut by_pattern = client.subscribe_with("job:*", options()).await.unwrap();
    until_counts(&hub, 1, 2).await;
    let state = |done: u64| {
        let mut state = json!({"title": "photographs of harbours", "by": {"ada": done, "bob": 1}});
        state[format!("step {}", done % 3)] = json!([done, null]);
        state
    };
    for done in 1..=50 {
        hub.publish("job:1", &state(done)).await.unwrap();
    }
    for done in 1..=50 {
        assert_eq!(value(&mut events).await, state(done));
        assert_eq!(value(&mut by_pattern).await, state(done));
    }
}

#[tokio::test]
async fn what_is_published_by_one_client_reaches_another() {
    let (hub, address) = served_hub().await;
    let (publisher, watcher) = (connect(&address).await, connect(&address).await);
    let mut events = watcher.subscribe("job:1").await.unwrap();
    let mut by_pattern = watcher.subscribe("job:*").await.unwrap();
    until_counts(&hub, 2, 2).await;
    for number in 1..=100 {
        let position = publisher.publish("job:1", &number).await.unwrap();
        assert_eq!(position.offset, number);
    }
    let last = Publish::end(EndReason::Failed);
    publisher.publish_with("job:1", &101, last).await.unwrap();
    for number in 1..=101 {
        assert_eq!(value(&mut events).await, number);
        assert_eq!(value(&mut by_pattern).await, number);
    }
    let reason = EndReason::Failed;
    assert_eq!(next(&mut events).await, Some(Event::End { reason }));
    assert_eq!(next(&mut events).await, None);
    drop((events, by_pattern));
    until_counts(&hub, 2, 0).await;
    drop((publisher, watcher));
    until_counts(&hub, 0, 0).await;
}

#[tokio::test]
async fn what_is_queued_is_published_in_its_order() {
    let (hub, address) = served_hub().await;
    let client = Client::start(&address).unwrap();
    let mut events = client.subscribe("a").await.unwrap();
    until_counts(&hub, 1, 1).await;
    let answers: Vec<_> = (1..=500)
        .map(|number| client.enqueue("a", &number, Publish::default()).unwrap())
        .collect();
    for (index, answer) in answers.into_iter().enumerate() {
        let position = within("an answer", answer).await.unwrap();
        assert_eq!(position.offset, index as u64 + 1);
        assert_eq!(value(&mut events).await, index + 1);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let nobody = Place::new();
    let url = nobody.url();
    let error = Client::connect(&url).await.err().unwrap();
    assert!(matches!(error, ClientError::Unreachable { .. }));
    let message = error.to_string();
    assert!(
        message.contains(&url) && message.contains("tidegate serve"),
        "{message}"
    );
    assert!(message.to_lowercase().contains("refused"), "{message}");
}

#[tokio::test]
async fn a_server_that_speaks_something_else_is_told_apart() {
    let app = axum::Router::new().route("/", axum::routing::get(async || "another server"));
    let address = support::serve(app).await;
    let error = Client::connect(&address).await.err().unwrap();
    assert!(error.to_string().contains("404"), "{error}");
}

#[tokio::test]
async fn an_application_that_has_tidegate_at_another_path_is_no_server_that_is_away() {
    let (hub, _) = served_hub().await;
    let app = axum::Router::new().nest("/live", tidegate::axum::router(hub));
    let address = support::serve(app).await;
    let error = within("an answer", Client::connect(&address)).await.err();
    let client = Client::start(&address).unwrap();
    let asked = within("an answer", client.latest("a")).await.err();
    for error in [error, asked] {
        let message = error.unwrap().to_string();
        let advice = format!("as in http://{address}/live");
        assert!(message.contains("404"), "{message}");
        assert!(message.ends_with(&advice), "{message}");
        assert!(!message.contains("is a server running"), "{message}");
    }
    connect(&format!("{address}/live")).await;
}

#[tokio::test]
async fn a_server_that_lets_nobody_else_in_says_why() {
    let mut config = support::config();
    config.access.limits.total_max = 1;
    let hub = Hub::new(config).unwrap();
    let address = support::serve(tidegate::axum::router(hub)).await;
    let _first = connect(&address).await;
    let error = within("an answer", Client::connect(&address)).await.err();
    let message = error.unwrap().to_string();
    assert!(message.contains("limit of 1 connection"), "{message}");
}

#[tokio::test]
async fn what_is_refused_is_told_with_its_code() {
    let (_hub, address) = served_hub().await;
    let client = connect(&address).await;
    let error = client.publish("a b", &1).await.unwrap_err();
    assert!(matches!(error, ClientError::Topic(_)), "{error}");
    client
        .publish_with("a", &1, Publish::end(EndReason::Complete))
        .await
        .unwrap();
    match client.publish("a", &2).await {
        Err(ClientError::Refused(error)) => assert_eq!(error.code, ErrorCode::TopicEnded),
        other => panic!("{other:?}"),
    }
    client.close();
    let error = client.publish("a", &3).await.unwrap_err();
    assert!(matches!(error, ClientError::Closed), "{error}");
}

#[tokio::test]
async fn a_repeat_with_the_same_key_happens_once() {
    let (hub, address) = served_hub().await;
    let once = || Publish {
        id: Some("k".to_owned()),
        ..Publish::default()
    };
    let first = connect(&address).await.publish_with("a", &1, once()).await;
    let second = connect(&address).await.publish_with("a", &2, once()).await;
    assert_eq!(first.unwrap(), second.unwrap());
    let latest = hub.latest("a").await.unwrap().unwrap();
    assert_eq!(latest.payload.as_str(), "1");
}

#[tokio::test]
async fn a_throttled_subscription_comes_to_the_last_value() {
    let (hub, address) = served_hub().await;
    let client = connect(&address).await;
    let options = Subscribe {
        flow: Flow {
            pace: Pace::Throttle {
                every: Duration::from_millis(20),
                leading: true,
                trailing: true,
            },
            ..Flow::IMMEDIATE
        },
        ..Subscribe::default()
    };
    let mut events = client.subscribe_with("a", options).await.unwrap();
    until_counts(&hub, 1, 1).await;
    for number in 1..=1000 {
        hub.publish("a", &number).await.unwrap();
    }
    let mut received = 1;
    while value(&mut events).await != 1000 {
        received += 1;
    }
    assert!(received < 1000, "nothing was conflated");
    events.set_flow(Flow::IMMEDIATE).unwrap();
    end(&hub, "a").await;
    assert_eq!(value(&mut events).await, "end");
}

#[tokio::test]
async fn a_reader_that_is_slow_is_told_what_it_missed() {
    let (hub, address) = served_hub().await;
    let client = connect(&address).await;
    let options = Subscribe {
        outbox_bytes_max: Some(10_000),
        ..Subscribe::default()
    };
    let events = client.subscribe_with("a", options).await.unwrap();
    until_counts(&hub, 1, 1).await;
    for number in 1..=1000 {
        hub.publish("a", &number).await.unwrap();
    }
    end(&hub, "a").await;
    // The reader begins once everything has arrived: another subscription of the same client has seen the end.
    let beside: Vec<Event> = client.subscribe("a").await.unwrap().collect().await;
    assert!(matches!(beside.last(), Some(Event::End { .. })));
    let events: Vec<Event> = within("the end of the stream", events.collect()).await;
    let mut expected = 1;
    for event in &events {
        match event {
            Event::Publication(publication) => {
                assert_eq!(publication.position.offset, expected);
                expected += 1;
            }
            Event::Lagged { missed } => expected += missed,
            Event::End { .. } => assert_eq!(expected, 1002),
            other => panic!("{other:?}"),
        }
    }
    assert!(events.len() < 500, "the limit of 10,000 bytes was not kept");
}

#[tokio::test]
async fn a_server_that_is_killed_under_load_is_outlived() {
    let place = Place::new();
    let mut server = Server::start_at(&place.address).await;
    let (publisher, watcher) = (connect(&server.url).await, connect(&server.url).await);
    let events = watcher.subscribe("job:1").await.unwrap();
    let watching = tokio::spawn(async move { events.collect::<Vec<Event>>().await });
    let load = tokio::spawn(async move {
        for number in 1..=3000 {
            publisher.publish("job:1", &number).await.unwrap();
        }
        let last = Publish::end(EndReason::Complete);
        publisher
            .publish_with("job:1", &"last", last)
            .await
            .unwrap();
    });
    for _ in 0..2 {
        let probe = connect(&server.url).await;
        let mut progress = probe.subscribe("job:1").await.unwrap();
        for _ in 0..50 {
            value(&mut progress).await;
        }
        server.kill().await;
        server = Server::start_at(&place.address).await;
    }
    within("every publish to be answered", load).await.unwrap();
    let events = within("the terminal", watching).await.unwrap();
    let reason = EndReason::Complete;
    assert_eq!(events.last(), Some(&Event::End { reason }));
    let Some(Event::Publication(last)) = events.get(events.len() - 2) else {
        panic!("the terminal comes before the end");
    };
    assert_eq!(last.payload.as_str(), "\"last\"");
    check_that_only_told_losses_happened(&events);
}

/// Within an epoch, nothing is missed or repeated; a new epoch is announced.
fn check_that_only_told_losses_happened(events: &[Event]) {
    let (mut epoch, mut offset, mut was_reset) = (None, 0, false);
    let mut resets = 0;
    for event in events {
        match event {
            Event::Reset { .. } => {
                was_reset = true;
                resets += 1;
            }
            Event::Publication(publication) => {
                let position = publication.position;
                if epoch.is_some() && !was_reset {
                    assert_eq!(Some(position.epoch), epoch, "a new epoch was not announced");
                    assert_eq!(position.offset, offset + 1, "in epoch {epoch:?}");
                }
                epoch = Some(position.epoch);
                offset = position.offset;
                was_reset = false;
            }
            Event::End { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(resets > 0, "the server was killed, and its memory with it");
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_sends_its_clients_on() {
    let place = Place::new();
    let mut server = Server::start_at(&place.address).await;
    let client = connect(&server.url).await;
    let mut events = client.subscribe("job:1").await.unwrap();
    client.publish("job:1", &1).await.unwrap();
    assert_eq!(value(&mut events).await, 1);
    let mut bystander = support::socket::Socket::open(&server.address).await;
    bystander.subscribe("job:1", json!({})).await;
    bystander.expect("pub").await;
    server.terminate();
    bystander.expect("drain").await;
    until_state(&client, |state| *state != ConnectionState::Connected).await;
    let pending = client.enqueue("job:1", &2, Publish::default()).unwrap();
    eventually("the address to be free", async || {
        TcpStream::connect(&place.address).await.is_err()
    })
    .await;
    let successor = Server::start_at(&place.address).await;
    within("the pending publish", pending).await.unwrap();
    let mut seen = next(&mut events).await.unwrap();
    while !matches!(&seen, Event::Publication(publication) if publication.payload.as_str() == "2") {
        assert!(matches!(seen, Event::Reset { .. }), "{seen:?}");
        seen = next(&mut events).await.unwrap();
    }
    let fresh = connect(&successor.url).await;
    fresh.publish("job:1", &3).await.unwrap();
    assert_eq!(value(&mut events).await, 3);
    // A client that stays until the end of the grace period is closed then, and so is the server.
    assert_eq!(bystander.close_code().await, 1012);
    assert!(server.ended().await.success());
}

#[tokio::test]
async fn a_connection_that_breaks_is_resumed_with_nothing_lost_and_nothing_twice() {
    let (hub, address) = served_hub().await;
    let proxy = support::proxy::Proxy::start(&address).await;
    let client = connect(&proxy.address).await;
    let mut events = client.subscribe("a").await.unwrap();
    until_counts(&hub, 1, 1).await;
    let mut expected = 0;
    for _ in 0..5 {
        for number in 1..=20 {
            hub.publish("a", &(expected + number)).await.unwrap();
        }
        for _ in 0..10 {
            expected += 1;
            assert_eq!(value(&mut events).await, expected);
        }
        proxy.break_connections();
        for _ in 0..10 {
            expected += 1;
            assert_eq!(value(&mut events).await, expected);
        }
    }
    assert!(
        proxy.connections() > 1,
        "the connection was broken, and made anew"
    );
    eventually("the old connections to be forgotten", async || {
        hub.counts().await.unwrap().connections == 1
    })
    .await;
}
