//! A client's subscriptions: how they resume, and whose publications they take.

use tidegate_core::client::ClientEvent;
use tidegate_core::flow::Flow;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::{ClientFrame, ErrorCode, ServerFrame, Start, SubscribeRequest};
use tidegate_core::publication::{Position, Publication};
use tidegate_tests::bench::{
    Bench, EPOCH, error, known, offsets, position, publication, start_of, unsubscribe,
};
use tidegate_tests::json::Json;
use tidegate_tests::{ms, pattern, topic};

#[test]
fn one_that_stood_resumes_after_what_was_seen() {
    let mut bench = Bench::subscribed();
    bench.deliver(position(1));
    bench.deliver(position(2));
    let start = start_of(&bench.reopen());
    assert_eq!(start, Start::Since(vec![known("job:1", position(2))]));
}

#[test]
fn one_that_never_stood_starts_as_it_was_asked_to() {
    for start in [
        Start::Latest,
        Start::New,
        Start::Since(vec![known("job:1", position(3))]),
    ] {
        let mut bench = Bench::wanted();
        bench.subscribe("job:1", start.clone());
        bench.open();
        assert_eq!(start_of(&bench.reopen()), start);
    }
}

#[test]
fn one_that_saw_nothing_resumes_from_where_its_topic_stood() {
    let mut bench = Bench::wanted();
    bench.subscribe("job:1", Start::New);
    bench.open();
    bench.confirm("job:1", Some(position(5)));
    let start = start_of(&bench.reopen());
    assert_eq!(start, Start::Since(vec![known("job:1", position(5))]));
}

#[test]
fn one_whose_latest_value_did_not_arrive_asks_for_it_again() {
    let mut bench = Bench::wanted();
    bench.subscribe("job:1", Start::Latest);
    bench.open();
    bench.confirm("job:1", Some(position(5)));
    assert_eq!(start_of(&bench.reopen()), Start::Since(vec![]));
    bench.confirm("job:1", Some(position(5)));
    bench.deliver(position(5));
    assert_eq!(offsets(&bench.events()), [5]);
}

#[test]
fn a_pattern_remembers_each_topic() {
    let mut bench = Bench::wanted();
    bench.subscribe("job:*", Start::Latest);
    bench.open();
    bench.confirm("job:*", None);
    for (to, offset) in [("job:1", 4), ("job:2", 2), ("job:1", 5)] {
        bench.receive(ServerFrame::Publication {
            publication: publication(to, position(offset)),
            via: Some(pattern("job:*")),
        });
    }
    let Start::Since(mut since) = start_of(&bench.reopen()) else {
        panic!("it does not resume");
    };
    since.sort_by_key(|known| known.topic.clone());
    let expected = [known("job:1", position(5)), known("job:2", position(2))];
    assert_eq!(since, expected);
}

#[test]
fn what_was_seen_is_not_seen_again_whatever_the_server_sends() {
    let mut bench = Bench::subscribed();
    for offset in [1, 2, 2, 1, 3] {
        bench.deliver(position(offset));
    }
    assert_eq!(offsets(&bench.events()), [1, 2, 3]);
    bench.receive(ServerFrame::Batch {
        items: (2..=5)
            .map(|offset| publication("job:1", position(offset)))
            .collect(),
        via: None,
    });
    let events = bench.events();
    let [ClientEvent::Batch { items, .. }] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!(items.len(), 2);
    let other = Position {
        epoch: EPOCH + 1,
        offset: 1,
    };
    bench.deliver(other);
    assert_eq!(offsets(&bench.events()), [1], "another epoch begins anew");
}

/// The latest value may come over the next connection, or be lost by then, too. So the client asks for what follows the
/// position before it, to learn of such a loss.
#[test]
fn after_a_reset_the_topics_latest_value_is_still_to_come() {
    let mut bench = Bench::subscribed();
    bench.deliver(position(3));
    bench.events();
    let at = |offset| Position { epoch: 9, offset };
    let reset = |offset| ServerFrame::Reset {
        topic: topic("job:1"),
        position: at(offset),
        via: None,
    };
    for (lost, after) in [(20, 19), (1, 0), (0, 0)] {
        bench.receive(reset(lost));
        let start = start_of(&bench.reopen());
        assert_eq!(start, Start::Since(vec![known("job:1", at(after))]));
        bench.confirm("job:1", Some(at(lost)));
    }
    bench.receive(reset(20));
    bench.events();
    bench.deliver(at(20));
    assert_eq!(offsets(&bench.events()), [20]);
    bench.receive(ServerFrame::Reset {
        topic: topic("job:1"),
        position: Position::default(),
        via: None,
    });
    assert_eq!(start_of(&bench.reopen()), Start::Since(vec![]));
}

#[test]
fn what_was_lost_to_others_is_not_told_and_what_may_have_been_is() {
    let mut bench = Bench::subscribed();
    let mut is_told = |at: Position| {
        bench.receive(ServerFrame::Reset {
            topic: topic("job:1"),
            position: at,
            via: None,
        });
        let events = bench.events();
        assert!(events.len() < 2, "{events:?}");
        !events.is_empty()
    };
    assert!(!is_told(position(0)), "it stands there");
    let unbegun = Position::default();
    assert!(is_told(unbegun), "nobody knows where it stands");
    assert!(is_told(unbegun));
    bench.confirm("job:1", Some(unbegun));
    bench.events();
    let start = start_of(&bench.reopen());
    assert_eq!(start, Start::Since(vec![known("job:1", unbegun)]));
    bench.confirm("job:1", Some(unbegun));
    bench.events();
    bench.receive(ServerFrame::Reset {
        topic: topic("job:1"),
        position: unbegun,
        via: None,
    });
    let events = bench.events();
    assert!(
        matches!(events[..], [ClientEvent::Reset { .. }]),
        "{events:?}"
    );
}

/// What follows an end is of another epoch, as it should be; what follows anything else is not.
#[test]
fn another_epoch_is_a_loss_unless_the_topic_has_ended() {
    let anew = |times| Position {
        epoch: EPOCH + times,
        offset: 1,
    };
    let mut bench = Bench::wanted();
    bench.subscribe("job:*", Start::Latest);
    bench.open();
    bench.confirm("job:*", None);
    let mut told = |position, end| {
        let one = Publication {
            end,
            ..(*publication("job:1", position)).clone()
        };
        bench.receive(ServerFrame::Publication {
            publication: one.into(),
            via: Some(pattern("job:*")),
        });
        let is_reset = |event: &ClientEvent<Json>| matches!(event, ClientEvent::Reset { .. });
        let events = bench.events();
        (
            events.iter().filter(|event| is_reset(event)).count(),
            offsets(&events),
        )
    };
    assert_eq!(told(position(1), None), (0, vec![1]));
    assert_eq!(told(position(2), Some(EndReason::Complete)), (0, vec![2]));
    assert_eq!(told(anew(1), None), (0, vec![1]));
    assert_eq!(told(anew(2), None), (1, vec![1]));
}

#[test]
fn as_many_positions_are_told_as_a_frame_has_room_for_and_those_seen_last() {
    // Each takes its topic's bytes and 72 more.
    let name = |number: usize| format!("job:{number:0>180}");
    let room = tidegate_core::limits::SINCE_BYTES_MAX / 256;
    assert_eq!(room * 256, tidegate_core::limits::SINCE_BYTES_MAX);
    for more in [0, 1] {
        let mut bench = Bench::wanted();
        bench.subscribe("job:*", Start::Latest);
        bench.open();
        bench.confirm("job:*", None);
        for number in 0..room + more {
            bench.receive(ServerFrame::Publication {
                publication: publication(&name(number), position(1)),
                via: Some(pattern("job:*")),
            });
        }
        bench.events();
        let Start::Since(since) = start_of(&bench.reopen()) else {
            panic!("it does not resume");
        };
        assert_eq!(since.len(), room);
        assert_eq!(since[0].topic.as_str(), name(room + more - 1));
    }
}

#[test]
fn until_it_stands_publications_belong_to_an_earlier_one() {
    let mut bench = Bench::subscribed();
    unsubscribe(&mut bench);
    bench.subscribe("job:1", Start::Latest);
    bench.deliver(position(1));
    bench.receive(ServerFrame::Reset {
        topic: topic("job:1"),
        position: position(1),
        via: None,
    });
    bench.receive(ServerFrame::Lagged {
        pattern: pattern("job:1"),
        missed: 3,
    });
    bench.receive(ServerFrame::End {
        pattern: pattern("job:1"),
        reason: EndReason::Failed,
    });
    assert_eq!(bench.sent().len(), 2, "and nothing was told");
    bench.receive(ServerFrame::Unsubscribed {
        pattern: pattern("job:1"),
    });
    bench.confirm("job:1", Some(position(1)));
    bench.deliver(position(1));
    assert_eq!(offsets(&bench.events()), [1]);
}

#[test]
fn the_confirmation_of_one_that_was_given_up_is_not_taken_for_its_successors() {
    let mut bench = Bench::wanted();
    bench.open();
    bench.subscribe("job:1", Start::Latest);
    unsubscribe(&mut bench);
    bench.subscribe("job:1", Start::Since(vec![known("job:1", position(5))]));
    bench.confirm("job:1", Some(position(9)));
    bench.deliver(position(9));
    let none: [u64; 0] = [];
    assert_eq!(offsets(&bench.events()), none, "that was the first one's");
    bench.receive(ServerFrame::Unsubscribed {
        pattern: pattern("job:1"),
    });
    bench.confirm("job:1", Some(position(9)));
    for offset in 6..=9 {
        bench.deliver(position(offset));
    }
    assert_eq!(offsets(&bench.events()), [6, 7, 8, 9]);
}

#[test]
fn an_end_that_crosses_an_unsubscribe_does_not_end_the_next_one() {
    let mut bench = Bench::subscribed();
    unsubscribe(&mut bench);
    bench.subscribe("job:1", Start::Latest);
    bench.events();
    bench.receive(ServerFrame::End {
        pattern: pattern("job:1"),
        reason: EndReason::Complete,
    });
    let crossed = error(ErrorCode::NotSubscribed).about_pattern(pattern("job:1"));
    bench.receive(ServerFrame::Error(crossed));
    assert_eq!(bench.events(), []);
    bench.confirm("job:1", Some(position(3)));
    bench.deliver(position(3));
    assert_eq!(offsets(&bench.events()), [3]);
}

#[test]
fn a_second_one_to_the_same_pattern_replaces_the_first() {
    let mut bench = Bench::subscribed();
    bench.subscribe("job:1", Start::New);
    let sent = bench.sent();
    assert!(
        matches!(
            sent.as_slice(),
            [
                ClientFrame::Unsubscribe { .. },
                ClientFrame::Subscribe(SubscribeRequest {
                    start: Start::New,
                    ..
                })
            ]
        ),
        "{sent:?}"
    );
}

#[test]
fn one_that_is_refused_is_over_and_told() {
    let mut bench = Bench::subscribed();
    bench.subscribe("job:2", Start::Latest);
    bench.events();
    let refused = error(ErrorCode::TooManySubscriptions).about_pattern(pattern("job:2"));
    bench.receive(ServerFrame::Error(refused.clone()));
    let told = ClientEvent::Refused {
        pattern: pattern("job:2"),
        error: refused,
    };
    assert_eq!(bench.events(), [told]);
    let start = start_of(&bench.reopen());
    assert_eq!(start, Start::Since(vec![known("job:1", position(0))]));
}

#[test]
fn the_flow_of_a_lost_connection_is_the_flow_of_the_next() {
    let mut bench = Bench::subscribed();
    bench.lose();
    let flow = Flow::throttle(ms(500));
    bench.client.handle_flow(&pattern("job:1"), flow);
    bench.wake();
    bench.events();
    bench.client.handle_opened(bench.now, bench.link);
    let sent = bench.sent();
    let has_flow = |frame: &ClientFrame<Json>| matches!(frame, ClientFrame::Subscribe(request) if request.flow == flow);
    assert!(sent.iter().any(has_flow), "{sent:?}");
    assert_eq!(sent.len(), 2, "hello and subscribe");
}

#[test]
fn one_that_wants_only_what_is_new_is_given_the_end_that_its_topic_has_come_to() {
    let mut bench = Bench::wanted();
    bench.subscribe("job:1", Start::New);
    bench.open();
    bench.confirm("job:1", Some(position(5)));
    let last = publication("job:1", position(5));
    let last = Publication {
        end: Some(EndReason::Complete),
        ..(*last).clone()
    };
    for expected in [vec![5], vec![]] {
        bench.receive(ServerFrame::Publication {
            publication: last.clone().into(),
            via: None,
        });
        assert_eq!(offsets(&bench.events()), expected, "once");
    }
}

#[test]
fn one_that_a_server_refuses_because_it_goes_is_asked_of_the_next() {
    let mut bench = Bench::wanted();
    bench.subscribe("job:1", Start::Latest);
    bench.open();
    bench.sent();
    let refusal = error(ErrorCode::Draining).about_pattern(pattern("job:1"));
    bench.receive(ServerFrame::Error(refusal));
    let events = bench.events();
    let is_refused = |event: &ClientEvent<Json>| matches!(event, ClientEvent::Refused { .. });
    assert!(!events.iter().any(is_refused), "{events:?}");
    assert_eq!(start_of(&bench.reopen()), Start::Latest);
}
