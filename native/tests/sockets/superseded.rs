//! A browser's connection that is replaced by another one, at another shard or another server.

use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::support::socket::Socket;
use crate::support::{config, serve, until_counts};
use serde_json::{Value, json};
use tidegate::backend::{Keep, Memory};
use tidegate::{Config, Hub};

fn hello(term: u64) -> Value {
    json!({"type": "hello", "group": "b1946ac92492d234", "term": term, "tab": 7})
}

/// Opens a connection of this term, which is established when this returns.
async fn opened(address: &str, term: u64) -> Socket {
    let mut socket = Socket::open(address).await;
    socket.send(hello(term)).await;
    socket.subscribe("job:1", json!({})).await;
    socket
}

async fn is_superseded(mut socket: Socket) {
    let error = socket.expect("error").await;
    assert_eq!(error["code"], "superseded", "{error}");
    assert_eq!(error["fatal"], true, "{error}");
}

#[tokio::test]
async fn a_later_term_ends_a_connection_whichever_shard_has_it() {
    let hub = Hub::new(Config {
        shards: NonZeroUsize::new(3).unwrap(),
        ..Config::default()
    });
    let hub = hub.unwrap();
    let address = serve(tidegate::axum::router(hub.clone())).await;
    let mut last = opened(&address, 1).await;
    // Each goes to the shard with the fewest connections: to every one of them in turn.
    for term in 2..=7 {
        let next = opened(&address, term).await;
        is_superseded(std::mem::replace(&mut last, next)).await;
        until_counts(&hub, 1, 1).await;
    }
}

#[tokio::test]
async fn a_later_term_at_another_server_ends_a_connection_and_an_earlier_one_gives_way() {
    let topics = Memory::new(Keep::default());
    let server = async || {
        let backend = Arc::new(topics.share());
        let hub = Hub::with_backend(config(), backend).unwrap();
        let address = serve(tidegate::axum::router(hub.clone())).await;
        (hub, address)
    };
    let ((_one, first), (_other, second)) = (server().await, server().await);
    let frozen = opened(&first, 1).await;
    let leading = opened(&second, 3).await;
    is_superseded(frozen).await;
    let late = opened(&first, 2).await;
    is_superseded(late).await;
    let mut leading = leading;
    leading.send(json!({"type": "ping"})).await;
    leading.expect("pong").await;
}
