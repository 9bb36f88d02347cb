//! Gates that rest, compared with the same hub whose gates never do, and with single gates.

mod batches;
mod starts;
mod together;

use core::time::Duration;

use alloc::format;
use alloc::string::String;

use proptest::prelude::*;

use super::*;
use crate::flow::{Conflate, Pace};
use crate::gate::Gate;
use crate::lifecycle::EndReason;

const TOPICS: [&str; 2] = ["job:1", "job:2"];

#[derive(Clone, Debug)]
enum Step {
    Subscribe { topic: usize, flow: Flow },
    Unsubscribe { which: usize },
    Flow { which: usize, flow: Flow },
    Publish { topic: usize },
    Timeout,
    End { topic: usize },
    Wait { millis: u64 },
}

fn any_flow() -> impl Strategy<Value = Flow> {
    let millis = |range: core::ops::Range<u64>| range.prop_map(Duration::from_millis);
    let throttle =
        (millis(1..60), any::<bool>(), any::<bool>()).prop_map(|(every, leading, trailing)| {
            Pace::Throttle {
                every,
                leading,
                trailing,
            }
        });
    let max_wait = prop::option::of(millis(1..80));
    let debounce = (millis(1..40), max_wait, any::<bool>(), any::<bool>()).prop_map(
        |(quiet, max_wait, leading, trailing)| Pace::Debounce {
            quiet,
            max_wait,
            leading,
            trailing,
        },
    );
    let pace = prop_oneof![1 => Just(Pace::Immediate), 5 => throttle, 5 => debounce];
    let conflate = prop_oneof![
        6 => Just(Conflate::Latest),
        1 => (2..5_u32).prop_map(|max| Conflate::Collect { max: max.try_into().unwrap() }),
    ];
    (pace, conflate).prop_map(|(pace, conflate)| Flow {
        pace,
        conflate,
        ..Flow::IMMEDIATE
    })
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let topic = || 0..TOPICS.len();
    let step = prop_oneof![
        4 => (topic(), any_flow()).prop_map(|(topic, flow)| Step::Subscribe { topic, flow }),
        1 => any::<usize>().prop_map(|which| Step::Unsubscribe { which }),
        1 => (any::<usize>(), any_flow()).prop_map(|(which, flow)| Step::Flow { which, flow }),
        16 => topic().prop_map(|topic| Step::Publish { topic }),
        6 => Just(Step::Timeout),
        1 => topic().prop_map(|topic| Step::End { topic }),
        8 => (0..30_u64).prop_map(|millis| Step::Wait { millis }),
    ];
    prop::collection::vec(step, 1..if cfg!(miri) { 20 } else { 200 })
}

/// A single subscription: what its gate makes of each publication.
struct Alone {
    id: SubscriptionId,
    topic: usize,
    flow: Flow,
    gate: Option<Gate<Arc<Publication<()>>>>,
    got: Vec<Position>,
}

impl Alone {
    fn with_gate(&mut self, act: impl FnOnce(&mut Gate<Arc<Publication<()>>>)) {
        let Some(gate) = &mut self.gate else { return };
        act(gate);
        while let Some(emission) = gate.poll_output() {
            let positions = emission.into_iter().map(|value| value.position);
            self.got.extend(positions);
        }
        if gate.is_idle() {
            self.gate = None;
        }
    }

    fn handle_publication(&mut self, now: Instant, publication: &Arc<Publication<()>>) {
        if self.flow.is_immediate() || (publication.is_terminal() && self.gate.is_none()) {
            return self.got.push(publication.position);
        }
        let flow = self.flow;
        self.gate.get_or_insert_with(|| Gate::new(flow));
        let value = Arc::clone(publication);
        self.with_gate(|gate| {
            if value.is_terminal() {
                gate.handle_terminal(now, value);
            } else {
                gate.handle_value(now, value);
            }
        });
    }

    fn handle_flow(&mut self, now: Instant, flow: Flow) {
        self.flow = flow;
        self.with_gate(|gate| {
            if flow.is_immediate() {
                gate.handle_flush(now);
            }
            gate.handle_flow(now, flow);
        });
    }
}

/// The hub, the hub without rest, and the single subscriptions.
struct Trio {
    hub: Hub<()>,
    restless: Hub<()>,
    alone: Vec<Alone>,
    gone: Vec<Alone>,
    now: Instant,
}

impl Trio {
    fn new() -> Self {
        let hub = || Hub::new(HubConfig::new(7));
        Self {
            hub: hub(),
            restless: hub(),
            alone: Vec::new(),
            gone: Vec::new(),
            now: Instant::from_millis(1),
        }
    }

    fn apply(&mut self, step: Step) {
        let now = self.now;
        match step {
            Step::Wait { millis } => self.now = now + Duration::from_millis(millis),
            Step::Timeout => {
                self.both(|hub| hub.handle_timeout(now));
                self.pass_time();
            }
            Step::Subscribe { topic, flow } => {
                let pattern = Pattern::new(TOPICS[topic]).unwrap();
                // A subscriber that arrives after the end gets that and nothing else; these subscribe to a topic that
                // restarts.
                let is_over = self
                    .hub
                    .latest(&pattern.exact().unwrap())
                    .is_some_and(|latest| latest.is_terminal());
                if !is_over {
                    let subscribe = |hub: &mut Hub<()>| {
                        let request = SubscribeRequest {
                            start: Start::New,
                            ..SubscribeRequest::new(pattern.clone(), flow)
                        };
                        hub.handle_subscribe(now, 0, &request).unwrap().id
                    };
                    let id = self.both(subscribe);
                    self.alone.push(Alone {
                        id,
                        topic,
                        flow,
                        gate: None,
                        got: Vec::new(),
                    });
                }
            }
            Step::Unsubscribe { which } if !self.alone.is_empty() => {
                let gone = self.alone.remove(which % self.alone.len());
                self.both(|hub| hub.handle_unsubscribe(gone.id));
                self.gone.push(gone);
            }
            Step::Flow { which, flow } if !self.alone.is_empty() => {
                let which = which % self.alone.len();
                let id = self.alone[which].id;
                self.both(|hub| hub.handle_flow(now, id, flow).unwrap());
                self.alone[which].handle_flow(now, flow);
            }
            Step::Unsubscribe { .. } | Step::Flow { .. } => {}
            Step::Publish { topic } => self.publish(topic, None),
            Step::End { topic } => self.publish(topic, Some(EndReason::Complete)),
        }
    }

    fn both<T: PartialEq + core::fmt::Debug>(
        &mut self,
        mut act: impl FnMut(&mut Hub<()>) -> T,
    ) -> T {
        let result = act(&mut self.hub);
        assert_eq!(result, act(&mut self.restless));
        result
    }

    fn publish(&mut self, topic: usize, end: Option<EndReason>) {
        let now = self.now;
        self.pass_time();
        wake_everyone(&mut self.restless);
        let name = Topic::new(TOPICS[topic]).unwrap();
        let request = PublishRequest {
            end: end.map(Into::into),
            restart: true,
            ..PublishRequest::new(name.clone(), ())
        };
        let position = self.both(|hub| hub.handle_publish(now, request.clone()).unwrap());
        let publication = Arc::new(Publication {
            topic: name,
            position,
            payload: (),
            end,
        });
        for mut alone in core::mem::take(&mut self.alone) {
            let is_told = alone.topic == topic;
            if is_told {
                alone.handle_publication(now, &publication);
            }
            let is_over = is_told && end.is_some();
            let place = if is_over {
                &mut self.gone
            } else {
                &mut self.alone
            };
            place.push(alone);
        }
    }

    /// Handles deadlines first, as hubs do before they route a publication.
    fn pass_time(&mut self) {
        let now = self.now;
        for alone in &mut self.alone {
            alone.with_gate(|gate| gate.handle_timeout(now));
        }
    }

    /// Takes what is due from both hubs, and compares it, including the order.
    fn compare(&mut self, due: &mut Vec<(SubscriptionId, Position)>) {
        loop {
            let output = self.hub.poll_output();
            let text = |output: &Option<Due<()>>| -> String { format!("{output:?}") };
            assert_eq!(text(&output), text(&self.restless.poll_output()));
            match output {
                None => return,
                Some(Due::Deliver { delivery, .. }) => due.extend(
                    delivery
                        .emission
                        .into_iter()
                        .map(|value| (delivery.subscription, value.position)),
                ),
                Some(_) => {}
            }
        }
    }
}

/// As if no gate had ever rested: each gate is handed each publication.
fn wake_everyone(hub: &mut Hub<()>) {
    for topic in TOPICS {
        if let Some(route) = hub.router.find(&Pattern::new(topic).unwrap()) {
            let indexes: Vec<u32> = hub.router.subscribers(route).copied().collect();
            hub.router.wake_all(route);
            for index in indexes {
                hub.subscribers.rouse(index);
            }
        }
    }
}

proptest! {
    #[test]
    fn gates_that_rest_emit_the_same_in_the_same_order(steps in any_steps()) {
        let mut trio = Trio::new();
        let mut due = Vec::new();
        for step in steps {
            trio.apply(step);
            trio.compare(&mut due);
            let next = trio.hub.poll_timeout();
            let exact = trio.restless.poll_timeout();
            prop_assert!(next <= exact || exact.is_none(), "due at {exact:?}, told {next:?}");
        }
        for alone in trio.alone.iter().chain(&trio.gone) {
            let got: Vec<Position> = due
                .iter()
                .filter(|(id, _)| *id == alone.id)
                .map(|(_, position)| *position)
                .collect();
            prop_assert_eq!(&got, &alone.got);
        }
    }
}

fn throttled(hub: &mut Hub<()>, subscribers: u32) -> Topic {
    let topic = Topic::new("job:1").unwrap();
    let flow = Flow::throttle(Duration::from_secs(1));
    for downlink in 0..subscribers {
        let request = SubscribeRequest {
            start: Start::New,
            ..SubscribeRequest::new(Pattern::from(&topic), flow)
        };
        hub.handle_subscribe(Instant::ZERO, downlink, &request)
            .unwrap();
    }
    topic
}

fn publish_at(hub: &mut Hub<()>, millis: u64, topic: &Topic) -> usize {
    hub.handle_publish(
        Instant::from_millis(millis),
        PublishRequest::new(topic.clone(), ()),
    )
    .unwrap();
    core::iter::from_fn(|| hub.poll_output()).count()
}

#[test]
fn what_passed_by_is_let_go_when_nobody_rests_any_more() {
    let mut hub = Hub::new(HubConfig {
        history: crate::history::HistoryLimits {
            count_max: 1,
            ..crate::history::HistoryLimits::default()
        },
        ..HubConfig::new(7)
    });
    let topic = throttled(&mut hub, 200);
    assert_eq!(publish_at(&mut hub, 0, &topic), 200);
    for millis in 1..10 {
        assert_eq!(publish_at(&mut hub, millis, &topic), 0, "all rest");
    }
    let latest = Arc::clone(hub.latest(&topic).unwrap());
    assert_eq!(Arc::strong_count(&latest), 3, "kept once for all");
    for second in 1..3 {
        hub.handle_timeout(Instant::from_millis(second * 1000));
        let emissions = core::iter::from_fn(|| hub.poll_output()).count();
        assert_eq!(emissions, if second == 1 { 200 } else { 0 });
    }
    assert_eq!(Arc::strong_count(&latest), 2);
    assert_eq!(hub.counts().gates, 0);
}

#[test]
fn who_does_not_ask_what_is_due_is_woken_for_that_and_to_forget_topics() {
    let mut hub: Hub<()> = Hub::new(HubConfig::new(7));
    let retention = HubConfig::new(7).retention;
    let now = Instant::from_millis(5);
    let topic = Topic::new("job:1").unwrap();
    hub.handle_publish(now, PublishRequest::new(topic, ()))
        .unwrap();
    assert_eq!(hub.poll_timeout(), Some(now));
    while hub.poll_output().is_some() {}
    assert_eq!(hub.poll_timeout(), Some(now + retention));
    hub.handle_timeout(now + retention);
    assert_eq!(hub.poll_timeout(), None);
}
