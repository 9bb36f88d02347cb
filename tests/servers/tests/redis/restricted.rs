//! Topics in a Redis whose users have only the rights that the documentation names.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::StreamExt as _;
use tidegate::backend::{Backend, BackendError, Keep, Redis};
use tidegate::core::uplink;
use tidegate::{BackendLink, Config, Event, Hub, LookupError};
use tidegate_server_tests::conformance;
use tidegate_server_tests::conformance::{Place, request};
use tidegate_server_tests::heard::Heard;
use tidegate_server_tests::servers::redis::RedisServer;
use tidegate_server_tests::servers::shared::{Running, Shared};
use tidegate_tests::pattern;

static SERVER: Shared<RedisServer> = Shared::new();

/// The commands that a server needs.
const COMMANDS: &str = "+@read +@write +@pubsub +@scripting +@connection +time -@dangerous";

/// Creates a user that may use a namespace and these channels.
fn let_in(server: &RedisServer, user: &str, namespace: &str, channels: &[&str]) -> String {
    let keys = format!("~{namespace}:*");
    let mut words = vec!["ACL", "SETUSER", user, "reset", "on", ">secret", &keys];
    words.extend(COMMANDS.split(' '));
    words.extend(channels);
    assert_eq!(server.cli(&words), "OK");
    format!(
        "redis://{user}:secret@{}?namespace={namespace}",
        server.place()
    )
}

/// A namespace on the server that all tests here share, and a user for it.
struct InRestrictedRedis {
    url: String,
    keep: Keep,
    _server: Arc<Running<RedisServer>>,
}

impl Place for InRestrictedRedis {
    async fn start(keep: Keep) -> Self {
        static PLACES: AtomicU32 = AtomicU32::new(0);
        let started = tokio::task::spawn_blocking(|| SERVER.run(RedisServer::start));
        let server = started.await.expect("the server starts");
        let name = format!("place{}", PLACES.fetch_add(1, Ordering::Relaxed));
        let (own, feeds) = (format!("&{name}.*"), format!("&{name}.feed:*"));
        Self {
            url: let_in(&server, &name, &name, &["&tidegate:*", &own, &feeds]),
            keep,
            _server: server,
        }
    }

    async fn backend(&self) -> Arc<dyn Backend> {
        let backend = Redis::new(&self.url, self.keep.clone());
        Arc::new(backend.expect("the server's address"))
    }
}

conformance!(InRestrictedRedis);

#[tokio::test]
async fn a_user_who_may_not_hear_what_a_server_needs_is_refused_when_it_opens() {
    let server = RedisServer::start();
    for (user, channels) in [
        ("none", &[][..]),
        ("own", &["&tidegate.*"]),
        ("raw", &["&tidegate:*", "&tidegate:feed:*"]),
        // For PSUBSCRIBE, Redis compares patterns literally: a wider one does not allow a narrower one.
        ("globs", &["&tidegate:*", "&tidegate.*", "&tidegate*"]),
    ] {
        let url = let_in(&server, user, "tidegate", channels);
        let backend = Redis::new(&url, Keep::default()).expect("an address");
        let (feed, _heard) = Heard::new();
        let error = backend.open(feed).await.expect_err("refused");
        assert!(matches!(error, BackendError::Refused { .. }), "{error:?}");
        let advice = "~tidegate:* &tidegate:* &tidegate.* &tidegate.feed:*";
        assert!(error.to_string().contains(advice), "{user}: {error}");
    }
}

#[tokio::test]
async fn a_question_that_a_user_may_not_ask_is_refused_and_costs_nobody_the_link() {
    let server = RedisServer::start();
    let channels = ["&tidegate:*", "&tidegate.*", "&tidegate.feed:*"];
    let url = let_in(&server, "user", "tidegate", &channels);
    assert_eq!(server.cli(&["ACL", "SETUSER", "user", "-zscan"]), "OK");
    let backend = Redis::new(&url, Keep::default()).expect("an address");
    let hub = Hub::with_backend(Config::default(), Arc::new(backend)).expect("a hub");
    let mut followed = hub.subscribe("job:1").await.expect("subscribed");
    hub.publish("job:1", &1).await.expect("stored");
    for _ in 0..3 {
        let refused = hub.latest_matching("job:*").await;
        let Err(LookupError::Failed(error)) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(error, uplink::LookupError::Refused);
        let latest = hub.latest("job:1").await.expect("told");
        assert!(latest.is_some());
    }
    let health = hub.backend().expect("a backend").borrow().clone();
    assert_eq!(health.link, BackendLink::Live, "{health:?}");
    hub.publish("job:1", &2).await.expect("stored");
    for due in ["1", "2"] {
        match followed.next().await {
            Some(Event::Publication(publication)) => assert_eq!(publication.payload.as_str(), due),
            other => panic!("the link was lost: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_user_who_may_hear_one_glob_only_hears_nothing_that_is_not_followed() {
    let server = RedisServer::start();
    let channels = ["&tidegate:*", "&tidegate.*", "&tidegate.feed:*"];
    let url = let_in(&server, "user", "tidegate", &channels);
    let backend = Redis::new(&url, Keep::default()).expect("an address");
    let mut heard = Heard::open(&backend).await;
    for followed in ["job:*", "log:*"] {
        backend
            .follow(&[pattern(followed)])
            .await
            .expect("followed");
    }
    let publish = async |topics: &[&str]| {
        for topic in topics {
            let published = backend.publish(&[request(topic, "1")]).await;
            published.expect("stored")[0].expect("stored");
        }
    };
    publish(&["other:1", "job:1", "log:1"]).await;
    assert_eq!(heard.publication().await.topic.as_str(), "job:1");
    assert_eq!(heard.publication().await.topic.as_str(), "log:1");
    server.cli(&["publish", "tidegate:log:2", "2"]);
    assert_eq!(heard.publication().await.topic.as_str(), "log:2");
    backend.unfollow(&[pattern("job:*")]).await.expect("done");
    publish(&["job:1", "log:1"]).await;
    assert_eq!(heard.publication().await.topic.as_str(), "log:1");
    let globs = || server.cli(&["pubsub", "numpat"]);
    assert_eq!(globs(), "2", "feeds and raw messages");
    backend.unfollow(&[pattern("log:*")]).await.expect("done");
    assert_eq!(globs(), "1");
    assert!(heard.rest().is_empty());
}
