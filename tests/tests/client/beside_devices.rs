//! Subscribers that are no devices, beside a device that has processed everything. None of them gets a publication twice, and
//! the device gets none that it has processed, whichever of them come and go meanwhile.

use serde_json::{Value, json};
use tidegate_core::flow::Flow;
use tidegate_tests::network::{Cut, Network, Quality};
use tidegate_tests::{ms, secs};

const PATTERNS: [&str; 2] = ["job:1", "job:*"];

/// A client, and a subscriber of its device, which has processed 1, 2 and 3.
fn dealt_with_all(to: &str) -> (Network, usize) {
    let mut net = Network::new(1);
    net.connected_peer(Quality::delayed(ms(10)));
    let device = net.subscribe_durable(0, to, Flow::IMMEDIATE, "phone");
    net.run_for(ms(100));
    publish(&mut net, 1..=3);
    net.run_for(ms(100));
    deal_with_all(&mut net, device);
    net.unsubscribe(device);
    net.run_for(ms(100));
    let device = net.subscribe_durable(0, to, Flow::IMMEDIATE, "phone");
    (net, device)
}

fn deal_with_all(net: &mut Network, device: usize) {
    let told = net.records[device].publications();
    let told: Vec<_> = told.map(|(_, one)| one.clone()).collect();
    told.iter().for_each(|one| net.deal_with(device, one));
}

fn publish(net: &mut Network, numbers: core::ops::RangeInclusive<u64>) {
    for number in numbers {
        net.publish("job:1", number).unwrap();
    }
}

fn told(net: &Network, record: usize) -> Vec<u64> {
    let values = net.records[record].values();
    values.iter().filter_map(Value::as_u64).collect()
}

/// Where a subscriber that joins starts, or at a later value: with a wildcard, topics that the device has not seen come
/// from their beginning.
fn first_of(to: &str) -> u64 {
    if to == "job:1" { 3 } else { 1 }
}

#[test]
fn a_device_that_joins_others_who_are_given_everything_is_given_later_what_it_missed() {
    for to in PATTERNS {
        let mut net = Network::new(1);
        net.connected_peer(Quality::delayed(ms(10)));
        let first = net.subscribe(0, to, Flow::IMMEDIATE);
        net.run_for(ms(100));
        let device = net.subscribe_durable(0, to, Flow::IMMEDIATE, "phone");
        net.run_for(ms(100));
        publish(&mut net, 1..=3);
        net.run_for(ms(100));
        deal_with_all(&mut net, device);
        net.unsubscribe(device);
        net.unsubscribe(first);
        net.run_for(ms(100));
        publish(&mut net, 4..=5);
        let device = net.subscribe_durable(0, to, Flow::IMMEDIATE, "phone");
        net.run_for(ms(100));
        assert_eq!(told(&net, device), [4, 5], "{to}");
    }
}

#[test]
fn who_joins_a_device_starts_with_the_latest_value_although_the_device_has_dealt_with_it() {
    for to in PATTERNS {
        let (mut net, device) = dealt_with_all(to);
        for wait in [0, 100] {
            net.run_for(ms(wait));
            let late = net.subscribe(0, to, Flow::IMMEDIATE);
            net.run_for(ms(300));
            assert_eq!(net.records[late].values().last(), Some(&json!(3)), "{to}");
        }
        publish(&mut net, 4..=4);
        net.run_for(ms(100));
        assert_eq!(told(&net, device), [4], "{to}");
    }
}

#[test]
fn a_device_is_told_of_everything_that_is_published_while_others_join_it() {
    for to in PATTERNS {
        for after in 0..120 {
            let (mut net, device) = dealt_with_all(to);
            net.run_for(ms(100));
            let late = net.subscribe(0, to, Flow::IMMEDIATE);
            net.run_for(ms(after));
            for number in 4..=30 {
                publish(&mut net, number..=number);
                net.run_for(ms(1));
            }
            net.run_for(ms(300));
            let all: Vec<u64> = (4..=30).collect();
            assert_eq!(told(&net, device), all, "{to} {after}");
            let known = told(&net, late);
            let first = first_of(to)..=30;
            assert!(first.contains(&known[0]), "{to} {after}");
            assert_eq!(known, (known[0]..=30).collect::<Vec<_>>(), "{to} {after}");
        }
    }
}

#[test]
fn devices_are_told_of_everything_that_is_published_while_the_connection_is_lost_as_others_join() {
    for to in PATTERNS {
        for (joins, cut_after) in [0, 15, 25]
            .into_iter()
            .flat_map(|at| (0..120).map(move |cut| (at, cut)))
        {
            let (mut net, device) = dealt_with_all(to);
            net.run_for(ms(100));
            let late = net.subscribe(0, to, Flow::IMMEDIATE);
            net.run_for(ms(joins));
            let second = net.subscribe_durable(0, to, Flow::IMMEDIATE, "phone");
            net.run_for(ms(cut_after));
            net.cut(0, Cut::Both);
            publish(&mut net, 4..=6);
            net.run_for(secs(30));
            publish(&mut net, 7..=7);
            net.run_for(ms(300));
            let name = format!("{to} {joins} {cut_after}");
            for device in [device, second] {
                assert_eq!(told(&net, device), [4, 5, 6, 7], "{name}");
            }
            let known = told(&net, late);
            assert!((first_of(to)..=6).contains(&known[0]), "{name}: {known:?}");
            assert_eq!(known, (known[0]..=7).collect::<Vec<_>>(), "{name}");
            assert_eq!(net.records[late].losses(), 0, "{name}");
        }
    }
}

#[test]
fn who_joined_a_device_is_told_nothing_twice_when_that_leaves() {
    for to in PATTERNS {
        for leaves_after in 0..200 {
            let (mut net, device) = dealt_with_all(to);
            net.run_for(ms(100));
            let first = net.subscribe(0, to, Flow::IMMEDIATE);
            net.run_for(ms(150));
            let second = net.subscribe(0, to, Flow::IMMEDIATE);
            net.run_for(ms(leaves_after));
            net.unsubscribe(device);
            net.run_for(ms(100));
            publish(&mut net, 4..=4);
            net.run_for(ms(300));
            let all: Vec<u64> = (first_of(to)..=4).collect();
            assert_eq!(told(&net, first), all, "{to} {leaves_after}");
            assert_eq!(told(&net, second), [3, 4], "{to} {leaves_after}");
        }
    }
}

#[test]
fn who_is_beside_a_device_misses_no_topic_that_begins_as_another_one_joins_and_the_device_leaves() {
    for (begins, leaves) in (0..80)
        .step_by(4)
        .flat_map(|begins| (0..80).step_by(4).map(move |leaves| (begins, leaves)))
    {
        let (mut net, device) = dealt_with_all("job:*");
        let first = net.subscribe(0, "job:*", Flow::IMMEDIATE);
        net.run_for(ms(150));
        let second = net.subscribe(0, "job:*", Flow::IMMEDIATE);
        net.run_for(ms(begins));
        net.publish("job:2", 10).unwrap();
        net.run_for(ms(leaves));
        net.unsubscribe(device);
        net.run_for(ms(300));
        assert_eq!(told(&net, first), [1, 2, 3, 10], "{begins} {leaves}");
        assert_eq!(told(&net, second), [3, 10], "{begins} {leaves}");
    }
}
