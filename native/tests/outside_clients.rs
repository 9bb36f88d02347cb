//! Third-party clients against the program: what docs/PROTOCOL.md says is enough for them.
//!
//! `cargo xtask test` installs them. Chromium's own `WebSocket` and `EventSource` are among the tests of the npm
//! package.
#![cfg(feature = "sqlite")]

mod support;

#[path = "outside/clients.rs"]
mod clients;

use std::path::Path;

use clients::{Client, Kind};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use support::http::{publish, request};
use support::place::Place;
use support::program::{Server, program};
use support::proxy::Proxy;
use support::within;
use tidegate::Publish;
use tidegate::core::lifecycle::EndReason;

const SECRET: &str = "a secret of at least thirty-two bytes";

/// The size of a publication's filling: large, so that few publications fill the kernel's buffers.
const FILLING_BYTES: usize = 512 * 1024;

/// More than the server's end of a connection and the outbox hold together.
const PUBLICATIONS: u64 = 16;

async fn serve(listen: &str, folder: &Path) -> Server {
    let backend = format!("sqlite:{}", folder.join("topics.db").display());
    let arguments = ["serve", "--backend", &backend, "--listen", listen];
    Server::start_with(program(&arguments)).await
}

async fn tell(server: &Server, topic: &str, data: Value) {
    let answer = publish(&server.address, &json!({"topic": topic, "data": data})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Live publications, a server that is killed, what was missed meanwhile, and the end.
async fn a_job_is_followed_to_its_end(kind: Kind) {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new();
    let mut server = serve(&place.address, folder.path()).await;
    tell(&server, "job:42", json!(1)).await;
    let mut client = Client::start(kind, &server.address, "job:42").await;
    assert_eq!(
        client.publication().await,
        json!(1),
        "the latest comes first"
    );
    for number in 2..=3 {
        tell(&server, "job:42", json!(number)).await;
        assert_eq!(client.publication().await, json!(number));
    }
    server.kill().await;
    let server = serve(&place.address, folder.path()).await;
    for number in 4..=5 {
        tell(&server, "job:42", json!(number)).await;
    }
    client.connect_again().await;
    // Neither lost nor repeated, whether it was connected by then or not.
    assert_eq!(client.publication().await, json!(4), "{kind:?}");
    assert_eq!(client.publication().await, json!(5), "{kind:?}");
    let last = json!({"topic": "job:42", "data": 6, "end": "complete"});
    assert_eq!(publish(&server.address, &last).await.status, 200);
    let terminal = client.expect("pub").await;
    assert_eq!(
        (&terminal["data"], &terminal["end"]),
        (&json!(6), &json!("complete"))
    );
    assert_eq!(client.expect("end").await["reason"], "complete");
    assert_eq!(client.status().await, 0, "it knows that nothing is to come");
    let mut late = Client::start(kind, &server.address, "job:42").await;
    assert_eq!(late.publication().await, json!(6));
    late.expect("end").await;
    assert_eq!(late.status().await, 0);
}

#[tokio::test]
async fn a_job_is_followed_to_its_end_by_websockets() {
    a_job_is_followed_to_its_end(Kind::Websockets).await;
}

#[tokio::test]
async fn a_job_is_followed_to_its_end_by_httpx_sse() {
    a_job_is_followed_to_its_end(Kind::HttpxSse).await;
}

#[tokio::test]
async fn a_job_is_followed_to_its_end_by_sseclient() {
    a_job_is_followed_to_its_end(Kind::Sseclient).await;
}

#[tokio::test]
async fn a_job_is_followed_to_its_end_by_curl() {
    a_job_is_followed_to_its_end(Kind::Curl).await;
}

#[tokio::test]
async fn a_job_is_followed_to_its_end_by_websocat() {
    a_job_is_followed_to_its_end(Kind::Websocat).await;
}

/// A device that only reads: by reconnecting with the last id, it acknowledges what it has seen, and another program of
/// the device continues there.
async fn a_device_goes_on_by_the_last_id(kind: Kind) {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new();
    let mut server = serve(&place.address, folder.path()).await;
    let topic = "user:7&durable=phone-b1946ac92492";
    let mut first = Client::start(kind, &server.address, topic).await;
    for number in 1..=2 {
        tell(&server, "user:7", json!(number)).await;
        assert_eq!(first.publication().await, json!(number));
    }
    server.kill().await;
    let server = serve(&place.address, folder.path()).await;
    tell(&server, "user:7", json!(3)).await;
    first.connect_again().await;
    assert_eq!(first.publication().await, json!(3), "{kind:?}");
    drop(first);
    tell(&server, "user:7", json!(4)).await;
    let mut second = Client::start(kind, &server.address, topic).await;
    // The third was not acknowledged.
    for number in 3..=4 {
        assert_eq!(second.publication().await, json!(number), "{kind:?}");
    }
    let another = "user:7&durable=tablet-59c6c1d2b4b0";
    let mut another = Client::start(kind, &server.address, another).await;
    assert_eq!(
        another.publication().await,
        json!(4),
        "the latest comes first"
    );
}

#[tokio::test]
async fn a_device_goes_on_by_the_last_id_of_curl() {
    a_device_goes_on_by_the_last_id(Kind::Curl).await;
}

#[tokio::test]
async fn a_device_goes_on_by_the_last_id_of_httpx_sse() {
    a_device_goes_on_by_the_last_id(Kind::HttpxSse).await;
}

/// A server that requires tokens, and tokens of a user who may follow jobs.
struct Asking {
    server: Server,
    token: String,
    _folder: tempfile::TempDir,
}

async fn asking() -> Asking {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    let memory = ["serve", "--backend", "memory", "--listen", "127.0.0.1:0"];
    let secret = ["--jwt-secret-file", secret.to_str().unwrap()];
    let server = Server::start_with(program(&[&memory[..], &secret].concat())).await;
    let claims = json!({
        "sub": "ada", "exp": 4_000_000_000_u64, "subscribe": ["job:*"], "publish": ["job:*"],
    });
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let token = encode(&Header::default(), &claims, &key).unwrap();
    let asking = Asking {
        server,
        token,
        _folder: folder,
    };
    let body = json!({"topic": "job:1", "data": "for ada"}).to_string();
    let answer = asking.request("POST /publish", body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    asking
}

impl Asking {
    async fn request(&self, line: &str, body: String) -> support::http::Answer {
        let bearer = format!("Authorization: Bearer {}\r\n", self.token);
        request(&self.server.address, line, &bearer, body).await
    }
}

#[tokio::test]
async fn a_token_is_shown_in_each_way_that_a_client_has() {
    let asking = asking().await;
    let (address, token) = (&asking.server.address, &asking.token);
    let bearer = format!("Authorization: Bearer {token}");
    let cookie = format!("Cookie: tidegate_token={token}");
    // One after the other: a ticket is valid for half a minute, which starting this many programs at once may exceed.
    let is_let_in = async |kind: Kind, topic: &str, shown: &[&str]| {
        let mut client = Client::start_with(kind, address, topic, shown).await;
        assert_eq!(client.publication().await, "for ada", "{kind:?}");
    };
    for way in ["header", "subprotocol", "cookie", "frame"] {
        let shown = ["--token", token, "--by", way];
        is_let_in(Kind::Websockets, "job:1", &shown).await;
    }
    for kind in [Kind::HttpxSse, Kind::Sseclient, Kind::Curl] {
        for header in [&bearer, &cookie] {
            is_let_in(kind, "job:1", &[header]).await;
        }
        let ticket = asking.request("POST /ticket", String::new()).await.json();
        let ticket = ticket["ticket"].as_str().unwrap();
        is_let_in(kind, &format!("job:1&ticket={ticket}"), &[]).await;
    }
    is_let_in(Kind::Websocat, "job:1", &[&bearer]).await;
}

#[tokio::test]
async fn whoever_shows_nothing_is_told_what_to_show() {
    let asking = asking().await;
    let address = &asking.server.address;
    let mut socket = Client::start(Kind::Websockets, address, "job:1").await;
    let error = socket.expect("error").await;
    assert_eq!(
        (&error["code"], &error["fatal"]),
        (&json!("unauthorized"), &json!(true))
    );
    assert_eq!(socket.expect("closed").await["code"], 4401);
    assert_eq!(socket.status().await, 1);
    for kind in [Kind::HttpxSse, Kind::Sseclient, Kind::Curl] {
        let mut stream = Client::start(kind, address, "job:1").await;
        let refused = stream.refusal().await;
        assert_eq!(refused["error"]["code"], "unauthorized", "{kind:?}");
        let wide = format!("Authorization: Bearer {}", asking.token);
        let mut stream = Client::start_with(kind, address, "**", &[&wide]).await;
        assert_eq!(
            stream.refusal().await["error"]["code"],
            "forbidden",
            "{kind:?}"
        );
    }
}

#[tokio::test]
async fn what_is_no_frame_is_answered_and_costs_the_connection_nothing() {
    let server = Server::start().await;
    for kind in [Kind::Websockets, Kind::Websocat] {
        let topic = format!("job:{kind:?}");
        let mut client = Client::start(kind, &server.address, &topic).await;
        client.expect("subscribed").await;
        for malformed in [
            "what?",
            "{\"type\":\"subscribe\"",
            "{\"type\":\"nonsense\"}",
            "{\"type\":\"subscribe\"}",
            "[[]]",
        ] {
            client.send(malformed).await;
            let error = client.expect("error").await;
            assert_eq!(error["code"], "bad_frame", "{malformed}");
            assert_ne!(error["message"], "");
        }
        client
            .send("{\"type\":\"subscribe\",\"pattern\":\"a::b\"}")
            .await;
        assert_eq!(client.expect("error").await["code"], "bad_topic");
        tell(&server, &topic, json!("still here")).await;
        assert_eq!(client.publication().await, "still here");
    }
    for kind in [Kind::HttpxSse, Kind::Sseclient, Kind::Curl] {
        let mut stream = Client::start(kind, &server.address, "a::b").await;
        assert_eq!(stream.refusal().await["error"]["code"], "bad_topic");
    }
}

#[tokio::test]
async fn who_does_not_read_is_shed_and_told_and_nobody_else_notices() {
    let memory = ["serve", "--backend", "memory", "--listen", "127.0.0.1:0"];
    // A client that doesn't read doesn't answer pings either, and must not be closed for that.
    let patient = ["--heartbeat", "1h", "--write-timeout", "1h"];
    let server = Server::start_with(program(&[&memory[..], &patient].concat())).await;
    let way = Proxy::start(&server.address).await;
    tell(&server, "job:1", json!({"n": 0})).await;
    let (mut blocked, mut quick) = (Vec::new(), Vec::new());
    for kind in Kind::ALL {
        blocked.push(Client::start(kind, &way.address, "job:1").await);
    }
    for kind in [Kind::Websockets, Kind::HttpxSse] {
        quick.push(Client::start(kind, &server.address, "job:1").await);
    }
    for client in blocked.iter_mut().chain(&mut quick) {
        assert_eq!(client.publication().await["n"], 0);
    }
    way.block(true);
    let publisher = tidegate::Client::connect(&server.url).await.unwrap();
    let filling = "x".repeat(FILLING_BYTES);
    for number in 1..=PUBLICATIONS {
        let data = json!({"n": number, "filling": filling});
        publisher.publish("job:1", &data).await.unwrap();
        // One at a time, so that those that read never lag, however busy this machine is.
        for client in &mut quick {
            assert_eq!(client.publication().await["n"], number);
        }
    }
    let (last, end) = (json!({"n": "last"}), Publish::end(EndReason::Complete));
    let told = publisher.publish_with("job:1", &last, end);
    within("the end to be published", told).await.unwrap();
    for mut client in quick {
        assert_eq!(client.publication().await["n"], "last");
    }
    way.block(false);
    for mut client in blocked {
        is_told_what_it_missed(&mut client).await;
    }
}

async fn is_told_what_it_missed(client: &mut Client) {
    let kind = client.kind();
    let (mut expected, mut missed) = (2, 0);
    loop {
        let frame = client.frame().await;
        match frame["type"].as_str().unwrap() {
            "pub" => {
                assert_eq!(frame["offset"], expected, "{kind:?}");
                expected += 1;
            }
            "lagged" => {
                let count = frame["missed"].as_u64().unwrap();
                missed += count;
                expected += count;
            }
            "end" => break,
            other => panic!("{kind:?}: {other}"),
        }
    }
    assert_eq!(
        expected,
        PUBLICATIONS + 3,
        "{kind:?}: all are there, or counted"
    );
    assert!(missed > 0, "{kind:?}: 8 MB cannot have waited");
    assert_eq!(client.status().await, 0);
}

#[tokio::test]
async fn what_was_kept_comes_in_messages_that_clients_take_by_default() {
    let server = Server::start().await;
    let filling = "x".repeat(FILLING_BYTES / 2);
    let mut expected = Vec::new();
    for topic in ["job:1", "job:2", "job:3", "job:4"] {
        for number in 1..=3 {
            let data = json!({"topic": topic, "n": number, "filling": filling});
            tell(&server, topic, data.clone()).await;
            expected.push(data);
        }
    }
    let beginning = ["--beginning"];
    let client = Client::start_with(Kind::Websockets, &server.address, "job:*", &beginning);
    let mut client = client.await;
    let mut kept = Vec::new();
    while kept.len() < expected.len() {
        kept.push(client.publication().await);
    }
    kept.sort_by_key(|data| data["topic"].as_str().map(str::to_owned));
    assert_eq!(kept, expected);
}
