//! Authentication that takes longer than the client stays.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::http::request;
use crate::support::socket::Socket;
use crate::support::{config, eventually, serve, until_counts, within};
use serde_json::json;
use tidegate::Hub;
use tidegate::auth::{AuthError, Authenticate, Authenticating, Credentials, Identity};
use tokio::net::TcpStream;

/// How long an application may take to answer at all.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Never answers about `slow`. Every pending question has a clone of this.
struct Mute(Arc<()>);

impl Authenticate for Mute {
    fn authenticate(&self, shown: Credentials) -> Authenticating<'_> {
        let waiting = Arc::clone(&self.0);
        Box::pin(async move {
            match shown.token.as_deref() {
                None => Err(AuthError::Missing),
                Some("slow") => {
                    std::future::pending::<()>().await;
                    drop(waiting);
                    Err(AuthError::Missing)
                }
                Some(_) => Ok(Identity::default()),
            }
        })
    }
}

/// A server, and how many questions are open there.
async fn served() -> (Hub, String, impl Fn() -> usize) {
    let open = Arc::new(());
    let mut config = config();
    config.access.authenticate = Some(Arc::new(Mute(Arc::clone(&open))));
    let hub = Hub::new(config).unwrap();
    let address = serve(tidegate::axum::router(hub.clone())).await;
    // One is the test's, one the rule's.
    (hub, address, move || Arc::strong_count(&open) - 2)
}

#[tokio::test]
async fn nobody_asks_on_about_a_client_that_has_gone() {
    let (hub, address, open) = served().await;
    let slow = json!({ "type": "hello", "token": "slow" });
    let mut at_first = Socket::open(&address).await;
    at_first.send(slow.clone()).await;
    // Clients that are connected, and send another token.
    let stream = TcpStream::connect(&address).await.unwrap();
    let known = [("authorization", "Bearer known")];
    let mut later = Socket::with_headers(stream, &known).await.unwrap();
    for _ in 0..3 {
        later.send(slow.clone()).await;
    }
    eventually("four questions", async || open() == 4).await;
    until_counts(&hub, 2, 0).await;
    let began = Instant::now();
    drop(at_first);
    until_counts(&hub, 1, 0).await;
    eventually("the question about it to be dropped", async || open() == 3).await;
    drop(later);
    until_counts(&hub, 0, 0).await;
    eventually("all questions to be dropped", async || open() == 0).await;
    assert!(began.elapsed() < ANSWER_MAX, "their time was over anyhow");
}

#[tokio::test]
async fn nobody_asks_on_for_a_request_or_a_hub_that_has_gone() {
    let (hub, address, open) = served().await;
    let asking = tokio::spawn({
        let address = address.clone();
        async move {
            request(
                &address,
                "POST /publish",
                "Authorization: Bearer slow\r\n",
                "",
            )
            .await
        }
    });
    eventually("a question", async || open() == 1).await;
    let began = Instant::now();
    asking.abort();
    eventually("it to be dropped", async || open() == 0).await;
    let mut socket = Socket::open(&address).await;
    let slow = json!({ "type": "hello", "token": "slow" });
    socket.send(slow).await;
    eventually("another one", async || open() == 1).await;
    hub.stop();
    eventually("it to be dropped with the hub", async || open() == 0).await;
    assert!(began.elapsed() < ANSWER_MAX, "their time was over anyhow");
}

/// Blocks its thread about `slow` until it is let go.
struct Blocking {
    go_on: Mutex<Receiver<()>>,
    is_asked: tokio::sync::Notify,
}

impl Authenticate for Blocking {
    fn authenticate(&self, shown: Credentials) -> Authenticating<'_> {
        Box::pin(async move {
            if shown.token.as_deref() == Some("slow") {
                self.is_asked.notify_one();
                self.go_on.lock().unwrap().recv().unwrap();
            }
            let token = shown.token.ok_or(AuthError::Missing)?;
            Ok(Identity {
                user: Some(token),
                subscribe: vec!["**".parse().unwrap()],
                ..Identity::default()
            })
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rule_that_blocks_holds_up_no_other_client_and_not_the_hub() {
    let (release, go_on) = channel();
    let rule = Arc::new(Blocking {
        go_on: Mutex::new(go_on),
        is_asked: tokio::sync::Notify::new(),
    });
    let mut config = config();
    config.access.authenticate = Some(rule.clone());
    let hub = Hub::new(config).unwrap();
    let address = serve(tidegate::axum::router(hub.clone())).await;
    let hello = |token: &str| json!({ "type": "hello", "token": token });
    let mut slow = Socket::open(&address).await;
    slow.send(hello("slow")).await;
    within("the question", rule.is_asked.notified()).await;
    within("a publish", hub.publish("a", &1)).await.unwrap();
    let mut other = Socket::open(&address).await;
    other.send(hello("other")).await;
    other.subscribe("a", json!({})).await;
    release.send(()).unwrap();
    slow.subscribe("a", json!({})).await;
}
