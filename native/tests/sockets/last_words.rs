//! The server's last message reaches a client that is still sending when the server closes, and one that reads slowly.

use std::sync::Arc;

use crate::support::certificates::trusting_self_signed;
use crate::support::last_word::{close_code_after, text};
use crate::support::socket::Socket;
use crate::support::{config, serve, served_hub, until_counts, within};
use serde_json::json;
use tidegate::Hub;
use tidegate::auth::{Authenticate, Authenticating, Credentials, Identity, JwtVerifier};
use tidegate::serve::{ServeConfig, Server, Tls};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

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

/// Lets everyone in as the same user.
struct Ada;

impl Authenticate for Ada {
    fn authenticate(&self, _: Credentials) -> Authenticating<'_> {
        Box::pin(async {
            Ok(Identity {
                user: Some("ada".into()),
                subscribe: vec!["**".parse().unwrap()],
                ..Identity::default()
            })
        })
    }
}

/// More than the small buffers of a connection hold, and less than waits for a connection.
const PUBLICATIONS: usize = 40;
const FILLING_BYTES: usize = 8 * 1024;

/// A server whose connections have small buffers.
async fn of_small_buffers(tls: Option<Tls>) -> (Hub, String) {
    let mut config = config();
    config.access.authenticate = Some(Arc::new(Ada));
    let hub = Hub::new(config).unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(16 * 1024).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener: TcpListener = socket.listen(8).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = Server::new(ServeConfig::default());
    let server = match tls {
        Some(tls) => server.listen_tls(listener, tls),
        None => server.listen(listener),
    };
    tokio::spawn(server.run(tidegate::axum::router(hub.clone()), std::future::pending()));
    (hub, address)
}

async fn small_stream(address: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    socket.connect(address.parse().unwrap()).await.unwrap()
}

/// A client that has read nothing when it is disconnected gets what was on its way, and then the reason.
async fn is_told_late<S: AsyncRead + AsyncWrite + Unpin>(hub: &Hub, stream: S) {
    let mut socket = Socket::over(stream).await;
    socket.send(json!({"type": "hello"})).await;
    socket.subscribe("job:1", json!({})).await;
    let filling = "x".repeat(FILLING_BYTES);
    for number in 0..PUBLICATIONS {
        let data = json!({"n": number, "filling": filling});
        hub.publish("job:1", &data).await.unwrap();
    }
    assert_eq!(hub.disconnect("ada").await.unwrap().here, 1);
    until_counts(hub, 0, 0).await;
    let mut read = 0;
    let error = loop {
        let frame = socket.next().await;
        if frame["type"] != "pub" {
            break frame;
        }
        assert_eq!(frame["data"]["n"], read);
        read += 1;
    };
    assert!(read < PUBLICATIONS, "the client's buffers held everything");
    assert_eq!(error["code"], "disconnected", "{error}");
    assert_eq!(error["fatal"], true, "{error}");
    assert_eq!(socket.close_code().await, 4410);
}

#[tokio::test]
async fn whoever_reads_slowly_is_told_why_it_ends() {
    let (hub, address) = of_small_buffers(None).await;
    is_told_late(&hub, small_stream(&address).await).await;
}

#[tokio::test]
async fn whoever_reads_slowly_behind_tls_is_told_why_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, trusting) = trusting_self_signed(folder.path());
    let (hub, address) = of_small_buffers(Some(tls)).await;
    let stream = small_stream(&address).await;
    let name = "127.0.0.1".try_into().unwrap();
    let stream = within("a handshake", trusting.connect(name, stream)).await;
    is_told_late(&hub, stream.unwrap()).await;
}
