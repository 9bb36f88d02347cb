//! Compares what a subscriber was told with what was published: as it was, summed or merged.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tidegate_core::flow::{Conflate, Flow, Pace};
use tidegate_core::publication::{Position, Publication};
use tidegate_core::time::Instant;
use tidegate_core::topic::{Pattern, Topic};

use crate::json::Json;
use crate::ms;
use crate::record::Record;

/// Everything that was published.
pub type Truth = [(Instant, Arc<Publication<Json>>)];

/// The topics that are published to.
pub const TOPICS: [&str; 2] = ["job:1", "job:2"];

/// The patterns that are subscribed to.
pub const PATTERNS: [&str; 3] = ["job:1", "job:2", "job:*"];

/// A subscriber that has never changed its flow, and the progress of its client's other subscribers to the pattern when
/// it joined.
#[derive(Debug)]
pub struct Constant {
    /// Its record.
    pub record: usize,
    /// The highest offset that the others had got, by topic.
    pub tops: BTreeMap<Topic, u64>,
}

/// A pace as pages ask for it, some more often than others.
pub fn any_pace() -> impl Strategy<Value = Pace> {
    let edges = |every: u64, leading| Pace::Throttle {
        every: ms(every),
        leading,
        trailing: true,
    };
    let quiet = |quiet: u64, max_wait: Option<u64>| Pace::Debounce {
        quiet: ms(quiet),
        max_wait: max_wait.map(ms),
        leading: false,
        trailing: true,
    };
    prop_oneof![
        2 => Just(Pace::Immediate),
        // Paces that several subscribers are likely to share.
        3 => prop::sample::select(vec![100, 300]).prop_map(move |every| edges(every, true)),
        3 => (1..400_u64, any::<bool>()).prop_map(move |(every, leading)| edges(every, leading)),
        2 => (1..200_u64, prop::option::of(1..400_u64)).prop_map(move |(wait, most)| quiet(wait, most)),
    ]
}

/// A flow of any pace and conflation, with and without deltas.
pub fn any_flow() -> impl Strategy<Value = Flow> {
    let conflate = prop_oneof![
        3 => Just(Conflate::Latest),
        2 => Just(Conflate::Merge),
        2 => Just(Conflate::Sum),
        1 => (1..20_u32).prop_map(|max| Conflate::Collect {
            max: NonZeroU32::new(max).expect("at least one"),
        }),
    ];
    (any_pace(), conflate, any::<bool>()).prop_map(|(pace, conflate, delta)| Flow {
        pace,
        conflate,
        delta: delta && !matches!(conflate, Conflate::Collect { .. }),
    })
}

/// A patch that counts work done, and sets or removes one member.
pub fn any_patch() -> impl Strategy<Value = Json> {
    let value = prop_oneof![
        4 => "[a-z]{0,30}".prop_map(Value::from),
        1 => Just(Value::Null),
        1 => Just(json!([1, null, { "a": null }])),
    ];
    (1..9_u64, 0..5_u8, value).prop_map(|(done, member, value)| {
        let mut patch = json!({ "done": done, "title": "photographs of harbours" });
        patch[format!("m{member}")] = value;
        Json(patch)
    })
}

/// The highest offsets that the remaining subscribers of a client to a pattern have got, by topic.
pub fn tops<'a>(others: impl Iterator<Item = &'a Record>, pattern: &str) -> BTreeMap<Topic, u64> {
    let others = others.filter(|record| !record.is_gone && record.pattern.as_str() == pattern);
    let mut tops = BTreeMap::new();
    for record in others {
        for (_, seen) in record.publications() {
            let top = tops.entry(seen.topic.clone()).or_insert(0);
            *top = seen.position.offset.max(*top);
        }
    }
    tops
}

/// The publications of a topic from one offset to another, both included.
fn between<'a>(
    truth: &'a Truth,
    topic: &Topic,
    first: u64,
    last: u64,
) -> impl Iterator<Item = &'a Value> {
    let topic = topic.clone();
    let published = truth.iter().map(|(_, publication)| publication);
    let own = published.filter(move |publication| {
        publication.topic == topic && (first..=last).contains(&publication.position.offset)
    });
    own.map(|publication| &publication.payload.0)
}

fn done<'a>(values: impl Iterator<Item = &'a Value>) -> u64 {
    values.filter_map(|value| value["done"].as_u64()).sum()
}

/// Merges patches into one. They are flat objects.
fn merged<'a>(values: impl Iterator<Item = &'a Value>) -> Map<String, Value> {
    let members = values.filter_map(Value::as_object).flatten();
    members
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Checks that a subscriber that has never changed its flow got what it would get alone: everything that was published
/// to each topic, from a possible starting value on. That is the topic's value when it joined, no older than `tops`,
/// the offsets of its client's other subscribers then; or the first one, if it `may_have_all`.
///
/// # Panics
/// If not.
pub fn check(truth: &Truth, record: &Record, tops: &BTreeMap<Topic, u64>, may_have_all: bool) {
    if record.missed() > 0 {
        // It was told of a loss, so gaps are allowed.
        return;
    }
    let mut told: BTreeMap<&Topic, Vec<&Publication<Json>>> = BTreeMap::new();
    for (_, publication) in record.publications() {
        told.entry(&publication.topic)
            .or_default()
            .push(publication);
    }
    for (topic, told) in told {
        let position = |publication: &&Publication<Json>| publication.position.offset;
        let first = told.first().map_or(0, position);
        let last = told.last().map_or(0, position);
        // It starts with the topic's value at that time, or a later one.
        let top = tops.get(topic).copied().unwrap_or(1);
        let mut starts = (top..=first).chain(may_have_all.then_some(1));
        let values = || told.iter().map(|publication| &publication.payload.0);
        let name = || {
            format!(
                "{:?} of {topic} from {top}: {:#?}",
                record.flow, record.seen
            )
        };
        match record.flow.conflate {
            Conflate::Sum if !record.flow.is_immediate() => {
                let is_sum = |start| done(between(truth, topic, start, last)) == done(values());
                assert!(starts.any(is_sum), "{}", name());
            }
            Conflate::Merge if !record.flow.is_immediate() => {
                let is_merged =
                    |start| merged(between(truth, topic, start, last)) == merged(values());
                assert!(starts.any(is_merged), "{}", name());
            }
            Conflate::Latest | Conflate::Merge | Conflate::Sum | Conflate::Collect { .. } => {
                for publication in &told {
                    let Position { offset, .. } = publication.position;
                    let expected = between(truth, topic, offset, offset).next();
                    assert_eq!(Some(&publication.payload.0), expected, "{}", name());
                }
            }
        }
    }
}

/// The durable subscriptions of one device, by pattern, and what it has processed.
#[derive(Debug, Default)]
pub struct Device {
    /// Its subscribers, each with the first offset of each topic that the device had been told of when it joined:
    /// unless that is processed before the subscriber is told of anything, it must be told of it, too.
    subscribers: Vec<(usize, BTreeMap<Topic, u64>)>,
    /// What it has processed of each pattern, and when it first did so.
    dealt: BTreeMap<(Pattern, Topic, u64), Instant>,
}

impl Device {
    /// Notes a new subscriber of the device, with the records of all subscribers.
    pub fn note_subscriber(&mut self, record: usize, records: &[Record]) {
        let pattern = &records[record].pattern;
        let mut beginnings = BTreeMap::new();
        for (other, _) in &self.subscribers {
            let other = &records[*other];
            for (_, told) in other.publications().filter(|_| other.pattern == *pattern) {
                let Position { offset, .. } = told.position;
                let first = beginnings.entry(told.topic.clone()).or_insert(offset);
                *first = offset.min(*first);
            }
        }
        self.subscribers.push((record, beginnings));
    }

    /// Where a cursor that began before `first` stood by then: it advances over processed publications, as far as there
    /// is no gap.
    fn cursor(&self, pattern: &Pattern, topic: &Topic, first: u64, by: Instant) -> u64 {
        let dealt = |offset: &u64| {
            let dealt = self.dealt.get(&(pattern.clone(), topic.clone(), *offset));
            dealt.is_some_and(|at| *at <= by)
        };
        first + (first..).take_while(dealt).count() as u64
    }

    /// Whether a record is of one of its subscribers.
    pub fn is_subscriber(&self, record: usize) -> bool {
        self.subscribers.iter().any(|(known, _)| *known == record)
    }

    /// Its current subscribers.
    pub fn subscribers<'a>(&'a self, records: &'a [Record]) -> impl Iterator<Item = usize> + 'a {
        let subscribers = self.subscribers.iter().map(|(record, _)| *record);
        subscribers.filter(|record| !records[*record].is_gone)
    }

    /// One of its subscribers has processed a publication.
    pub fn note_dealt(&mut self, now: Instant, record: &Record, told: &Publication<Json>) {
        let what = (
            record.pattern.clone(),
            told.topic.clone(),
            told.position.offset,
        );
        self.dealt.entry(what).or_insert(now);
    }

    /// Checks that each of its subscribers was told of every publication from the cursor on, once and in order.
    ///
    /// # Panics
    /// If not.
    pub fn check(&self, records: &[Record]) {
        for (record, beginnings) in &self.subscribers {
            let record = &records[*record];
            let mut last: BTreeMap<&Topic, u64> = BTreeMap::new();
            for (at, told) in record.publications() {
                let Position { offset, .. } = told.position;
                let before = last.insert(&told.topic, offset);
                let is_next = match (before, beginnings.get(&told.topic)) {
                    (Some(before), _) => offset == before + 1,
                    (None, Some(first)) => {
                        offset <= self.cursor(&record.pattern, &told.topic, *first, at)
                    }
                    (None, None) => true,
                };
                assert!(
                    is_next,
                    "{} {offset} after {before:?}, {beginnings:?}: {record:#?}",
                    told.topic
                );
            }
            assert_eq!(record.losses(), 0, "{record:#?}");
        }
    }
}
