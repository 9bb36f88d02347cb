//! What the documentation states about the memory of subscriptions.

use super::*;

#[test]
#[cfg_attr(
    miri,
    ignore = "a hundred thousand subscriptions, whose bytes are counted"
)]
fn subscriptions_are_compact() {
    const TOPICS: usize = 10_000;
    const EACH: usize = 10;
    let (mut routes, mut router) = (Routes::new(1), Router::new(1));
    for i in 0..TOPICS * EACH {
        let job = pattern(&format!("job:{}", i % TOPICS));
        routes.subscribe(&job, 0_u32);
        router.subscribe(&job, 0_u32);
    }
    for (each, most) in [
        (routes.memory_bytes() / routes.len(), 26),
        (router.memory_bytes() / router.len(), 42),
    ] {
        assert!(
            each <= most,
            "{each} bytes per subscription, 4 of them the subscriber's"
        );
    }
}

#[test]
fn a_pattern_counts_with_its_text_its_list_and_its_nodes() {
    let grown = |[first, second]: [&str; 2]| {
        let mut routes = Routes::new(1);
        routes.subscribe(&pattern(first), 0_u32);
        let before = routes.memory_bytes();
        routes.subscribe(&pattern(second), 0);
        routes.memory_bytes() - before
    };
    // There is room for the second one already. What is added is a text with its reference counts, a list, and the text
    // of a node.
    let shared = 2 * size_of::<usize>();
    assert_eq!(grown(["a", "bb"]), 2 + shared + 4);
    assert_eq!(grown(["*:a", "bb:**"]), 5 + shared + 4 + 2);
}

#[test]
fn more_patterns_need_more_memory_and_no_more_than_three_times_their_own() {
    // A text of 7 bytes with its reference counts, of which a node has 5; a list; a route, a pattern and two nodes; an
    // entry in the table by text, and one in the table of nodes.
    const EACH: usize = (7 + 16) + 5 + 4 + (56 + 24 + 2 * 48) + (8 + 4);
    let mut routes = Routes::new(1);
    for number in 0..130 {
        assert!(
            (EACH * number..3 * EACH * number + 1_000).contains(&routes.memory_bytes()),
            "{} bytes for {number} patterns",
            routes.memory_bytes()
        );
        routes.subscribe(&pattern(&format!("{number:05}:*")), 0_u32);
    }
}

#[test]
fn the_room_of_subscribers_is_counted_and_given_back() {
    const MANY: usize = 1_000;
    let (mut routes, mut router) = (Routes::new(1), Router::new(1));
    let jobs = pattern("job:*");
    let seats: Vec<Seat> = (0..MANY).map(|_| routes.subscribe(&jobs, 0_u32)).collect();
    let tickets: Vec<Ticket> = (0..MANY).map(|_| router.subscribe(&jobs, 0_u32)).collect();
    // A ticket needs another 8 bytes and more, to find the subscriber's seat.
    assert!((4 * MANY..8 * MANY).contains(&routes.memory_bytes()));
    assert!((16 * MANY..24 * MANY).contains(&router.memory_bytes()));

    let awake = routes.memory_bytes();
    routes.visit(seats[0].route(), |_| true);
    let words = routes.memory_bytes() - awake;
    assert!((MANY / 8..MANY / 4).contains(&words), "{words} bytes");

    for (seat, ticket) in seats.into_iter().zip(tickets).skip(1).rev() {
        routes.leave(seat, |_| unreachable!("the last one leaves"));
        router.unsubscribe(ticket);
    }
    assert!(routes.memory_bytes() < awake - 3 * MANY);
}

#[test]
fn subscribers_that_come_and_go_need_no_more_room_than_the_first() {
    let mut router = Router::new(1);
    let mut bytes = BTreeSet::new();
    for number in 10..99 {
        let tickets = ["a", "*:b"].map(|text| {
            let own = pattern(&format!("{text}{number}"));
            router.subscribe(&own, 0_u32)
        });
        bytes.insert(router.memory_bytes());
        for ticket in tickets {
            router.unsubscribe(ticket);
        }
    }
    assert_eq!(bytes.len(), 1, "{bytes:?}");
}
