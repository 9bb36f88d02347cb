//! Counters whose increments are summed on the way agree in the end, whatever other subscribers sum at which pace.

use proptest::prelude::*;
use serde_json::json;
use tidegate_core::flow::{Conflate, Flow, Pace};
use tidegate_tests::combined::any_pace;
use tidegate_tests::network::{Cut, Direction, Network, Quality};
use tidegate_tests::{ms, secs};

fn any_cut() -> impl Strategy<Value = Cut> {
    prop::sample::select(Cut::ALL.to_vec())
}

fn sums(pace: Pace) -> Flow {
    Flow {
        pace,
        conflate: Conflate::Sum,
        delta: false,
    }
}

/// The sum of a subscriber, whose increments are `{"done": …}`.
fn total(net: &Network, record: usize) -> u64 {
    let values = net.records[record].values();
    values
        .iter()
        .filter_map(|value| value["done"].as_u64())
        .sum()
}

#[test]
fn two_sums_of_different_pace_are_sent_as_one_of_the_finer() {
    let mut net = Network::new(1);
    let peer = net.connected_peer(Quality::delayed(ms(10)));
    let records =
        [1, 3].map(|every| net.subscribe(peer, "job:1", sums(Flow::throttle(secs(every)).pace)));
    net.run_for(ms(100));
    let frames = net.frames(peer, Direction::Down);
    for _ in 0..600 {
        net.publish("job:1", json!({ "done": 1 }))
            .expect("the topic is open");
        net.run_for(ms(10));
    }
    net.run_for(secs(10));
    assert_eq!(
        net.frames(peer, Direction::Down) - frames,
        7,
        "at 0, 1, … 6 s"
    );
    let emissions = records.map(|record| net.records[record].values().len());
    assert_eq!(emissions, [7, 3]);
    for record in records {
        assert_eq!(total(&net, record), 600);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Of one client: each adds up the same as alone, while others come and go, at whatever pace they add up.
    #[test]
    fn sums_of_one_client_are_the_same_as_alone(
        paces in prop::collection::vec(any_pace(), 2..5),
        joins in prop::collection::vec((any_pace(), 0..60_usize, 1..60_usize), 0..3),
        steps in prop::collection::vec((0..60_u64, 0..9_u64), 1..100),
    ) {
        let mut net = Network::new(3);
        let peer = net.connected_peer(Quality::delayed(ms(10)));
        let records: Vec<usize> = paces.iter().map(|pace| net.subscribe(peer, "job:1", sums(*pace))).collect();
        net.run_for(ms(100));
        let mut here = Vec::new();
        let mut published = Vec::new();
        for (number, (gap, increment)) in steps.into_iter().enumerate() {
            for (pace, comes, stays) in &joins {
                if *comes == number {
                    // What was published has arrived.
                    net.run_for(ms(20));
                    let record = net.subscribe(peer, "job:1", sums(*pace));
                    here.push((record, number, number + stays));
                }
            }
            for (record, _, until) in &here {
                if *until == number {
                    net.unsubscribe(*record);
                }
            }
            net.publish("job:1", json!({ "done": increment })).expect("the topic is open");
            published.push(increment);
            net.run_for(ms(gap));
        }
        net.run_for(secs(10));
        net.check_converged();
        for record in records {
            prop_assert_eq!(net.records[record].losses(), 0);
            prop_assert_eq!(total(&net, record), published.iter().sum::<u64>());
        }
        for (record, came, _) in here.into_iter().filter(|(record, _, _)| !net.records[*record].is_gone) {
            prop_assert_eq!(net.records[record].losses(), 0);
            // It starts with the latest value, or with one that is published while it waits for that.
            let starts = came.saturating_sub(1)..published.len();
            let fits = starts.into_iter().any(|start| published[start..].iter().sum::<u64>() == total(&net, record));
            prop_assert!(fits, "{} of {:?} from {}", total(&net, record), published, came);
        }
    }

    /// Increments are published hundreds of times a second, connections break, pages ask for them at another pace: the
    /// counters agree in the end.
    #[test]
    fn sums_are_complete(
        paces in prop::collection::vec((any_pace(), any::<bool>()), 1..4),
        steps in prop::collection::vec((0..60_u64, 0..9_u64, prop::option::weighted(0.04, any_cut())), 1..150),
        change in (any_pace(), any::<bool>(), 0..150_usize),
    ) {
        let sums = |pace, delta| sums(pace).with_delta(delta);
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
