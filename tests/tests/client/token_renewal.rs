//! A client whose tokens expire: it asks for the next one in time, shows it without losing anything, and gives up only
//! late.

use core::time::Duration;

use proptest::prelude::*;
use tidegate_core::client::{
    ClientConfig, ClientEvent, ClosedReason, ConnectionState, TokenSource,
};
use tidegate_core::protocol::{ClientFrame, ErrorCode, ServerFrame, Start};
use tidegate_core::time::Instant;
use tidegate_tests::bench::{Bench, Event, error, offsets, position, state_of};
use tidegate_tests::json::Json;
use tidegate_tests::{ms, secs};

/// The numbers of the token requests among events.
fn questions(events: &[Event]) -> Vec<u32> {
    let question = |event: &Event| match event {
        ClientEvent::AskToken { request } => Some(*request),
        _ => None,
    };
    events.iter().filter_map(question).collect()
}

/// The tokens in the hello frames among these.
fn shown(frames: &[ClientFrame<Json>]) -> Vec<&str> {
    frames.iter().filter_map(token).collect()
}

fn token(frame: &ClientFrame<Json>) -> Option<&str> {
    match frame {
        ClientFrame::Hello { token, .. } => token.as_deref(),
        _ => None,
    }
}

fn is_hello(event: &Event) -> bool {
    matches!(event, ClientEvent::Send(ClientFrame::Hello { .. }))
}

fn asking(seed: u64) -> Bench {
    let mut config = ClientConfig::new(seed);
    config.token = TokenSource::Asked;
    let mut bench = Bench::new(config);
    bench.client.handle_connect(bench.now);
    bench
}

fn give(bench: &mut Bench, request: u32, token: &str) {
    let now = bench.now;
    bench.client.handle_token(now, request, Some(token.into()));
}

fn welcome(bench: &mut Bench, lasts: Duration) {
    bench.receive(ServerFrame::Welcome {
        heartbeat_ms: 1_000_000_000_000,
        expires_in_ms: Some(lasts.as_millis().try_into().unwrap()),
        message_bytes_max: None,
        publish_rate: None,
    });
}

/// A client that is connected by the token `first`, which lasts that long, and has a subscription.
fn connected(seed: u64, lasts: Duration) -> Bench {
    let mut bench = asking(seed);
    bench.subscribe("job:1", Start::Latest);
    let question = questions(&bench.events())[0];
    give(&mut bench, question, "first");
    bench.events();
    bench.client.handle_opened(bench.now, bench.link);
    welcome(&mut bench, lasts);
    bench.confirm("job:1", Some(position(0)));
    bench.events();
    bench
}

/// Lets time pass until the client asks for a token; returns when, and the request's number.
fn until_asked(bench: &mut Bench) -> (Instant, u32) {
    for _ in 0..1_000 {
        bench.wake();
        if let [question] = questions(&bench.events())[..] {
            return (bench.now, question);
        }
    }
    panic!("it does not ask");
}

#[test]
fn it_asks_before_it_connects_and_says_hello_with_what_it_was_given() {
    let mut bench = asking(1);
    bench.subscribe("job:1", Start::Latest);
    let events = bench.events();
    assert_eq!(questions(&events), [1]);
    assert!(!events.contains(&ClientEvent::Connect { link: 1 }));
    give(&mut bench, 1, "mine");
    assert_eq!(bench.events(), [ClientEvent::Connect { link: 1 }]);
    bench.client.handle_opened(bench.now, 1);
    assert_eq!(shown(&bench.sent()), ["mine"]);
}

proptest! {
    #[test]
    fn the_next_token_is_asked_for_at_four_fifths_or_half_a_minute_before_the_end_and_after_half(
        seed in any::<u64>(),
        seconds in 3_u64..1_000_000,
    ) {
        let mut bench = connected(seed, secs(seconds));
        let begin = bench.now;
        let (at, _) = until_asked(&mut bench);
        let (after, lasts) = (at - begin, secs(seconds));
        let in_time = lasts.saturating_sub(secs(30)).min(lasts * 4 / 5);
        let latest = in_time.max(lasts / 2);
        prop_assert!(after <= latest, "{after:?}");
        prop_assert!(after >= latest - lasts / 10, "{after:?}");
    }
}

#[test]
fn clients_that_came_together_do_not_ask_together() {
    let at = |seed| until_asked(&mut connected(seed, secs(1_000))).0;
    let mut times: Vec<Instant> = (0..100).map(at).collect();
    times.sort_unstable();
    assert!(times[99] - times[0] > secs(50), "{times:?}");
}

#[test]
fn a_new_token_is_shown_on_the_connection_that_there_is() {
    let mut bench = connected(1, secs(100));
    for token in ["second", "third"] {
        let (_, question) = until_asked(&mut bench);
        bench.deliver(position(1));
        give(&mut bench, question, token);
        assert_eq!(shown(&bench.sent()), [token]);
        welcome(&mut bench, secs(100));
        assert_eq!(bench.events(), [], "it was connected before");
    }
    bench.deliver(position(2));
    assert_eq!(offsets(&bench.events()), [2], "nothing was begun anew");
}

#[test]
fn what_fails_is_tried_again_after_waits_that_grow_and_the_connection_stays() {
    for failure in 0..4 {
        let mut bench = connected(7, secs(1_000));
        let mut longest = Duration::ZERO;
        for _ in 0..10 {
            let (at, question) = until_asked(&mut bench);
            match failure {
                0 => bench.client.handle_token(at, question, None),
                1 => give(&mut bench, question, "first"),
                2 => {
                    give(&mut bench, question, &format!("bad {question}"));
                    bench.receive(ServerFrame::Error(error(ErrorCode::Unauthorized)));
                }
                _ => {}
            }
            let events = bench.events();
            assert_eq!(state_of(&events), []);
            let hellos = events.iter().filter(|event| is_hello(event));
            assert_eq!(hellos.count(), usize::from(failure == 2));
            let next = bench.client.poll_timeout().unwrap();
            let is_first = longest.is_zero();
            longest = longest.max(next - at);
            assert!(
                !is_first || failure == 3 || longest <= secs(1),
                "{longest:?}"
            );
        }
        assert!(secs(4) < longest && longest <= secs(30), "{longest:?}");
        let (_, question) = until_asked(&mut bench);
        give(&mut bench, question, "good");
        assert_eq!(shown(&bench.sent()), ["good"], "way {failure}");
    }
}

#[test]
fn a_token_that_comes_too_late_is_not_shown() {
    let mut bench = connected(1, secs(1_000));
    let (_, question) = until_asked(&mut bench);
    bench.pass(secs(30));
    bench.events();
    give(&mut bench, question, "late");
    assert_eq!(bench.sent(), []);
    let (_, again) = until_asked(&mut bench);
    give(&mut bench, question, "late");
    assert_eq!(bench.sent(), []);
    give(&mut bench, again, "in time");
    assert_eq!(shown(&bench.sent()), ["in time"]);
}

#[test]
fn each_connection_is_made_with_a_fresh_token() {
    let mut bench = connected(1, secs(1_000));
    bench.lose();
    let (_, question) = until_asked(&mut bench);
    give(&mut bench, question, "fresh");
    bench.events();
    bench.client.handle_opened(bench.now, bench.link);
    assert_eq!(shown(&bench.sent()), ["fresh"]);
}

#[test]
fn without_a_token_it_does_not_connect_and_asks_again() {
    let mut bench = asking(1);
    bench.subscribe("job:1", Start::Latest);
    for _ in 0..5 {
        let events = bench.events();
        let [question] = questions(&events)[..] else {
            panic!("{events:?}");
        };
        bench.client.handle_token(bench.now, question, None);
        let events = bench.events();
        assert_eq!(state_of(&events), [ConnectionState::Disconnected]);
        bench.wake();
    }
    assert_eq!(questions(&bench.events()).len(), 1);
    bench.wake();
    let unanswered = bench.events();
    assert_eq!(state_of(&unanswered), [ConnectionState::Disconnected]);
}

#[test]
fn a_refused_token_is_replaced_once_before_it_gives_up() {
    for code in [ErrorCode::Unauthorized, ErrorCode::TokenExpired] {
        for has_work in [false, true] {
            let mut bench = asking(3);
            if has_work {
                bench.subscribe("job:1", Start::Latest);
            }
            let mut question = questions(&bench.events())[0];
            let refuse = |bench: &mut Bench, question, token| {
                give(bench, question, token);
                bench.events();
                bench.client.handle_opened(bench.now, bench.link);
                bench.receive(ServerFrame::Error(error(code).fatal()));
                state_of(&bench.events())
            };
            let states = refuse(&mut bench, question, "old");
            assert_eq!(states, [ConnectionState::Disconnected]);
            question = until_asked(&mut bench).1;
            let states = refuse(&mut bench, question, "still old");
            let reason = ClosedReason::Refused(error(code).fatal());
            assert_eq!(states, [ConnectionState::Closed(reason)]);
        }
    }
}

#[test]
fn a_welcome_makes_up_for_a_refusal() {
    let mut bench = connected(3, secs(1_000));
    for _ in 0..3 {
        let expired = error(ErrorCode::TokenExpired).fatal();
        bench.receive(ServerFrame::Error(expired));
        assert_eq!(state_of(&bench.events()), [ConnectionState::Disconnected]);
        let (_, question) = until_asked(&mut bench);
        give(&mut bench, question, "another");
        bench.events();
        bench.client.handle_opened(bench.now, bench.link);
        welcome(&mut bench, secs(1_000));
        bench.events();
    }
}

#[test]
fn a_token_that_is_always_the_same_is_shown_for_as_long_as_it_lasts() {
    let mut config = ClientConfig::new(1);
    config.token = TokenSource::Fixed("fixed".into());
    let mut bench = Bench::new(config);
    bench.subscribe("job:1", Start::Latest);
    bench.client.handle_connect(bench.now);
    bench.events();
    bench.client.handle_opened(bench.now, bench.link);
    welcome(&mut bench, secs(10));
    bench.events();
    bench.pass(secs(11));
    assert_eq!(bench.events(), []);
    let expired = error(ErrorCode::TokenExpired).fatal();
    bench.receive(ServerFrame::Error(expired.clone()));
    let closed = ConnectionState::Closed(ClosedReason::Refused(expired));
    assert!(state_of(&bench.events()).contains(&closed));
}

#[test]
fn a_token_without_end_is_never_asked_for_again() {
    let mut bench = asking(1);
    bench.subscribe("job:1", Start::Latest);
    let question = questions(&bench.events())[0];
    give(&mut bench, question, "for ever");
    bench.events();
    bench.open();
    for _ in 0..100 {
        bench.receive(ServerFrame::Ping);
        bench.pass(ms(20_000));
        assert!(questions(&bench.events()).is_empty());
    }
}

#[test]
fn who_has_disconnected_asks_for_no_token_however_often_it_is_woken() {
    let mut bench = connected(1, secs(100));
    bench.client.handle_disconnect();
    bench.events();
    bench.now = bench.now + secs(200);
    bench.client.handle_timeout(bench.now);
    assert_eq!(questions(&bench.events()), [] as [u32; 0]);
}

#[test]
fn who_connects_again_asks_once_although_its_last_token_has_ended_meanwhile() {
    let mut bench = connected(1, secs(100));
    bench.client.handle_disconnect();
    bench.events();
    bench.now = bench.now + secs(200);
    bench.client.handle_connect(bench.now);
    let asked = questions(&bench.events());
    assert_eq!(asked.len(), 1);
    bench.client.handle_timeout(bench.now);
    assert_eq!(questions(&bench.events()), [] as [u32; 0]);
    give(&mut bench, asked[0], "second");
    assert_eq!(bench.events(), [ClientEvent::Connect { link: 2 }]);
}

#[test]
fn who_was_welcomed_before_bears_with_many_refusals_at_the_pace_of_failed_connections() {
    for (seed, code) in [(3, ErrorCode::Unauthorized), (4, ErrorCode::TokenExpired)] {
        let mut bench = connected(seed, secs(1_000));
        bench.receive(ServerFrame::Error(error(code).fatal()));
        assert_eq!(state_of(&bench.events()), [ConnectionState::Disconnected]);
        let begin = bench.now;
        let mut refusals = 1;
        loop {
            let before = bench.now;
            let (at, question) = until_asked(&mut bench);
            assert!(at - before <= secs(20), "{:?}", at - before);
            give(&mut bench, question, &format!("bad {question}"));
            bench.events();
            bench.client.handle_opened(at, bench.link);
            bench.receive(ServerFrame::Error(error(code).fatal()));
            refusals += 1;
            let states = state_of(&bench.events());
            if states != [ConnectionState::Disconnected] {
                let reason = ClosedReason::Refused(error(code).fatal());
                assert_eq!(states, [ConnectionState::Closed(reason)]);
                break;
            }
        }
        assert_eq!(refusals, 12);
        let took = bench.now - begin;
        assert!(secs(10) < took && took < secs(120), "{took:?}");
    }
}

#[test]
fn a_welcome_after_many_refusals_makes_up_for_all() {
    let mut bench = connected(3, secs(1_000));
    for _ in 0..3 {
        for refusal in 0..11 {
            if refusal > 0 {
                let (_, question) = until_asked(&mut bench);
                give(&mut bench, question, "bad");
                bench.events();
                bench.client.handle_opened(bench.now, bench.link);
            }
            let refused = error(ErrorCode::Unauthorized).fatal();
            bench.receive(ServerFrame::Error(refused));
            assert_eq!(state_of(&bench.events()), [ConnectionState::Disconnected]);
        }
        let (_, question) = until_asked(&mut bench);
        give(&mut bench, question, "good");
        bench.events();
        bench.client.handle_opened(bench.now, bench.link);
        welcome(&mut bench, secs(1_000));
        bench.events();
    }
}
