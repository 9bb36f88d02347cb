//! Two nodes that tell each other of presences: every order in which changes happen, and messages come, are lost or come
//! twice, up to a depth. From every state on both come to hold the same, once nothing is lost any more.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;
use tidegate_core::presence::{
    NodeId, PresenceMessage, PresenceOutput, Roster, TrackId, Tracker, TrackerConfig,
};
use tidegate_core::time::Instant;
use tidegate_tests::explore::{Model, explore};
use tidegate_tests::json::Json;
use tidegate_tests::presence_model::key;
use tidegate_tests::{ms, topic};

/// How far courses are followed; `TIDEGATE_DEPTH` says another depth.
const DEPTH: usize = 4;

/// The messages on their way of which any may come next.
const WINDOW: usize = 3;

const TRACK: TrackId = TrackId {
    session: 1,
    number: 1,
};

#[derive(Debug)]
struct Nodes {
    now: Instant,
    trackers: [Tracker<Json>; 2],
    /// What is on its way to each.
    ways: [VecDeque<PresenceMessage<Json>>; 2],
    live: BTreeMap<usize, u64>,
    metas: u64,
}

#[derive(Clone, Copy, Debug)]
enum Choice {
    Track(usize),
    Untrack(usize),
    Deliver(usize, usize),
    Repeat(usize),
    Lose(usize),
}

impl Nodes {
    fn possible(&self) -> Vec<Choice> {
        let mut possible = Vec::new();
        for node in 0..2 {
            possible.push(Choice::Track(node));
            if self.live.contains_key(&node) {
                possible.push(Choice::Untrack(node));
            }
            let waiting = self.ways[node].len();
            possible.extend((0..waiting.min(WINDOW)).map(|index| Choice::Deliver(node, index)));
            if waiting > 0 {
                possible.extend([Choice::Repeat(node), Choice::Lose(node)]);
            }
        }
        possible
    }

    fn drain(&mut self, node: usize) {
        while let Some(output) = self.trackers[node].poll_output() {
            if let PresenceOutput::Send(message) = output {
                self.ways[1 - node].push_back(message);
            }
        }
    }

    fn deliver(&mut self, node: usize, message: PresenceMessage<Json>) {
        self.trackers[node].handle_message(self.now, message);
        self.drain(node);
    }

    fn present(&self, node: usize) -> Vec<(String, Value)> {
        let roster = self.trackers[node].roster(&topic("room:1"));
        let present = roster.into_iter().flat_map(Roster::present);
        present
            .map(|present| (present.key.to_string(), present.meta.0))
            .collect()
    }
}

impl Model for Nodes {
    fn start() -> Self {
        let tracker = |number| {
            let mut config = TrackerConfig::new(NodeId::new(number));
            config.gather = ms(1);
            Tracker::new(config)
        };
        let mut nodes = Self {
            now: Instant::ZERO,
            trackers: [tracker(1), tracker(2)],
            ways: [VecDeque::new(), VecDeque::new()],
            live: BTreeMap::new(),
            metas: 0,
        };
        for node in 0..2 {
            nodes.trackers[node].handle_linked(nodes.now);
            nodes.drain(node);
        }
        nodes
    }

    fn choices(&self) -> usize {
        self.possible().len()
    }

    fn take(&mut self, choice: usize) {
        self.now = self.now + ms(2);
        match self.possible()[choice] {
            Choice::Track(node) => {
                self.metas += 1;
                self.live.insert(node, self.metas);
                let name = key(["ada", "bob"][node]);
                let meta = Json::from(self.metas);
                self.trackers[node]
                    .handle_track(self.now, TRACK, topic("room:1"), name, meta)
                    .expect("there is room");
                self.drain(node);
            }
            Choice::Untrack(node) => {
                self.live.remove(&node);
                assert!(self.trackers[node].handle_untrack(self.now, TRACK));
                self.drain(node);
            }
            Choice::Deliver(node, index) => {
                let message = self.ways[node].remove(index).expect("it is on its way");
                self.deliver(node, message);
            }
            Choice::Repeat(node) => {
                let message = self.ways[node][0].clone();
                self.deliver(node, message);
            }
            Choice::Lose(node) => _ = self.ways[node].pop_front(),
        }
        // No node shows a presence that never was, and each shows its own as they are.
        for node in 0..2 {
            let present = self.present(node);
            let own = present
                .iter()
                .filter(|(who, _)| who == ["ada", "bob"][node]);
            let own: Vec<&Value> = own.map(|(_, meta)| meta).collect();
            assert!(own.len() <= 1, "{present:?}");
        }
    }

    fn finish(mut self) {
        let end = self.now + ms(12_000);
        loop {
            let waits = (0..2).find(|node| !self.ways[*node].is_empty());
            if let Some(node) = waits {
                let message = self.ways[node].pop_front().expect("it is on its way");
                self.deliver(node, message);
                continue;
            }
            let next = self.trackers.iter().filter_map(Tracker::poll_timeout).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            for node in 0..2 {
                self.trackers[node].handle_timeout(self.now);
                self.drain(node);
            }
        }
        let live = self.live.iter();
        let live = live.map(|(node, meta)| (["ada", "bob"][*node].to_owned(), Value::from(*meta)));
        let live: Vec<(String, Value)> = live.collect();
        for node in 0..2 {
            let mut present = self.present(node);
            present.sort_by(|a, b| a.0.cmp(&b.0));
            assert_eq!(present, live, "node {node}");
        }
    }
}

#[test]
fn whatever_comes_in_whatever_order_both_come_to_hold_the_same() {
    let depth = std::env::var("TIDEGATE_DEPTH");
    let depth = depth.map_or(DEPTH, |depth| depth.parse().expect("a number"));
    let explored = explore::<Nodes>(depth);
    eprintln!("depth {depth}: {explored:?}");
    assert!(explored.states > 500, "{explored:?}");
}
