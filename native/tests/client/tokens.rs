//! Clients whose tokens expire, against real servers: subscriptions continue, and what can't be renewed is reported.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use crate::support::{config, eventually, serve, within};
use futures_util::StreamExt as _;
use serde_json::json;
use tidegate::auth::{AuthError, Authenticate, Authenticating, Credentials, Identity};
use tidegate::client::{ClientError, ClientOptions, Token};
use tidegate::core::client::{ClosedReason, ConnectionState};
use tidegate::core::protocol::ErrorCode;
use tidegate::{Client, Event, Hub};

/// Accepts tokens `good-…` for a while, and counts the tokens it is shown.
struct Brief {
    lasts: Duration,
    shown: Arc<AtomicUsize>,
}

impl Authenticate for Brief {
    fn authenticate(&self, shown: Credentials) -> Authenticating<'_> {
        let Some(token) = shown.token else {
            return Box::pin(std::future::ready(Err(AuthError::Missing)));
        };
        self.shown.fetch_add(1, Ordering::SeqCst);
        let identity = Identity {
            user: Some("ada".into()),
            subscribe: vec!["**".parse().unwrap()],
            publish: vec!["**".parse().unwrap()],
            expires: Some(SystemTime::now() + self.lasts),
        };
        if token == "later" {
            let away = AuthError::Unavailable("the session store is away".into());
            return Box::pin(std::future::ready(Err(away)));
        }
        let answer = if token.starts_with("good") {
            Ok(identity)
        } else {
            Err(AuthError::Invalid("it is not good".into()))
        };
        Box::pin(std::future::ready(answer))
    }
}

/// A server whose tokens last this long, and how many it was shown.
async fn brief(lasts: Duration) -> (Hub, String, Arc<AtomicUsize>) {
    let shown = Arc::new(AtomicUsize::new(0));
    let mut config = config();
    config.access.authenticate = Some(Arc::new(Brief {
        lasts,
        shown: Arc::clone(&shown),
    }));
    let hub = Hub::new(config).unwrap();
    let address = serve(tidegate::axum::router(hub.clone())).await;
    (hub, address, shown)
}

/// Tokens `good-1`, `good-2`, …
fn counted() -> Token {
    let count = Arc::new(AtomicUsize::new(0));
    Token::ask(move || {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move { Ok::<_, String>(format!("good-{number}")) }
    })
}

#[tokio::test]
async fn a_subscription_outlives_the_token_that_it_was_made_with() {
    let (hub, address, shown) = brief(Duration::from_secs(8)).await;
    let options = ClientOptions::with_token(counted());
    let client = within("a connection", Client::connect_with(&address, options))
        .await
        .unwrap();
    let mut states = client.status();
    states.mark_unchanged();
    let mut events = client.subscribe("job:1").await.unwrap();
    for round in 1..=3 {
        eventually("another token", async || {
            shown.load(Ordering::SeqCst) > round
        })
        .await;
        hub.publish("job:1", &round).await.unwrap();
        match within("an event", events.next()).await {
            Some(Event::Publication(publication)) => {
                assert_eq!(publication.position.offset, round as u64)
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(!states.has_changed().unwrap(), "{:?}", *states.borrow());
    assert_eq!(hub.counts().await.unwrap().connections, 1);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_and_then_told() {
    let (_hub, address, shown) = brief(Duration::from_secs(60)).await;
    let answers = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&answers);
    let second_is_good = Token::ask(move || {
        let is_first = count.fetch_add(1, Ordering::SeqCst) == 0;
        async move { Ok::<_, String>(if is_first { "old" } else { "good" }.to_owned()) }
    });
    let options = ClientOptions::with_token(second_is_good);
    let client = Client::start_with(&address, options).unwrap();
    let published = within("an answer", client.publish("job:1", &json!(1))).await;
    assert_eq!(published.unwrap().offset, 1);
    assert_eq!(shown.load(Ordering::SeqCst), 2);

    let never = Token::ask(|| async { Ok::<_, String>("old".to_owned()) });
    let client = Client::start_with(&address, ClientOptions::with_token(never)).unwrap();
    let mut status = client.status();
    let is_refused = |state: &ConnectionState| matches!(state, ConnectionState::Closed(ClosedReason::Refused(error)) if error.code == ErrorCode::Unauthorized);
    within("a refusal", status.wait_for(|now| is_refused(&now.state)))
        .await
        .unwrap();
    assert_eq!(shown.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn while_a_refused_token_is_replaced_the_status_says_why() {
    let (_hub, address, _shown) = brief(Duration::from_secs(60)).await;
    let count = AtomicUsize::new(0);
    let there_is_no_second = Token::ask(move || {
        let is_first = count.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if !is_first {
                std::future::pending::<()>().await;
            }
            Ok::<_, String>("old".to_owned())
        }
    });
    let options = ClientOptions::with_token(there_is_no_second);
    let client = Client::start_with(&address, options).unwrap();
    let mut status = client.status();
    let again = status.wait_for(
        |now| matches!(now.state, ConnectionState::Connecting { attempt } if attempt > 0),
    );
    let again = within("another attempt", again).await.unwrap().clone();
    let why = again.last_error.expect("a reason");
    assert!(why.contains("unauthorized: "), "{why}");
}

#[tokio::test]
async fn where_no_token_can_be_had_the_reason_is_told() {
    let (_hub, address, shown) = brief(Duration::from_secs(60)).await;
    let fails = Token::ask(|| async { Err::<String, _>("the login is closed on Sundays") });
    let connecting = Client::connect_with(&address, ClientOptions::with_token(fails));
    let Err(error) = within("an answer", connecting).await else {
        panic!("it has connected without a token");
    };
    assert!(matches!(&error, ClientError::NoToken { .. }), "{error:?}");
    assert!(error.to_string().contains("on Sundays"), "{error}");
    assert_eq!(shown.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_server_that_can_t_tell_who_a_client_is_now_is_unreachable_and_says_why() {
    let (_hub, address, _shown) = brief(Duration::from_secs(60)).await;
    let options = || ClientOptions::with_token("later");
    let connecting = Client::connect_with(&address, options());
    let error = within("an answer", connecting).await.err().unwrap();
    let ClientError::Unreachable { reason, .. } = error else {
        panic!("{error:?}");
    };
    let waiting = Client::start_with(&address, options()).unwrap();
    let mut status = waiting.status();
    let told = status.wait_for(|status| status.last_error.is_some());
    let told = within("a reason", told).await.unwrap().clone();
    assert_eq!(told.state, ConnectionState::Disconnected);
    assert_eq!(told.last_error, Some(reason));
}

#[tokio::test]
async fn who_connects_with_a_token_that_is_old_is_let_in_with_the_next() {
    let (_hub, address, shown) = brief(Duration::from_secs(60)).await;
    let count = AtomicUsize::new(0);
    let second_is_good = Token::ask(move || {
        let is_first = count.fetch_add(1, Ordering::SeqCst) == 0;
        async move { Ok::<_, String>(if is_first { "old" } else { "good" }.to_owned()) }
    });
    let connecting = Client::connect_with(&address, ClientOptions::with_token(second_is_good));
    within("an answer", connecting).await.unwrap();
    assert_eq!(shown.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_function_that_panics_instead_of_supplying_a_token_is_called_again() {
    let (_hub, address, shown) = brief(Duration::from_secs(60)).await;
    let count = AtomicUsize::new(0);
    let third_is_good = Token::ask(move || {
        let number = count.fetch_add(1, Ordering::SeqCst);
        assert_ne!(number, 0, "the application's own fault, in the call");
        async move {
            assert_ne!(number, 1, "the application's own fault, in the future");
            Ok::<_, String>("good".to_owned())
        }
    });
    let options = ClientOptions::with_token(third_is_good);
    let client = Client::start_with(&address, options).unwrap();
    let mut status = client.status();
    let told = status.wait_for(|status| status.last_error.is_some());
    let told = within("a reason", told).await.unwrap().clone();
    let why = told.last_error.expect("a reason");
    assert!(why.contains("panicked"), "{why}");
    let published = within("an answer", client.publish("job:1", &json!(1))).await;
    assert_eq!(published.unwrap().offset, 1);
    assert_eq!(shown.load(Ordering::SeqCst), 1);
}
