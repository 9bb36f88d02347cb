//! What another program has damaged of a topic, beside topics that it hasn't.

use std::sync::Arc;

use futures_util::StreamExt as _;
use tidegate::backend::Backend;
use tidegate::core::protocol::{Start, TopicPosition};
use tidegate::core::publication::Position;
use tidegate::{BackendLink, Config, Event, Hub, Subscribe};
use tidegate_tests::topic;

use crate::conformance::in_time;

/// Whoever asks a server for the damaged topics, which all begin with `wrong:`, is answered, and who watches another one notices
/// nothing. Each has been published to up to `last` in this epoch, or the one that is given.
///
/// # Panics
/// If not.
pub async fn is_left_out(backend: Arc<dyn Backend>, damaged: &[(&str, Position)]) {
    let hub = Hub::with_backend(Config::default(), backend).expect("a thread");
    let mut events = hub.subscribe("job:1").await.expect("subscribed");
    let mut kept = Vec::new();
    for (name, last) in damaged {
        let before = Position { offset: 1, ..*last };
        for position in [*last, before, Position::default()] {
            let since = TopicPosition {
                topic: topic(name),
                position,
            };
            let options = Subscribe {
                start: Start::Since(vec![since]),
                ..Subscribe::default()
            };
            let subscribed = hub.subscribe_with(name, options);
            kept.push(in_time(name, subscribed).await.expect("subscribed"));
        }
        let subscribed = hub.subscribe(name);
        kept.push(in_time(name, subscribed).await.expect("subscribed"));
    }
    let subscribed = hub.subscribe("wrong:*");
    kept.push(
        in_time("all of them", subscribed)
            .await
            .expect("subscribed"),
    );
    for number in 0..10 {
        in_time("stored", hub.publish("job:1", &number))
            .await
            .expect("stored");
        match in_time("an event", events.next()).await {
            Some(Event::Publication(it)) => assert_eq!(it.payload.as_str(), number.to_string()),
            other => panic!("{other:?} instead of {number}"),
        }
    }
    let health = hub.backend().expect("a backend").borrow().clone();
    assert_eq!(health.link, BackendLink::Live, "{:?}", health.last_error);
    drop(kept);
    hub.stop();
    hub.stopped().await;
}
