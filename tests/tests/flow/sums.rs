//! Counters whose increments are summed up on the way agree in the end.

use proptest::prelude::*;
use serde_json::json;
use tidegate_core::flow::{Conflate, Flow, Pace};
use tidegate_tests::network::{Cut, Network, Quality};
use tidegate_tests::{ms, secs};

fn any_pace() -> impl Strategy<Value = Pace> {
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
        4 => (1..400_u64, any::<bool>()).prop_map(move |(every, leading)| edges(every, leading)),
        2 => (1..200_u64, prop::option::of(1..400_u64)).prop_map(move |(wait, most)| quiet(wait, most)),
    ]
}

fn any_cut() -> impl Strategy<Value = Cut> {
    prop::sample::select(Cut::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Increments are published hundreds of times a second, connections break, pages ask for them at another pace: the
    /// counters agree in the end.
    #[test]
    fn sums_are_complete(
        paces in prop::collection::vec((any_pace(), any::<bool>()), 1..4),
        steps in prop::collection::vec((0..60_u64, 0..9_u64, prop::option::weighted(0.04, any_cut())), 1..150),
        change in (any_pace(), any::<bool>(), 0..150_usize),
    ) {
        let sums = |pace, delta| Flow { pace, conflate: Conflate::Sum, delta };
        let mut net = Network::new(3);
        let mut records = Vec::new();
        for (pace, delta) in paces {
            // Of a connection of its own, so that the server sums up for it.
            let peer = net.connected_peer(Quality::delayed(ms(10)));
            records.push(net.subscribe(peer, "job:1", sums(pace, delta)));
        }
        net.run_for(ms(100));
        let mut total = 0;
        for (number, (gap, increment, cut)) in steps.into_iter().enumerate() {
            net.run_for(ms(gap));
            if let Some(how) = cut {
                net.cut(number % records.len(), how);
            }
            let (pace, delta, at) = change;
            if at == number {
                net.set_flow(records[0], sums(pace, delta));
            }
            let data = json!({ "done": increment, "note": "labels of the second series" });
            net.publish("job:1", data).expect("the topic is open");
            total += increment;
        }
        net.run_for(secs(120));
        net.check_converged();
        for record in records {
            let record = &net.records[record];
            assert_eq!(record.resets(), 0);
            let values = record.values();
            let done: u64 = values.iter().filter_map(|value| value["done"].as_u64()).sum();
            assert_eq!(done, total, "{:?}", record.flow);
        }
    }
}
