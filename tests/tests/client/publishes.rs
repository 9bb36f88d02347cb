//! A client's publishes: answered once, repeated when their connection is lost.

use std::collections::BTreeSet;

use tidegate_core::client::{ClientConfig, ClientEvent};
use tidegate_core::hub::ClientHub;
use tidegate_core::protocol::{ClientFrame, ErrorCode, PublishRequest, ServerFrame};
use tidegate_core::time::Instant;
use tidegate_tests::bench::{Bench, error, position};
use tidegate_tests::json::Json;
use tidegate_tests::topic;

fn requests(frames: &[ClientFrame<Json>]) -> Vec<(u64, String)> {
    let request = |frame: &ClientFrame<Json>| match frame {
        ClientFrame::Publish { request, publish } => {
            Some((*request, publish.id.clone().expect("each has a key")))
        }
        _ => None,
    };
    frames.iter().filter_map(request).collect()
}

fn answer(bench: &mut Bench, request: u64) {
    bench.receive(ServerFrame::Published {
        request,
        position: position(request),
    });
}

#[test]
fn the_unanswered_are_repeated_in_order_with_their_keys() {
    let mut bench = Bench::wanted();
    bench.open();
    for number in 0..5 {
        bench.publish(number);
    }
    let first = requests(&bench.sent());
    answer(&mut bench, 1);
    answer(&mut bench, 2);
    let again = requests(&bench.reopen());
    assert_eq!(again, first[2..]);
    let keys: BTreeSet<&String> = first.iter().map(|(_, key)| key).collect();
    assert_eq!(keys.len(), 5);
}

#[test]
fn an_answer_is_told_once() {
    let mut bench = Bench::wanted();
    bench.open();
    let request = bench.publish(1);
    bench.events();
    answer(&mut bench, request);
    answer(&mut bench, request);
    let told = ClientEvent::Published {
        request,
        result: Ok(position(request)),
    };
    assert_eq!(bench.events(), [told]);
    assert_eq!(bench.client.unanswered(), 0);
}

#[test]
fn a_refused_one_is_told_and_not_repeated() {
    let mut bench = Bench::wanted();
    bench.open();
    let request = bench.publish(1);
    bench.events();
    let refused = error(ErrorCode::TopicEnded).about_request(request);
    bench.receive(ServerFrame::Error(refused.clone()));
    let told = ClientEvent::Published {
        request,
        result: Err(refused),
    };
    assert_eq!(bench.events(), [told]);
    assert_eq!(bench.client.unanswered(), 0);
}

#[test]
fn a_key_of_the_users_own_stays() {
    let mut bench = Bench::wanted();
    bench.open();
    let publish = PublishRequest {
        id: Some("mine".into()),
        ..PublishRequest::new(topic("job:1"), Json::from(1))
    };
    bench.client.handle_publish(bench.now, publish);
    assert_eq!(requests(&bench.sent()), [(1, "mine".to_owned())]);
}

#[test]
fn two_clients_choose_different_keys() {
    let key = |seed| {
        let mut bench = Bench::new(ClientConfig::new(seed));
        bench.client.handle_connect(bench.now);
        bench.events();
        bench.open();
        bench.publish(1);
        requests(&bench.sent())
    };
    assert_ne!(key(1), key(2));
}

#[test]
fn beyond_the_limit_one_is_refused_at_once() {
    let mut config = ClientConfig::new(1);
    config.requests_max = 3;
    let mut bench = Bench::new(config);
    for number in 0..3 {
        bench.publish(number);
    }
    assert_eq!(bench.events(), []);
    let request = bench.publish(3);
    let events = bench.events();
    let [
        ClientEvent::Published {
            request: told,
            result: Err(error),
        },
    ] = events.as_slice()
    else {
        panic!("{events:?}");
    };
    assert_eq!((*told, error.code), (request, ErrorCode::TooManyRequests));
    assert_eq!(bench.client.unanswered(), 3);
}

#[test]
fn no_more_are_under_way_than_a_topic_remembers() {
    let mut bench = Bench::wanted();
    bench.open();
    for number in 0..300 {
        bench.publish(number);
    }
    let sent = requests(&bench.sent());
    assert_eq!(sent.len(), 128);
    for request in 1..=10 {
        answer(&mut bench, request);
    }
    let more: Vec<u64> = requests(&bench.sent()).iter().map(|(n, _)| *n).collect();
    assert_eq!(more, (129..=138).collect::<Vec<_>>());
    let again: Vec<u64> = requests(&bench.reopen()).iter().map(|(n, _)| *n).collect();
    assert_eq!(again, (11..=138).collect::<Vec<_>>());
    for request in 11..=300 {
        answer(&mut bench, request);
    }
    assert_eq!(bench.client.unanswered(), 0);
}

#[test]
fn what_is_too_long_for_the_server_is_refused_and_all_else_is_published() {
    let mut bench = Bench::wanted();
    let sizes = [10, 1_700, 1_000, 1_000_000];
    for size in sizes {
        let long = Json::from(serde_json::Value::from("x".repeat(size)));
        let publish = PublishRequest::new(topic("job:1"), long);
        bench.client.handle_publish(bench.now, publish);
    }
    bench.events();
    bench.client.handle_opened(bench.now, bench.link);
    assert_eq!(
        requests(&bench.sent()),
        [],
        "nobody knows how long they may be"
    );
    bench.welcome(Some(1_800));
    let (mut sent, mut refused) = (Vec::new(), Vec::new());
    for event in bench.events() {
        match event {
            ClientEvent::Send(ClientFrame::Publish { request, .. }) => sent.push(request),
            ClientEvent::Published {
                request,
                result: Err(error),
            } => {
                assert_eq!(error.code, ErrorCode::TooLarge);
                assert_eq!(error.request, Some(request));
                refused.push(request);
            }
            _ => {}
        }
    }
    assert_eq!(sent, [1, 3]);
    assert_eq!(refused, [2, 4]);
    assert_eq!(bench.client.unanswered(), 2);
    let again: Vec<u64> = requests(&bench.reopen()).iter().map(|(n, _)| *n).collect();
    assert_eq!(again, [1, 3]);
}

#[test]
fn a_hub_says_how_many_wait_for_their_answer() {
    let mut hub = ClientHub::new(ClientConfig::new(1));
    for count in 1..=3 {
        let request = PublishRequest::new(topic("job:1"), Json::from(count));
        hub.handle_publish(Instant::ZERO, request);
        assert_eq!(hub.unanswered() as u64, count);
    }
}

#[test]
fn an_answer_to_what_was_not_asked_lets_no_more_be_under_way() {
    let mut bench = Bench::wanted();
    bench.open();
    for number in 0..131 {
        bench.publish(number);
    }
    assert_eq!(requests(&bench.sent()).len(), 128);
    answer(&mut bench, 129);
    assert_eq!(bench.sent(), []);
    answer(&mut bench, 1);
    let sent = requests(&bench.sent());
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].0, 130);
}

#[test]
fn a_publish_alone_is_reason_enough_to_connect() {
    let mut bench = Bench::wanted();
    bench.lose();
    assert_eq!(bench.client.poll_timeout(), None);
    bench.events();
    bench.publish(1);
    assert!(bench.events().contains(&ClientEvent::Connect { link: 2 }));
}
