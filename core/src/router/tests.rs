mod memory;
mod seats;

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

fn topic(text: &str) -> Topic {
    Topic::new(text).unwrap()
}

fn pattern(text: &str) -> Pattern {
    Pattern::new(text).unwrap()
}

fn matches<'r>(router: &'r Router<u32>, topic: &Topic) -> Vec<&'r str> {
    let mut found = Vec::new();
    router.for_each_match(topic, |route| found.push(router.pattern(route).as_str()));
    found
}

#[test]
fn the_topic_comes_first_then_patterns_from_wide_to_narrow() {
    let mut router = Router::new(1);
    let all = [
        "a:b:c", "**", "*:**", "*:*:c", "*:b:*", "a:**", "a:*:**", "a:*:c", "a:b:**", "a:b:*",
    ];
    for text in all
        .iter()
        .rev()
        .chain(&["a", "*", "a:b", "a:b:c:**", "a:b:d"])
    {
        router.subscribe(&pattern(text), 0);
    }
    assert_eq!(matches(&router, &topic("a:b:c")), all);
}

#[test]
fn a_subscriber_that_leaves_is_replaced_by_the_last() {
    let mut router = Router::new(1);
    let jobs = pattern("job:*");
    let tickets: Vec<Ticket> = (0..5).map(|i| router.subscribe(&jobs, i)).collect();
    let route = router.find(&jobs).unwrap();
    assert!(tickets.iter().all(|ticket| ticket.route() == route));
    assert_eq!(router.unsubscribe(tickets[1]), 1);
    assert_eq!(router.unsubscribe(tickets[4]), 4);
    assert!(router.subscribers(route).eq(&[0, 3, 2]));
    assert_eq!(router.subscriber_count(route), 3);
}

#[test]
fn a_route_is_gone_with_its_last_subscriber() {
    let mut router = Router::new(1);
    let ticket = router.subscribe(&pattern("job:*:log"), 7);
    assert_eq!(router.routes.node_count(), 3);
    assert_eq!(router.unsubscribe(ticket), 7);
    assert_eq!(router.routes.node_count(), 0);
    assert_eq!(router.subscriber_count(ticket.route()), 0);
    assert_eq!(router.find(&pattern("job:*:log")), None);
    assert!(router.is_empty() && router.route_count() == 0);
}

#[test]
#[should_panic(expected = "a ticket ends one subscription, once")]
fn a_ticket_is_not_used_twice_even_after_its_place_was_taken_again() {
    let mut router = Router::new(1);
    let ticket = router.subscribe(&pattern("a"), 0);
    router.unsubscribe(ticket);
    router.subscribe(&pattern("a"), 1);
    router.unsubscribe(ticket);
}

#[test]
fn the_deepest_topics_find_their_patterns() {
    let mut router = Router::new(1);
    let deepest = ["x"; crate::topic::SEGMENTS_MAX].join(":");
    let stars = deepest.replace('x', "*");
    // A literal and a wildcard at each depth, so that the search backtracks at each.
    for at in (0..deepest.len()).step_by(2) {
        router.subscribe(
            &pattern(&format!("{}*{}", &deepest[..at], &stars[at + 1..])),
            0,
        );
    }
    assert_eq!(
        matches(&router, &topic(&deepest)).len(),
        crate::topic::SEGMENTS_MAX
    );
}

#[derive(Clone, Debug)]
enum Step {
    Subscribe(Pattern),
    /// The subscription with this index, modulo their number.
    Unsubscribe(usize),
    Publish(Topic),
}

fn any_topic() -> impl Strategy<Value = Topic> {
    let segment = prop::sample::select(&["a", "b", "c"][..]);
    prop::collection::vec(segment, 1..5).prop_map(|segments| topic(&segments.join(":")))
}

fn any_pattern() -> impl Strategy<Value = Pattern> {
    let segment = prop::sample::select(&["a", "b", "c", "*", "*"][..]);
    let last = prop::sample::select(&["a", "b", "c", "*", "**"][..]);
    (prop::collection::vec(segment, 0..4), last).prop_map(|(mut segments, last)| {
        segments.push(last);
        pattern(&segments.join(":"))
    })
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => any_pattern().prop_map(Step::Subscribe),
        3 => any::<usize>().prop_map(Step::Unsubscribe),
        3 => any_topic().prop_map(Step::Publish),
    ];
    prop::collection::vec(step, 0..if cfg!(miri) { 40 } else { 200 })
}

/// A router and, beside it, the list of subscriptions that it must agree with.
struct Pair {
    router: Router<u32>,
    list: Vec<(Pattern, u32, Ticket)>,
    next: u32,
}

impl Pair {
    fn new(seed: u64) -> Self {
        Self {
            router: Router::new(seed),
            list: Vec::new(),
            next: 0,
        }
    }

    fn subscribe(&mut self, pattern: &Pattern) {
        let ticket = self.router.subscribe(pattern, self.next);
        self.list.push((pattern.clone(), self.next, ticket));
        self.next += 1;
    }

    fn unsubscribe(&mut self, at: usize) {
        let (pattern, subscriber, ticket) = self.list.swap_remove(at);
        assert_eq!(self.router.pattern(ticket.route()), &pattern);
        assert_eq!(self.router.unsubscribe(ticket), subscriber);
    }

    /// The subscribers that a publication to `topic` reaches, in order.
    fn publish(&self, topic: &Topic) -> Vec<u32> {
        let mut routes = Vec::new();
        self.router
            .for_each_match(topic, |route| routes.push(route));
        let mut parts = Vec::from_iter(self.router.find_exact(topic));
        self.router
            .for_each_wildcard(topic, |route| parts.push(route));
        assert_eq!(parts, routes);
        let once: BTreeSet<RouteId> = routes.iter().copied().collect();
        assert_eq!(once.len(), routes.len(), "a route matched twice");
        let reached: Vec<u32> = routes
            .iter()
            .flat_map(|route| self.router.subscribers(*route).copied())
            .collect();

        let wanted = self
            .list
            .iter()
            .filter(|(pattern, ..)| pattern.matches(topic));
        let wanted: BTreeSet<u32> = wanted.map(|(_, subscriber, _)| *subscriber).collect();
        assert_eq!(reached.iter().copied().collect::<BTreeSet<u32>>(), wanted);
        assert_eq!(reached.len(), wanted.len());
        reached
    }

    fn check(&self) {
        let patterns: BTreeSet<&Pattern> = self.list.iter().map(|(pattern, ..)| pattern).collect();
        assert_eq!(self.router.len(), self.list.len());
        assert_eq!(self.router.is_empty(), self.list.is_empty());
        assert_eq!(self.router.route_count(), patterns.len());
        let routes: Vec<RouteId> = self.router.routes().collect();
        assert!(routes.is_sorted());
        let routed: BTreeSet<&Pattern> = routes
            .iter()
            .map(|route| self.router.pattern(*route))
            .collect();
        assert_eq!(routed, patterns);
        for (pattern, _, ticket) in &self.list {
            assert_eq!(self.router.find(pattern), Some(ticket.route()));
        }
        let prefixes: BTreeSet<Vec<&str>> = patterns
            .iter()
            .filter(|pattern| !pattern.is_exact())
            .flat_map(|pattern| {
                let path: Vec<&str> = pattern.as_str().split(':').filter(|s| *s != "**").collect();
                (1..=path.len()).map(move |depth| path[..depth].to_vec())
            })
            .collect();
        assert_eq!(
            self.router.routes.node_count(),
            prefixes.len(),
            "nodes without need"
        );
    }
}

proptest! {
    #[test]
    fn a_router_agrees_with_a_list_and_is_empty_after_all_have_left(
        steps in any_steps(),
        seeds in any::<[u64; 2]>(),
    ) {
        // Two routers with different seeds, whose results must not differ.
        let mut pairs = seeds.map(Pair::new);
        for step in &steps {
            let reached = pairs.each_mut().map(|pair| {
                let mut reached = Vec::new();
                match step {
                    Step::Subscribe(pattern) => pair.subscribe(pattern),
                    Step::Unsubscribe(_) if pair.list.is_empty() => {}
                    Step::Unsubscribe(at) => pair.unsubscribe(at % pair.list.len()),
                    Step::Publish(topic) => reached = pair.publish(topic),
                }
                pair.check();
                reached
            });
            prop_assert_eq!(&reached[0], &reached[1]);
        }
        for mut pair in pairs {
            while !pair.list.is_empty() {
                pair.unsubscribe(pair.list.len() / 2);
            }
            pair.check();
            prop_assert!(pair.router.is_empty());
            prop_assert_eq!(pair.router.routes.node_count(), 0);
        }
    }
}
