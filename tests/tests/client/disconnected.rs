//! A client whose user is disconnected: if it can ask for tokens, it reconnects with a new one and goes on; otherwise,
//! it ends.

use tidegate_core::client::{
    ClientConfig, ClientEvent, ClosedReason, ConnectionState, TokenSource,
};
use tidegate_core::protocol::{ClientFrame, ErrorCode, ServerFrame, Start};
use tidegate_tests::bench::{Bench, Event, error, offsets, position, state_of};
use tidegate_tests::pattern;

/// A client with this token that is connected, has a subscription, and has seen a publication.
fn connected(token: TokenSource) -> Bench {
    let mut config = ClientConfig::new(7);
    config.token = token;
    let mut bench = Bench::new(config);
    bench.subscribe("job:1", Start::Latest);
    bench.client.handle_connect(bench.now);
    answer(&mut bench, "first");
    bench.open();
    bench.confirm("job:1", Some(position(0)));
    bench.deliver(position(1));
    bench.events();
    bench
}

/// Answers the request for a token; returns whether there was one.
fn answer(bench: &mut Bench, token: &str) -> bool {
    let question = |event: Event| match event {
        ClientEvent::AskToken { request } => Some(request),
        _ => None,
    };
    let asked = bench.events().into_iter().find_map(question);
    if let Some(request) = asked {
        let now = bench.now;
        bench.client.handle_token(now, request, Some(token.into()));
        bench.events();
    }
    asked.is_some()
}

fn disconnect(bench: &mut Bench) -> Vec<ConnectionState> {
    let error = error(ErrorCode::Disconnected).fatal();
    bench.receive(ServerFrame::Error(error));
    state_of(&bench.events())
}

#[test]
fn who_can_ask_for_tokens_comes_back_by_a_new_one_and_goes_on_where_it_was() {
    let mut bench = connected(TokenSource::Asked);
    // However often it happens: each time, an administrator has asked for it.
    for (offset, token) in (2..20).zip(["second", "third"].into_iter().cycle()) {
        assert_eq!(disconnect(&mut bench), [ConnectionState::Disconnected]);
        bench.wake();
        assert!(answer(&mut bench, token), "another token is asked for");
        bench.client.handle_opened(bench.now, bench.link);
        let sent = bench.sent();
        let [
            ClientFrame::Hello { token: shown, .. },
            ClientFrame::Subscribe(request),
        ] = &sent[..]
        else {
            panic!("{sent:?}");
        };
        assert_eq!(shown.as_deref(), Some(token));
        assert_eq!(request.pattern, pattern("job:1"));
        let Start::Since(since) = &request.start else {
            panic!("{request:?}");
        };
        assert_eq!(since[0].position, position(offset - 1));
        bench.welcome(None);
        bench.confirm("job:1", Some(position(offset)));
        bench.deliver(position(offset));
        assert_eq!(offsets(&bench.events()), [offset]);
    }
}

#[test]
fn where_the_new_token_is_refused_it_ends_as_one_whose_token_is_refused() {
    let mut bench = connected(TokenSource::Asked);
    assert_eq!(disconnect(&mut bench), [ConnectionState::Disconnected]);
    for _ in 0..100 {
        bench.wake();
        if !answer(&mut bench, "not any more") {
            continue;
        }
        bench.client.handle_opened(bench.now, bench.link);
        let refused = error(ErrorCode::Unauthorized).fatal();
        bench.receive(ServerFrame::Error(refused.clone()));
        if let [ConnectionState::Closed(reason)] = &state_of(&bench.events())[..] {
            assert_eq!(*reason, ClosedReason::Refused(refused));
            return;
        }
    }
    panic!("it asks for ever");
}

#[test]
fn who_always_shows_the_same_ends_and_says_why() {
    for token in [TokenSource::None, TokenSource::Fixed("fixed".into())] {
        let mut bench = connected(token);
        let reason = ClosedReason::Refused(error(ErrorCode::Disconnected).fatal());
        assert_eq!(disconnect(&mut bench), [ConnectionState::Closed(reason)]);
        assert_eq!(bench.client.poll_timeout(), None);
    }
}
