//! What a ticket opens, and for how long.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::support::events::Events;
use crate::support::http::{get, request};
use crate::support::socket::Socket;
use crate::support::{config, eventually, serve};
use serde_json::json;
use tidegate::Hub;
use tidegate::auth::{AuthError, Authenticate, Authenticating, Credentials, Identity};
use tokio::net::TcpStream;

/// Every token is user 7, who may do everything, for a limited time from the start.
struct All {
    until: SystemTime,
}

impl Authenticate for All {
    fn authenticate(&self, shown: Credentials) -> Authenticating<'_> {
        Box::pin(async move {
            shown.token.ok_or(AuthError::Missing)?;
            if self.until <= SystemTime::now() {
                return Err(AuthError::Expired);
            }
            let all = vec!["**".parse().unwrap()];
            Ok(Identity {
                user: Some("7".into()),
                subscribe: all.clone(),
                publish: all,
                expires: Some(self.until),
            })
        })
    }
}

/// A server whose tokens last this long, the ticket for the first one, and for how many seconds it is valid.
async fn ticket_of(lasts: Duration) -> (String, String, u64) {
    let mut config = config();
    let until = SystemTime::now() + lasts;
    config.access.authenticate = Some(Arc::new(All { until }));
    let hub = Hub::new(config).unwrap();
    let address = serve(tidegate::axum::router(hub)).await;
    let told = request(&address, "POST /ticket", "Authorization: Bearer x\r\n", "").await;
    let told = told.json();
    let ticket = told["ticket"].as_str().unwrap().to_owned();
    (address, ticket, told["expires_in_s"].as_u64().unwrap())
}

#[tokio::test]
async fn a_ticket_opens_connections_and_nothing_else_least_of_all_another_ticket() {
    let (address, ticket, _) = ticket_of(Duration::from_secs(600)).await;
    let publication = json!({ "topic": "job:1", "data": 1 }).to_string();
    // A caller through a proxy needs a token for what callers on this machine may see.
    let far = "X-Forwarded-For: 192.0.2.7\r\n";
    for (line, body) in [
        ("POST /publish?", publication.as_str()),
        ("POST /ticket?", ""),
        ("GET /user/devices?", ""),
        ("DELETE /user/devices?device=phone&", ""),
        ("GET /debug?", ""),
        ("GET /metrics?", ""),
    ] {
        let line = format!("{line}ticket={ticket}");
        let answer = request(&address, &line, far, body).await;
        assert_eq!(answer.error(), (401, "unauthorized".into()), "{line}");
        let with_token = format!("{far}Authorization: Bearer x\r\n");
        let answer = request(&address, &line, &with_token, body).await;
        assert_eq!(answer.status, 200, "{line}: {answer:?}");
    }
    for path in ["/events?topic=job:1&", "/user/notifications?"] {
        let stream = Events::open_at(&address, &format!("{path}ticket={ticket}"), None).await;
        assert_eq!(stream.status(), 200);
    }
    let stream = TcpStream::connect(&address).await.unwrap();
    let path = format!("/ws?ticket={ticket}");
    let mut socket = Socket::at(&path, stream, &[]).await.unwrap();
    socket.subscribe("job:*", json!({})).await;
}

#[tokio::test]
async fn a_ticket_and_what_it_opened_end_with_the_token() {
    let (address, ticket, lasts_s) = ticket_of(Duration::from_secs(2)).await;
    assert!(lasts_s <= 2);
    let path = format!("/events?topic=job:1&ticket={ticket}");
    let opened = Events::open_at(&address, &path, None).await;
    assert_eq!(opened.rest().await, Vec::new());
    eventually("the ticket's end", async || {
        get(&address, &path).await.error() == (401, "token_expired".into())
    })
    .await;
}
