//! Any mix of paces, conflation, deltas, lost connections and newcomers, some of them durable: no subscriber ends up with a
//! stale value, publications that are not conflated arrive as they were published, sums are complete, merged patches have
//! the effect of the single ones, and devices get everything.

use std::sync::Arc;

use proptest::prelude::*;
use tidegate_core::flow::Flow;
use tidegate_tests::combined::{
    Constant, Device, PATTERNS, TOPICS, any_flow, any_patch, check, tops,
};
use tidegate_tests::json::Json;
use tidegate_tests::network::{Cut, Network, Quality};
use tidegate_tests::{ms, secs};

const PEERS: usize = 2;

#[derive(Clone, Debug)]
enum Op {
    Publish {
        topic: usize,
        patch: Json,
    },
    Subscribe {
        peer: usize,
        pattern: usize,
        flow: Flow,
    },
    SubscribeDurable {
        peer: usize,
        pattern: usize,
    },
    Deal {
        which: usize,
        count: usize,
    },
    Reflow {
        which: usize,
        flow: Flow,
    },
    Unsubscribe {
        which: usize,
    },
    Cut {
        peer: usize,
        how: Cut,
    },
    Wait {
        ms: u64,
    },
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (0..TOPICS.len(), any_patch()).prop_map(|(topic, patch)| Op::Publish { topic, patch }),
        3 => (0..PEERS, 0..PATTERNS.len(), any_flow())
            .prop_map(|(peer, pattern, flow)| Op::Subscribe { peer, pattern, flow }),
        1 => (0..PEERS, 0..PATTERNS.len()).prop_map(|(peer, pattern)| Op::SubscribeDurable { peer, pattern }),
        1 => (any::<usize>(), 0..30_usize).prop_map(|(which, count)| Op::Deal { which, count }),
        1 => (any::<usize>(), any_flow()).prop_map(|(which, flow)| Op::Reflow { which, flow }),
        1 => any::<usize>().prop_map(|which| Op::Unsubscribe { which }),
        1 => (0..PEERS, prop::sample::select(Cut::ALL.to_vec())).prop_map(|(peer, how)| Op::Cut { peer, how }),
        6 => (0..300_u64).prop_map(|ms| Op::Wait { ms }),
    ]
}

/// A server, and clients with their subscribers.
#[derive(Debug)]
struct Scene {
    net: Network,
    /// The subscribers who are there, but for durable ones.
    here: Vec<usize>,
    constant: Vec<Constant>,
    /// Of each client.
    devices: [Device; PEERS],
}

impl Scene {
    fn new(seed: u64) -> Self {
        let mut net = Network::new(seed);
        for _ in 0..PEERS {
            net.connected_peer(Quality::delayed(ms(10)));
        }
        Self {
            net,
            here: Vec::new(),
            constant: Vec::new(),
            devices: Default::default(),
        }
    }

    fn subscribe(&mut self, peer: usize, pattern: &str, flow: Flow) {
        let others = self.net.records.iter().filter(|record| record.peer == peer);
        let tops = tops(others, pattern);
        let record = self.net.subscribe(peer, pattern, flow);
        self.here.push(record);
        self.constant.push(Constant { record, tops });
    }

    fn deal(&mut self, which: usize, count: usize) {
        let device = &mut self.devices[which % PEERS];
        let there: Vec<usize> = device.subscribers(&self.net.records).collect();
        let Some(record) = there.get(which / PEERS % there.len().max(1)) else {
            return;
        };
        let told = self.net.records[*record].publications();
        let told: Vec<_> = told.take(count).map(|(_, one)| Arc::clone(one)).collect();
        for publication in told {
            device.note_dealt(self.net.now, &self.net.records[*record], &publication);
            self.net.deal_with(*record, &publication);
        }
    }

    fn unsubscribe(&mut self, which: usize) {
        let records = &self.net.records;
        let devices = self.devices.iter();
        let durable = devices.flat_map(|device| device.subscribers(records));
        let all: Vec<usize> = self.here.iter().copied().chain(durable).collect();
        if let Some(record) = all.get(which % all.len().max(1)) {
            self.here.retain(|known| known != record);
            self.net.unsubscribe(*record);
        }
    }

    fn act(&mut self, op: Op) {
        match op {
            Op::Publish { topic, patch } => {
                let published = self.net.publish(TOPICS[topic], patch.0);
                published.expect("the topic is open");
            }
            Op::Subscribe {
                peer,
                pattern,
                flow,
            } => self.subscribe(peer, PATTERNS[pattern], flow),
            Op::SubscribeDurable { peer, pattern } => {
                let name = format!("device-{peer}");
                let to = PATTERNS[pattern];
                let record = self.net.subscribe_durable(peer, to, Flow::IMMEDIATE, &name);
                self.devices[peer].note_subscriber(record, &self.net.records);
            }
            Op::Deal { which, count } => self.deal(which, count),
            Op::Reflow { which, flow } if !self.here.is_empty() => {
                let record = self.here[which % self.here.len()];
                self.net.set_flow(record, flow);
                self.constant.retain(|known| known.record != record);
            }
            Op::Unsubscribe { which } => self.unsubscribe(which),
            Op::Cut { peer, how } => self.net.cut(peer, how),
            Op::Wait { ms: millis } => self.net.run_for(ms(millis)),
            Op::Reflow { .. } => {}
        }
    }
}

fn run(ops: Vec<Op>, seed: u64) {
    let mut scene = Scene::new(seed);
    for op in ops {
        scene.act(op);
    }
    let Scene {
        mut net,
        constant,
        devices,
        ..
    } = scene;
    net.run_for(secs(120));
    // For devices that have dealt with everything.
    for to in TOPICS {
        let published = net.publish(to, serde_json::json!({ "done": 1 }));
        published.expect("the topic is open");
    }
    net.run_for(secs(10));
    net.check_converged();
    assert!(net.records.iter().all(|record| record.resets() == 0));
    for constant in &constant {
        check(
            &net.truth,
            &net.records[constant.record],
            &constant.tops,
            false,
        );
    }
    for device in &devices {
        device.check(&net.records);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn everybody_has_what_was_published_whole_added_up_or_merged(
        ops in prop::collection::vec(any_op(), 1..120),
        seed: u64,
    ) {
        run(ops, seed);
    }
}
