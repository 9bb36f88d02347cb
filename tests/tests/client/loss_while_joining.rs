//! Losses while a subscriber joins others and is brought up to date.

use tidegate_core::flow::{Conflate, Flow};
use tidegate_core::hub::{Due, Relay, RelayDue};
use tidegate_core::protocol::{Start, SubscribeRequest};
use tidegate_core::publication::Position;
use tidegate_core::time::Instant;
use tidegate_tests::bench::{EPOCH, position, publication};
use tidegate_tests::json::Json;
use tidegate_tests::{ms, pattern, topic};

/// What a subscriber gets, in short.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Offset(u64),
    Lagged(u64),
    Reset,
}

fn told(relay: &mut Relay<Json>, downlink: u32) -> Vec<Told> {
    let mut told = Vec::new();
    while let Some(due) = relay.poll_output() {
        let RelayDue::Due(due) = due else {
            continue;
        };
        match due {
            Due::Deliver {
                downlink: to,
                delivery,
            } if to == downlink => {
                let items = delivery.emission.into_iter();
                told.extend(items.map(|item| Told::Offset(item.position.offset)));
            }
            Due::Lagged {
                downlink: to,
                missed,
                ..
            } if to == downlink => told.push(Told::Lagged(missed)),
            Due::Reset { downlink: to, .. } if to == downlink => told.push(Told::Reset),
            _ => {}
        }
    }
    told
}

/// A relay with one who gets merged values of `job:1`, was given the first one, and a newcomer who wants each, for whom the uplink goes back.
fn joined(start: Start) -> Relay<Json> {
    joined_by(Flow::IMMEDIATE, start)
}

fn joined_by(flow: Flow, start: Start) -> Relay<Json> {
    let (now, job) = (Instant::ZERO, pattern("job:1"));
    let mut relay = Relay::new();
    let merging = Flow::throttle(ms(100)).with_conflate(Conflate::Merge);
    let first = SubscribeRequest::new(job.clone(), merging);
    relay.handle_subscribe(now, 0, first).unwrap();
    relay.handle_subscribed(&job);
    relay.handle_publication(now, &job, &publication("job:1", position(1)));
    let newcomer = SubscribeRequest {
        start,
        ..SubscribeRequest::new(job.clone(), flow)
    };
    relay.handle_subscribe(now, 1, newcomer).unwrap();
    relay
}

/// The uplink drops new publications while it rewinds for the newcomer: that is a loss for the newcomer, too.
#[test]
fn who_joins_is_told_of_what_is_dropped_once_something_comes_for_it() {
    let (now, job) = (Instant::ZERO, pattern("job:1"));
    let mut relay = joined(Start::New);
    relay.handle_lagged(&job, 1);
    assert_eq!(told(&mut relay, 1), [], "what it did not ask for");

    relay.handle_rewinding(&job, false);
    relay.handle_publication(now, &job, &publication("job:1", position(3)));
    relay.handle_lagged(&job, 2);
    relay.handle_rewound(now, &job);
    relay.handle_publication(now, &job, &publication("job:1", position(6)));
    let all = [Told::Offset(3), Told::Lagged(2), Told::Offset(6)];
    assert_eq!(told(&mut relay, 1), all);
}

/// The connection is lost before all has come again, and the topic begins anew meanwhile.
#[test]
fn who_joins_is_told_once_that_what_it_was_given_is_void() {
    let (now, job) = (Instant::ZERO, pattern("job:1"));
    let mut relay = joined(Start::Latest);
    relay.handle_rewinding(&job, false);
    relay.handle_repeat(now, &job, &publication("job:1", position(1)), true);
    let anew = Position {
        epoch: EPOCH + 7,
        offset: 1,
    };
    let unbegun = Position { offset: 0, ..anew };
    relay.handle_reset(now, &job, &topic("job:1"), unbegun);
    relay.handle_rewound(now, &job);
    relay.handle_publication(now, &job, &publication("job:1", anew));
    let all = [Told::Offset(1), Told::Reset, Told::Offset(1)];
    assert_eq!(told(&mut relay, 1), all);
}

/// A slow connection may leave out what nobody wants who has joined: but for those who do, nobody has to be told.
#[test]
fn what_is_left_out_is_a_loss_only_to_who_wants_more_than_the_latest() {
    let (now, job) = (Instant::ZERO, pattern("job:1"));
    let offsets = [Told::Offset(1), Told::Offset(4)];
    for (flow, is_lost) in [(Flow::IMMEDIATE, true), (Flow::throttle(ms(200)), false)] {
        let mut relay = joined_by(flow, Start::Latest);
        relay.handle_rewinding(&job, false);
        relay.handle_repeat(now, &job, &publication("job:1", position(1)), true);
        relay.handle_publication(now, &job, &publication("job:1", position(4)));
        relay.handle_timeout(now + ms(200));
        let mut all = told(&mut relay, 1);
        assert_eq!(all.contains(&Told::Reset), is_lost, "{flow:?}");
        all.retain(|told| *told != Told::Reset);
        assert_eq!(all, offsets, "{flow:?}");
    }
}
