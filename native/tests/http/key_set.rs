//! Tokens whose keys an identity provider publishes at a URL, and changes.

use std::sync::Arc;

use crate::support::eventually;
use crate::support::http::{get, request};
use crate::support::provider::{FIRST, KeyPair, Provider, Reply, SECOND};
use crate::support::socket::Socket;
use crate::support::{config, serve_by_own_loop, within};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tidegate::auth::{AuthError, Authenticate as _, Credentials, Identity, JwtVerifier};
use tidegate::{AccessConfig, Config, Hub};

/// A server whose tokens are signed with the keys of a provider.
struct Served {
    provider: Arc<Provider>,
    verifier: JwtVerifier,
    address: String,
}

impl Served {
    async fn start(reply: Reply) -> Self {
        let provider = Provider::new(reply);
        let verifier = JwtVerifier::jwks_url(&provider.serve().await).unwrap();
        let config = Config {
            access: AccessConfig {
                authenticate: Some(Arc::new(verifier.clone())),
                ..AccessConfig::default()
            },
            ..config()
        };
        let hub = Hub::new(config).unwrap();
        Self {
            provider,
            verifier,
            address: serve_by_own_loop(tidegate::axum::router(hub)).await,
        }
    }

    async fn authenticate(&self, token: String) -> Result<Identity, AuthError> {
        authenticate(&self.verifier, token).await
    }

    async fn publish(&self, key: &KeyPair) -> u16 {
        let header = format!("Authorization: Bearer {}\r\n", key.token());
        let body = json!({ "topic": "job:1", "data": 1 }).to_string();
        request(&self.address, "POST /publish", &header, body)
            .await
            .status
    }

    async fn debug(&self) -> Value {
        get(&self.address, "/debug").await.json()["keys"].clone()
    }
}

async fn authenticate(verifier: &JwtVerifier, token: String) -> Result<Identity, AuthError> {
    let shown = Credentials {
        token: Some(token),
        ..Credentials::default()
    };
    within("an answer", verifier.authenticate(shown)).await
}

fn is_unsigned(answer: &Result<Identity, AuthError>) -> bool {
    matches!(answer, Err(AuthError::Invalid(why)) if why.contains("matches none"))
}

#[tokio::test]
async fn a_new_key_is_fetched_once_for_all_who_name_it_and_a_withdrawn_one_is_good_no_more() {
    let served = Served::start(Reply::keys(&[&FIRST])).await;
    assert_eq!(served.provider.fetches(), 0, "nobody has asked for it");
    for _ in 0..3 {
        let user = served.authenticate(FIRST.token()).await.unwrap().user;
        assert_eq!(user.as_deref(), Some("ada"));
    }
    assert_eq!(served.provider.fetches(), 1);
    served.provider.replies(Reply::keys(&[&SECOND]));
    assert_eq!(served.publish(&FIRST).await, 200, "it is not known yet");
    let answers = join_all((0..50).map(|_| served.authenticate(SECOND.token()))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(served.provider.fetches(), 2);
    assert!(is_unsigned(&served.authenticate(FIRST.token()).await));
    assert_eq!(served.publish(&FIRST).await, 401);
    assert_eq!(served.publish(&SECOND).await, 200);
    assert_eq!(served.provider.fetches(), 2);
}

#[tokio::test]
async fn keys_that_are_made_up_are_looked_for_once() {
    let served = Served::start(Reply::keys(&[&FIRST])).await;
    assert_eq!(served.publish(&FIRST).await, 200);
    let forge = |number| served.authenticate(FIRST.token_of_nobody(number));
    let answers = join_all((0..100).map(forge)).await;
    assert!(answers.iter().all(is_unsigned), "{answers:?}");
    for number in 100..200 {
        assert!(is_unsigned(&forge(number).await));
    }
    assert_eq!(served.provider.fetches(), 2);
    assert_eq!(served.publish(&FIRST).await, 200);
}

#[tokio::test]
async fn a_token_in_a_first_frame_waits_for_its_key() {
    let served = Served::start(Reply::keys(&[&FIRST])).await;
    for key in [FIRST, SECOND] {
        served.provider.replies(Reply::keys(&[&key]));
        let mut socket = Socket::open(&served.address).await;
        socket
            .send(json!({ "type": "hello", "token": key.token() }))
            .await;
        socket.subscribe("job:1", json!({})).await;
    }
    let mut socket = Socket::open(&served.address).await;
    socket
        .send(json!({ "type": "hello", "token": FIRST.token() }))
        .await;
    assert_eq!(socket.expect("error").await["code"], "unauthorized");
}

#[tokio::test]
async fn until_the_first_keys_are_here_nobody_is_let_in_and_the_server_says_why() {
    let served = Served::start(Reply::status(503)).await;
    assert_eq!(served.publish(&FIRST).await, 503);
    let unready = get(&served.address, "/readyz").await;
    assert_eq!(unready.error(), (503, "unavailable".to_owned()));
    assert!(unready.body.contains("keys of tokens"), "{unready:?}");
    assert_eq!(get(&served.address, "/healthz").await.status, 200);
    let told = served.debug().await;
    assert_eq!((&told["count"], &told["age_s"]), (&json!(0), &Value::Null));
    let error = told["last_error"].as_str().unwrap();
    assert!(error.contains("503"), "{told}");

    served.provider.replies(Reply::keys(&[&FIRST]));
    eventually("the keys", async || {
        get(&served.address, "/readyz").await.status == 200
    })
    .await;
    assert_eq!(served.publish(&FIRST).await, 200);
    let told = served.debug().await;
    assert_eq!(
        (&told["count"], &told["last_error"]),
        (&json!(1), &Value::Null)
    );
    assert!(told["url"].as_str().unwrap().ends_with("/keys?app=7"));
    assert!(told["age_s"].is_u64(), "{told}");
}

#[tokio::test]
async fn whoever_asks_whether_the_server_is_ready_has_the_keys_fetched() {
    let served = Served::start(Reply::keys(&[&FIRST])).await;
    eventually("the keys", async || {
        get(&served.address, "/readyz").await.status == 200
    })
    .await;
    assert_eq!(served.provider.fetches(), 1);
}

#[tokio::test]
async fn what_is_no_key_set_changes_nothing() {
    let served = Served::start(Reply::keys(&[&FIRST])).await;
    assert_eq!(served.publish(&FIRST).await, 200);
    let secret = json!({ "keys": [{ "kty": "oct", "k": "c2VjcmV0" }] });
    let long = format!("{}{}", Reply::keys(&[&SECOND]).body, " ".repeat(256 * 1024));
    for (reply, why) in [
        (Reply::ok(long), "256 KiB"),
        (Reply::ok("<html>"), "not a JSON Web Key Set"),
        (Reply::ok(r#"{"keys":[]}"#), "no keys"),
        (Reply::ok(secret.to_string()), "shared secret"),
        (Reply::status(404), "404"),
        (Reply::redirection("/elsewhere"), "/elsewhere"),
    ] {
        served.provider.replies(reply.clone());
        served.verifier.fetch_keys();
        eventually(why, async || {
            let told = served.debug().await;
            told["last_error"]
                .as_str()
                .is_some_and(|told| told.contains(why))
        })
        .await;
        assert_eq!(served.publish(&FIRST).await, 200, "{reply:?}");
        // The token may be valid, so its bearer should try again.
        assert_eq!(served.publish(&SECOND).await, 503, "{reply:?}");
        assert_eq!(get(&served.address, "/readyz").await.status, 200);
    }
    served.provider.replies(Reply::keys(&[&SECOND]));
    served.verifier.fetch_keys();
    eventually("the other key", async || {
        served.publish(&SECOND).await == 200
    })
    .await;
    assert_eq!(served.publish(&FIRST).await, 401);
}

#[tokio::test]
async fn an_issuer_is_asked_where_its_keys_are_and_only_its_own_tokens_are_taken() {
    let provider = Provider::new(Reply::keys(&[&FIRST]));
    let keys = provider.serve().await;
    let issuer = keys.replace("keys?app=7", "tenant/");
    provider.is_called(&issuer, &keys);
    let verifier = JwtVerifier::oidc_issuer(&issuer).unwrap();
    let own = authenticate(&verifier, FIRST.token_from(&issuer)).await;
    assert_eq!(own.unwrap().user.as_deref(), Some("ada"));
    for other in [FIRST.token(), FIRST.token_from("https://id.example/")] {
        let answer = authenticate(&verifier, other).await;
        assert!(matches!(answer, Err(AuthError::Invalid(_))), "{answer:?}");
    }
    assert_eq!(provider.fetches(), 1);
    // Under another name it is another issuer, whatever document it has.
    let renamed = JwtVerifier::oidc_issuer(issuer.trim_end_matches('/')).unwrap();
    let answer = authenticate(&renamed, FIRST.token_from(&issuer)).await;
    assert!(
        matches!(answer, Err(AuthError::Unavailable(_))),
        "{answer:?}"
    );
    assert_eq!(provider.fetches(), 1);
}
