//! How a server stops with its hub.

use std::time::Duration;

use crate::support::events::Events;
use crate::support::socket::Socket;
use crate::support::{config, until_counts, within};
use futures_util::StreamExt as _;
use tidegate::Hub;
use tidegate::serve::{ServeConfig, Server};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

#[tokio::test]
async fn a_server_waits_for_its_clients_and_not_for_what_its_own_process_reads() {
    let mut config = config();
    // Nobody has the patience to see it reached.
    config.server.session.drain_grace = Duration::from_secs(3_600);
    config.server.session.drain_window = Duration::from_millis(1);
    let hub = Hub::new(config).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = Server::new(ServeConfig::default()).listen(listener);
    let app = tidegate::axum::router(hub.clone());
    let (stop, told) = oneshot::channel::<()>();
    let served = hub.clone();
    let mut serving = tokio::spawn(async move {
        let told = async {
            let _ = told.await;
        };
        server.run_with_hub(app, &served, told).await;
    });
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
