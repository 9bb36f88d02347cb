//! The router with a million subscriptions over 100,000 topics, and 100,000 patterns beside them.

mod harness;

use std::cell::RefCell;
use std::hint::black_box;

use harness::{Bench, Group, scattered, timed};
use tidegate_core::router::{Router, Ticket};
use tidegate_core::topic::{Pattern, Topic};

const SUBSCRIPTIONS: usize = 1_000_000;
const TOPICS: usize = 100_000;
const PATTERNS: usize = 100_000;
const SEED: u64 = 7;

fn main() {
    let bench = Bench::from_args();
    let topics: Vec<Topic> = (0..TOPICS).map(|i| topic(&format!("job:{i}"))).collect();
    let exact: Vec<Pattern> = topics.iter().map(Pattern::from).collect();
    if bench.wants("router/subscriptions") {
        subscriptions(&bench, &exact);
    }
    if bench.wants("router/churn") {
        churn(&bench, &exact);
    }
    if bench.wants("router/match") {
        matches(&bench, &topics, &exact);
    }
}

/// From nothing to a million subscriptions and back: growing and shrinking included.
fn subscriptions(bench: &Bench, exact: &[Pattern]) {
    let mut group = Group::new_large("router/subscriptions", "subscription");
    let units = SUBSCRIPTIONS as u64;
    group.case("subscribe 1,000,000, from none", units, |_| {
        let mut router = None;
        timed(1, |_| router = Some(filled(exact)))
    });
    group.case("unsubscribe them all, scattered", units, |_| {
        let (mut router, mut tickets) = filled(exact);
        for i in 0..units {
            let other = scattered(i, tickets.len());
            tickets.swap(i as usize, other);
        }
        timed(1, |_| {
            for ticket in tickets.drain(..) {
                black_box(router.unsubscribe(ticket));
            }
        })
    });
    bench.measure(group);
}

/// One comes and goes while a million are there.
fn churn(bench: &Bench, exact: &[Pattern]) {
    let router = RefCell::new(filled(exact).0);
    let wildcard: Vec<Pattern> = (0..TOPICS)
        .map(|i| pattern(&format!("job:{i}:*")))
        .collect();
    let new: Vec<Pattern> = (0..TOPICS).map(|i| pattern(&format!("user:{i}"))).collect();
    let mut group = Group::new("router/churn", "subscribe and unsubscribe");
    for (name, patterns) in [
        ("to a topic that others watch", exact),
        ("to a topic that nobody watches", &new),
        ("to a pattern that nobody watches", &wildcard),
    ] {
        let router = &router;
        group.case(name, 1, move |n| {
            let mut router = router.borrow_mut();
            timed(n, |i| {
                let ticket = router.subscribe(&patterns[scattered(i, patterns.len())], 0);
                black_box(router.unsubscribe(ticket));
            })
        });
    }
    bench.measure(group);
}

/// Finding the routes of a topic, whichever it is.
fn matches(bench: &Bench, topics: &[Topic], exact: &[Pattern]) {
    let mut small = Router::new(SEED);
    exact[..100].iter().for_each(|pattern| {
        small.subscribe(pattern, 0);
    });
    let (large, _) = filled(exact);
    let (mut crowded, _) = filled(exact);
    for i in 0..PATTERNS {
        crowded.subscribe(&pattern(&format!("tenant:{i}:*")), 0);
    }
    let (mut watched, _) = filled(exact);
    for text in ["**", "*:*", "job:*"] {
        watched.subscribe(&pattern(text), 0);
    }
    let tenants: Vec<Topic> = (0..PATTERNS)
        .map(|i| topic(&format!("tenant:{i}:log")))
        .collect();
    let mut group = Group::new("router/match", "topic");
    for (name, router, topics) in [
        ("100 topics", &small, &topics[..100]),
        (
            "1,000,000 subscriptions over 100,000 topics",
            &large,
            topics,
        ),
        ("… beside 100,000 unrelated patterns", &crowded, topics),
        ("… selected by three patterns, too", &watched, topics),
        ("by one of 100,000 patterns only", &crowded, &tenants),
    ] {
        group.case(name, 1, move |n| {
            timed(n, |i| {
                let topic = &topics[scattered(i, topics.len())];
                router.for_each_match(topic, |route| {
                    black_box(route);
                });
            })
        });
    }
    bench.measure(group);
}

fn filled(exact: &[Pattern]) -> (Router<u32>, Vec<Ticket>) {
    let mut router = Router::new(SEED);
    let tickets = (0..SUBSCRIPTIONS)
        .map(|i| router.subscribe(&exact[i % exact.len()], i as u32))
        .collect();
    (router, tickets)
}

fn topic(text: &str) -> Topic {
    Topic::new(text).expect("a valid topic")
}

fn pattern(text: &str) -> Pattern {
    Pattern::new(text).expect("a valid pattern")
}
