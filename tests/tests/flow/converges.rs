//! Whatever mix of pace, conflation, deltas, lost connections and newcomers: nobody ends up with a stale value, what is handed on
//! as it is was published so, sums are complete, and merged patches give what the patches give.

use proptest::prelude::*;
use tidegate_core::flow::Flow;
use tidegate_tests::combined::{Constant, PATTERNS, TOPICS, any_flow, any_patch, check, tops};
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
        1 => (any::<usize>(), any_flow()).prop_map(|(which, flow)| Op::Reflow { which, flow }),
        1 => any::<usize>().prop_map(|which| Op::Unsubscribe { which }),
        1 => (0..PEERS, prop::sample::select(Cut::ALL.to_vec())).prop_map(|(peer, how)| Op::Cut { peer, how }),
        6 => (0..300_u64).prop_map(|ms| Op::Wait { ms }),
    ]
}

fn run(ops: Vec<Op>, seed: u64) {
    let mut net = Network::new(seed);
    for _ in 0..PEERS {
        net.connected_peer(Quality::delayed(ms(10)));
    }
    let mut here: Vec<usize> = Vec::new();
    let mut constant: Vec<Constant> = Vec::new();
    for op in ops {
        match op {
            Op::Publish { topic, patch } => {
                net.publish(TOPICS[topic], patch.0)
                    .expect("the topic is open");
            }
            Op::Subscribe {
                peer,
                pattern,
                flow,
            } => {
                let others = net.records.iter().filter(|record| record.peer == peer);
                let tops = tops(others, PATTERNS[pattern]);
                let record = net.subscribe(peer, PATTERNS[pattern], flow);
                here.push(record);
                constant.push(Constant { record, tops });
            }
            Op::Reflow { which, flow } if !here.is_empty() => {
                let record = here[which % here.len()];
                net.set_flow(record, flow);
                constant.retain(|known| known.record != record);
            }
            Op::Unsubscribe { which } if !here.is_empty() => {
                let record = here.remove(which % here.len());
                net.unsubscribe(record);
            }
            Op::Cut { peer, how } => net.cut(peer, how),
            Op::Wait { ms: millis } => net.run_for(ms(millis)),
            Op::Reflow { .. } | Op::Unsubscribe { .. } => {}
        }
    }
    net.run_for(secs(120));
    net.check_converged();
    assert!(net.records.iter().all(|record| record.resets() == 0));
    for constant in &constant {
        check(&net.truth, &net.records[constant.record], &constant.tops);
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
