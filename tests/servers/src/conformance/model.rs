//! Random sequences of operations, carried out by a backend and by a small model.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any};
use proptest::prop_oneof;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use tidegate::backend::Keep;
use tidegate::{Json, Publication};
use tidegate_core::history::Excerpt;
use tidegate_core::hub::PublishError;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::{Position, epoch_after};
use tokio::runtime::Handle;

use super::{Peer, Place, publication_of, request};
use tidegate_tests::{pattern, topic};

/// The topics of a sequence, under a prefix of its own.
const TOPICS: [&str; 3] = ["a", "b", "b:c"];

/// The patterns that are listed, under the same prefix.
const PATTERNS: [&str; 4] = ["*", "**", "b:*", "a"];

#[derive(Clone, Debug)]
enum Operation {
    Publish(Vec<Request>),
    Read(usize, Since),
    List(usize),
    Renew { topic: usize, is_current: bool },
}

#[derive(Clone, Debug)]
struct Request {
    topic: usize,
    number: u8,
    key: Option<u8>,
    end: Option<EndReason>,
    restart: bool,
}

/// Where a read begins.
#[derive(Clone, Copy, Debug)]
enum Since {
    Nowhere,
    Beginning,
    /// This many offsets below the top, but not below 0.
    Below(u64),
    Beyond(u64),
    /// This offset of the previous epoch, or of one that never existed.
    Elsewhere(u64),
}

/// The expected state of a topic.
#[derive(Default)]
struct Model {
    epoch: u64,
    epochs_before: Vec<u64>,
    publications: Vec<Publication>,
    keys: BTreeMap<String, Position>,
    announced: Vec<Position>,
}

/// Two peers and a listener on the backend under test, and the model of their shared store.
struct Sequence<'a> {
    name: String,
    peers: &'a [Peer; 2],
    listener: Peer,
    models: BTreeMap<String, Model>,
}

/// Two peers take turns: every answer must be the model's, and the listener must hear everything.
pub async fn any_sequence_does_what_the_model_does<P: Place>() {
    let (place, peers) = Peer::start_keeping::<P, 2>(Keep::default()).await;
    let sequences = AtomicUsize::new(0);
    let config = Config {
        cases: P::SEQUENCES,
        failure_persistence: None,
        max_shrink_iters: 100,
        ..Config::default()
    };
    let operations = vec((any::<bool>(), any_operation()), 1..60);
    let run = |operations: Vec<(bool, Operation)>| {
        let number = sequences.fetch_add(1, Ordering::Relaxed);
        Handle::current().block_on(async {
            let mut sequence = Sequence {
                name: format!("sequence{number}"),
                peers: &peers,
                listener: Peer::open(&place).await,
                models: BTreeMap::new(),
            };
            let all = format!("{}:**", sequence.name);
            sequence.listener.follow(&[&all]).await;
            for (by_second, operation) in operations {
                sequence.apply(usize::from(by_second), operation).await;
            }
            sequence.check_announced().await;
            sequence.listener.close().await;
        });
        Ok(())
    };
    let result = tokio::task::block_in_place(|| TestRunner::new(config).run(&operations, run));
    if let Err(error) = result {
        panic!("{error}");
    }
}

fn any_operation() -> impl Strategy<Value = Operation> {
    let since = prop_oneof![
        Just(Since::Nowhere),
        Just(Since::Beginning),
        (0_u64..8).prop_map(Since::Below),
        (1_u64..3).prop_map(Since::Beyond),
        (0_u64..8).prop_map(Since::Elsewhere),
    ];
    let renewed = (0..TOPICS.len(), any::<bool>());
    prop_oneof![
        8 => any_request().prop_map(|request| Operation::Publish(vec![request])),
        2 => vec(any_request(), 2..6).prop_map(Operation::Publish),
        4 => (0..TOPICS.len(), since).prop_map(|(topic, since)| Operation::Read(topic, since)),
        1 => (0..PATTERNS.len()).prop_map(Operation::List),
        1 => renewed.prop_map(|(topic, is_current)| Operation::Renew { topic, is_current }),
    ]
}

fn any_request() -> impl Strategy<Value = Request> {
    let end = option::weighted(0.15, select(&EndReason::ALL[..]));
    let key = option::weighted(0.3, 0_u8..4);
    (0..TOPICS.len(), any::<u8>(), key, end, any::<bool>()).prop_map(
        |(topic, number, key, end, restart)| Request {
            topic,
            number,
            key,
            end,
            restart,
        },
    )
}

impl Sequence<'_> {
    fn topic(&self, index: usize) -> String {
        format!("{}:{}", self.name, TOPICS[index])
    }

    async fn apply(&mut self, by: usize, operation: Operation) {
        let peer = &self.peers[by];
        match operation {
            Operation::Publish(requests) => {
                let batch: Vec<_> = requests
                    .iter()
                    .map(|request| self.request(request))
                    .collect();
                let results = peer.publish_batch(&batch).await;
                for (request, result) in batch.iter().zip(results) {
                    let model = self.models.entry(request.topic.as_str().to_owned());
                    model.or_default().check_publish(request, &result);
                }
            }
            Operation::Read(index, since) => {
                let name = self.topic(index);
                let model = self.models.entry(name.clone()).or_default();
                let since = model.position(since);
                assert_eq!(peer.read(&name, since).await, model.read(&name, since));
            }
            Operation::List(index) => {
                let text = format!("{}:{}", self.name, PATTERNS[index]);
                let pattern = pattern(&text);
                let published = |(name, model): &(&String, &Model)| {
                    pattern.matches(&topic(name)) && !model.publications.is_empty()
                };
                let models = self.models.iter().filter(published);
                let expected: Vec<_> = models.map(|(name, model)| model.read(name, None)).collect();
                assert_eq!(peer.list(&text).await, expected);
            }
            Operation::Renew { topic, is_current } => {
                let name = self.topic(topic);
                let model = self.models.entry(name.clone()).or_default();
                let epoch = if is_current {
                    model.epoch
                } else {
                    model.epoch ^ 1
                };
                peer.renew(&name, epoch).await;
                if is_current && let Some(latest) = model.publications.last().cloned() {
                    let position = peer.read(&name, None).await.position;
                    model.begin_epoch(position.epoch);
                    let renewed = PublishRequest {
                        end: latest.end.map(Into::into),
                        ..PublishRequest::new(latest.topic.clone(), latest.payload.clone())
                    };
                    model.append(&renewed, position);
                }
            }
        }
    }

    fn request(&self, of: &Request) -> PublishRequest<Json> {
        PublishRequest {
            end: of.end.map(Into::into),
            id: of.key.map(|key| key.to_string()),
            restart: of.restart,
            ..request(&self.topic(of.topic), &of.number.to_string())
        }
    }

    async fn check_announced(&mut self) {
        for (name, model) in &self.models {
            self.listener.hear(name, &model.announced).await;
        }
    }
}

impl Model {
    /// Checks that the answer is the expected one. Only the number of a topic's first epoch is the backend's choice.
    fn check_publish(
        &mut self,
        request: &PublishRequest<Json>,
        result: &Result<Position, PublishError>,
    ) {
        let known = request.id.as_ref().and_then(|id| self.keys.get(id));
        if let Some(position) = known {
            assert_eq!(*result, Ok(*position), "{request:?} was published before");
            return;
        }
        let end = self.publications.last().and_then(|latest| latest.end);
        if let Some(reason) = end
            && !request.restart
        {
            assert_eq!(*result, Err(PublishError::Ended(reason)));
            return;
        }
        let position = *result.as_ref().expect("nothing speaks against it");
        if end.is_some() {
            assert_eq!(position.epoch, epoch_after(self.epoch), "the epoch after");
        }
        if end.is_some() || self.publications.is_empty() {
            self.begin_epoch(position.epoch);
        }
        self.append(request, position);
        if let Some(id) = &request.id {
            self.keys.insert(id.clone(), position);
        }
    }

    fn begin_epoch(&mut self, epoch: u64) {
        assert!(
            epoch != self.epoch && !self.epochs_before.contains(&epoch),
            "a new epoch"
        );
        self.epochs_before
            .push(std::mem::replace(&mut self.epoch, epoch));
        self.publications.clear();
    }

    fn append(&mut self, request: &PublishRequest<Json>, position: Position) {
        let offset = self.top() + 1;
        assert_eq!(
            position,
            Position {
                epoch: self.epoch,
                offset
            }
        );
        self.publications.push(publication_of(request, position));
        self.announced.push(position);
    }

    fn top(&self) -> u64 {
        u64::try_from(self.publications.len()).expect("few")
    }

    fn position(&self, since: Since) -> Option<Position> {
        let (epoch, top) = (self.epoch, self.top());
        match since {
            Since::Nowhere => None,
            Since::Beginning => Some(Position::default()),
            Since::Below(count) => {
                let offset = top.saturating_sub(count);
                Some(Position { epoch, offset })
            }
            Since::Beyond(count) => {
                let offset = top + count;
                Some(Position { epoch, offset })
            }
            Since::Elsewhere(offset) => {
                let before = self.epochs_before.last().copied();
                let epoch = before.filter(|before| *before > 0).unwrap_or(epoch ^ 2);
                Some(Position { epoch, offset })
            }
        }
    }

    fn read(&self, name: &str, since: Option<Position>) -> Excerpt<Json> {
        let top = self.publications.len();
        let first = match since {
            Some(since) if since == Position::default() => 0,
            Some(since) if since.epoch == self.epoch && since.offset <= self.top() => {
                usize::try_from(since.offset).expect("few")
            }
            Some(_) | None => top.saturating_sub(1),
        };
        Excerpt {
            topic: topic(name),
            position: self
                .publications
                .last()
                .map_or_else(Position::default, |latest| latest.position),
            publications: self.publications[first..].iter().map(Arc::clone).collect(),
        }
    }
}
