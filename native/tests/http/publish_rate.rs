//! The limit on the rate of publishing over HTTP.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::support::http::{Answer, request};
use crate::support::{config, serve_by_own_loop};
use serde_json::json;
use tidegate::Hub;
use tidegate::access::Proxies;
use tidegate::auth::{AuthError, Authenticate, Authenticating, Credentials, Identity};
use tidegate::core::rate::Rate;

/// The token is the user's name, and everyone may publish anywhere; `-` has no name.
struct Names;

impl Authenticate for Names {
    fn authenticate(&self, shown: Credentials) -> Authenticating<'_> {
        let identity = shown.token.ok_or(AuthError::Missing).map(|token| Identity {
            user: (token != "-").then_some(token),
            publish: vec!["**".parse().unwrap()],
            ..Identity::default()
        });
        Box::pin(std::future::ready(identity))
    }
}

/// A server that allows two publishes at once, and one per second after that.
async fn served(asks: bool) -> String {
    let mut config = config();
    config.server.session.publish_rate = Some(Rate {
        per_second: NonZeroU32::MIN,
        burst: NonZeroU32::new(2).unwrap(),
    });
    config.access.proxies = Proxies {
        networks: vec!["127.0.0.0/8".parse().unwrap()],
        ..Proxies::default()
    };
    config.access.open_to_everyone = !asks;
    if asks {
        config.access.authenticate = Some(Arc::new(Names));
    }
    let hub = Hub::new(config).unwrap();
    serve_by_own_loop(tidegate::axum::router(hub)).await
}

/// Sends more requests at once than any second allows, and returns how many were let through.
async fn let_through(address: &str, headers: &[&str]) -> usize {
    let body = json!({ "topic": "job:1", "data": 1 }).to_string();
    let ask = |headers: &&str| {
        let headers = (*headers).to_owned();
        let body = body.clone();
        async move { request(address, "POST /publish", &headers, body).await }
    };
    let answers: Vec<Answer> = futures_util::future::join_all(headers.iter().map(ask)).await;
    let (through, refused): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == 200);
    for answer in refused {
        assert_eq!(answer.error(), (429, "too_many_requests".into()));
        assert!(answer.body.contains("try again in "), "{answer:?}");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    through.len()
}

#[tokio::test]
async fn a_user_has_a_rate_however_many_connections_and_addresses_they_use() {
    let address = served(true).await;
    let ada = "Authorization: Bearer ada\r\nX-Forwarded-For: 192.0.2.1\r\n";
    let elsewhere = "Authorization: Bearer ada\r\nX-Forwarded-For: 192.0.2.2\r\n";
    let through = let_through(&address, &[[ada; 10], [elsewhere; 10]].concat()).await;
    // One or the other may have been allowed again while they were sent.
    assert!((2..10).contains(&through), "{through}");
    let bob = "Authorization: Bearer bob\r\nX-Forwarded-For: 192.0.2.1\r\n";
    assert_eq!(let_through(&address, &[bob; 2]).await, 2, "bob has his own");
}

#[tokio::test]
async fn whoever_has_no_name_counts_by_their_address() {
    for (asks, token) in [(false, ""), (true, "Authorization: Bearer -\r\n")] {
        let address = served(asks).await;
        let one = format!("{token}X-Forwarded-For: 2001:db8::1\r\n");
        let same_network = format!("{token}X-Forwarded-For: 2001:db8::2\r\n");
        let other = format!("{token}X-Forwarded-For: 192.0.2.7\r\n");
        let both = [[one.as_str(); 10], [same_network.as_str(); 10]].concat();
        let through = let_through(&address, &both).await;
        assert!((2..10).contains(&through), "{through}");
        assert_eq!(let_through(&address, &[other.as_str(); 2]).await, 2);
        assert_eq!(
            let_through(&address, &[token; 2]).await,
            2,
            "of this machine"
        );
    }
}
