//! Everything that one subscriber was told, checked as it arrives.

use std::collections::BTreeMap;
use std::sync::Arc;

use core::time::Duration;

use serde_json::Value;
use tidegate_core::flow::{Conflate, Flow, Pace};
use tidegate_core::gate::Emission;
use tidegate_core::hub::Due;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::{ErrorCode, TopicPosition};
use tidegate_core::publication::{Position, Publication};
use tidegate_core::time::Instant;
use tidegate_core::topic::{Pattern, Topic};

use crate::json::Json;

/// Something that a subscriber was told.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// A publication.
    Value(Arc<Publication<Json>>),
    /// Several at once.
    Batch(Vec<Arc<Publication<Json>>>),
    /// A topic was reset.
    Reset(Topic, Position),
    /// This many publications were dropped.
    Lagged(u64),
    /// The subscription is over, with its topic.
    Ended(EndReason),
    /// The subscription is over, refused.
    Refused(ErrorCode),
}

/// A publication, and when it came.
type Emitted<'a> = (Instant, &'a Arc<Publication<Json>>);

/// Everything that one subscriber was told, in order.
#[derive(Debug)]
pub struct Record {
    /// Which client it is a subscriber of.
    pub peer: usize,
    /// What it subscribed to.
    pub pattern: Pattern,
    /// How it is paced.
    pub flow: Flow,
    /// What it was told, and when.
    pub seen: Vec<(Instant, Seen)>,
    /// Whether it has unsubscribed.
    pub is_gone: bool,
    /// Whether every gap must have been reported: no flow that it had ever drops anything.
    pub(crate) is_gapless: bool,
    /// The position that it was rewound to, if it was.
    pub taken_back: Option<(Topic, Position)>,
    /// The highest offset of each epoch of each topic.
    highest: BTreeMap<(Topic, u64), u64>,
    /// The last publication of each topic, and whether it was terminal; none after a reset.
    last: BTreeMap<Topic, (Position, bool)>,
    /// How many publications were reported as dropped, but have not shown as a gap yet.
    lag: u64,
    /// When the flow was last changed.
    flow_since: Instant,
    /// Whether the flow was ever changed. Publications in flight at that time were conflated for the earlier one.
    pub(crate) has_changed: bool,
}

impl Record {
    pub(crate) fn new(now: Instant, peer: usize, pattern: Pattern, flow: Flow) -> Self {
        Self {
            peer,
            pattern,
            flow,
            seen: Vec::new(),
            is_gone: false,
            is_gapless: !drops(flow),
            taken_back: None,
            highest: BTreeMap::new(),
            last: BTreeMap::new(),
            lag: 0,
            flow_since: now,
            has_changed: false,
        }
    }

    pub(crate) fn set_flow(&mut self, now: Instant, flow: Flow) {
        // Publications that were conflated before, or are in flight, are not gaps.
        self.is_gapless &= !drops(flow);
        self.has_changed = true;
        self.flow = flow;
        self.flow_since = now;
    }

    /// Its subscriber has restarted, and resumes from what it knows: returns its positions.
    pub(crate) fn resume(&mut self, now: Instant) -> Vec<TopicPosition> {
        self.flow_since = now;
        // A topic that was reset is unknown, and may be told from its beginning.
        let last = &mut self.last;
        self.highest
            .retain(|(topic, _), _| last.contains_key(topic));
        // A position doesn't say that a topic ended there. If the end is lost, the epoch may go on as any other.
        for (_, was_last) in last.values_mut() {
            *was_last = false;
        }
        let known = last.iter().map(|(topic, (position, _))| TopicPosition {
            topic: topic.clone(),
            position: *position,
        });
        known.collect()
    }

    /// Whether it was told that the subscription is over.
    pub fn is_over(&self) -> bool {
        matches!(
            self.seen.last(),
            Some((_, Seen::Ended(_) | Seen::Refused(_)))
        )
    }

    /// The publications that it was told of, batches taken apart.
    pub fn publications(&self) -> impl Iterator<Item = Emitted<'_>> {
        self.seen.iter().flat_map(|(at, seen)| {
            let items = match seen {
                Seen::Value(publication) => core::slice::from_ref(publication),
                Seen::Batch(items) => items.as_slice(),
                Seen::Reset(..) | Seen::Lagged(_) | Seen::Ended(_) | Seen::Refused(_) => &[],
            };
            items.iter().map(|item| (*at, item))
        })
    }

    /// The payloads that it was told of.
    pub fn values(&self) -> Vec<Value> {
        self.publications()
            .map(|(_, publication)| publication.payload.0.clone())
            .collect()
    }

    /// When it was told of which payload, in milliseconds.
    pub fn timeline(&self) -> Vec<(u64, Value)> {
        self.publications()
            .map(|(at, publication)| (at.as_micros() / 1000, publication.payload.0.clone()))
            .collect()
    }

    /// How many resets it was told of.
    pub fn resets(&self) -> usize {
        let is_reset = |(_, seen): &&(Instant, Seen)| matches!(seen, Seen::Reset(..));
        self.seen.iter().filter(is_reset).count()
    }

    /// How many publications were reported to it as missed.
    pub fn missed(&self) -> u64 {
        let missed = |(_, seen): &(Instant, Seen)| match seen {
            Seen::Lagged(missed) => *missed,
            _ => 0,
        };
        self.seen.iter().map(missed).sum()
    }

    /// How often it was told that something is lost.
    pub fn losses(&self) -> usize {
        let is_lagged = |(_, seen): &&(Instant, Seen)| matches!(seen, Seen::Lagged(_));
        self.resets() + self.seen.iter().filter(is_lagged).count()
    }

    /// Takes note of what is due to the subscriber.
    ///
    /// # Panics
    /// If it breaks a promise: something after the end, an offset that does not rise, a gap that nobody reported.
    pub(crate) fn note(&mut self, now: Instant, due: Due<Json>) {
        assert!(!self.is_gone, "told after it unsubscribed: {due:?}");
        assert!(!self.is_over(), "told after the end: {due:?}");
        let seen = match due {
            Due::Deliver { delivery, .. } => match delivery.emission {
                Emission::One(publication) => Seen::Value(publication),
                Emission::Batch(items) => Seen::Batch(items),
            },
            Due::Reset {
                topic, position, ..
            } => Seen::Reset(topic, position),
            Due::Lagged { missed, .. } => Seen::Lagged(missed),
            Due::End { reason, .. } => Seen::Ended(reason),
            Due::Refused { error, .. } => Seen::Refused(error.code),
        };
        match &seen {
            Seen::Value(publication) => self.check(publication),
            Seen::Batch(items) => items.iter().for_each(|item| self.check(item)),
            Seen::Reset(topic, position) => {
                let before = self.last.remove(topic).map(|(before, _)| before);
                if before.is_some_and(|before| {
                    before.epoch == position.epoch && before.offset > position.offset
                }) {
                    self.taken_back = Some((topic.clone(), *position));
                }
                // What it knew is invalid: the server may have lost what was seen, or not know the topic at all.
                let is_other = |epoch: u64| epoch != position.epoch && position.epoch != 0;
                self.highest
                    .retain(|(known, epoch), _| known != topic || is_other(*epoch));
            }
            Seen::Lagged(missed) => self.lag += missed,
            Seen::Ended(reason) => self.check_end(*reason),
            Seen::Refused(_) => {}
        }
        self.seen.push((now, seen));
    }

    fn check(&mut self, publication: &Publication<Json>) {
        let Publication {
            topic, position, ..
        } = publication;
        assert!(self.pattern.matches(topic), "{topic} for {}", self.pattern);
        let highest = self
            .highest
            .entry((topic.clone(), position.epoch))
            .or_insert(0);
        assert!(
            position.offset > *highest,
            "{topic} at {position} after offset {highest}, for {}: {:#?}",
            self.pattern,
            self.seen
        );
        *highest = position.offset;
        let is_last = publication.is_terminal();
        let before = self.last.insert(topic.clone(), (*position, is_last));
        let Some((before, was_last)) = before else {
            return;
        };
        let gap = if before.epoch == position.epoch {
            assert!(!was_last, "{topic} at {position} follows its terminal");
            position.offset - before.offset - 1
        } else {
            assert!(
                was_last,
                "{topic} at {position} after {before} without a reset"
            );
            position.offset - 1
        };
        if self.is_gapless {
            assert!(
                gap <= self.lag,
                "{gap} publications are missing before {topic} at {position}, {} reported, for {}: {:#?}",
                self.lag,
                self.pattern,
                self.seen
            );
            self.lag -= gap;
        }
    }

    fn check_end(&self, reason: EndReason) {
        let topic = self.pattern.exact().expect("only exact subscriptions end");
        let last = self.publications().last();
        let (_, last) = last.expect("the terminal publication comes before the end");
        assert_eq!((&last.topic, last.end), (&topic, Some(reason)));
    }

    /// Checks that a throttled subscriber was served at most once per window.
    ///
    /// # Panics
    /// If two emissions are closer, other than a terminal and what it flushed.
    pub fn check_pace(&self) {
        let Pace::Throttle { every, .. } = self.flow.pace else {
            return;
        };
        if matches!(self.flow.conflate, Conflate::Collect { .. }) {
            return;
        }
        let mut by_topic: BTreeMap<&Topic, Vec<Emitted<'_>>> = BTreeMap::new();
        for (at, publication) in self.publications() {
            if at > self.flow_since {
                let emissions = by_topic.entry(&publication.topic).or_default();
                emissions.push((at, publication));
            }
        }
        for emissions in by_topic.into_values() {
            for (index, pair) in emissions.windows(2).enumerate() {
                let is_flushed = emissions[index + 1..]
                    .iter()
                    .take_while(|(at, _)| *at == pair[1].0)
                    .any(|(at, item)| item.is_terminal() || self.is_reset_at(*at));
                let is_new = pair[0].1.is_terminal();
                assert!(
                    is_flushed || is_new || pair[1].0 - pair[0].0 >= every,
                    "closer than {every:?}: {pair:#?}"
                );
            }
        }
    }

    /// Checks that the subscriber has the latest state of its topics: `latest` holds the latest publication of each.
    ///
    /// # Panics
    /// If it has not, or was refused. With `may_be_new`, it need not have seen a topic at all.
    pub fn check_latest<'a>(
        &self,
        name: &str,
        latest: impl Iterator<Item = &'a Arc<Publication<Json>>>,
        may_be_new: bool,
    ) {
        let to = &self.pattern;
        if let Some((_, Seen::Refused(code))) = self.seen.last() {
            panic!("{name} to {to} was refused: {code:?}");
        }
        if self.is_gone || self.is_over() {
            return;
        }
        for latest in latest.filter(|latest| to.matches(&latest.topic)) {
            let topic = &latest.topic;
            assert!(
                !(to.is_exact() && latest.is_terminal()) || may_be_new,
                "{name} has not heard of the end of {topic}"
            );
            let own = self.publications().filter(|(_, item)| item.topic == *topic);
            let last = own.last().map(|(_, item)| item.position);
            assert!(
                last == Some(latest.position) || (may_be_new && last.is_none()),
                "{name} to {to} is at {last:?} of {topic}, which is at {}; it saw {:#?}",
                latest.position,
                self.seen
            );
        }
    }

    /// Whether the last thing that it was told of a topic is that nothing is left of it.
    pub fn was_told_that_nothing_is_left(&self, topic: &Topic) -> bool {
        let mut seen = self.seen.iter().rev();
        let last = seen.find(|(_, seen)| match seen {
            Seen::Value(publication) => publication.topic == *topic,
            Seen::Batch(batch) => batch.iter().any(|publication| publication.topic == *topic),
            Seen::Reset(of, _) => of == topic,
            Seen::Lagged(_) | Seen::Ended(_) | Seen::Refused(_) => false,
        });
        matches!(last, Some((_, Seen::Reset(_, position))) if position.offset == 0)
    }

    fn is_reset_at(&self, at: Instant) -> bool {
        let is_reset =
            |(when, seen): &(Instant, Seen)| *when == at && matches!(seen, Seen::Reset(..));
        self.seen.iter().any(is_reset)
    }

    /// The time between its first and its last publication.
    pub fn span(&self) -> Duration {
        let mut times = self.publications().map(|(at, _)| at);
        let first = times.next().unwrap_or(Instant::ZERO);
        times.last().unwrap_or(first) - first
    }
}

/// Whether a flow may leave publications out.
const fn drops(flow: Flow) -> bool {
    flow.conflates()
}
