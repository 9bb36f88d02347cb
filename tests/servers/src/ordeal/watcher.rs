//! The watchers, and what they must and must not see.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use tidegate::core::flow::{Flow, Pace};
use tidegate::core::lifecycle::EndReason;
use tidegate::core::publication::Position;
use tidegate::{Event, Hub, Publication, Subscribe, Subscription};

use super::Ordeal;

/// The flow of [`Kind::Some`].
const THROTTLED: Flow = Flow {
    pace: Pace::Throttle {
        every: Duration::from_millis(50),
        leading: true,
        trailing: true,
    },
    ..Flow::IMMEDIATE
};

/// What a watcher gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Every publication.
    Every,
    /// Some publications, and the last one.
    Some,
}

/// What one watcher, or all of them, have seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The number of resets.
    pub resets: u64,
    /// How often values became stale.
    pub stales: u64,
    /// The last step of each job, as each watcher saw it.
    last: Vec<(String, u64)>,
    complaints: Vec<String>,
}

impl Seen {
    pub(super) fn all(watchers: Vec<Self>) -> Self {
        watchers.into_iter().fold(Self::default(), |mut all, one| {
            all.resets += one.resets;
            all.stales += one.stales;
            all.last.extend(one.last);
            all.complaints.extend(one.complaints);
            all
        })
    }

    pub(super) fn judge(&self, ordeal: Ordeal) {
        assert!(self.complaints.is_empty(), "{}", self.complaints.join("\n"));
        for (topic, step) in &self.last {
            assert_eq!(*step, ordeal.steps + 1, "{topic} ended before its end");
        }
        let watched = 2 * 3 * ordeal.jobs as usize;
        assert_eq!(self.last.len(), watched, "every watcher of every job");
        assert!(
            ordeal.may_forget || self.resets == 0,
            "{} resets, although nothing was lost",
            self.resets
        );
    }
}

/// Follows one job to its end.
pub(super) async fn watch_job(hub: Hub, topic: String, kind: Kind, ordeal: Ordeal) -> Seen {
    let mut events = watch(&hub, &topic, kind, ordeal).await;
    let mut watcher = Watcher::new(&topic, kind);
    while let Some(event) = events.next().await {
        watcher.take(&event);
    }
    if !watcher.has_ended {
        watcher.complain("the stream ended before the topic".to_owned());
    }
    watcher.finish()
}

/// Follows all jobs by a pattern until each has published its end.
pub(super) async fn watch_pattern(hub: Hub, pattern: String, ordeal: Ordeal) -> Seen {
    let mut events = watch(&hub, &pattern, Kind::Every, ordeal).await;
    let mut watcher = Watcher::new(&pattern, Kind::Every);
    while watcher.ended < ordeal.jobs
        && let Some(event) = events.next().await
    {
        watcher.take(&event);
    }
    watcher.finish()
}

/// Subscribes with room for everything that is ever published: after a loss, everything missed of all topics arrives at
/// once, and the watcher must not count as slow.
async fn watch(hub: &Hub, pattern: &str, kind: Kind, ordeal: Ordeal) -> Subscription {
    let flow = match kind {
        Kind::Every => Flow::IMMEDIATE,
        Kind::Some => THROTTLED,
    };
    let options = Subscribe {
        flow,
        outbox_bytes_max: Some(ordeal.bytes_max()),
        ..Subscribe::default()
    };
    let subscribed = hub.subscribe_with(pattern, options).await;
    subscribed.expect("a subscription")
}

struct Watcher {
    name: String,
    kind: Kind,
    topics: BTreeMap<String, Known>,
    seen: Seen,
    has_ended: bool,
    ended: u64,
}

#[derive(Default)]
struct Known {
    position: Option<Position>,
    step: u64,
    /// What lies between was reported as lost.
    is_reset: bool,
}

impl Watcher {
    fn new(name: &str, kind: Kind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            topics: BTreeMap::new(),
            seen: Seen::default(),
            has_ended: false,
            ended: 0,
        }
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::Publication(publication) => self.take_publication(publication),
            Event::Batch(publications) => publications
                .iter()
                .for_each(|publication| self.take_publication(publication)),
            Event::Reset { topic, .. } => {
                self.seen.resets += 1;
                self.topics.entry(topic.to_string()).or_default().is_reset = true;
            }
            Event::Lagged { missed } => self.complain(format!("{missed} were dropped")),
            Event::End { reason } => {
                if *reason != EndReason::Complete {
                    self.complain(format!("it ended as {reason}"));
                }
                self.has_ended = true;
            }
            Event::Refused(error) => self.complain(format!("refused: {error}")),
            Event::Stale => self.seen.stales += 1,
            Event::Live => {}
        }
    }

    fn take_publication(&mut self, publication: &Publication) {
        let value: serde_json::Value = publication.payload.parse().expect("JSON");
        let step = value["step"].as_u64().expect("a step");
        let position = publication.position;
        let mut complaints = Vec::new();
        let known = self
            .topics
            .entry(publication.topic.to_string())
            .or_default();
        if let Some(before) = known.position
            && before.epoch == position.epoch
            && position.offset <= before.offset
        {
            complaints.push(format!("{position} after {before}"));
        }
        let is_next = known.position.map_or(1, |before| before.offset + 1) == position.offset
            && known
                .position
                .is_none_or(|before| before.epoch == position.epoch);
        if self.kind == Kind::Every && !is_next && !known.is_reset {
            complaints.push(format!("{position} after {:?}, untold", known.position));
        }
        // A backend that forgets everything also forgets what was stored but not confirmed yet. That is stored once
        // more, in a new epoch, of which watchers were told.
        let is_anew = known.is_reset
            && known
                .position
                .is_some_and(|before| before.epoch != position.epoch);
        let is_repeated = step == known.step && is_anew;
        if step <= known.step && !is_repeated {
            complaints.push(format!("step {step} after {}", known.step));
        }
        *known = Known {
            position: Some(position),
            step,
            is_reset: false,
        };
        self.ended += u64::from(publication.is_terminal());
        for complaint in complaints {
            self.complain(format!("{}: {complaint}", publication.topic));
        }
    }

    fn complain(&mut self, complaint: String) {
        self.seen
            .complaints
            .push(format!("{} ({:?}): {complaint}", self.name, self.kind));
    }

    fn finish(mut self) -> Seen {
        self.seen.last = self
            .topics
            .into_iter()
            .map(|(topic, known)| (topic, known.step))
            .collect();
        self.seen
    }
}
