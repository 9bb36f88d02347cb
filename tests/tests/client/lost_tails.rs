//! A backend that has lost a topic's last publications and stored others in their places: how a client handles that
//! without being told.

use tidegate_core::client::ClientEvent;
use tidegate_core::flow::{Flow, Slow};
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::{ClientFrame, ServerFrame, Start, SubscribeRequest};
use tidegate_core::publication::{Position, Publication};
use tidegate_tests::bench::{Bench, Event, known, position, publication, start_of};
use tidegate_tests::{pattern, topic};

/// What a subscriber gets, in short.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Offset(u64),
    Reset(Position),
    Ended,
}

fn told(events: &[Event]) -> Vec<Told> {
    let told = |event: &Event| match event {
        ClientEvent::Publication { publication, .. } => {
            Some(Told::Offset(publication.position.offset))
        }
        ClientEvent::Reset { position, .. } => Some(Told::Reset(*position)),
        ClientEvent::Ended { .. } => Some(Told::Ended),
        _ => None,
    };
    events.iter().filter_map(told).collect()
}

fn sent(events: Vec<Event>) -> Vec<ClientFrame<tidegate_tests::json::Json>> {
    let frame = |event| match event {
        ClientEvent::Send(frame) => Some(frame),
        _ => None,
    };
    events.into_iter().filter_map(frame).collect()
}

/// `job:1` comes by this subscription.
fn deliver(bench: &mut Bench, to: &str, position: Position, is_terminal: bool) {
    let publication = Publication {
        end: is_terminal.then_some(EndReason::Complete),
        ..(*publication("job:1", position)).clone()
    };
    let via = pattern(to);
    bench.receive(ServerFrame::Publication {
        publication: publication.into(),
        via: (!via.is_exact()).then_some(via),
    });
}

fn end(bench: &mut Bench) {
    bench.receive(ServerFrame::End {
        pattern: pattern("job:1"),
        reason: EndReason::Complete,
    });
}

/// A client with a confirmed subscription that starts so.
fn confirmed(to: &str, start: Start, position: Option<Position>) -> Bench {
    let mut bench = Bench::wanted();
    bench.subscribe(to, start);
    bench.open();
    bench.confirm(to, position);
    bench.events();
    bench
}

#[test]
fn what_follows_an_end_in_its_epoch_comes_after_a_reset() {
    let mut bench = confirmed("job:*", Start::Latest, None);
    deliver(&mut bench, "job:*", position(3), true);
    bench.events();
    deliver(&mut bench, "job:*", position(4), false);
    let lost = [Told::Reset(position(3)), Told::Offset(4)];
    assert_eq!(told(&bench.events()), lost);
    deliver(&mut bench, "job:*", position(5), true);
    assert_eq!(told(&bench.events()), [Told::Offset(5)]);
}

#[test]
fn who_was_told_where_a_topic_stands_and_not_with_what_it_ended_asks_for_that() {
    let mut bench = confirmed("job:1", Start::New, Some(position(3)));
    bench.reopen();
    bench.confirm("job:1", Some(position(3)));
    bench.events();
    end(&mut bench);
    let events = bench.events();
    assert_eq!(told(&events), []);
    assert_eq!(start_of(&sent(events)), Start::Since(Vec::new()));
    bench.confirm("job:1", Some(position(3)));
    deliver(&mut bench, "job:1", position(3), true);
    end(&mut bench);
    assert_eq!(told(&bench.events()), [Told::Offset(3), Told::Ended]);
}

#[test]
fn who_has_seen_something_else_where_a_topic_ended_is_told_of_the_loss_and_of_the_end() {
    let mut bench = confirmed("job:1", Start::Latest, Some(position(3)));
    deliver(&mut bench, "job:1", position(3), false);
    bench.reopen();
    bench.confirm("job:1", Some(position(3)));
    bench.events();
    end(&mut bench);
    let events = bench.events();
    assert_eq!(told(&events), [Told::Reset(position(2))]);
    assert_eq!(start_of(&sent(events)), Start::Since(Vec::new()));
    bench.confirm("job:1", Some(position(3)));
    deliver(&mut bench, "job:1", position(3), true);
    end(&mut bench);
    assert_eq!(told(&bench.events()), [Told::Offset(3), Told::Ended]);
}

#[test]
fn who_resumes_where_a_topic_ended_is_told_of_the_end_alone() {
    // It gave a position, and may have seen the end there.
    let since = Start::Since(vec![known("job:1", position(3))]);
    let mut bench = confirmed("job:1", since, Some(position(3)));
    end(&mut bench);
    let events = bench.events();
    assert_eq!(told(&events), [Told::Ended]);
    assert_eq!(sent(events), []);
}

#[test]
fn who_is_told_where_a_topic_ended_takes_what_it_ended_with_for_new() {
    let mut bench = confirmed("job:1", Start::New, Some(position(3)));
    deliver(&mut bench, "job:1", position(3), true);
    end(&mut bench);
    let events = bench.events();
    assert_eq!(told(&events), [Told::Offset(3), Told::Ended]);
    assert_eq!(sent(events), []);
}

#[test]
fn an_end_that_tells_of_nothing_is_asked_about_once() {
    let mut bench = confirmed("job:1", Start::New, Some(position(3)));
    end(&mut bench);
    assert_eq!(sent(bench.events()).len(), 1);
    bench.confirm("job:1", Some(position(3)));
    end(&mut bench);
    let events = bench.events();
    assert_eq!(told(&events), [Told::Ended]);
    assert_eq!(sent(events), []);
}

/// A client that has seen `job:1` up to this position and rewinds to before it for a subscriber that has joined. The server
/// has confirmed that.
fn gone_back(seen: Position) -> Bench {
    let mut bench = Bench::wanted();
    bench.subscribe("job:*", Start::Latest);
    bench.open();
    back_from(bench, seen)
}

/// The same, of a client whose subscription is to be confirmed.
fn back_from(mut bench: Bench, seen: Position) -> Bench {
    bench.confirm("job:*", None);
    deliver(&mut bench, "job:*", seen, false);
    bench
        .client
        .handle_rewind(&pattern("job:*"), &Start::Latest);
    bench.receive(ServerFrame::Pong);
    let before = Position {
        offset: seen.offset - 1,
        ..seen
    };
    let asked = start_of(&sent(bench.events()));
    assert_eq!(asked, Start::Since(vec![known("job:1", before)]));
    bench.receive(ServerFrame::Unsubscribed {
        pattern: pattern("job:*"),
    });
    bench.confirm("job:*", None);
    bench.events();
    bench
}

fn confirm_anew(bench: &mut Bench) {
    bench.receive(ServerFrame::Unsubscribed {
        pattern: pattern("job:*"),
    });
    bench.confirm("job:*", None);
}

/// What a client has seen up to offset 4 does not come again: it makes the server look for that, and goes back once
/// more.
fn look(bench: &mut Bench) {
    bench.receive(ServerFrame::Pong);
    for offset in [4, 3] {
        let events = bench.events();
        assert_eq!(told(&events), [], "nothing is known to be lost");
        let asked = Start::Since(vec![known("job:1", position(offset))]);
        assert_eq!(start_of(&sent(events)), asked);
        confirm_anew(bench);
    }
    bench.events();
}

/// The server was not sent the last one, which another server had, and reads it once it is asked for what follows.
#[test]
fn what_the_server_has_to_look_for_is_not_lost() {
    let mut bench = gone_back(position(4));
    look(&mut bench);
    deliver(&mut bench, "job:*", position(4), false);
    let again = bench.events();
    let is_repeated = |event: &Event| {
        matches!(
            event,
            Event::Repeat {
                is_latest: true,
                ..
            }
        )
    };
    assert!(again.iter().any(is_repeated), "{again:?}");
    bench.receive(ServerFrame::Pong);
    let events = bench.events();
    assert_eq!((told(&events), sent(events)), (Vec::new(), Vec::new()));
}

#[test]
fn the_next_server_has_to_look_itself() {
    let mut bench = gone_back(position(4));
    look(&mut bench);
    bench.reopen();
    bench.confirm("job:*", None);
    bench.events();
    look(&mut bench);
}

#[test]
fn what_was_seen_and_does_not_come_again_is_lost() {
    let mut bench = gone_back(position(4));
    look(&mut bench);
    bench.receive(ServerFrame::Pong);
    let events = bench.events();
    assert_eq!(told(&events), [Told::Reset(position(3))]);
    assert_eq!(start_of(&sent(events)), Start::Since(Vec::new()));
    bench.receive(ServerFrame::Unsubscribed {
        pattern: pattern("job:*"),
    });
    bench.confirm("job:*", None);
    deliver(&mut bench, "job:*", position(3), false);
    deliver(&mut bench, "job:*", position(4), false);
    let again = [Told::Offset(3), Told::Offset(4)];
    assert_eq!(told(&bench.events()), again);
}

#[test]
fn what_comes_again_or_is_newer_is_not_lost() {
    for offset in [4, 6] {
        let mut bench = gone_back(position(4));
        deliver(&mut bench, "job:*", position(offset), false);
        bench.receive(ServerFrame::Pong);
        let events = bench.events();
        let told = told(&events);
        assert!(!told.contains(&Told::Reset(position(3))), "{told:?}");
        assert_eq!(sent(events), []);
    }
}

#[test]
fn of_what_a_slow_connection_drops_nothing_is_known() {
    let mut bench = gone_back(position(4));
    bench.receive(ServerFrame::Lagged {
        pattern: pattern("job:*"),
        missed: 1,
    });
    bench.receive(ServerFrame::Pong);
    let events = bench.events();
    assert_eq!((told(&events), sent(events)), (Vec::new(), Vec::new()));
}

#[test]
fn what_a_slow_connection_conflates_may_come_later() {
    let mut bench = Bench::wanted();
    let request = SubscribeRequest {
        slow: Some(Slow::Conflate),
        ..SubscribeRequest::new(pattern("job:*"), Flow::IMMEDIATE)
    };
    bench.client.handle_subscribe(bench.now, request);
    bench.open();
    let mut bench = back_from(bench, position(4));
    bench.receive(ServerFrame::Pong);
    let events = bench.events();
    assert_eq!((told(&events), sent(events)), (Vec::new(), Vec::new()));
}

#[test]
fn of_a_topic_that_begins_anew_nothing_earlier_is_awaited() {
    let mut bench = gone_back(position(4));
    let anew = Position {
        epoch: position(4).epoch + 1,
        offset: 1,
    };
    bench.receive(ServerFrame::Reset {
        topic: topic("job:1"),
        position: anew,
        via: Some(pattern("job:*")),
    });
    deliver(&mut bench, "job:*", anew, false);
    bench.receive(ServerFrame::Pong);
    let events = bench.events();
    assert_eq!(told(&events), [Told::Reset(anew), Told::Offset(1)]);
    assert_eq!(sent(events), []);
}
