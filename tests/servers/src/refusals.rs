//! Publishes that a backend refuses, beside ones that it accepts.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use tidegate::backend::Backend;
use tidegate::core::hub::PublishError as CorePublishError;

use tidegate::{BackendLink, Config, Event, Hub, PublishError};

use crate::conformance::in_time;

/// The number of simultaneous publishes.
const COUNT: u64 = 300;

/// Checks that of simultaneous publishes, only those of `value` to `topic`, which `backend` can't store, are refused,
/// and that subscribers to another topic notice nothing.
///
/// # Panics
/// If not.
pub async fn are_refused_alone(backend: Arc<dyn Backend>, topic: &str, value: &str) {
    let hub = Hub::with_backend(Config::default(), backend).expect("a thread");
    let mut events = hub.subscribe("job:1").await.expect("subscribed");
    let is_wrong = |number: &u64| number % 40 == 39;
    let publishing = (0..COUNT).map(|number| {
        let hub = hub.clone();
        async move {
            if is_wrong(&number) {
                hub.publish(topic, &value).await
            } else {
                hub.publish("job:1", &number).await
            }
        }
    });
    let answers = in_time("answers", join_all(publishing)).await;
    let mut offset = 0;
    for (number, answer) in (0..COUNT).zip(answers) {
        if is_wrong(&number) {
            let refused = CorePublishError::Refused;
            assert!(
                matches!(&answer, Err(PublishError::Refused(error)) if *error == refused),
                "{number}: {answer:?}"
            );
        } else {
            offset += 1;
            let position = answer.unwrap_or_else(|error| panic!("{number}: {error}"));
            assert_eq!(position.offset, offset, "{number}");
        }
    }
    for number in (0..COUNT).filter(|number| !is_wrong(number)) {
        match in_time("an event", events.next()).await {
            Some(Event::Publication(it)) => assert_eq!(it.payload.as_str(), number.to_string()),
            other => panic!("{other:?} instead of {number}"),
        }
    }
    let health = hub.backend().expect("a backend");
    let link = health.borrow().link;
    assert_eq!(link, BackendLink::Live, "{:?}", health.borrow().last_error);
    hub.stop();
    hub.stopped().await;
}
