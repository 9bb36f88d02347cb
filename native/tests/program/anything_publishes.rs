//! What `redis-cli` and `psql` publish arrives at the clients of every server, once, with offsets and history.
#![cfg(all(feature = "postgres", feature = "redis"))]

use crate::servers::postgres::PostgresServer;
use crate::servers::redis::RedisServer;
use crate::support::program::{Server, program};
use crate::support::{eventually, within};
use futures_util::StreamExt as _;
use tidegate::client::ClientSubscription;
use tidegate::core::lifecycle::EndReason;
use tidegate::core::protocol::{Start, TopicPosition};
use tidegate::core::publication::Position;
use tidegate::core::topic::Topic;
use tidegate::{Client, Event, Publication, Subscribe};

/// A `tidegate serve` of its own that has reached its backend, and a client of it.
struct Served {
    client: Client,
    /// Ends when it is dropped.
    _server: Server,
}

impl Served {
    async fn at(backend: &str) -> Self {
        let listen = ["serve", "--listen", "127.0.0.1:0", "--backend", backend];
        let server = Server::start_with(program(&listen)).await;
        let client = Client::connect(&server.url).await.unwrap();
        // It is stored once the link is open.
        client.publish("ready", &1).await.unwrap();
        Self {
            client,
            _server: server,
        }
    }
}

/// Everything that comes after a position.
async fn follow(client: &Client, topic: &str, position: Position) -> ClientSubscription {
    let topic = Topic::new(topic).unwrap();
    let since = vec![TopicPosition {
        topic: topic.clone(),
        position,
    }];
    let options = Subscribe {
        start: Start::Since(since),
        ..Subscribe::default()
    };
    client
        .subscribe_with(topic.as_str(), options)
        .await
        .unwrap()
}

async fn publication(events: &mut ClientSubscription) -> Publication {
    match within("a publication", events.next()).await {
        Some(Event::Publication(publication)) => publication,
        other => panic!("{other:?} instead of a publication"),
    }
}

/// Twenty values and an end, published by `publish`, reach the clients of all servers in order and once, also late ones. `until_heard`
/// waits until the servers receive what is published.
async fn all_arrives(
    servers: &[Served],
    topic: &str,
    until_heard: impl AsyncFnOnce(),
    publish: impl Fn(&str),
) {
    let mut watching = Vec::new();
    for Served { client, .. } in servers {
        watching.push(follow(client, topic, Position::default()).await);
    }
    until_heard().await;
    let values: Vec<String> = (1..=20)
        .map(|n| format!(r#"{{"progress": {n}, "note": "größer"}}"#))
        .collect();
    values.iter().for_each(|value| publish(value));
    let last = r#"{"status": "complete"}"#;
    publish(last);
    let mut epochs = Vec::new();
    for events in &mut watching {
        for (offset, value) in (1..).zip(&values) {
            let heard = publication(events).await;
            assert_eq!(
                (heard.position.offset, heard.payload.as_str()),
                (offset, value.as_str())
            );
            epochs.push(heard.position.epoch);
        }
        ends(events, last, 21).await;
    }
    assert!(epochs.iter().all(|epoch| *epoch == epochs[0]), "{epochs:?}");
    for Served { client, .. } in servers {
        let seen = Position {
            epoch: epochs[0],
            offset: 15,
        };
        let mut resumed = follow(client, topic, seen).await;
        for value in &values[15..] {
            assert_eq!(publication(&mut resumed).await.payload.as_str(), value);
        }
        ends(&mut resumed, last, 21).await;
        ends(&mut client.subscribe(topic).await.unwrap(), last, 21).await;
    }
}

/// The terminal publication arrives, then the end, then nothing.
async fn ends(events: &mut ClientSubscription, last: &str, offset: u64) {
    let heard = publication(events).await;
    assert_eq!(
        (heard.position.offset, heard.payload.as_str()),
        (offset, last)
    );
    assert_eq!(heard.end, Some(EndReason::Complete));
    let reason = EndReason::Complete;
    assert_eq!(
        within("the end", events.next()).await,
        Some(Event::End { reason })
    );
    assert_eq!(within("the close", events.next()).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_redis_cli_publishes_arrives_through_two_servers() {
    let redis = RedisServer::start();
    let servers = [
        Served::at(&redis.url()).await,
        Served::at(&redis.url()).await,
    ];
    all_arrives(
        &servers,
        "job:42",
        async || {},
        |value| {
            redis.cli(&["publish", "tidegate:job:42", value]);
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_redis_cli_publishes_without_a_prefix_arrives_through_two_servers() {
    let redis = RedisServer::start();
    let url = format!("{}?prefix=", redis.url());
    let servers = [Served::at(&url).await, Served::at(&url).await];
    // Without a prefix, servers receive what somebody follows.
    let both_listen = async || {
        eventually("both to listen", async || {
            let listening = redis.cli(&["pubsub", "numsub", "run_events"]);
            listening.ends_with('2')
        })
        .await;
    };
    all_arrives(&servers, "run_events", both_listen, |value| {
        redis.cli(&["publish", "run_events", value]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_psql_inserts_arrives_through_two_servers() {
    let postgres = PostgresServer::start();
    let servers = [
        Served::at(&postgres.patient_url()).await,
        Served::at(&postgres.patient_url()).await,
    ];
    all_arrives(
        &servers,
        "dashboard_updates",
        async || {},
        |value| {
            postgres.sql(&format!(
                "INSERT INTO pubsub_events (channel, data) VALUES ('dashboard_updates', '{value}')"
            ));
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_psql_inserts_into_an_applications_own_table_arrives() {
    let postgres = PostgresServer::start();
    postgres.sql(
        "CREATE TABLE pubsub_events (id serial PRIMARY KEY, channel varchar(255) NOT NULL, data json NOT NULL, \
         created_at timestamp NOT NULL DEFAULT now())",
    );
    let insert = |value: &str| {
        postgres.sql(&format!(
            "INSERT INTO pubsub_events (channel, data) VALUES ('task:7', '{value}')"
        ));
    };
    insert(r#"{"from": "before"}"#);
    let servers = [Served::at(&postgres.patient_url()).await];
    all_arrives(&servers, "task:7", async || {}, insert).await;
    assert_eq!(
        postgres.sql("SELECT count(*) FROM pubsub_events WHERE channel = 'task:7'"),
        "22"
    );
}
