//! The server's last message reaches a client that is still sending when the server closes.

use std::sync::Arc;

use crate::support::last_word::{close_code_after, text};
use crate::support::{config, serve, served_hub, until_counts};
use serde_json::json;
use tidegate::Hub;
use tidegate::auth::JwtVerifier;
use tokio::net::TcpStream;

/// How often each is tried, because losses happen by chance.
const TIMES: usize = 50;

/// A server that requires tokens.
async fn asking() -> (Hub, String) {
    let mut config = config();
    let verifier = JwtVerifier::hs256(&[7; 32]).unwrap();
    config.access.authenticate = Some(Arc::new(verifier));
    let hub = Hub::new(config).unwrap();
    let address = serve(tidegate::axum::router(hub.clone())).await;
    (hub, address)
}

/// An invalid token, and frames after it.
fn refused() -> Vec<Vec<u8>> {
    let hello = json!({"type": "hello", "token": "a.b.c"});
    let frames =
        (0..3).map(|number| json!({"type": "subscribe", "pattern": format!("job:{number}")}));
    let frames = std::iter::once(hello).chain(frames);
    frames.map(|frame| text(&frame.to_string())).collect()
}

async fn try_often(address: &str, parts: &[Vec<u8>], code: u16) {
    let mut lost = Vec::new();
    for _ in 0..TIMES {
        let stream = TcpStream::connect(address).await.unwrap();
        let told = close_code_after(stream, parts).await;
        if told != Ok(code) {
            lost.push(told);
        }
    }
    assert!(lost.is_empty(), "{} of {TIMES}: {:?}", lost.len(), lost[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_shows_no_good_token_and_goes_on_is_told_why_it_ends() {
    let (hub, address) = asking().await;
    try_often(&address, &refused(), 4401).await;
    // A client that got the last message no longer counts.
    until_counts(&hub, 0, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sends_too_much_is_told_so_when_it_has_been_sent() {
    let (_hub, address) = served_hub().await;
    try_often(&address, &[text(&"x".repeat(4_000_000))], 1009).await;
}
