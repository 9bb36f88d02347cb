//! Servers that share a backend: one of them is asked to end the connections of a user.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt as _;
use tidegate::auth::{AuthError, Authenticate, Authenticating, Credentials, Identity};
use tidegate::backend::Backend;
use tidegate::client::{ClientOptions, ClientSubscription, Token};
use tidegate::core::client::{ClosedReason, ConnectionState};
use tidegate::core::protocol::ErrorCode;
use tidegate::serve::{ServeConfig, Server};
use tidegate::{Client, Config, Disconnected, Event, Hub};
use tokio::net::TcpListener;

use crate::conformance::in_time;

/// The token is the user's name.
struct ByName;

impl Authenticate for ByName {
    fn authenticate(&self, shown: Credentials) -> Authenticating<'_> {
        Box::pin(async move {
            Ok(Identity {
                user: Some(shown.token.ok_or(AuthError::Missing)?),
                subscribe: vec!["**".parse().expect("a pattern")],
                ..Identity::default()
            })
        })
    }
}

/// Starts a server; returns it with its address.
async fn serve(backend: Arc<dyn Backend>) -> (Hub, String) {
    let mut config = Config::default();
    config.access.authenticate = Some(Arc::new(ByName));
    let hub = Hub::with_backend(config, backend).expect("threads");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it listens").to_string();
    let server = Server::new(ServeConfig::default()).listen(listener);
    let app = tidegate::axum::router(hub.clone());
    tokio::spawn(server.run(app, std::future::pending()));
    (hub, address)
}

/// A client that subscribes to a job, and counts the requests for a token.
struct Watcher {
    client: Client,
    events: ClientSubscription,
    asked: Arc<AtomicUsize>,
}

impl Watcher {
    async fn with(address: &str, token: Token, asked: Arc<AtomicUsize>) -> Self {
        let options = ClientOptions::with_token(token);
        let connecting = Client::connect_with(address, options);
        let client = in_time("a connection", connecting).await.expect("let in");
        let events = in_time("a subscription", client.subscribe("job:1")).await;
        Self {
            client,
            events: events.expect("allowed"),
            asked,
        }
    }

    /// One with a function that gives a token for each connection.
    async fn asking(address: &str, user: &'static str) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let token = Token::ask(move || {
            count.fetch_add(1, Ordering::SeqCst);
            async move { Ok::<_, String>(user.to_owned()) }
        });
        Self::with(address, token, asked).await
    }

    /// One with a fixed token.
    async fn fixed(address: &str, user: &str) -> Self {
        Self::with(address, user.into(), Arc::default()).await
    }

    /// Checks that the next event is this publication, and that nothing was lost before it.
    async fn sees(&mut self, number: u64) {
        match in_time("an event", self.events.next()).await {
            Some(Event::Publication(publication)) => {
                assert_eq!(publication.payload.as_str(), number.to_string());
            }
            other => panic!("{other:?} instead of {number}"),
        }
    }

    /// Waits until it has ended because its user was disconnected.
    async fn is_disconnected(&self) {
        let mut status = self.client.status();
        let is_over = |state: &ConnectionState| {
            matches!(state, ConnectionState::Closed(ClosedReason::Refused(error))
                if error.code == ErrorCode::Disconnected)
        };
        let over = status.wait_for(|status| is_over(&status.state));
        in_time("the end", over).await.expect("it is told");
    }
}

/// All connections of the user end at both servers: clients with a token function reconnect and miss nothing, others
/// are over, and nobody else notices.
///
/// # Panics
/// If not.
pub async fn end_at_all_servers(backends: [Arc<dyn Backend>; 2]) {
    let [first, second] = backends;
    let servers = [serve(first).await, serve(second).await];
    let (mut asking, mut fixed, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for (_, address) in &servers {
        asking.push(Watcher::asking(address, "ada").await);
        fixed.push(Watcher::fixed(address, "ada").await);
        others.push(Watcher::asking(address, "bob").await);
    }
    let publish = async |number: u64| {
        let published = servers[0].0.publish("job:1", &number);
        in_time("publishing", published).await.expect("stored");
    };
    publish(1).await;
    for watcher in asking.iter_mut().chain(&mut fixed).chain(&mut others) {
        watcher.sees(1).await;
    }
    let ended = in_time("the answer", servers[0].0.disconnect("ada")).await;
    let told = Disconnected {
        here: 2,
        is_told: true,
    };
    assert_eq!(ended, Ok(told));
    publish(2).await;
    for watcher in &fixed {
        watcher.is_disconnected().await;
    }
    for watcher in &mut asking {
        watcher.sees(2).await;
    }
    publish(3).await;
    for watcher in asking.iter_mut() {
        watcher.sees(3).await;
        assert_eq!(watcher.asked.load(Ordering::SeqCst), 2);
    }
    for watcher in &mut others {
        watcher.sees(2).await;
        watcher.sees(3).await;
        assert_eq!(watcher.asked.load(Ordering::SeqCst), 1);
    }
}

/// A server that has no link when the other one is asked learns of it once it is linked again. `lose` cuts the second
/// server's link, and `restore` lets it come back.
///
/// # Panics
/// If not.
pub async fn end_where_there_was_no_link(
    backends: [Arc<dyn Backend>; 2],
    lose: impl Future<Output = ()>,
    restore: impl FnOnce(),
) {
    let [first, second] = backends;
    let (one, _) = serve(first).await;
    let (_other, address) = serve(second).await;
    let mut ada = Watcher::fixed(&address, "ada").await;
    let bob = Watcher::fixed(&address, "bob").await;
    // Both servers are linked from now on.
    let published = one.publish("job:1", &1);
    in_time("publishing", published).await.expect("stored");
    ada.sees(1).await;
    lose.await;
    let mut status = ada.client.status();
    let stale = status.wait_for(|status| status.state == ConnectionState::Stale);
    in_time("the loss", stale).await.expect("it is told");
    let ended = in_time("the answer", one.disconnect("ada")).await;
    assert_eq!(ended.map(|ended| ended.is_told), Ok(true));
    restore();
    ada.is_disconnected().await;
    let mut status = bob.client.status();
    let stays = status.wait_for(|status| status.state == ConnectionState::Connected);
    in_time("the link", stays).await.expect("it stays");
}
