//! What clients want to know once, of a server and of a backend.

use std::sync::Arc;

use crate::support::{config, publish_range, serve, served_hub, until_counts, within};
use tidegate::auth::{AuthError, Authenticate, Authenticating, Credentials, Identity};
use tidegate::backend::{Keep, Memory};
use tidegate::client::{ClientError, ClientOptions, Status, Token};
use tidegate::core::client::ConnectionState;
use tidegate::core::protocol::ErrorCode;
use tidegate::core::publication::Position;
use tidegate::{Client, Config, Hub, Publication};

fn told(publications: &[Publication]) -> Vec<(String, String)> {
    let told = publications
        .iter()
        .map(|it| (it.topic.to_string(), it.payload.to_string()));
    told.collect()
}

fn of(topic: &str, payload: &str) -> (String, String) {
    (topic.to_owned(), payload.to_owned())
}

/// A hub, and a client of its server, of its backend, and of itself.
async fn hub_and_clients() -> (Hub, Vec<Client>) {
    let store = Memory::new(Keep::default());
    let hub = Hub::with_backend(config(), Arc::new(store.share())).unwrap();
    let address = serve(tidegate::axum::router(hub.clone())).await;
    let clients = vec![
        Client::start(&address).unwrap(),
        Client::with_backend(Arc::new(store)).unwrap(),
        Client::from_hub(hub.clone()).unwrap(),
    ];
    (hub, clients)
}

#[tokio::test]
async fn whoever_asks_is_told_without_subscribing() {
    let (hub, clients) = hub_and_clients().await;
    publish_range(&hub, "job:2", 1..=3).await;
    publish_range(&hub, "job:1", 7..=7).await;
    publish_range(&hub, "a?b&c=d", 5..=5).await;
    for client in clients {
        let latest = within("an answer", client.latest("job:2")).await.unwrap();
        assert_eq!(told(latest.as_slice()), [of("job:2", "3")]);
        assert!(client.latest("job:3").await.unwrap().is_none());
        let special = client.latest("a?b&c=d").await.unwrap();
        assert_eq!(told(special.as_slice()), [of("a?b&c=d", "5")]);
        let all = client.latest_matching("job:*").await.unwrap();
        assert_eq!(told(&all), [of("job:1", "7"), of("job:2", "3")]);
        let whole = client.history("job:2", None).await.unwrap();
        assert!(whole.recovered);
        assert_eq!(whole, hub.history("job:2", None).await.unwrap());
        let first = Some(whole.publications[0].position);
        let rest = client.history("job:2", first).await.unwrap();
        assert_eq!(rest.publications, whole.publications[1..]);
        let unknown = client.history("job:3", None).await.unwrap();
        assert_eq!(unknown.position, Position::default());
        let wrong = client.latest("job:*").await;
        assert!(matches!(wrong, Err(ClientError::Topic(_))), "{wrong:?}");
        client.close();
        let mut status = client.status();
        let is_closed = |it: &Status| matches!(it.state, ConnectionState::Closed(_));
        within("the end", status.wait_for(is_closed)).await.unwrap();
        let closed = client.latest("job:2").await;
        assert!(matches!(closed, Err(ClientError::Closed)), "{closed:?}");
    }
    until_counts(&hub, 0, 0).await;
}

#[tokio::test]
async fn what_does_not_fit_into_one_answer_comes_in_several() {
    const COUNT: usize = 1_500;
    let mut config = config();
    config.server.hub.history.count_max = COUNT;
    let hub = Hub::new(config).unwrap();
    let address = serve(tidegate::axum::router(hub.clone())).await;
    for number in 0..COUNT {
        hub.publish(&format!("job:{number}"), &number)
            .await
            .unwrap();
        hub.publish("log", &number).await.unwrap();
    }
    let client = Client::start(&address).unwrap();
    let all = client.latest_matching("job:*").await.unwrap();
    assert_eq!(all, hub.latest_matching("job:*").await.unwrap());
    assert_eq!(all.len(), COUNT);
    let whole = client.history("log", None).await.unwrap();
    assert_eq!(whole.publications.len(), COUNT);
    assert_eq!(whole, hub.history("log", None).await.unwrap());
    let long_ago = Position {
        epoch: 1,
        offset: 1,
    };
    let later = client.history("log", Some(long_ago)).await.unwrap();
    assert!(!later.recovered);
    assert_eq!(later.publications, whole.publications);
}

#[test]
fn blocking_code_is_told_as_well() {
    let hub = Hub::new(Config::default()).unwrap();
    let client = Client::from_hub(hub).unwrap().blocking();
    let first = client.publish("job:1", &1).unwrap();
    client.publish("job:1", &2).unwrap();
    let latest = client.latest("job:1").unwrap();
    assert_eq!(told(latest.as_slice()), [of("job:1", "2")]);
    assert_eq!(client.latest_matching("**").unwrap().len(), 1);
    let history = client.history("job:1", Some(first)).unwrap();
    assert_eq!(told(&history.publications), [of("job:1", "2")]);
}

/// Lets who shows `ada` read jobs.
struct Jobs;

impl Authenticate for Jobs {
    fn authenticate(&self, shown: Credentials) -> Authenticating<'_> {
        let answer = match shown.token.as_deref() {
            Some("ada") => Ok(Identity {
                user: Some("ada".into()),
                subscribe: vec!["job:*".parse().unwrap()],
                publish: Vec::new(),
                expires: None,
            }),
            Some(_) => Err(AuthError::Invalid("nobody".into())),
            None => Err(AuthError::Missing),
        };
        Box::pin(std::future::ready(answer))
    }
}

#[tokio::test]
async fn a_client_shows_its_token_and_is_told_what_it_may_not_know() {
    let mut config = config();
    config.access.authenticate = Some(Arc::new(Jobs));
    let hub = Hub::new(config).unwrap();
    let address = serve(tidegate::axum::router(hub.clone())).await;
    publish_range(&hub, "job:1", 1..=1).await;
    let client =
        |token: Token| Client::start_with(&address, ClientOptions::with_token(token)).unwrap();
    let asked = Token::ask(async || Ok::<_, String>("ada".to_owned()));
    for ada in [client("ada".into()), client(asked)] {
        assert!(ada.latest("job:1").await.unwrap().is_some());
        assert_refused(&ada, "task:1", ErrorCode::Forbidden).await;
    }
    assert_refused(&client("eve".into()), "job:1", ErrorCode::Unauthorized).await;
    let none = client(Token::ask(async || Err::<String, _>("logged out")));
    let refused = none.latest("job:1").await;
    assert!(
        matches!(refused, Err(ClientError::NoToken { .. })),
        "{refused:?}"
    );
}

async fn assert_refused(client: &Client, topic: &str, code: ErrorCode) {
    match client.latest(topic).await {
        Err(ClientError::Refused(error)) => assert_eq!(error.code, code, "{error}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_no_empty_answer() {
    let (_, address) = served_hub().await;
    let elsewhere = Client::start(&format!("{address}/elsewhere")).unwrap();
    let wrong = elsewhere.latest("job:1").await;
    assert!(
        matches!(wrong, Err(ClientError::Unreachable { .. })),
        "{wrong:?}"
    );
    let away = Client::start("http://127.0.0.1:1").unwrap();
    let away = away.latest_matching("**").await;
    assert!(
        matches!(away, Err(ClientError::Unreachable { .. })),
        "{away:?}"
    );
}
