//! When a client connects, how long it backs off, and how it notices that its server is alive.

use std::collections::BTreeSet;
use std::sync::Arc;

use core::time::Duration;

use tidegate_core::client::{
    ClientConfig, ClientEvent, ClosedReason, ConnectionState, TokenSource,
};
use tidegate_core::flow::Flow;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::limits::EARLY_FRAMES_MAX;
use tidegate_core::protocol::{ClientFrame, ErrorCode, ServerFrame, Start};
use tidegate_core::publication::Publication;
use tidegate_tests::bench::{
    Bench, Event, error, offsets, position, publication, state_of, unsubscribe,
};
use tidegate_tests::{ms, pattern, secs};

#[test]
fn it_connects_when_asked_and_says_hello_then_what_it_wants() {
    let mut config = ClientConfig::new(1);
    config.token = TokenSource::Fixed("secret".into());
    let mut bench = Bench::new(config);
    bench.subscribe("job:1", Start::Latest);
    bench.publish(1);
    assert_eq!(bench.events(), [], "it was not asked to connect yet");
    bench.client.handle_connect(bench.now);
    let connecting = ClientEvent::State(ConnectionState::Connecting { attempt: 0 });
    assert_eq!(
        bench.events(),
        [connecting, ClientEvent::Connect { link: 1 }]
    );
    bench.client.handle_opened(bench.now, 1);
    let sent = bench.sent();
    assert!(
        matches!(
            sent.as_slice(),
            [
                ClientFrame::Hello { token: Some(token), .. },
                ClientFrame::Subscribe(_),
            ] if token == "secret"
        ),
        "{sent:?}"
    );
    bench.welcome(None);
    let events = bench.events();
    assert_eq!(state_of(&events), [ConnectionState::Connected]);
    let is_publish = |event: &_| {
        matches!(
            event,
            ClientEvent::Send(ClientFrame::Publish { request: 1, .. })
        )
    };
    assert!(events.iter().any(is_publish), "{events:?}");
}

#[test]
fn with_many_subscriptions_it_waits_for_the_welcome_and_asks_for_each_once() {
    let mut bench = Bench::wanted();
    for number in 0..=EARLY_FRAMES_MAX {
        bench.subscribe(&format!("job:{number}"), Start::Latest);
    }
    bench.events();
    bench.client.handle_opened(bench.now, bench.link);
    assert!(matches!(
        bench.sent().as_slice(),
        [ClientFrame::Hello { .. }]
    ));
    bench.client.handle_unsubscribe(&pattern("job:0"));
    bench
        .client
        .handle_flow(&pattern("job:1"), Flow::IMMEDIATE.with_delta(true));
    bench.client.handle_unsubscribe(&pattern("job:2"));
    bench.subscribe("job:2", Start::New);
    assert_eq!(bench.sent(), [], "the server knows none of them");
    bench.welcome(None);
    let asked: Vec<String> = bench
        .sent()
        .into_iter()
        .map(|frame| match frame {
            ClientFrame::Subscribe(request) => request.pattern.as_str().to_owned(),
            other => panic!("{other:?}"),
        })
        .collect();
    let known: BTreeSet<&String> = asked.iter().collect();
    assert_eq!(
        (asked.len(), known.len()),
        (EARLY_FRAMES_MAX, EARLY_FRAMES_MAX)
    );
    bench.client.handle_unsubscribe(&pattern("job:1"));
    assert_eq!(bench.sent().len(), 1);
}

#[test]
fn a_server_that_was_asked_too_much_at_once_is_asked_again() {
    let mut bench = Bench::wanted();
    bench.subscribe("job:1", Start::Latest);
    bench.client.handle_opened(bench.now, bench.link);
    let mut error = error(ErrorCode::TooManyRequests);
    error.fatal = true;
    bench.receive(ServerFrame::Error(error));
    bench.events();
    bench.wake();
    assert!(matches!(
        bench.events().as_slice(),
        [
            ClientEvent::State(ConnectionState::Connecting { .. }),
            ClientEvent::Connect { .. }
        ]
    ));
}

#[test]
fn each_failure_is_followed_by_a_wait_below_a_ceiling_that_doubles() {
    let mut bench = Bench::wanted();
    bench.subscribe("job:1", Start::Latest);
    let mut longest = Duration::ZERO;
    for attempt in 0..12_u32 {
        bench.lose();
        let ceiling = ms(250).saturating_mul(1 << attempt.min(10)).min(secs(20));
        let before = bench.now;
        bench.wake();
        assert!(bench.now - before <= ceiling, "attempt {attempt}");
        longest = longest.max(bench.now - before);
        let connecting = ConnectionState::Connecting {
            attempt: attempt + 1,
        };
        assert_eq!(
            state_of(&bench.events()),
            [ConnectionState::Disconnected, connecting]
        );
    }
    assert!(longest > secs(2), "the waits do grow: {longest:?}");
}

#[test]
fn only_a_connection_that_lasted_makes_the_waits_short_again() {
    let attempt_after = |lasted: Duration| {
        let mut bench = Bench::wanted();
        bench.subscribe("job:1", Start::Latest);
        for _ in 0..5 {
            bench.lose();
            bench.wake();
            bench.events();
        }
        bench.open();
        bench.now = bench.now + lasted;
        bench.lose();
        bench.wake();
        state_of(&bench.events()).pop()
    };
    let connecting = |attempt| Some(ConnectionState::Connecting { attempt });
    assert_eq!(attempt_after(ms(9_999)), connecting(6));
    assert_eq!(attempt_after(secs(10)), connecting(1));
}

#[test]
fn an_attempt_that_takes_too_long_is_given_up() {
    let mut bench = Bench::wanted();
    bench.subscribe("job:1", Start::Latest);
    bench.pass(ms(9_999));
    assert_eq!(bench.events(), []);
    bench.pass(ms(1));
    assert!(
        bench
            .events()
            .contains(&ClientEvent::Disconnect { link: 1 })
    );
    bench.wake();
    assert!(bench.events().contains(&ClientEvent::Connect { link: 2 }));
}

#[test]
fn a_server_that_does_not_welcome_is_left() {
    let mut bench = Bench::wanted();
    bench.subscribe("job:1", Start::Latest);
    bench.client.handle_opened(bench.now, 1);
    bench.events();
    bench.pass(secs(10));
    assert!(
        bench
            .events()
            .contains(&ClientEvent::Disconnect { link: 1 })
    );
}

#[test]
fn with_nothing_to_wait_out_it_never_asks_for_the_present() {
    let mut config = ClientConfig::new(1);
    config.backoff_base = Duration::ZERO;
    let mut bench = Bench::new(config);
    bench.client.handle_connect(bench.now);
    bench.subscribe("job:1", Start::Latest);
    for _ in 0..6 {
        bench.wake();
    }
}

#[test]
fn with_nothing_left_to_do_it_does_not_come_back() {
    let mut bench = Bench::subscribed();
    bench.receive(ServerFrame::Publication {
        publication: Arc::new(Publication {
            end: Some(EndReason::Complete),
            ..Arc::unwrap_or_clone(publication("job:1", position(1)))
        }),
        via: None,
    });
    bench.receive(ServerFrame::End {
        pattern: pattern("job:1"),
        reason: EndReason::Complete,
    });
    bench.lose();
    let events = bench.events();
    assert_eq!(state_of(&events), [ConnectionState::Disconnected]);
    assert_eq!(bench.client.poll_timeout(), None);

    bench.subscribe("job:2", Start::Latest);
    assert!(
        bench.events().contains(&ClientEvent::Connect { link: 2 }),
        "until there is something to do again"
    );
}

#[test]
fn what_was_left_while_waiting_is_not_connected_for() {
    let mut bench = Bench::subscribed();
    bench.lose();
    unsubscribe(&mut bench);
    bench.events();
    bench.wake();
    assert_eq!(bench.events(), []);
    assert_eq!(bench.client.poll_timeout(), None);
}

#[test]
fn what_is_said_of_an_earlier_transport_is_not_heard() {
    let mut bench = Bench::subscribed();
    let old = bench.link;
    bench.reopen();
    assert_ne!(bench.link, old);
    bench.confirm("job:1", Some(position(0)));
    bench.events();
    bench.client.handle_closed(bench.now, old);
    bench.client.handle_opened(bench.now, old);
    let frame = ServerFrame::Publication {
        publication: publication("job:1", position(1)),
        via: None,
    };
    bench.client.handle_frame(bench.now, old, frame);
    bench
        .client
        .handle_frame(bench.now, old, ServerFrame::Drain { within_ms: 0 });
    assert_eq!(bench.events(), []);
    bench.deliver(position(1));
    assert_eq!(offsets(&bench.events()), [1]);
}

#[test]
fn a_server_out_of_touch_keeps_its_client_which_is_told() {
    let mut bench = Bench::subscribed();
    bench.receive(ServerFrame::Stale);
    assert_eq!(state_of(&bench.events()), [ConnectionState::Stale]);
    bench.deliver(position(1));
    assert_eq!(offsets(&bench.events()), [1]);
    bench.receive(ServerFrame::Live);
    assert_eq!(state_of(&bench.events()), [ConnectionState::Connected]);
}

#[test]
fn its_user_can_close_it_and_connect_again() {
    let mut bench = Bench::subscribed();
    let request = bench.publish(1);
    bench.events();
    bench.client.handle_disconnect();
    let events = bench.events();
    let closed = ConnectionState::Closed(ClosedReason::ByUser);
    assert_eq!(state_of(&events), [closed]);
    assert!(events.contains(&ClientEvent::Disconnect { link: 1 }));
    let lost = |event: &Event| match event {
        ClientEvent::Published {
            request: number,
            result: Err(error),
        } => *number == request && error.code == ErrorCode::ConnectionLost,
        _ => false,
    };
    assert!(events.iter().any(lost), "{events:?}");
    let refused = |event: &Event| matches!(event, ClientEvent::Refused { .. });
    assert!(events.iter().any(refused));
    assert_eq!(bench.client.poll_timeout(), None);

    bench.client.handle_connect(bench.now);
    bench.events();
    bench.client.handle_opened(bench.now, bench.link);
    assert_eq!(bench.sent().len(), 1, "only hello: the rest was over");
}

#[test]
fn a_server_that_refuses_it_for_good_is_not_asked_again() {
    for code in [ErrorCode::Forbidden, ErrorCode::Superseded] {
        let mut bench = Bench::subscribed();
        bench.receive(ServerFrame::Error(error(code).fatal()));
        let events = bench.events();
        let closed = ConnectionState::Closed(ClosedReason::Refused(error(code).fatal()));
        assert_eq!(state_of(&events), [closed]);
        assert_eq!(bench.client.poll_timeout(), None);
    }
}

#[test]
fn a_fatal_error_that_may_pass_is_no_reason_to_give_up() {
    for code in [
        ErrorCode::Timeout,
        ErrorCode::SlowConsumer,
        ErrorCode::Draining,
        ErrorCode::Internal,
    ] {
        let mut bench = Bench::subscribed();
        bench.receive(ServerFrame::Error(error(code).fatal()));
        let events = bench.events();
        assert_eq!(state_of(&events), [ConnectionState::Disconnected]);
        bench.wake();
        assert!(bench.events().contains(&ClientEvent::Connect { link: 2 }));
    }
}

#[test]
fn a_ping_is_answered() {
    let mut bench = Bench::subscribed();
    bench.receive(ServerFrame::Ping);
    assert_eq!(bench.sent(), [ClientFrame::Pong]);
}

#[test]
fn a_silent_server_is_asked_and_then_left() {
    let mut bench = Bench::subscribed();
    bench.pass(ms(37_499));
    assert_eq!(bench.events(), []);
    bench.pass(ms(1));
    assert_eq!(bench.events(), [ClientEvent::Send(ClientFrame::Ping)]);
    bench.pass(ms(9_999));
    assert_eq!(bench.events(), []);
    bench.pass(ms(1));
    let events = bench.events();
    assert!(events.contains(&ClientEvent::Disconnect { link: 1 }));
    assert_eq!(state_of(&events), [ConnectionState::Disconnected]);
}

#[test]
fn whatever_the_server_says_shows_that_it_lives() {
    let mut bench = Bench::subscribed();
    for offset in 1..=20 {
        bench.pass(secs(37));
        bench.deliver(position(offset));
    }
    bench.pass(ms(37_500));
    bench.receive(ServerFrame::Pong);
    bench.pass(secs(37));
    let events = bench.events();
    assert!(!events.contains(&ClientEvent::Disconnect { link: 1 }));
}

#[test]
fn a_late_timer_asks_first() {
    let mut bench = Bench::subscribed();
    bench.pass(secs(3600));
    assert_eq!(bench.events(), [ClientEvent::Send(ClientFrame::Ping)]);
    bench.deliver(position(1));
    bench.pass(secs(20));
    assert_eq!(offsets(&bench.events()), [1]);
}

#[test]
fn an_early_timer_does_nothing() {
    let mut bench = Bench::subscribed();
    let deadline = bench.client.poll_timeout();
    for _ in 0..100 {
        bench.pass(ms(10));
    }
    assert_eq!(bench.events(), []);
    assert_eq!(bench.client.poll_timeout(), deadline);
}

#[test]
fn a_transport_that_opens_after_it_was_given_up_is_not_spoken_over() {
    let mut bench = Bench::wanted();
    let given_up = bench.link;
    bench.subscribe("job:1", Start::Latest);
    bench.wake();
    bench.wake();
    bench.events();
    assert_ne!(bench.link, given_up);
    bench.client.handle_opened(bench.now, given_up);
    assert_eq!(bench.sent(), []);
    bench.client.handle_opened(bench.now, bench.link);
    assert!(matches!(bench.sent()[..], [ClientFrame::Hello { .. }, _]));
}
