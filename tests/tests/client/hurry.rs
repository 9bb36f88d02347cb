//! A connection in backoff that is needed now: it is retried at once, but not too often.

use proptest::prelude::*;
use tidegate_core::client::{ClientEvent, ConnectionState};
use tidegate_core::protocol::Start;
use tidegate_core::time::Instant;
use tidegate_tests::bench::{Bench, Event, state_of};
use tidegate_tests::{ms, secs};

fn is_attempt(event: &Event) -> bool {
    matches!(event, ClientEvent::Connect { .. })
}

/// A client whose server has been away so long that its backoff is many seconds.
fn waiting() -> Bench {
    let mut bench = Bench::wanted();
    bench.subscribe("job:1", Start::Latest);
    for _ in 0..12 {
        bench.lose();
        bench.events();
        bench.wake();
        bench.events();
    }
    bench.lose();
    while bench.client.poll_timeout().unwrap() - bench.now < secs(5) {
        bench.wake();
        bench.events();
        bench.lose();
    }
    bench.events();
    bench
}

#[test]
fn what_waits_is_tried_at_once_and_begins_anew_to_wait() {
    let mut bench = waiting();
    bench.client.handle_hurry(bench.now);
    let events = bench.events();
    assert!(events.iter().any(is_attempt), "{events:?}");
    assert_eq!(
        state_of(&events),
        [ConnectionState::Connecting { attempt: 0 }]
    );
    bench.lose();
    assert!(bench.client.poll_timeout().unwrap() - bench.now <= ms(250));
}

#[test]
fn what_does_not_wait_is_left_alone() {
    let mut bench = Bench::subscribed();
    bench.client.handle_hurry(bench.now);
    assert_eq!(bench.events(), []);
    let mut bench = Bench::wanted();
    bench.subscribe("job:1", Start::Latest);
    bench.events();
    bench.client.handle_hurry(bench.now);
    assert_eq!(bench.events(), [], "it is being opened");
    bench.client.handle_disconnect();
    bench.events();
    bench.client.handle_hurry(bench.now);
    assert_eq!(bench.events(), [], "nobody wants it");
}

proptest! {
    /// A new subscriber is served within two seconds, but a server that stays away doesn't get an attempt for each.
    #[test]
    fn many_who_come_hasten_it_once_in_two_seconds(waits in prop::collection::vec(0_u64..1_000, 1..100)) {
        let mut bench = waiting();
        let mut attempts: Vec<Instant> = Vec::new();
        let mut hurried: Vec<Instant> = Vec::new();
        for wait in waits {
            let until = bench.now + ms(wait);
            while let Some(at) = bench.client.poll_timeout().filter(|at| *at <= until) {
                bench.now = at;
                bench.client.handle_timeout(at);
                if bench.events().iter().any(is_attempt) {
                    attempts.push(at);
                    bench.lose();
                    bench.events();
                }
            }
            bench.now = until;
            bench.client.handle_hurry(until);
            if bench.events().iter().any(is_attempt) {
                hurried.push(until);
                bench.lose();
                bench.events();
            }
            let soon = bench.client.poll_timeout().unwrap() - until;
            prop_assert!(soon <= secs(2), "{soon:?}");
        }
        prop_assert!(!hurried.is_empty());
        for pair in hurried.windows(2) {
            prop_assert!(pair[1] - pair[0] >= secs(2), "{hurried:?}");
        }
        // Between two of them, the waits double from the shortest on, at random.
        prop_assert!(attempts.len() <= 12 * hurried.len(), "{attempts:?}");
    }
}
