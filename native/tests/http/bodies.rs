//! Whose bodies are read, and how much of them at a time.

use std::sync::Arc;

use crate::support::http::{self, publish};
use crate::support::{config, eventually, serve, serve_by_own_loop, within};
use serde_json::json;
use tidegate::auth::{AuthError, Authenticate, Authenticating, Credentials, Identity};
use tidegate::{Config, Hub};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Accepts every token, and lets nobody publish.
struct Readers;

impl Authenticate for Readers {
    fn authenticate(&self, shown: Credentials) -> Authenticating<'_> {
        let token = shown.token.ok_or(AuthError::Missing);
        Box::pin(std::future::ready(token.map(|_| Identity::default())))
    }
}

async fn served(change: impl FnOnce(&mut Config)) -> String {
    let mut config = config();
    change(&mut config);
    let hub = Hub::new(config).unwrap();
    serve(tidegate::axum::router(hub)).await
}

/// Sends the head of a request to publish, and this part of its body.
async fn begin(address: &str, headers: &str, announced: usize, body: &str) -> TcpStream {
    let head = format!(
        "POST /publish HTTP/1.1\r\nHost: {address}\r\n{headers}Content-Length: {announced}\r\n\r\n{body}"
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// The status of the answer to a request whose body is incomplete.
async fn status(mut stream: TcpStream) -> u16 {
    let mut head = [0; 13];
    within("an answer", stream.read_exact(&mut head))
        .await
        .unwrap();
    http::status(std::str::from_utf8(&head).unwrap())
}

#[tokio::test]
async fn nothing_is_read_of_whoever_may_not_publish() {
    let asking = served(|config| config.access.authenticate = Some(Arc::new(Readers))).await;
    let nobody = begin(&asking, "", 1 << 20, "").await;
    assert_eq!(status(nobody).await, 401);
    let reader = begin(&asking, "Authorization: Bearer x\r\n", 1 << 20, "").await;
    assert_eq!(status(reader).await, 403);
    let open = served(|_| {}).await;
    let page = format!("Origin: http://{open}\r\n");
    assert_eq!(status(begin(&open, &page, 1 << 20, "").await).await, 403);
    let large = begin(&open, "", 1 << 30, "").await;
    assert_eq!(status(large).await, 413);
}

#[tokio::test]
async fn bodies_have_so_much_room_together_and_whoever_leaves_gives_it_back() {
    let address = served(|config| {
        config.frame_bytes_max = Some(1_000);
        config.bodies_bytes_max = 1_500;
    })
    .await;
    let publish = async || {
        let body = json!({ "topic": "job:1", "data": "x".repeat(600) });
        publish(&address, &body).await
    };
    // An announced length takes no room.
    let mut announced = Vec::new();
    for _ in 0..3 {
        announced.push(begin(&address, "", 1_000, "").await);
    }
    assert_eq!(publish().await.status, 200);
    let held = begin(&address, "", 1_000, &"x".repeat(990)).await;
    eventually("the body to be held", async || {
        publish().await.status == 503
    })
    .await;
    assert_eq!(publish().await.error(), (503, "unavailable".into()));
    drop(held);
    eventually("its room", async || publish().await.status == 200).await;
}

/// Sends a body to its end that is refused because of its announced length, and only then reads, as simple clients do.
async fn told_afterwards(address: &str, bytes: usize) -> Result<u16, std::io::Error> {
    let mut stream = begin(address, "", bytes, "").await;
    stream.write_all(&vec![b'x'; bytes]).await?;
    let mut answer = String::new();
    within("the end", stream.read_to_string(&mut answer)).await?;
    Ok(http::status(&answer))
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_reads_only_after_sending_all_is_told_that_it_was_too_much() {
    let hub = Hub::new(config()).unwrap();
    let address = serve_by_own_loop(tidegate::axum::router(hub)).await;
    for _ in 0..20 {
        assert_eq!(told_afterwards(&address, 20_000_000).await.unwrap(), 413);
    }
}
