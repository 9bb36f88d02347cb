//! The topics of a hub and their numbers of subscribers, for operators.

use core::cmp::Reverse;

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Hub;
use crate::payload::Payload;
use crate::publication::{Position, Publication};
use crate::time::Instant;
use crate::topic::Topic;

/// The most topics that a survey looks at, so that it delays nothing.
pub const SURVEYED_MAX: usize = 10_000;

/// A topic, as a survey finds it.
#[derive(Clone, Debug)]
pub struct Surveyed<P> {
    /// The topic.
    pub topic: Topic,
    /// Its position.
    pub position: Position,
    /// How many subscriptions get its publications, including those with wildcards.
    pub subscribers: usize,
    /// How many publications the slowest subscriber lags behind because its connection accepts less than is published.
    /// Only a server knows this: [`ServerHub::survey`](super::ServerHub::survey).
    pub lag: u64,
    /// When it was last published to or subscribed to.
    pub touched: Instant,
    /// The latest publication, if there is one.
    pub latest: Option<Arc<Publication<P>>>,
}

impl<P: Payload + Clone> Hub<P> {
    /// Up to `most` topics, those touched last first. No more than [`SURVEYED_MAX`] are looked at.
    pub fn survey(&self, most: usize) -> Vec<Surveyed<P>> {
        let mut touched: Vec<(Reverse<Instant>, u32)> = self
            .topics
            .some(SURVEYED_MAX)
            .map(|(index, state)| (Reverse(state.touched), index))
            .collect();
        touched.sort_unstable();
        touched.truncate(most);
        let surveyed = touched.into_iter().map(|(_, index)| self.surveyed(index));
        surveyed.collect()
    }

    fn surveyed(&self, index: u32) -> Surveyed<P> {
        let state = self.topics.get(index);
        let exact = self.router.find_exact(&state.topic);
        let mut subscribers = exact.map_or(0, |route| self.router.subscriber_count(route));
        self.router.for_each_wildcard(&state.topic, |route| {
            subscribers += self.router.subscriber_count(route);
        });
        Surveyed {
            topic: state.topic.clone(),
            position: state.history.position(),
            subscribers,
            lag: 0,
            touched: state.touched,
            latest: state.history.latest().cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Flow;
    use crate::hub::HubConfig;
    use crate::protocol::{PublishRequest, SubscribeRequest};
    use crate::topic::Pattern;

    #[test]
    fn topics_come_by_when_they_were_touched_with_all_who_subscribe() {
        let mut hub: Hub<()> = Hub::new(HubConfig::new(1));
        for (at, topic) in [(1, "job:1"), (2, "job:2"), (3, "task:1"), (4, "job:1")] {
            let request = PublishRequest::new(Topic::new(topic).unwrap(), ());
            hub.handle_publish(Instant::from_millis(at), request)
                .unwrap();
        }
        for pattern in ["job:1", "job:*", "**"] {
            let pattern = Pattern::new(pattern).unwrap();
            let now = Instant::from_millis(4);
            let request = SubscribeRequest::new(pattern, Flow::IMMEDIATE);
            hub.handle_subscribe(now, 0, &request).unwrap();
        }
        let found: Vec<_> = hub.survey(2);
        let told = found
            .iter()
            .map(|it| (it.topic.as_str(), it.position.offset, it.subscribers));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [("job:1", 2, 3), ("task:1", 1, 1)]
        );
        assert_eq!(hub.survey(9).len(), 3);
    }
}
