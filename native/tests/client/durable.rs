//! Devices that disconnect and come back, while servers in separate processes are stopped and killed.
#![cfg(all(feature = "postgres", feature = "redis", feature = "sqlite"))]

use std::collections::BTreeSet;

use crate::servers::postgres::PostgresServer;
use crate::servers::redis::RedisServer;
use crate::support::program::{Server, finish, program};
use crate::support::socket::Socket;
use crate::support::within;
use futures_util::StreamExt as _;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tidegate::client::ClientSubscription;
use tidegate::core::durable::DurableName;
use tidegate::{Client, Event, Publish, Subscribe};
use tokio::io::{AsyncBufReadExt as _, BufReader};

async fn serve(backend: &str) -> Server {
    let listen = ["serve", "--listen", "127.0.0.1:0", "--backend", backend];
    Server::start_with(program(&listen)).await
}

struct Device {
    client: Client,
    events: ClientSubscription,
    seen: Vec<u64>,
}

impl Device {
    async fn at(server: &Server) -> Self {
        Self::of(server, "user:7").await
    }

    async fn of(server: &Server, to: &str) -> Self {
        let client = Client::start(&server.url).unwrap();
        let name = DurableName::new("phone-6b1f").unwrap();
        let options = Subscribe::durable(name);
        let events = client.subscribe_with(to, options).await.unwrap();
        Self {
            client,
            events,
            seen: Vec::new(),
        }
    }

    /// Processes what comes, up to this number.
    async fn deal_with_all_up_to(&mut self, last: u64) {
        while self.seen.last() != Some(&last) {
            match within("the next one", self.events.next()).await {
                Some(Event::Publication(publication)) => {
                    self.seen.push(publication.payload.parse().unwrap());
                }
                Some(Event::Stale | Event::Live) => {}
                other => panic!("{other:?} after {:?}", self.seen),
            }
        }
        self.events.handled();
    }

    async fn leave(self) {
        drop(self.events);
        self.client.close_flushed().await.unwrap();
    }
}

async fn publish(server: &Server, numbers: std::ops::RangeInclusive<u64>) {
    let client = Client::start(&server.url).unwrap();
    for number in numbers {
        within("publishing", client.publish("user:7", &number))
            .await
            .unwrap();
    }
}

/// A server that is stopped stores what was acknowledged; its successor continues exactly there.
async fn goes_on_at_the_successor(backend: &str) {
    let mut first = serve(backend).await;
    let mut device = Device::at(&first).await;
    publish(&first, 1..=3).await;
    device.deal_with_all_up_to(3).await;
    device.leave().await;
    publish(&first, 4..=5).await;
    first.terminate();
    first.ended().await;

    let second = serve(backend).await;
    publish(&second, 6..=6).await;
    let mut device = Device::at(&second).await;
    device.deal_with_all_up_to(6).await;
    assert_eq!(device.seen, [4, 5, 6]);
}

/// A server that is killed loses what it has not stored: that is delivered again, and nothing is missing.
async fn misses_nothing(backend: &str) {
    let mut server = serve(backend).await;
    // From here on everything is to reach the device.
    let mut device = Device::at(&server).await;
    publish(&server, 1..=1).await;
    device.deal_with_all_up_to(1).await;
    device.leave().await;
    let mut seen = BTreeSet::from([1]);
    for round in 0..4_u64 {
        let numbers = (2 + 10 * round)..=(11 + 10 * round);
        let mut device = Device::at(&server).await;
        publish(&server, numbers.clone()).await;
        // The device dies in the middle, and so does the server.
        device.deal_with_all_up_to(numbers.start() + 4).await;
        seen.extend(&device.seen);
        server.kill().await;
        drop(device);
        server = serve(backend).await;
    }
    let mut device = Device::at(&server).await;
    publish(&server, 42..=42).await;
    device.deal_with_all_up_to(42).await;
    let last_life = device.seen.clone();
    let in_order = last_life.windows(2).all(|pair| pair[0] + 1 == pair[1]);
    assert!(in_order, "each once, in order: {last_life:?}");
    seen.extend(last_life);
    assert_eq!(seen, (1..=42).collect());
}

#[tokio::test]
async fn a_device_misses_nothing_when_servers_at_a_file_stop_and_are_killed() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
    goes_on_at_the_successor(&file("stopped.db")).await;
    misses_nothing(&file("killed.db")).await;
}

#[tokio::test]
async fn a_device_misses_nothing_when_servers_at_a_redis_stop_and_are_killed() {
    let redis = RedisServer::start();
    goes_on_at_the_successor(&redis.url()).await;
    redis.cli(&["FLUSHALL"]);
    misses_nothing(&redis.url()).await;
}

#[tokio::test]
async fn a_device_misses_nothing_when_servers_at_a_postgres_stop_and_are_killed() {
    let postgres = PostgresServer::start();
    goes_on_at_the_successor(&format!("{}&table=stopped", postgres.patient_url())).await;
    misses_nothing(&format!("{}&table=killed", postgres.patient_url())).await;
}

/// The publication that ends a topic is processed like all others.
#[tokio::test]
async fn a_terminal_publication_is_acknowledged_too() {
    let server = serve("memory").await;
    let mut device = Device::at(&server).await;
    publish(&server, 1..=1).await;
    let client = Client::start(&server.url).unwrap();
    let complete = Publish::end("complete".parse().unwrap());
    let ending = client.publish_with("user:7", &2, complete);
    within("publishing", ending).await.unwrap();
    device.deal_with_all_up_to(2).await;
    let end = within("the end", device.events.next()).await;
    assert!(matches!(end, Some(Event::End { .. })), "{end:?}");
    device.leave().await;

    let mut device = Device::at(&server).await;
    let end = within("the end", device.events.next()).await;
    assert!(matches!(end, Some(Event::End { .. })), "{end:?}");
}

/// The server stops, and another one takes its place.
async fn restarted(mut server: Server, backend: &str) -> Server {
    server.terminate();
    server.ended().await;
    serve(backend).await
}

/// A device that was away when a topic began, ended and began anew learns that it has missed something of it.
#[tokio::test]
async fn a_device_is_told_of_what_began_and_ended_in_its_absence() {
    let folder = tempfile::tempdir().unwrap();
    let backend = format!("sqlite:{}", folder.path().join("topics.db").display());
    let server = serve(&backend).await;
    let mut device = Device::of(&server, "task:*").await;
    let client = Client::start(&server.url).unwrap();
    within("publishing", client.publish("task:1", &1))
        .await
        .unwrap();
    device.deal_with_all_up_to(1).await;
    device.leave().await;
    for (to, number) in [("task:2", 2), ("task:3", 3), ("task:3", 4)] {
        let complete = Publish {
            end: Some("complete".parse().unwrap()),
            restart: true,
            ..Publish::default()
        };
        let ending = client.publish_with(to, &number, complete);
        within("publishing", ending).await.unwrap();
    }
    drop(client);

    let server = restarted(server, &backend).await;
    let mut device = Device::of(&server, "task:*").await;
    let mut told = Vec::new();
    while told.len() < 3 {
        match within("what was missed", device.events.next()).await {
            Some(Event::Publication(known)) => {
                told.push(format!("{} {}", known.topic, known.payload))
            }
            Some(Event::Reset { topic, .. }) => told.push(format!("{topic} reset")),
            Some(Event::Stale | Event::Live) => {}
            other => panic!("{other:?} after {told:?}"),
        }
    }
    assert_eq!(told, ["task:2 2", "task:3 reset", "task:3 4"]);
}

/// What the command has printed counts as processed, even if it is interrupted.
#[cfg(unix)]
#[tokio::test]
async fn the_command_goes_on_after_what_it_has_printed() {
    let folder = tempfile::tempdir().unwrap();
    let backend = format!("sqlite:{}", folder.path().join("topics.db").display());
    let server = serve(&backend).await;
    let sub = |server: &Server, more: &[&str]| {
        let device = ["sub", "user:7", "--durable", "desk-92c4", "--server"];
        let mut command = program(&device);
        command.arg(&server.url).args(more);
        command.spawn().unwrap()
    };
    publish(&server, 1..=2).await;
    let first = finish(sub(&server, &["-n", "1"])).await;
    assert_eq!(
        (first.code, &*first.stdout),
        (0, "user:7 #2 2\n"),
        "{first:?}"
    );
    publish(&server, 3..=5).await;
    let mut server = restarted(server, &backend).await;
    publish(&server, 6..=6).await;
    let second = finish(sub(&server, &["-n", "3"])).await;
    let expected = "user:7 #3 3\nuser:7 #4 4\nuser:7 #5 5\n";
    assert_eq!(second.stdout, expected, "{second:?}");

    // Interrupted again and again as soon as it has printed: it must not matter what it was about to do then.
    for number in 6..=15 {
        let mut third = sub(&server, &[]);
        let mut lines = BufReader::new(third.stdout.take().unwrap()).lines();
        let line = within("a line", lines.next_line()).await.unwrap();
        assert_eq!(line, Some(format!("user:7 #{number} {number}")));
        let pid = i32::try_from(third.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::INT).unwrap();
        assert_eq!(finish(third).await.code, 0);
        publish(&server, number + 1..=number + 1).await;
    }
    server = restarted(server, &backend).await;
    let last = finish(sub(&server, &["-n", "1"])).await;
    assert_eq!(last.stdout, "user:7 #16 16\n", "{last:?}");
}

/// The frames, as a third-party client writes them.
#[tokio::test]
async fn a_plain_client_acknowledges_and_forgets() {
    let server = serve("memory").await;
    let subscribe = json!({"type": "subscribe", "pattern": "user:7", "durable": "tablet"});
    let mut socket = Socket::open(&server.address).await;
    socket.send(subscribe.clone()).await;
    socket.expect("subscribed").await;
    publish(&server, 1..=3).await;
    let first = socket.expect("pub").await;
    socket.expect("pub").await;
    socket.expect("pub").await;
    let position = json!({"topic": "user:7", "epoch": first["epoch"], "offset": first["offset"]});
    let ack = json!({"type": "ack", "pattern": "user:7", "positions": [position]});
    socket.send(ack).await;
    socket.send(json!({"type": "ping"})).await;
    socket.expect("pong").await;
    drop(socket);

    let mut socket = Socket::open(&server.address).await;
    socket.send(subscribe.clone()).await;
    let subscribed = socket.expect("subscribed").await;
    assert_eq!(subscribed["recovered"], true);
    assert_eq!(socket.expect("pub").await["data"], 2);
    assert_eq!(socket.expect("pub").await["data"], 3);
    socket
        .send(json!({"type": "forget", "pattern": "user:7"}))
        .await;
    socket.expect("unsubscribed").await;
    socket.send(subscribe).await;
    socket.expect("subscribed").await;
    // As if it had never been there: the latest.
    assert_eq!(socket.expect("pub").await["data"], 3);
    socket.send(json!({"type": "ping"})).await;
    socket.expect("pong").await;

    let no_name = json!({"type": "subscribe", "pattern": "user:8", "durable": ""});
    socket.send(no_name).await;
    assert_eq!(socket.expect("error").await["code"], "bad_frame");
}
