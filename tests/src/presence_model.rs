//! Nodes that keep presences, the broadcast between them, and their invariants, in virtual time.
//!
//! The broadcast may lose, repeat and delay messages, so that later ones overtake earlier ones. A node can be killed,
//! shut down, restarted, or cut off. Every message passes through its JSON text.

use std::collections::{BTreeMap, BTreeSet};

use core::time::Duration;

use serde_json::Value;
use tidegate_core::presence::{
    Key, KeyChange, KeyChangeKind, NodeId, PresenceDiff, PresenceEnvelope, PresenceMessage,
    PresenceOutput, Present, Roster, TrackError, TrackId, Tracker, TrackerConfig,
};
use tidegate_core::random::Random;
use tidegate_core::time::Instant;
use tidegate_core::topic::Topic;

use crate::json::Json;
use crate::restless::wake_early;
use crate::topic;

/// The quality of the broadcast.
#[derive(Clone, Copy, Debug, Default)]
pub struct Air {
    /// The percentage of messages that don't reach a node.
    pub loss_percent: u64,
    /// The percentage that reach it twice.
    pub repeat_percent: u64,
    /// The longest delay; each message takes a random part of it.
    pub delay_max: Duration,
}

/// A key that is written correctly.
///
/// # Panics
/// If it is not.
pub fn key(text: &str) -> Key {
    Key::new(text).expect("tests write correct keys")
}

/// A presence: topic, key and meta.
pub type Presence = (Topic, Key, Value);

/// A place that one run of a server after another occupies.
#[derive(Debug)]
pub struct Place {
    /// The machine under test; none while the server is down.
    pub tracker: Option<Tracker<Json>>,
    /// The presences of the sessions that it has.
    pub live: BTreeMap<TrackId, Presence>,
    /// Whether it is cut off, in both directions.
    pub is_cut: bool,
    /// Everything that was told about keys, in order.
    pub told: Vec<(Instant, Topic, Key, KeyChangeKind)>,
    watchers: BTreeMap<Topic, Watcher>,
}

/// A watcher, which gets a state and then diffs.
#[derive(Debug, Default)]
struct Watcher {
    roster: Roster<Json>,
    keys: BTreeSet<Key>,
}

/// Several nodes.
#[derive(Debug)]
pub struct Cluster {
    /// The virtual clock.
    pub now: Instant,
    /// What the broadcast is like from now on.
    pub air: Air,
    /// The servers.
    pub places: Vec<Place>,
    /// How many messages were broadcast, and how many presences they contained.
    pub sent: (usize, usize),
    config: TrackerConfig,
    random: Random,
    next_node: u64,
    messages: BTreeMap<(Instant, u64), (usize, String)>,
    next_message: u64,
    /// When the presences of runs that are over must be gone everywhere.
    gone_by: BTreeMap<NodeId, Instant>,
}

impl Cluster {
    /// This many nodes that have not started yet, all with `config`, except for the node's number.
    pub fn new(seed: u64, places: usize, config: TrackerConfig) -> Self {
        let place = |_| Place {
            tracker: None,
            live: BTreeMap::new(),
            is_cut: false,
            told: Vec::new(),
            watchers: BTreeMap::new(),
        };
        Self {
            now: Instant::ZERO,
            air: Air::default(),
            places: (0..places).map(place).collect(),
            sent: (0, 0),
            config,
            random: Random::new(seed),
            next_node: 0,
            messages: BTreeMap::new(),
            next_message: 0,
            gone_by: BTreeMap::new(),
        }
    }

    /// This many started nodes, with the default timings and a broadcast without delay.
    pub fn started(places: usize) -> Self {
        let mut cluster = Self::new(1, places, TrackerConfig::new(NodeId::new(0)));
        (0..places).for_each(|place| cluster.start(place));
        cluster.run_for(Duration::from_secs(1));
        cluster
    }

    /// A server starts, if it is down, as another node than before.
    pub fn start(&mut self, place: usize) {
        if self.places[place].tracker.is_some() {
            return;
        }
        self.next_node += 1;
        let mut tracker = Tracker::new(TrackerConfig {
            node: NodeId::new(self.next_node),
            ..self.config
        });
        tracker.handle_linked(self.now);
        self.places[place].tracker = Some(tracker);
        self.drain(place);
    }

    /// A server dies, and its watchers with it.
    pub fn kill(&mut self, place: usize) {
        if let Some(tracker) = self.places[place].tracker.take() {
            let silent_at = self.now + self.config.down_after + self.air.delay_max;
            self.gone_by
                .insert(tracker.node(), silent_at + self.config.gather);
        }
        self.places[place].live.clear();
        self.places[place].watchers.clear();
    }

    /// A server shuts down in an orderly way.
    pub fn shut_down(&mut self, place: usize) {
        let now = self.now;
        self.with(place, |tracker| tracker.handle_shutdown(now));
        self.kill(place);
    }

    /// A session is present, or changes its presence.
    ///
    /// # Errors
    /// As the tracker says.
    ///
    /// # Panics
    /// If the server is down.
    pub fn track(
        &mut self,
        place: usize,
        track: TrackId,
        (to, key, meta): Presence,
    ) -> Result<(), TrackError> {
        let now = self.now;
        let (told_to, told_key, told_meta) = (to.clone(), key.clone(), Json(meta.clone()));
        let result = self
            .with(place, |tracker| {
                tracker.handle_track(now, track, told_to, told_key, told_meta)
            })
            .expect("the server is up");
        if result.is_ok() {
            self.places[place].live.insert(track, (to, key, meta));
        }
        result.map(|_| ())
    }

    /// A session is present in a topic, with its number as the meta.
    ///
    /// # Panics
    /// If the server is down or refuses it.
    pub fn come(&mut self, place: usize, session: u64, to: &str, as_key: &str) {
        let track = TrackId { session, number: 1 };
        let presence = (topic(to), key(as_key), Value::from(session));
        self.track(place, track, presence)
            .expect("there is room for it");
    }

    /// A presence is over.
    pub fn untrack(&mut self, place: usize, track: TrackId) {
        let now = self.now;
        let was_there = self.with(place, |tracker| tracker.handle_untrack(now, track));
        let was_live = self.places[place].live.remove(&track).is_some();
        assert!(was_there.is_none_or(|was_there| was_there == was_live));
    }

    /// A session is over.
    pub fn close(&mut self, place: usize, session: u64) {
        let now = self.now;
        self.with(place, |tracker| tracker.handle_session_closed(now, session));
        let place = &mut self.places[place];
        place.live.retain(|track, _| track.session != session);
    }

    /// Watches a topic from now on.
    pub fn watch(&mut self, place: usize, to: &str) {
        let to = topic(to);
        let Some(tracker) = &mut self.places[place].tracker else {
            return;
        };
        let state = tracker.handle_watch(&to);
        // Changes from before the state are for earlier watchers.
        self.drain(place);
        let mut roster = Roster::new();
        let changes = roster.handle_state(&state.present);
        let keys: BTreeSet<Key> = roster.keys().cloned().collect();
        assert!(changes.iter().map(|change| &change.key).eq(keys.iter()));
        let watcher = Watcher { roster, keys };
        self.places[place].watchers.insert(to, watcher);
        self.check_watchers(place);
    }

    fn with<T>(&mut self, place: usize, act: impl FnOnce(&mut Tracker<Json>) -> T) -> Option<T> {
        let result = self.places[place].tracker.as_mut().map(act);
        self.drain(place);
        result
    }

    fn drain(&mut self, place: usize) {
        while let Some(output) = self.places[place]
            .tracker
            .as_mut()
            .and_then(Tracker::poll_output)
        {
            match output {
                PresenceOutput::Send(message) => self.broadcast(place, &message),
                PresenceOutput::Diff { diff, changes } => {
                    self.places[place].note(self.now, &diff, changes);
                }
            }
        }
        if let Some(tracker) = &mut self.places[place].tracker {
            wake_early(tracker, self.now, |tracker| tracker.poll_output());
        }
        self.check_watchers(place);
    }

    fn broadcast(&mut self, from: usize, message: &PresenceMessage<Json>) {
        let envelope = PresenceEnvelope::from(message);
        self.sent.0 += 1;
        self.sent.1 += envelope.joins.len();
        let text = serde_json::to_string(&envelope).expect("messages have a JSON form");
        for to in 0..self.places.len() {
            let is_lost = self.random.up_to(99) < self.air.loss_percent;
            if is_lost || self.places[from].is_cut || self.places[to].is_cut {
                continue;
            }
            let is_repeated = self.random.up_to(99) < self.air.repeat_percent;
            for _ in 0..=usize::from(is_repeated) {
                let micros = u64::try_from(self.air.delay_max.as_micros()).unwrap_or(u64::MAX);
                let delay = Duration::from_micros(self.random.up_to(micros));
                self.next_message += 1;
                let at = (self.now + delay, self.next_message);
                self.messages.insert(at, (to, text.clone()));
            }
        }
    }

    /// Goes on to the next event, but not beyond `end`. Returns whether there was one.
    ///
    /// # Panics
    /// If a tracker asks to be woken in the past, or a promise is broken.
    pub fn step(&mut self, end: Instant) -> bool {
        let places = self.places.iter();
        let timers = places.filter_map(|place| place.tracker.as_ref()?.poll_timeout());
        let message = self.messages.first_key_value().map(|((at, _), _)| *at);
        let Some(next) = timers.chain(message).min().filter(|next| *next <= end) else {
            return false;
        };
        self.now = self.now.max(next);
        let now = self.now;
        if message.is_some_and(|at| at <= now)
            && let Some((_, (to, text))) = self.messages.pop_first()
        {
            let envelope: PresenceEnvelope<Json> =
                serde_json::from_str(&text).expect("nodes speak JSON");
            self.with(to, |tracker| tracker.handle_message(now, envelope.into()));
        } else {
            for place in 0..self.places.len() {
                let due = self.with(place, |tracker| {
                    let due = tracker.poll_timeout().filter(|due| *due <= now);
                    due.inspect(|_| tracker.handle_timeout(now));
                    tracker.poll_timeout()
                });
                assert!(due.flatten().is_none_or(|due| due > now), "place {place}");
            }
        }
        self.check_ghosts();
        true
    }

    /// Lets time pass.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.step(end) {}
        self.now = end;
        self.check_ghosts();
    }

    /// The presences of a topic according to a server: keys and metas.
    pub fn present(&self, place: usize, to: &str) -> Vec<(String, Value)> {
        let tracker = self.places[place].tracker.as_ref();
        let roster = tracker.and_then(|tracker| tracker.roster(&topic(to)));
        let present = roster.into_iter().flat_map(Roster::present);
        present.map(|present| as_pair(&present)).collect()
    }

    /// Checks that presences of runs that are over are gone in time.
    fn check_ghosts(&self) {
        let due = self.gone_by.iter().filter(|(_, by)| **by < self.now);
        let due: Vec<NodeId> = due.map(|(node, _)| *node).collect();
        for place in &self.places {
            for to in place.watchers.keys() {
                let tracker = place.tracker.as_ref().expect("watchers die with theirs");
                let roster = tracker.roster(to);
                let ghost = roster
                    .into_iter()
                    .flat_map(Roster::present)
                    .find(|present| due.contains(&present.id.node));
                assert_eq!(ghost, None, "at {:?}", self.now);
            }
        }
    }

    /// Checks that watchers know exactly what the tracker holds.
    fn check_watchers(&self, place: usize) {
        let place = &self.places[place];
        let Some(tracker) = &place.tracker else {
            return;
        };
        for (to, watcher) in &place.watchers {
            let roster = tracker.roster(to).cloned().unwrap_or_default();
            assert_eq!(watcher.roster, roster, "{to}");
        }
    }

    /// Checks that every running server knows the presences of all of them, and no others.
    ///
    /// # Panics
    /// If one does not.
    pub fn check_converged(&self, topics: &[&str]) {
        for to in topics {
            let live = self.places.iter().flat_map(|place| place.live.values());
            let mut expected: Vec<(String, Value)> = live
                .filter(|(at, _, _)| at.as_str() == *to)
                .map(|(_, key, meta)| (key.to_string(), meta.clone()))
                .collect();
            expected.sort_by_key(sort_key);
            for place in 0..self.places.len() {
                if self.places[place].tracker.is_some() {
                    let mut present = self.present(place, to);
                    present.sort_by_key(sort_key);
                    assert_eq!(present, expected, "place {place}, topic {to}");
                }
            }
        }
    }
}

impl Place {
    fn note(&mut self, now: Instant, diff: &PresenceDiff<Json>, changes: Vec<KeyChange<Json>>) {
        let told = changes.iter().map(|change| {
            let topic = diff.topic.clone();
            (now, topic, change.key.clone(), change.kind)
        });
        self.told.extend(told);
        let Some(watcher) = self.watchers.get_mut(&diff.topic) else {
            return;
        };
        assert_eq!(watcher.roster.handle_diff(diff), changes);
        for change in changes {
            let is_right = match change.kind {
                KeyChangeKind::Joined => watcher.keys.insert(change.key),
                KeyChangeKind::Updated => watcher.keys.contains(&change.key),
                KeyChangeKind::Left => watcher.keys.remove(&change.key),
            };
            assert!(is_right, "{:?} out of turn", change.kind);
        }
    }
}

fn as_pair(present: &Present<Json>) -> (String, Value) {
    (present.key.to_string(), present.meta.0.clone())
}

fn sort_key((key, meta): &(String, Value)) -> (String, String) {
    (key.clone(), meta.to_string())
}
