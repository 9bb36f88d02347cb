//! The host names to which a server without authentication answers: a page may make its own name resolve to its reader's machine.

use std::sync::Arc;

use crate::support::http;
use crate::support::{config, serve, serve_by_own_loop, within};
use serde_json::json;
use tidegate::auth::JwtVerifier;
use tidegate::{AccessConfig, Hub};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

async fn hub(change: impl FnOnce(&mut AccessConfig)) -> Hub {
    let mut config = config();
    change(&mut config.access);
    let hub = Hub::new(config).unwrap();
    hub.publish("job:1", &"a secret").await.unwrap();
    hub
}

async fn served(change: impl FnOnce(&mut AccessConfig)) -> String {
    serve(tidegate::axum::router(hub(change).await)).await
}

/// The status of the answer to a page's request to `host`, which the page believes to be its own origin.
async fn status(address: &str, line: &str, host: Option<&str>) -> u16 {
    let headers = host.map_or(String::new(), |host| {
        format!("Host: {host}\r\nOrigin: http://{host}\r\n")
    });
    let version = if host.is_some() { "1.1" } else { "1.0" };
    let body = json!({ "topic": "job:1", "data": 1 }).to_string();
    let length = body.len();
    let request =
        format!("{line} HTTP/{version}\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
    let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut line = String::new();
    within("an answer", stream.read_line(&mut line))
        .await
        .unwrap();
    http::status(&line)
}

const EVENTS: &str = "GET /events?topic=job:*";

#[tokio::test]
async fn a_name_that_anybody_may_have_is_not_answered_to() {
    let address = served(|access| access.browsers_publish = vec!["**".parse().unwrap()]).await;
    for line in [
        EVENTS,
        "GET /ws",
        "POST /publish",
        "GET /debug?topics=5",
        "GET /metrics",
    ] {
        for host in [
            "evil.example",
            "evil.example:8420",
            "localhost.evil.example",
        ] {
            assert_eq!(
                status(&address, line, Some(host)).await,
                403,
                "{line} {host}"
            );
        }
    }
    assert_eq!(
        status(&address, "GET /healthz", Some("evil.example")).await,
        200
    );
}

#[tokio::test]
async fn names_of_the_machine_addresses_and_named_hosts_are_answered_to() {
    let address = served(|access| {
        access.origins = vec!["https://app.example".into()];
        access.browsers_publish = vec!["**".parse().unwrap()];
    })
    .await;
    let hosts = ["localhost:1", "app.localhost", "[::1]:8420", "app.example"];
    for host in hosts
        .map(Some)
        .into_iter()
        .chain([Some(address.as_str()), None])
    {
        for line in [EVENTS, "POST /publish"] {
            assert_eq!(status(&address, line, host).await, 200, "{line} {host:?}");
        }
    }
}

#[tokio::test]
async fn who_shows_a_token_or_may_do_everything_anyhow_uses_any_name() {
    let host = Some("any.example");
    let open = served(|access| access.open_to_everyone = true).await;
    assert_eq!(status(&open, EVENTS, host).await, 200);
    let asking = served(|access| {
        let secret = b"a secret of at least thirty-two bytes";
        access.authenticate = Some(Arc::new(JwtVerifier::hs256(secret).unwrap()));
    })
    .await;
    assert_eq!(status(&asking, EVENTS, host).await, 401);
}

#[tokio::test]
async fn what_the_machine_itself_is_told_needs_a_name_of_its_own() {
    for open_to_everyone in [false, true] {
        let hub = hub(|access| access.open_to_everyone = open_to_everyone).await;
        let address = serve_by_own_loop(tidegate::axum::router(hub)).await;
        let line = "GET /debug?topics=5";
        assert_eq!(status(&address, line, Some("evil.example")).await, 403);
        assert_eq!(status(&address, line, Some(&address)).await, 200);
    }
}

#[tokio::test]
async fn a_proxy_here_lets_nobody_of_elsewhere_in_who_is_not_asked() {
    let forwarded = async |address: &str, line: &str, by: &str| {
        let body = json!({ "topic": "job:1", "data": 1 }).to_string();
        let headers = format!("{by}\r\n");
        http::request(address, line, &headers, &body).await.status
    };
    let closed = served(|_| {}).await;
    let open = served(|access| access.open_to_everyone = true).await;
    for line in ["POST /publish", EVENTS, "GET /ws"] {
        for by in ["X-Forwarded-For: 192.0.2.7", "Forwarded: for=192.0.2.7"] {
            assert_eq!(forwarded(&closed, line, by).await, 403, "{line} {by}");
        }
    }
    for by in ["X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: http"] {
        assert_eq!(forwarded(&closed, "POST /publish", by).await, 200, "{by}");
    }
    let by = "X-Forwarded-For: 192.0.2.7";
    assert_eq!(forwarded(&open, "POST /publish", by).await, 200);
}
