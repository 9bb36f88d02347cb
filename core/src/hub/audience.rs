//! Publishing to those who are known already: a host that calls handlers by itself need not be told each time whom.

use super::Hub;
use super::error::PublishError;
use super::store::Stored;
use crate::payload::Payload;
use crate::protocol::PublishRequest;
use crate::publication::Position;
use crate::time::Instant;

/// Whom a topic's publications reach. It stands until somebody subscribes, leaves or changes a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audience(u64);

impl Audience {
    /// The audience with a number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number: below 2^53.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// Whom a publication has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// The audience that was named, to whom the host hands it: for them nothing is due by it.
    Same,
    /// Those to whom it is due. With an audience: everybody who subscribes, at once, and so it will be next time.
    Due(Option<Audience>),
}

impl<P: Payload> Hub<P> {
    /// Publishes as [`Hub::handle_publish`] does, but spares the host what it knows. `known` is the audience that it was
    /// told of when it last published to this topic; what was due then must have been polled.
    ///
    /// # Errors
    /// As [`PublishError`] says. Nothing was published then.
    pub fn handle_publish_to(
        &mut self,
        now: Instant,
        request: PublishRequest<P>,
        known: Option<Audience>,
    ) -> Result<(Position, Reached), PublishError> {
        let (publication, exact) = match self.store(now, request)? {
            Stored::Before(position) => return Ok((position, Reached::Due(None))),
            Stored::Now(publication, exact) => (publication, exact),
        };
        let position = publication.position;
        let audience = Audience(self.changes);
        // What is due by time comes first, as everywhere.
        let is_due = self.subscribers.poll_timeout().is_some_and(|at| at <= now);
        if publication.end.is_none() && known == Some(audience) && !is_due {
            return Ok((position, Reached::Same));
        }
        let mut is_plain = publication.end.is_none();
        let mut routes = core::mem::take(&mut self.matched);
        routes.extend(exact);
        self.router
            .for_each_wildcard(&publication.topic, |route| routes.push(route));
        for route in routes.drain(..) {
            let mut indexes = self.router.subscribers(route);
            is_plain = is_plain && !indexes.any(|index| self.subscribers.is_gated(*index));
        }
        self.matched = routes;
        self.hand_on(now, &publication, exact);
        Ok((position, Reached::Due(is_plain.then_some(audience))))
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;
    use core::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::flow::Flow;
    use crate::gate::Emission;
    use crate::hub::{Due, HubConfig, SubscriptionId};
    use crate::lifecycle::EndReason;
    use crate::protocol::Start;
    use crate::topic::{Pattern, Topic};

    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Text(String);

    impl Payload for Text {
        fn merge(&self, newer: &Self) -> Self {
            newer.clone()
        }

        fn sum(&self, newer: &Self) -> Self {
            newer.clone()
        }

        fn text_field(&self, _field: &str) -> Option<String> {
            None
        }

        fn size(&self) -> usize {
            self.0.len()
        }

        fn is_same(&self, other: &Self) -> bool {
            self == other
        }
    }

    const PATTERNS: [&str; 4] = ["a:1", "a:2", "a:*", "**"];
    const TOPICS: [&str; 2] = ["a:1", "a:2"];

    #[derive(Clone, Debug)]
    enum Step {
        Subscribe { pattern: usize, paced: bool },
        Unsubscribe { which: usize },
        Reflow { which: usize, paced: bool },
        Publish { topic: usize, ends: bool },
        Wait { ms: u64 },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            2 => (0..PATTERNS.len(), prop::bool::weighted(0.2))
                .prop_map(|(pattern, paced)| Step::Subscribe { pattern, paced }),
            1 => (0..8usize).prop_map(|which| Step::Unsubscribe { which }),
            1 => (0..8usize, any::<bool>()).prop_map(|(which, paced)| Step::Reflow { which, paced }),
            8 => (0..TOPICS.len(), prop::bool::weighted(0.05))
                .prop_map(|(topic, ends)| Step::Publish { topic, ends }),
            2 => (0..150u64).prop_map(|ms| Step::Wait { ms }),
        ]
    }

    fn flow(paced: bool) -> Flow {
        if paced {
            Flow::throttle(Duration::from_millis(100))
        } else {
            Flow::IMMEDIATE
        }
    }

    type Handed = Vec<(SubscriptionId, u64, Text)>;

    /// A host that calls handlers by itself, or is told each time.
    struct Host {
        hub: Hub<Text>,
        remembers: bool,
        ids: Vec<SubscriptionId>,
        known: BTreeMap<usize, (Audience, Vec<SubscriptionId>)>,
        spared: usize,
        handed: Handed,
    }

    impl Host {
        fn new(remembers: bool) -> Self {
            Self {
                hub: Hub::new(HubConfig::new(7)),
                remembers,
                ids: Vec::new(),
                known: BTreeMap::new(),
                spared: 0,
                handed: Vec::new(),
            }
        }

        fn take(&mut self, now: Instant, step: &Step, number: usize) {
            match *step {
                Step::Subscribe { pattern, paced } => {
                    let pattern = Pattern::new(PATTERNS[pattern]).expect("a pattern");
                    let subscribed =
                        self.hub
                            .handle_subscribe(now, 0, &pattern, flow(paced), &Start::New);
                    self.ids.push(subscribed.expect("within limits").id);
                }
                Step::Unsubscribe { which } if which < self.ids.len() => {
                    self.hub.handle_unsubscribe(self.ids.remove(which));
                }
                Step::Reflow { which, paced } if which < self.ids.len() => {
                    let changed = self.hub.handle_flow(now, self.ids[which], flow(paced));
                    changed.expect("a sound flow");
                }
                Step::Publish { topic, ends } => self.publish(now, topic, ends, number),
                Step::Wait { .. } => self.hub.handle_timeout(now),
                Step::Unsubscribe { .. } | Step::Reflow { .. } => {}
            }
            self.drain();
        }

        fn publish(&mut self, now: Instant, topic: usize, ends: bool, number: usize) {
            let payload = Text(number.to_string());
            let request = PublishRequest {
                topic: Topic::new(TOPICS[topic]).expect("a topic"),
                payload: payload.clone(),
                end: ends.then_some(EndReason::Complete),
                id: None,
                restart: true,
            };
            if !self.remembers {
                self.hub
                    .handle_publish(now, request)
                    .expect("within limits");
                return;
            }
            let known = self.known.get(&topic).map(|(audience, _)| *audience);
            let published = self.hub.handle_publish_to(now, request, known);
            let (position, reached) = published.expect("within limits");
            match reached {
                Reached::Same => {
                    self.spared += 1;
                    let (_, ids) = &self.known[&topic];
                    let due = ids.iter().map(|id| (*id, position.offset, payload.clone()));
                    self.handed.extend(due);
                }
                Reached::Due(None) => {
                    self.known.remove(&topic);
                }
                Reached::Due(Some(audience)) => {
                    let from = self.handed.len();
                    self.drain();
                    let due = self.handed[from..].iter();
                    let ids = due.filter(|(_, _, data)| *data == payload);
                    let ids = ids.map(|(id, _, _)| *id).collect();
                    self.known.insert(topic, (audience, ids));
                }
            }
        }

        fn drain(&mut self) {
            while let Some(due) = self.hub.poll_output() {
                if let Due::Deliver { delivery, .. } = due {
                    let Emission::One(it) = delivery.emission else {
                        unreachable!("nobody collects");
                    };
                    let offset = it.position.offset;
                    self.handed
                        .push((delivery.subscription, offset, it.payload.clone()));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn who_remembers_an_audience_hands_over_what_others_are_told(
            steps in prop::collection::vec(step(), 1..200),
        ) {
            let mut hosts = [Host::new(true), Host::new(false)];
            let mut now = Instant::ZERO;
            for (number, step) in steps.iter().enumerate() {
                if let Step::Wait { ms } = step {
                    now = now + Duration::from_millis(*ms);
                }
                for host in &mut hosts {
                    host.take(now, step, number);
                }
                prop_assert_eq!(&hosts[0].handed, &hosts[1].handed, "after step {}", number);
            }
        }
    }

    #[test]
    fn a_second_publication_to_the_same_subscribers_is_spared() {
        let mut host = Host::new(true);
        let subscribe = Step::Subscribe {
            pattern: 0,
            paced: false,
        };
        let publish = Step::Publish {
            topic: 0,
            ends: false,
        };
        for (number, step) in [
            &subscribe, &publish, &publish, &subscribe, &publish, &publish,
        ]
        .into_iter()
        .enumerate()
        {
            host.take(Instant::ZERO, step, number);
        }
        assert_eq!((host.spared, host.handed.len()), (2, 6));
    }
}
