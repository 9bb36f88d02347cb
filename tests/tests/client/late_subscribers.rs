//! Subscribers that join others of the same client: what they start with, depending on what they know already.

use core::num::NonZeroU32;

use serde_json::json;
use tidegate_core::flow::{Conflate, Flow};
use tidegate_core::hub::ServerConfig;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::{PublishRequest, Start, TopicPosition};
use tidegate_core::publication::Position;
use tidegate_tests::network::{Cut, Network, Quality};
use tidegate_tests::{ms, secs, topic};

/// A server and a client that is connected, half a second after the origin.
fn network() -> Network {
    let mut net = Network::new(1);
    net.connected_peer(Quality::delayed(ms(10)));
    net
}

#[test]
fn a_late_subscriber_starts_with_the_latest_seen_unless_it_wants_only_new() {
    let mut net = network();
    net.subscribe(0, "job:*", Flow::IMMEDIATE);
    net.run_for(ms(100));
    for (to, number) in [("job:1", 1), ("job:1", 2), ("job:2", 3)] {
        net.publish(to, number).unwrap();
    }
    net.run_for(ms(100));
    let late = net.subscribe(0, "job:*", Flow::IMMEDIATE);
    let new = net.subscribe_from(0, "job:*", Flow::IMMEDIATE, Start::New);
    assert_eq!(net.records[late].values(), [json!(2), json!(3)]);
    net.publish("job:1", 4).unwrap();
    net.run_for(ms(100));
    assert_eq!(net.records[late].values(), [json!(2), json!(3), json!(4)]);
    assert_eq!(net.records[new].values(), [json!(4)]);
}

#[test]
fn a_late_subscriber_with_a_position_is_caught_up_or_told_that_it_is_not() {
    let mut net = network();
    net.subscribe(0, "job:1", Flow::IMMEDIATE);
    net.run_for(ms(100));
    let mut top = Position::default();
    for number in 1..=5 {
        top = net.publish("job:1", number).unwrap();
    }
    net.run_for(ms(100));
    let mut resumed = |position: Position| {
        let since = vec![TopicPosition {
            topic: topic("job:1"),
            position,
        }];
        let record = net.subscribe_from(0, "job:1", Flow::IMMEDIATE, Start::Since(since));
        net.run_for(ms(200));
        (net.records[record].resets(), net.records[record].values())
    };
    let at = |offset| Position { offset, ..top };
    let all = [1, 2, 3, 4, 5].map(|number| json!(number));
    for seen in [5, 4, 3, 0] {
        let missed = all[seen..].to_vec();
        assert_eq!(resumed(at(seen as u64)), (0, missed), "{seen}");
    }
    for lost in [at(6), Position::default()] {
        assert_eq!(resumed(lost), (1, vec![json!(5)]), "{lost}");
    }
    net.publish("job:1", 6).unwrap();
    net.run_for(ms(100));
    net.check_converged();
}

#[test]
fn whoever_resumes_beside_others_what_has_not_begun_is_not_reset() {
    let mut net = network();
    let first = net.subscribe(0, "job:9", Flow::IMMEDIATE);
    net.run_for(ms(100));
    let known = vec![TopicPosition {
        topic: topic("job:9"),
        position: Position::default(),
    }];
    let second = net.subscribe_from(0, "job:9", Flow::IMMEDIATE, Start::Since(known));
    net.run_for(ms(100));
    net.publish("job:9", 1).unwrap();
    net.run_for(ms(100));
    for record in [first, second] {
        assert_eq!(net.records[record].resets(), 0);
        assert_eq!(net.records[record].values(), [json!(1)]);
    }
}

/// The deliveries of subscribers that sum or merge, as one number.
fn total(net: &Network, record: usize) -> u64 {
    let values = net.records[record].values();
    values.iter().filter_map(serde_json::Value::as_u64).sum()
}

fn sum(every: u64) -> Flow {
    Flow::throttle(ms(every)).with_conflate(Conflate::Sum)
}

#[test]
fn who_joins_those_for_whom_values_are_added_up_starts_with_the_value_that_was_published() {
    for to in ["job:1", "job:*"] {
        let mut net = network();
        let adds = net.subscribe(0, to, sum(200));
        net.run_for(ms(100));
        for number in 1..=5 {
            net.publish("job:1", number).unwrap();
        }
        net.run_for(ms(300));
        assert_eq!(net.records[adds].values(), [json!(1), json!(14)]);
        let flows = [Flow::IMMEDIATE, Flow::throttle(ms(500)), sum(200)];
        let joined = flows.map(|flow| net.subscribe(0, to, flow));
        net.run_for(ms(200));
        for record in joined {
            assert_eq!(net.records[record].values(), [json!(5)], "{to}");
        }
        net.publish("job:1", 7).unwrap();
        net.run_for(secs(1));
        for record in joined {
            assert_eq!(net.records[record].values(), [json!(5), json!(7)], "{to}");
        }
        assert_eq!(total(&net, adds), 22);
        net.check_converged();
    }
}

#[test]
fn who_joins_costs_those_for_whom_values_are_added_up_none_of_what_the_server_holds_back() {
    let mut net = network();
    let adds = net.subscribe(0, "job:1", sum(60_000));
    net.run_for(ms(100));
    // More than the topic's history keeps.
    for _ in 0..1_000 {
        net.publish("job:1", 1).unwrap();
    }
    net.run_for(ms(100));
    let joined = net.subscribe(0, "job:1", sum(1_000));
    net.run_for(ms(5));
    for _ in 0..100 {
        net.publish("job:1", 1).unwrap();
    }
    net.run_for(secs(120));
    assert_eq!(total(&net, adds), 1_100);
    assert!(
        (1..=101).contains(&total(&net, joined)),
        "{}",
        total(&net, joined)
    );
    for record in [adds, joined] {
        assert_eq!(net.records[record].losses(), 0);
    }
    net.check_converged();
}

#[test]
fn who_joins_while_the_connection_breaks_starts_with_the_value_that_was_published() {
    for cut_after in 0..80 {
        let mut net = network();
        let adds = net.subscribe(0, "job:1", sum(200));
        net.run_for(ms(100));
        for number in 1..=5 {
            net.publish("job:1", number).unwrap();
        }
        net.run_for(ms(300));
        let joined = net.subscribe(0, "job:1", Flow::IMMEDIATE);
        net.run_for(ms(cut_after));
        net.cut(0, Cut::Both);
        net.run_for(secs(30));
        assert_eq!(net.records[joined].values(), [json!(5)], "{cut_after}");
        assert_eq!(total(&net, adds), 15, "{cut_after}");
    }
}

#[test]
fn all_who_resume_one_pattern_get_what_they_miss_whatever_the_others_know() {
    for to in ["job:1", "job:*"] {
        let mut net = network();
        let mut top = Position::default();
        for number in 1..=5 {
            top = net.publish("job:1", number).unwrap();
        }
        let since = |offset| {
            let topic = topic("job:1");
            let position = Position { offset, ..top };
            Start::Since(vec![TopicPosition { topic, position }])
        };
        // The first is up to date: nothing of the topic comes for it.
        let records =
            [5, 3, 4, 5].map(|offset| net.subscribe_from(0, to, Flow::IMMEDIATE, since(offset)));
        let latest = net.subscribe(0, to, Flow::IMMEDIATE);
        net.run_for(ms(500));
        for (record, told) in [
            (records[0], vec![]),
            (records[1], vec![json!(4), json!(5)]),
            (records[2], vec![json!(5)]),
            (records[3], vec![]),
            (latest, vec![json!(5)]),
        ] {
            assert_eq!(net.records[record].values(), told, "{to}");
        }
        let resets = records.map(|record| net.records[record].resets());
        assert_eq!(resets, [0; 4], "{to}");
        net.publish("job:1", 6).unwrap();
        net.run_for(ms(100));
        for record in records {
            assert_eq!(net.records[record].values().last(), Some(&json!(6)), "{to}");
        }
    }
}

#[test]
fn all_who_resume_at_one_place_before_the_server_has_answered_are_given_the_same() {
    for (to, lost) in [("job:1", 0), ("job:*", 0), ("job:1", 7), ("job:*", 7)] {
        let mut net = network();
        let mut top = Position::default();
        for number in 1..=5 {
            top = net.publish("job:1", number).unwrap();
        }
        let position = Position {
            offset: 3 + lost,
            ..top
        };
        let topic = topic("job:1");
        let start = Start::Since(vec![TopicPosition { topic, position }]);
        let records = [(); 3].map(|()| net.subscribe_from(0, to, Flow::IMMEDIATE, start.clone()));
        net.run_for(ms(500));
        let (resets, told) = match lost {
            0 => (0, vec![json!(4), json!(5)]),
            _ => (1, vec![json!(5)]),
        };
        for record in records.map(|record| &net.records[record]) {
            assert_eq!(
                (record.resets(), record.values()),
                (resets, told.clone()),
                "{to}"
            );
        }
    }
}

#[test]
fn one_beyond_the_history_costs_others_who_join_at_that_moment_nothing() {
    for to in ["job:1", "job:*"] {
        let mut config = ServerConfig::new(1);
        config.hub.history.count_max = 3;
        let mut net = Network::with_config(config);
        net.connected_peer(Quality::delayed(ms(10)));
        let first = net.subscribe(0, to, sum(200));
        net.run_for(ms(100));
        let mut top = Position::default();
        for number in 1..=6 {
            top = net.publish("job:1", number).unwrap();
        }
        net.run_for(ms(300));
        let mut join = |offset| {
            let topic = topic("job:1");
            let position = Position { offset, ..top };
            let since = vec![TopicPosition { topic, position }];
            net.subscribe_from(0, to, Flow::IMMEDIATE, Start::Since(since))
        };
        let joined = [4, 1, 3, 2].map(|offset| (offset, join(offset)));
        net.run_for(secs(1));
        for (seen, record) in joined {
            let record = &net.records[record];
            let (resets, told) = match seen {
                4 => (0, vec![json!(5), json!(6)]),
                3 => (0, vec![json!(4), json!(5), json!(6)]),
                _ => (1, vec![json!(6)]),
            };
            assert_eq!(
                (record.resets(), record.values()),
                (resets, told),
                "{to}: {seen}"
            );
        }
        assert_eq!(net.records[first].losses(), 0);
        assert_eq!(total(&net, first), 21);
    }
}

#[test]
fn who_joins_between_a_terminal_publication_and_the_end_is_told_of_both() {
    let collect = Conflate::Collect {
        max: NonZeroU32::new(3).expect("not zero"),
    };
    let flows = [
        Flow::IMMEDIATE,
        Flow::throttle(ms(100)),
        Flow::debounce(ms(60)),
        Flow::throttle(ms(100)).with_conflate(collect),
        sum(100),
    ];
    let starts = |top: Position| {
        let since = |offset| {
            let position = Position { offset, ..top };
            let topic = topic("job:1");
            Start::Since(vec![TopicPosition { topic, position }])
        };
        [Start::Latest, Start::New, since(1), since(3)]
    };
    for (before, after, nth) in flows
        .iter()
        .flat_map(|before| flows.iter().map(move |after| (before, after)))
        .flat_map(|(before, after)| (0..4).map(move |nth| (before, after, nth)))
    {
        let mut net = Network::new(1);
        net.connected_peer(Quality {
            per_frame: ms(5),
            ..Quality::delayed(ms(10))
        });
        let first = net.subscribe(0, "job:1", *before);
        net.run_for(ms(100));
        let tops = [1, 2, 3].map(|number| net.publish("job:1", number).unwrap());
        net.run_for(secs(1));
        let mut request = PublishRequest::new(topic("job:1"), json!(4).into());
        request.end = Some(EndReason::Complete.into());
        net.publish_request(request).unwrap();
        let last = |net: &Network, record: usize| net.records[record].values().last().cloned();
        net.run_until(|net| last(net, first) == Some(json!(4)));
        assert!(!net.records[first].is_over());
        let start = starts(tops[2])[nth].clone();
        let name = format!("{before:?} {after:?} {start:?}");
        let joined = net.subscribe_from(0, "job:1", *after, start);
        net.run_for(secs(1));
        for record in [first, joined] {
            assert_eq!(last(&net, record), Some(json!(4)), "{name}");
            assert!(net.records[record].is_over(), "{name}");
        }
    }
}

#[test]
fn who_was_given_a_terminal_publication_is_not_given_it_again_when_another_joins() {
    for after in 0..100 {
        let mut net = network();
        net.subscribe_from(0, "job:*", sum(200), Start::New);
        net.run_for(ms(100));
        let mut request = PublishRequest::new(topic("job:1"), json!(1).into());
        request.end = Some(EndReason::Complete.into());
        net.publish_request(request).unwrap();
        net.run_for(secs(1));
        let first = net.subscribe(0, "job:*", sum(700));
        net.run_for(ms(after));
        let second = net.subscribe(0, "job:*", sum(300));
        net.run_for(secs(1));
        for record in [first, second] {
            assert_eq!(net.records[record].values(), [json!(1)], "{after}");
        }
    }
}
