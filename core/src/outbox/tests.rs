mod behind;
mod discard;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::num::NonZeroU32;

use proptest::prelude::*;

use super::*;
use crate::flow::{Conflate, Flow};
use crate::gate::Emission;
use crate::hub::{Hub, HubConfig};
use crate::lifecycle::EndReason;
use crate::protocol::SubscribeRequest;
use crate::publication::{Position, Publication};
use crate::time::Instant;
use crate::topic::{Pattern, Topic};

/// A payload that can be summed, with a size of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Amount {
    amount: u64,
    bytes: usize,
}

impl Payload for Amount {
    fn merge(&self, newer: &Self) -> Self {
        newer.clone()
    }

    fn sum(&self, newer: &Self) -> Self {
        Self {
            amount: self.amount + newer.amount,
            bytes: newer.bytes,
        }
    }

    fn text_field(&self, _field: &str) -> Option<String> {
        None
    }

    fn size(&self) -> usize {
        self.bytes
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

const BYTES_MAX: usize = 4_000;

/// Subscription ids as a hub assigns them: one for each pattern.
fn subscriptions(patterns: &[&str]) -> Vec<SubscriptionId> {
    let mut hub: Hub<Amount> = Hub::new(HubConfig::new(1));
    let subscribe = |text: &&str| {
        let pattern = Pattern::new(text).unwrap();
        let request = SubscribeRequest::new(pattern, Flow::IMMEDIATE);
        hub.handle_subscribe(Instant::ZERO, 0, &request).unwrap().id
    };
    patterns.iter().map(subscribe).collect()
}

fn publication(topic: &str, offset: u64, bytes: usize) -> Arc<Publication<Amount>> {
    Arc::new(Publication {
        topic: Topic::new(topic).unwrap(),
        position: Position { epoch: 1, offset },
        payload: Amount { amount: 1, bytes },
        end: None,
    })
}

fn terminal(topic: &str, offset: u64, bytes: usize) -> Arc<Publication<Amount>> {
    let publication = Arc::unwrap_or_clone(publication(topic, offset, bytes));
    Arc::new(Publication {
        end: Some(EndReason::Complete),
        ..publication
    })
}

fn delivery(
    subscription: SubscriptionId,
    conflate: Option<Conflate>,
    publication: Arc<Publication<Amount>>,
) -> Delivery<Amount> {
    Delivery {
        subscription,
        via: None,
        conflate,
        emission: Emission::One(publication),
    }
}

/// The frames in short form: `topic@offset`, `[topic@offset ...]`, `-missed`, or the frame's type.
fn drain(outbox: &mut Outbox<Amount>) -> Vec<String> {
    core::iter::from_fn(|| outbox.pop())
        .map(|frame| match frame {
            ServerFrame::Publication { publication, .. } => shown(&publication),
            ServerFrame::Batch { items, .. } => {
                let items: Vec<String> = items.iter().map(|item| shown(item)).collect();
                format!("[{}]", items.join(" "))
            }
            ServerFrame::Lagged { missed, .. } => format!("-{missed}"),
            ServerFrame::Subscribed { pattern, .. } => format!("subscribed {pattern}"),
            ServerFrame::Ping => "ping".into(),
            ServerFrame::Reset { topic, .. } => format!("reset {topic}"),
            other => panic!("not pushed here: {other:?}"),
        })
        .collect()
}

fn shown(publication: &Publication<Amount>) -> String {
    format!("{}@{}", publication.topic, publication.position.offset)
}

#[test]
fn while_there_is_room_everything_leaves_in_order() {
    let ids = subscriptions(&["a"]);
    let mut outbox = Outbox::new(BYTES_MAX);
    outbox.push_delivery(delivery(ids[0], None, publication("a", 1, 10)));
    outbox.push_frame(ServerFrame::Ping);
    outbox.push_delivery(delivery(ids[0], None, publication("a", 2, 10)));
    assert_eq!(outbox.len(), 3);
    assert_eq!(drain(&mut outbox), ["a@1", "ping", "a@2"]);
    assert!(outbox.is_empty());
    assert_eq!(outbox.bytes(), 0);
}

#[test]
fn a_conflating_subscription_waits_with_one_publication_of_a_topic() {
    let ids = subscriptions(&["a", "b"]);
    let mut outbox = Outbox::new(BYTES_MAX);
    let newest = if cfg!(miri) { 50 } else { 1000 };
    for offset in 1..=newest {
        for (id, topic) in ids.iter().zip(["a", "b"]) {
            let conflate = Some(Conflate::Latest);
            outbox.push_delivery(delivery(*id, conflate, publication(topic, offset, 10)));
        }
    }
    assert_eq!(
        drain(&mut outbox),
        [format!("a@{newest}"), format!("b@{newest}")]
    );
}

#[test]
fn sums_go_on_adding_up_while_they_wait() {
    let ids = subscriptions(&["a"]);
    let mut outbox = Outbox::new(BYTES_MAX);
    for offset in 1..=5 {
        let conflate = Some(Conflate::Sum);
        outbox.push_delivery(delivery(ids[0], conflate, publication("a", offset, 10)));
    }
    let Some(ServerFrame::Publication { publication, .. }) = outbox.pop() else {
        panic!("nothing waits");
    };
    assert_eq!(publication.payload.amount, 5);
    assert_eq!(publication.position.offset, 5);
    assert!(outbox.pop().is_none());
}

#[test]
fn who_must_have_everything_loses_the_oldest_and_is_told_how_many() {
    let ids = subscriptions(&["a"]);
    let mut outbox = Outbox::new(BYTES_MAX);
    let mut most = 0;
    for offset in 1..=100 {
        outbox.push_delivery(delivery(ids[0], None, publication("a", offset, 100)));
        assert!(outbox.bytes() <= BYTES_MAX);
        most = most.max(outbox.bytes());
        assert!(outbox.bytes() >= most / 2, "more is lost than room needs");
    }
    let left = drain(&mut outbox);
    let missed: usize = left[0].strip_prefix('-').unwrap().parse().unwrap();
    assert_eq!(missed + left.len() - 1, 100);
    let newest: Vec<String> = (missed + 1..=100).map(|at| format!("a@{at}")).collect();
    assert_eq!(left[1..], newest);
}

#[test]
fn a_loss_is_told_after_the_confirmation_of_its_subscription() {
    let ids = subscriptions(&["a"]);
    let mut outbox = Outbox::new(BYTES_MAX);
    outbox.push_frame(ServerFrame::Subscribed {
        pattern: Pattern::new("a").unwrap(),
        position: None,
        recovered: true,
        flow: Flow::IMMEDIATE,
    });
    for offset in 1..=100 {
        outbox.push_delivery(delivery(ids[0], None, publication("a", offset, 100)));
    }
    let left = drain(&mut outbox);
    assert_eq!(left[0], "subscribed a");
    assert!(left[1].starts_with('-'), "{left:?}");
}

#[test]
fn every_dropped_publication_of_a_batch_counts() {
    let ids = subscriptions(&["a"]);
    let mut outbox = Outbox::new(BYTES_MAX);
    for batch in 0..40 {
        let items = (1..=3).map(|item| publication("a", batch * 3 + item, 50));
        outbox.push_delivery(Delivery {
            subscription: ids[0],
            via: None,
            conflate: None,
            emission: Emission::Batch(items.collect()),
        });
    }
    let mut tally = Tally::default();
    outbox.settle_tally(&mut tally);
    let left = drain(&mut outbox);
    let missed: usize = left[0].strip_prefix('-').unwrap().parse().unwrap();
    assert_eq!(missed + (left.len() - 1) * 3, 120);
    assert_eq!(tally.losses.lagged, missed as u64);
    assert_eq!(tally.losses.conflated, 0);
}

#[test]
fn a_terminal_and_the_newest_of_each_topic_stay_in_a_full_queue() {
    let ids = subscriptions(&["**"]);
    let via = Some(Pattern::new("**").unwrap());
    let mut outbox = Outbox::new(BYTES_MAX);
    let mut push = |publication| {
        outbox.push_delivery(Delivery {
            subscription: ids[0],
            via: via.clone(),
            conflate: None,
            emission: Emission::One(publication),
        });
    };
    push(terminal("ended", 1, 100));
    push(publication("quiet", 1, 100));
    for offset in 1..=100 {
        push(publication("busy", offset, 100));
    }
    let left = drain(&mut outbox);
    for kept in ["ended@1", "quiet@1", "busy@100"] {
        assert!(left.iter().any(|item| item == kept), "{kept} in {left:?}");
    }
}

#[test]
fn nothing_is_combined_with_a_terminal() {
    let ids = subscriptions(&["a:*"]);
    let mut outbox = Outbox::new(BYTES_MAX);
    let conflate = Some(Conflate::Latest);
    let restarted = Arc::new(Publication {
        position: Position {
            epoch: 2,
            offset: 1,
        },
        ..Arc::unwrap_or_clone(publication("a:b", 1, 10))
    });
    for publication in [
        publication("a:b", 1, 10),
        terminal("a:b", 2, 10),
        restarted.clone(),
    ] {
        outbox.push_delivery(delivery(ids[0], conflate, publication));
    }
    assert_eq!(drain(&mut outbox), ["a:b@1", "a:b@2", "a:b@1"]);
}

#[test]
fn a_subscription_that_conflates_again_does_not_overtake_what_it_did_not() {
    let ids = subscriptions(&["a"]);
    let mut outbox = Outbox::new(BYTES_MAX);
    let latest = Some(Conflate::Latest);
    for (offset, conflate) in [(1, latest), (2, None), (3, latest), (4, latest)] {
        outbox.push_delivery(delivery(ids[0], conflate, publication("a", offset, 10)));
    }
    assert_eq!(drain(&mut outbox), ["a@1", "a@2", "a@4"]);
}

#[test]
fn what_must_stay_alone_makes_a_queue_overfull() {
    let ids = subscriptions(&["**"]);
    let mut outbox = Outbox::new(BYTES_MAX);
    let mut topics = 0;
    while !outbox.is_overfull() {
        topics += 1;
        let publication = publication(&format!("t:{topics}"), 1, 100);
        outbox.push_delivery(delivery(ids[0], None, publication));
    }
    assert!(outbox.bytes() > 2 * BYTES_MAX);
    assert_eq!(drain(&mut outbox).len(), topics, "none of them was dropped");
}

const TOPICS: [&str; 3] = ["x:1", "x:2", "x:3"];

#[derive(Clone, Debug)]
enum Step {
    Publish {
        topic: usize,
        bytes: usize,
        is_terminal: bool,
    },
    Run {
        topic: usize,
        count: usize,
        bytes: usize,
    },
    Flow {
        subscription: usize,
        conflate: Option<Conflate>,
    },
    Frame,
    Discard {
        subscription: usize,
    },
    Pop {
        count: usize,
    },
}

fn any_conflate() -> impl Strategy<Value = Option<Conflate>> {
    let collect = Conflate::Collect {
        max: NonZeroU32::MIN,
    };
    prop::sample::select(vec![
        None,
        Some(Conflate::Latest),
        Some(Conflate::Sum),
        Some(collect),
    ])
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        24 => (0..TOPICS.len(), 0..900_usize, prop::bool::weighted(0.05))
            .prop_map(|(topic, bytes, is_terminal)| Step::Publish { topic, bytes, is_terminal }),
        4 => (0..TOPICS.len(), 1..5_usize, 0..300_usize)
            .prop_map(|(topic, count, bytes)| Step::Run { topic, count, bytes }),
        1 => (0..3_usize, any_conflate())
            .prop_map(|(subscription, conflate)| Step::Flow { subscription, conflate }),
        1 => Just(Step::Frame),
        1 => (0..3_usize).prop_map(|subscription| Step::Discard { subscription }),
        3 => (0..6_usize).prop_map(|count| Step::Pop { count }),
    ];
    prop::collection::vec(step, 0..if cfg!(miri) { 40 } else { 250 })
}

/// What was published for one subscription and what it got, since it began or was discarded.
#[derive(Debug)]
struct Account {
    conflate: Option<Conflate>,
    /// Its conflation, if that was the same all the time.
    only: Option<Option<Conflate>>,
    published: u64,
    delivered: u64,
    missed: u64,
    /// The (epoch, offset) of the newest publication and of the newest delivery, by topic.
    newest: BTreeMap<Topic, (u64, u64)>,
    seen: BTreeMap<Topic, (u64, u64)>,
    /// The sums of what was published and delivered, by topic and epoch.
    owed: BTreeMap<(Topic, u64), u64>,
    got: BTreeMap<(Topic, u64), u64>,
    terminals: BTreeSet<(Topic, u64)>,
}

impl Account {
    fn new(conflate: Option<Conflate>) -> Self {
        Self {
            conflate,
            only: Some(conflate),
            published: 0,
            delivered: 0,
            missed: 0,
            newest: BTreeMap::new(),
            seen: BTreeMap::new(),
            owed: BTreeMap::new(),
            got: BTreeMap::new(),
            terminals: BTreeSet::new(),
        }
    }

    fn set_conflate(&mut self, conflate: Option<Conflate>) {
        if conflate != self.conflate {
            self.conflate = conflate;
            self.only = None;
        }
    }

    fn publish(&mut self, item: &Publication<Amount>) {
        let Position { epoch, offset } = item.position;
        self.published += 1;
        self.newest.insert(item.topic.clone(), (epoch, offset));
        *self.owed.entry((item.topic.clone(), epoch)).or_default() += item.payload.amount;
        if item.is_terminal() {
            self.terminals.insert((item.topic.clone(), epoch));
        }
    }

    fn deliver(&mut self, item: &Publication<Amount>) {
        let Position { epoch, offset } = item.position;
        self.delivered += 1;
        let before = self.seen.insert(item.topic.clone(), (epoch, offset));
        assert!(before < Some((epoch, offset)), "{before:?} then {item:?}");
        *self.got.entry((item.topic.clone(), epoch)).or_default() += item.payload.amount;
        if item.is_terminal() {
            self.terminals.remove(&(item.topic.clone(), epoch));
        }
    }

    fn check_after_draining(&self) {
        assert_eq!(self.seen, self.newest, "the newest of each topic arrives");
        assert_eq!(self.terminals, BTreeSet::new(), "every terminal arrives");
        match self.only {
            Some(None) => assert_eq!(self.delivered + self.missed, self.published),
            Some(Some(Conflate::Sum)) => assert_eq!(self.got, self.owed),
            Some(Some(_)) => assert_eq!(self.missed, 0, "who conflates has no gaps"),
            None => assert!(self.delivered + self.missed <= self.published),
        }
    }
}

/// The queue, what it should do, and the topics' positions.
struct Bench {
    outbox: Outbox<Amount>,
    ids: Vec<SubscriptionId>,
    accounts: Vec<Account>,
    positions: [Position; TOPICS.len()],
    frames: usize,
    was_overfull: bool,
}

impl Bench {
    /// Subscriptions that get every topic. Their patterns differ, so that each frame can be attributed.
    const PATTERNS: [&str; 3] = ["x:*", "x:**", "**"];

    fn new(conflates: [Option<Conflate>; 3]) -> Self {
        Self {
            outbox: Outbox::new(BYTES_MAX),
            ids: subscriptions(&Self::PATTERNS),
            accounts: conflates.map(Account::new).into(),
            positions: [Position {
                epoch: 1,
                offset: 0,
            }; 3],
            frames: 0,
            was_overfull: false,
        }
    }

    fn next(&mut self, topic: usize, bytes: usize, is_terminal: bool) -> Arc<Publication<Amount>> {
        let position = &mut self.positions[topic];
        position.offset += 1;
        let publication = Arc::new(Publication {
            topic: Topic::new(TOPICS[topic]).unwrap(),
            position: *position,
            payload: Amount { amount: 1, bytes },
            end: is_terminal.then_some(EndReason::Complete),
        });
        if is_terminal {
            *position = Position {
                epoch: position.epoch + 1,
                offset: 0,
            };
        }
        for account in &mut self.accounts {
            account.publish(&publication);
        }
        publication
    }

    fn publish(&mut self, topic: usize, bytes: usize, is_terminal: bool) {
        let publication = self.next(topic, bytes, is_terminal);
        for index in 0..self.accounts.len() {
            self.push(index, &publication);
        }
    }

    fn push(&mut self, index: usize, publication: &Arc<Publication<Amount>>) {
        self.outbox.push_delivery(Delivery {
            subscription: self.ids[index],
            via: Some(Pattern::new(Self::PATTERNS[index]).unwrap()),
            conflate: self.accounts[index].conflate,
            emission: Emission::One(Arc::clone(publication)),
        });
        check_bound(&self.outbox, &mut self.was_overfull);
    }

    /// Publishes several at once. Conflating subscriptions get them one by one.
    fn publish_run(&mut self, topic: usize, count: usize, bytes: usize) {
        let publications: Vec<_> = (0..count).map(|_| self.next(topic, bytes, false)).collect();
        let run = Arc::new(Run::new(publications.clone()));
        for index in 0..self.accounts.len() {
            if self.accounts[index].conflate.is_some() {
                for publication in &publications {
                    self.push(index, publication);
                }
                continue;
            }
            let via = Some(Pattern::new(Self::PATTERNS[index]).unwrap());
            let run = RunDelivery::new(self.ids[index], via, Arc::clone(&run));
            self.outbox.push_run(run);
            // If the first of them leave the queue overfull, the others may add to that.
            self.was_overfull |= self.outbox.is_overfull();
            check_bound(&self.outbox, &mut self.was_overfull);
        }
    }

    fn pop(&mut self) -> bool {
        let index = |pattern: &Pattern| {
            Self::PATTERNS
                .iter()
                .position(|text| *text == pattern.as_str())
                .unwrap()
        };
        match self.outbox.pop() {
            None => return false,
            Some(ServerFrame::Publication { publication, via }) => {
                self.accounts[index(&via.unwrap())].deliver(&publication);
            }
            Some(ServerFrame::Lagged { pattern, missed }) => {
                self.accounts[index(&pattern)].missed += missed;
            }
            Some(_) => self.frames -= 1,
        }
        true
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Publish {
                topic,
                bytes,
                is_terminal,
            } => self.publish(topic, bytes, is_terminal),
            Step::Run {
                topic,
                count,
                bytes,
            } => self.publish_run(topic, count, bytes),
            Step::Flow {
                subscription,
                conflate,
            } => self.accounts[subscription].set_conflate(conflate),
            Step::Frame => {
                self.outbox.push_frame(ServerFrame::Ping);
                self.frames += 1;
            }
            Step::Discard { subscription } => {
                self.outbox.discard(self.ids[subscription]);
                let conflate = self.accounts[subscription].conflate;
                self.accounts[subscription] = Account::new(conflate);
            }
            Step::Pop { count } => {
                for _ in 0..count {
                    self.pop();
                }
            }
        }
        check_bound(&self.outbox, &mut self.was_overfull);
    }
}

/// Beyond twice the limit, only what must stay is waiting.
fn check_bound(outbox: &Outbox<Amount>, was_overfull: &mut bool) {
    let waiting = outbox.len();
    assert_eq!(outbox.is_empty(), waiting == 0);
    let Some(queue) = &outbox.queue else {
        assert!(outbox.bytes() <= BYTES_MAX, "{} bytes", outbox.bytes());
        *was_overfull = false;
        return;
    };
    assert_eq!(outbox.bytes(), queue.counted_bytes());
    let droppable = queue.droppable_bytes();
    assert!(
        *was_overfull || !outbox.is_overfull() || droppable == 0,
        "{droppable} bytes could be dropped: {queue:?}"
    );
    *was_overfull = outbox.is_overfull();
}

proptest! {
    #[test]
    fn what_arrives_and_what_is_told_lost_make_up_what_was_published(
        conflates in [any_conflate(), any_conflate(), any_conflate()],
        steps in any_steps(),
    ) {
        let mut bench = Bench::new(conflates);
        for step in steps {
            bench.take(step);
        }
        while bench.pop() {}
        prop_assert_eq!(bench.frames, 0, "every frame arrives");
        prop_assert!(bench.outbox.is_empty());
        prop_assert_eq!(bench.outbox.bytes(), 0);
        prop_assert!(bench.outbox.queue.is_none());
        for account in &bench.accounts {
            account.check_after_draining();
        }
    }
}

#[test]
fn a_terminal_arrives_as_it_was_published_after_what_was_added_up() {
    let ids = subscriptions(&["a"]);
    let mut outbox = Outbox::new(BYTES_MAX);
    let conflate = Some(Conflate::Sum);
    for offset in 1..=3 {
        outbox.push_delivery(delivery(ids[0], conflate, publication("a", offset, 10)));
    }
    outbox.push_delivery(delivery(ids[0], conflate, terminal("a", 4, 10)));
    for (amount, end) in [(3, None), (1, Some(EndReason::Complete))] {
        let Some(ServerFrame::Publication { publication, .. }) = outbox.pop() else {
            panic!("too little waits");
        };
        assert_eq!((publication.payload.amount, publication.end), (amount, end));
    }
}
