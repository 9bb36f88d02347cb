//! How a server stops with its hub.

use std::sync::Arc;
use std::time::Duration;

use crate::support::events::Events;
use crate::support::http::get;
use crate::support::socket::Socket;
use crate::support::{config, until_counts, within};
use axum::Router;
use axum::routing;
use futures_util::StreamExt as _;
use tidegate::Hub;
use tidegate::serve::{ServeConfig, Server};
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

/// A server that runs with its hub until it is told to stop.
struct Running {
    address: String,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Running {
    async fn start(hub: &Hub, app: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = Server::new(ServeConfig::default()).listen(listener);
        let (stop, told) = oneshot::channel::<()>();
        let hub = hub.clone();
        let serving = tokio::spawn(async move {
            let told = async {
                let _ = told.await;
            };
            server.run_with_hub(app, &hub, told).await;
        });
        Self {
            address,
            stop,
            serving,
        }
    }
}

#[tokio::test]
async fn a_server_waits_for_its_clients_and_not_for_what_its_own_process_reads() {
    let mut config = config();
    // Too long to be reached in the test.
    config.server.session.drain_grace = Duration::from_secs(3_600);
    config.server.session.drain_window = Duration::from_millis(1);
    let hub = Hub::new(config).unwrap();
    let Running {
        address,
        stop,
        mut serving,
    } = Running::start(&hub, tidegate::axum::router(hub.clone())).await;
    let mut own = hub.subscribe("job:*").await.unwrap();
    let mut client = Socket::open(&address).await;
    let stream = Events::open(&address, "topic=job:1").await;
    until_counts(&hub, 3, 2).await;
    stop.send(()).unwrap();
    client.expect("drain").await;
    assert_eq!(stream.rest().await, Vec::new());
    until_counts(&hub, 2, 1).await;
    hub.publish("job:1", &1).await.unwrap();
    assert!(
        own.next().await.is_some(),
        "it reads on while there are clients"
    );
    assert!(!serving.is_finished(), "a client is there");
    drop(client);
    within("the server to stop", &mut serving).await.unwrap();
    assert!(own.next().await.is_none(), "the hub has stopped");
}

/// How often a request of the test publishes after the server was told to stop, and how long it waits in between. Together this is far
/// longer than a server takes to stop that waits for nothing.
const PUBLISHES: u32 = 100;
const BETWEEN: Duration = Duration::from_millis(5);

#[tokio::test]
async fn a_request_that_is_under_way_finds_the_hub_as_ever_until_it_is_answered() {
    let hub = Hub::new(config()).unwrap();
    let (entered, told) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (at, go, own) = (entered.clone(), told.clone(), hub.clone());
    let slow = async move || {
        at.notify_one();
        go.notified().await;
        let mut turns = tokio::time::interval(BETWEEN);
        for number in 0..PUBLISHES {
            turns.tick().await;
            if let Err(error) = own.publish("job:1", &number).await {
                return format!("{number}: {error}");
            }
        }
        "published".to_owned()
    };
    let app = Router::new().route("/slow", routing::get(slow));
    let running = Running::start(&hub, app).await;
    let address = running.address;
    let answer = tokio::spawn(async move { get(&address, "/slow").await });
    within("the request", entered.notified()).await;
    running.stop.send(()).unwrap();
    told.notify_one();
    let answer = answer.await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "published"));
    within("the server to stop", running.serving).await.unwrap();
    assert!(
        hub.publish("job:1", &0).await.is_err(),
        "the hub has stopped"
    );
}

#[tokio::test]
async fn a_request_that_waits_for_the_hub_holds_it_up_for_the_grace_only() {
    let mut config = config();
    config.server.session.drain_grace = Duration::from_millis(50);
    let hub = Hub::new(config).unwrap();
    let entered = Arc::new(Notify::new());
    let (at, own) = (entered.clone(), hub.clone());
    let waiting = async move || {
        let mut events = own.subscribe("job:1").await.unwrap();
        at.notify_one();
        format!("{:?}", events.next().await)
    };
    let app = Router::new().route("/waiting", routing::get(waiting));
    let running = Running::start(&hub, app).await;
    let address = running.address;
    let answer = tokio::spawn(async move { get(&address, "/waiting").await });
    within("the request", entered.notified()).await;
    running.stop.send(()).unwrap();
    assert_eq!(answer.await.unwrap().body, "None", "its stream has ended");
    within("the server to stop", running.serving).await.unwrap();
}
