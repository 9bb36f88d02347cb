//! Topics that another program has damaged, beside intact ones.

use std::sync::Arc;

use futures_util::StreamExt as _;
use tidegate::backend::Backend;
use tidegate::core::protocol::{Start, TopicPosition};
use tidegate::core::publication::Position;
use tidegate::{BackendLink, Config, Event, Hub, Subscribe};
use tidegate_tests::topic;

use crate::conformance::{in_time, request};

/// For each of the `damages`, publishes to a topic, and then applies the damage to it. Returns the topics with their
/// positions.
///
/// # Panics
/// If publishing fails.
pub async fn damage_each(
    backend: &dyn Backend,
    damages: &[&str],
    damage: impl Fn(&str, &str),
) -> Vec<(String, Position)> {
    let mut damaged = Vec::new();
    for (number, statement) in damages.iter().enumerate() {
        let name = format!("wrong:{number}");
        let batch = ["1", "2", "3"].map(|text| request(&name, text));
        let stored = backend.publish(&batch).await.expect("stored");
        damage(statement, &name);
        damaged.push((name, stored[2].expect("stored")));
    }
    damaged
}

/// Checks that requests for the damaged topics, which all begin with `wrong:`, are answered, and that subscribers to
/// another topic notice nothing. Each damaged topic is given with its last position.
///
/// # Panics
/// If not.
pub async fn is_left_out(backend: Arc<dyn Backend>, damaged: &[(String, Position)]) {
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
