//! A client that publishes a lot at once: no limit of the server refuses it for that.

use std::sync::Arc;

use tidegate::auth::{AuthError, Authenticate, Authenticating, Credentials, Identity};
use tidegate::client::{Answer, ClientError, ClientOptions, Token};
use tidegate::core::client::ConnectionState;
use tidegate::core::protocol::ErrorCode;
use tidegate::serve::{ServeConfig, Server};
use tidegate::{Client, Hub, Publish};
use tokio::net::TcpSocket;

use crate::support::place::Place;
use crate::support::{config, served_hub, within};

/// Serves a hub where clients wait for a server already.
fn serve_at(place: &Place, hub: &Hub) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(place.address.parse().unwrap()).unwrap();
    let server = Server::new(ServeConfig::default()).listen(socket.listen(64).unwrap());
    let app = tidegate::axum::router(hub.clone());
    tokio::spawn(server.run(app, std::future::pending()));
}

fn publish_all(client: &Client, count: usize, bytes: usize) -> Vec<Answer> {
    let payload = "x".repeat(bytes);
    let publish = |_| client.enqueue("job:1", &payload, Publish::default());
    (0..count).map(|number| publish(number).unwrap()).collect()
}

async fn check_that_all_are_stored_in_order(answers: Vec<Answer>) {
    for (index, answer) in answers.into_iter().enumerate() {
        let position = within("an answer", answer).await.unwrap();
        assert_eq!(position.offset, index as u64 + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_that_no_message_holds_is_published() {
    let place = Place::new();
    let client = Client::start(&place.url()).unwrap();
    let answers = publish_all(&client, 120, 12 * 1024);
    let hub = Hub::new(config()).unwrap();
    serve_at(&place, &hub);
    check_that_all_are_stored_in_order(answers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_that_no_message_holds_is_published_on_one_connection() {
    let (_hub, address) = served_hub().await;
    let client = Client::connect(&format!("http://{address}")).await.unwrap();
    let mut status = client.status();
    status.borrow_and_update();
    check_that_all_are_stored_in_order(publish_all(&client, 900, 20 * 1024)).await;
    assert!(!status.has_changed().unwrap(), "{:?}", status.borrow());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_for_the_server_costs_nothing_but_itself() {
    let (_hub, address) = served_hub().await;
    let client = Client::connect(&format!("http://{address}")).await.unwrap();
    let long = client.enqueue("job:1", &"x".repeat(2 << 20), Publish::default());
    let next = client.enqueue("job:2", &"small", Publish::default());
    let refused = within("an answer", long.unwrap()).await;
    let Err(ClientError::Refused(error)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(error.code, ErrorCode::TooLarge, "{error}");
    within("an answer", next.unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_frame_has_room_for_and_a_payload_may_not_have_is_refused_by_the_server() {
    let (_hub, address) = served_hub().await;
    let client = Client::connect(&format!("http://{address}")).await.unwrap();
    let payload = "x".repeat((1 << 20) - 1);
    let refused = client.publish("job:1", &payload).await;
    let Err(ClientError::Refused(error)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(error.code, ErrorCode::TooLarge, "{error}");
    let fits = "x".repeat((1 << 20) - 2);
    client.publish("job:1", &fits).await.unwrap();
}

struct Slow;

impl Authenticate for Slow {
    fn authenticate(&self, shown: Credentials) -> Authenticating<'_> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let user = shown.token.ok_or(AuthError::Missing)?;
            let everything = vec!["**".parse().unwrap()];
            Ok(Identity {
                user: Some(user),
                subscribe: everything.clone(),
                publish: everything,
                expires: None,
            })
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn much_that_waits_for_a_server_that_asks_for_tokens_is_asked_for() {
    let place = Place::new();
    let options = ClientOptions::with_token(Token::from("ada".to_owned()));
    let client = Client::start_with(&place.url(), options).unwrap();
    let mut subscriptions = Vec::new();
    for number in 0..950 {
        let topic = format!("other:{number}");
        subscriptions.push(client.subscribe(&topic).await.unwrap());
    }
    let answers = publish_all(&client, 100, 10);
    let mut config = config();
    config.access.authenticate = Some(Arc::new(Slow));
    let hub = Hub::new(config).unwrap();
    serve_at(&place, &hub);
    check_that_all_are_stored_in_order(answers).await;
    assert_eq!(client.status().borrow().state, ConnectionState::Connected);
}
