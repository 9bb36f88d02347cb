//! Messages that are never completed: how much of the server's memory they may hold together.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::support::http::get;
use crate::support::last_word::{close_code_after, text};
use crate::support::socket::Socket;
use crate::support::{config, eventually, serve_by_own_loop};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;
use tidegate::Hub;
use tidegate::auth::JwtVerifier;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const SECRET: &[u8] = &[7; 32];

/// The room for all messages.
const ROOM: usize = 1_000_000;

/// A message of a fifth of the room for clients that have not authenticated.
const MESSAGE: usize = 100_000;

fn token() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let claims = json!({"exp": now.unwrap().as_secs() + 3600, "publish": ["**"]});
    encode(
        &Header::default(),
        &claims,
        &EncodingKey::from_secret(SECRET),
    )
    .unwrap()
}

async fn metric(address: &str, name: &str) -> usize {
    let metrics = get(address, "/metrics").await.body;
    let value = metrics.lines().find_map(|line| line.strip_prefix(name));
    let value = value.unwrap_or_else(|| panic!("no {name} in {metrics}"));
    value.trim().parse().unwrap()
}

#[tokio::test]
async fn strangers_hold_half_of_the_room_together_and_whoever_is_known_has_the_rest() {
    let mut config = config();
    let verifier = JwtVerifier::hs256(SECRET).unwrap();
    config.access.authenticate = Some(Arc::new(verifier));
    config.bodies_bytes_max = ROOM;
    config.frame_bytes_max = Some(ROOM / 2);
    // No client is closed for being slow.
    config.server.session.hello_timeout = Duration::from_secs(3_600);
    let hub = Hub::new(config).unwrap();
    let address = serve_by_own_loop(tidegate::axum::router(hub)).await;
    let mut known = Socket::open(&address).await;
    known.send(json!({"type": "hello", "token": token()})).await;

    let message = text(&"x".repeat(MESSAGE));
    let begun = message[..MESSAGE * 9 / 10].to_vec();
    let mut strangers = JoinSet::new();
    for _ in 0..20 {
        let (address, begun) = (address.clone(), begun.clone());
        strangers.spawn(async move {
            let stream = TcpStream::connect(address).await.unwrap();
            close_code_after(stream, &[begun]).await
        });
    }
    // Clients for whom there is no room get an error; the others wait.
    let closed = r#"tidegate_closed_total{reason="no_room"}"#;
    let held = async || metric(&address, "tidegate_bodies_bytes").await;
    eventually("as many as have no room", async || {
        let (closed, held) = (metric(&address, closed).await, held().await);
        assert!(held <= ROOM / 2, "{held}");
        closed == 15 && held == 5 * begun.len()
    })
    .await;
    for _ in 0..15 {
        assert_eq!(strangers.join_next().await.unwrap().unwrap(), Ok(1013));
    }
    let large = json!({"type": "publish", "ref": 1, "topic": "a", "data": "y".repeat(4 * MESSAGE)});
    known.send(large).await;
    known.expect("published").await;
    drop(strangers);
    eventually("their room", async || held().await == 0).await;
}
