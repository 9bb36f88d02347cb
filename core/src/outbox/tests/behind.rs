//! A slow transport: how much waiting frames count, and when more is dropped or combined.

use super::*;
use crate::presence::{Absent, Key, NodeId, PresenceDiff, PresenceId, PresenceState, Present};

#[test]
fn a_queue_that_once_held_much_is_bounded_again() {
    let ids = subscriptions(&["**"]);
    let mut outbox = Outbox::new(BYTES_MAX);
    for topic in 0..35 {
        let publication = publication(&format!("t:{topic}"), 1, 100);
        outbox.push_delivery(delivery(ids[0], None, publication));
    }
    assert!(outbox.bytes() > BYTES_MAX && !outbox.is_overfull());
    drain(&mut outbox);
    for offset in 1..=if cfg!(miri) { 50 } else { 1000 } {
        outbox.push_delivery(delivery(ids[0], None, publication("busy", offset, 100)));
        assert!(outbox.bytes() <= BYTES_MAX, "at {offset}");
    }
}

/// An outbox with something at the front, so that what follows waits in a queue.
fn behind() -> Outbox<Amount> {
    let mut outbox = Outbox::new(BYTES_MAX);
    outbox.push_frame(ServerFrame::Ping);
    outbox.push_frame(ServerFrame::Ping);
    outbox
}

/// How many bytes a frame counts.
fn counted(frame: ServerFrame<Amount>) -> usize {
    let mut outbox = Outbox::new(BYTES_MAX);
    outbox.push_frame(frame);
    outbox.bytes()
}

#[test]
fn one_thing_that_fits_is_no_backlog_and_whatever_follows_it_is() {
    let ids = subscriptions(&["a"]);
    let overhead = counted(ServerFrame::Ping);
    let room = BYTES_MAX - overhead - "a".len();
    let one = |bytes| delivery(ids[0], None, publication("a", 1, bytes));
    for (bytes, is_behind) in [(0, false), (room, false), (room + 1, true)] {
        let mut outbox = Outbox::new(BYTES_MAX);
        outbox.push_delivery(one(bytes));
        assert_eq!(outbox.is_behind(), is_behind, "{bytes}");
        assert_eq!(outbox.bytes(), overhead + 1 + bytes);
        assert_eq!(outbox.bytes_behind() > 0, is_behind);
    }
    let mut outbox = Outbox::new(BYTES_MAX);
    outbox.push_frame(ServerFrame::Ping);
    assert!(!outbox.is_behind());
    outbox.push_delivery(one(0));
    assert!(outbox.is_behind());
    drain(&mut outbox);
    assert!(!outbox.is_behind());
}

#[test]
fn a_run_counts_what_its_publications_count_one_by_one() {
    let ids = subscriptions(&["a"]);
    let publications: Vec<_> = (1..=5).map(|offset| publication("a", offset, 10)).collect();
    let (mut together, mut apart) = (Outbox::new(BYTES_MAX), behind());
    drain(&mut apart);
    for publication in &publications {
        apart.push_delivery(delivery(ids[0], None, Arc::clone(publication)));
    }
    together.push_run(RunDelivery::new(
        ids[0],
        None,
        Arc::new(Run::new(publications)),
    ));
    assert!(!together.is_behind());
    assert_eq!(
        (together.bytes(), together.len()),
        (apart.bytes(), apart.len())
    );
}

proptest! {
    #[test]
    fn presences_count_what_they_say(metas in prop::collection::vec(0..90_usize, 0..5), leaves in 0..5_u64) {
        let topic = Topic::new("room:1").expect("valid");
        let key = Key::new("ada").expect("valid");
        let id = |clock| PresenceId { node: NodeId::new(1), clock };
        let joins = || -> Vec<_> {
            let present = |(clock, bytes): (u64, &usize)| {
                let (amount, bytes) = (1, *bytes);
                Present { id: id(clock), key: key.clone(), meta: Amount { amount, bytes } }
            };
            (1..).zip(&metas).map(present).collect()
        };
        let state = |present| ServerFrame::PresenceState(Arc::new(PresenceState { topic: topic.clone(), present }));
        let one = || Vec::from([Absent { key: key.clone(), id: id(9) }]);
        let diff = |joins, leaves| ServerFrame::PresenceDiff(Arc::new(PresenceDiff { topic: topic.clone(), joins, leaves }));
        let nothing = counted(state(Vec::new()));
        let each = counted(diff(Vec::new(), one())) - nothing;
        prop_assert!(each >= 32, "one of thousands counts, too");
        let said = metas.iter().map(|bytes| bytes + each + "ada".len()).sum::<usize>();
        prop_assert_eq!(counted(state(joins())), nothing + said);
        let left = (0..leaves).flat_map(|_| one()).collect();
        prop_assert_eq!(counted(diff(joins(), left)), nothing + said + usize::try_from(leaves).expect("few") * each);
    }
}

#[test]
fn what_a_subscription_says_while_it_is_behind_counts_from_the_next_publication_on() {
    let ids = subscriptions(&["a", "b"]);
    for of_all in [false, true] {
        let mut outbox = behind();
        let push = |outbox: &mut Outbox<Amount>, offset| {
            outbox.push_delivery(delivery(ids[0], None, publication("a", offset, 10)));
        };
        push(&mut outbox, 1);
        if of_all {
            outbox.set_slow_of_all(Some(Slow::Conflate));
        } else {
            outbox.set_slow(ids[0], Some(Slow::Conflate));
        }
        (2..=4).for_each(|offset| push(&mut outbox, offset));
        outbox.set_slow_of_all(None);
        outbox.set_slow(ids[0], None);
        (5..=6).for_each(|offset| push(&mut outbox, offset));
        assert_eq!(
            drain(&mut outbox),
            ["ping", "ping", "a@1", "a@4", "a@5", "a@6"]
        );
    }
}

#[test]
fn what_comes_after_a_reset_is_not_combined_with_what_came_before_it() {
    let ids = subscriptions(&["a", "b"]);
    let mut outbox = behind();
    let push = |outbox: &mut Outbox<Amount>, offset| {
        for (id, topic) in ids.iter().zip(["a", "b"]) {
            let conflate = Some(Conflate::Latest);
            outbox.push_delivery(delivery(*id, conflate, publication(topic, offset, 10)));
        }
    };
    push(&mut outbox, 1);
    outbox.push_frame(ServerFrame::Reset {
        topic: Topic::new("a").expect("valid"),
        position: Position {
            epoch: 1,
            offset: 1,
        },
        via: None,
    });
    push(&mut outbox, 2);
    push(&mut outbox, 3);
    assert_eq!(
        drain(&mut outbox),
        ["ping", "ping", "a@1", "b@3", "reset a", "a@3"]
    );
}

#[test]
fn only_a_subscription_that_wants_to_be_disconnected_forfeits_by_a_loss() {
    let ids = subscriptions(&["a"]);
    for slow in [None, Some(Slow::Drop), Some(Slow::Disconnect)] {
        let mut outbox = behind();
        outbox.set_slow(ids[0], slow);
        for offset in 1..=60 {
            assert!(!outbox.is_forfeit() || slow == Some(Slow::Disconnect));
            outbox.push_delivery(delivery(ids[0], None, publication("a", offset, 100)));
        }
        assert_eq!(outbox.is_forfeit(), slow == Some(Slow::Disconnect));
        assert_eq!(outbox.is_overfull(), outbox.is_forfeit());
    }
}

#[test]
fn a_start_is_beside_the_limit_where_no_more_waits_than_that() {
    let ids = subscriptions(&["a"]);
    let overhead = counted(ServerFrame::Ping);
    for (more, is_beside) in [(0, true), (1, false)] {
        let mut outbox = behind();
        let room = BYTES_MAX - 3 * overhead - "a".len();
        outbox.push_delivery(delivery(ids[0], None, publication("a", 1, room + more)));
        outbox.begin_start();
        for offset in 2..=60 {
            outbox.push_delivery(delivery(ids[0], None, publication("a", offset, 100)));
        }
        outbox.end_start();
        assert_eq!(drain(&mut outbox).len() == 62, is_beside, "{more}");
    }
}

/// A delivery that counts a hundred bytes.
fn hundred(id: SubscriptionId, topic: &str, offset: u64) -> Delivery<Amount> {
    let bytes = 100 - counted(ServerFrame::Ping) - topic.len();
    delivery(id, None, publication(topic, offset, bytes))
}

#[test]
fn as_much_may_wait_as_the_limit_and_twice_that_of_what_must_stay() {
    let ids = subscriptions(&["**"]);
    let mut outbox = Outbox::new(BYTES_MAX);
    for offset in 1..=40 {
        outbox.push_delivery(hundred(ids[0], "a", offset));
    }
    assert_eq!((outbox.bytes(), outbox.len()), (BYTES_MAX, 40));
    outbox.push_delivery(hundred(ids[0], "a", 41));
    assert!(outbox.len() < 40);
    let mut outbox = Outbox::new(BYTES_MAX);
    for topic in 10..90 {
        outbox.push_delivery(hundred(ids[0], &format!("{topic}"), 1));
        assert!(!outbox.is_overfull(), "{topic}");
    }
    outbox.push_delivery(hundred(ids[0], "90", 1));
    assert!(outbox.is_overfull());
}

#[test]
fn a_start_into_an_empty_outbox_is_beside_the_limit_whoever_counts_meanwhile() {
    let ids = subscriptions(&["a"]);
    let mut outbox = Outbox::new(BYTES_MAX);
    outbox.begin_start();
    outbox.settle_tally(&mut Tally::default());
    for offset in 1..=60 {
        outbox.push_delivery(hundred(ids[0], "a", offset));
    }
    outbox.end_start();
    assert_eq!(drain(&mut outbox).len(), 60);
}

#[test]
fn what_has_left_has_no_place_and_what_is_next_keeps_its_own() {
    let ids = subscriptions(&["**"]);
    let conflating = |epoch, offset| {
        let publication = Arc::unwrap_or_clone(publication("a", offset, 10));
        let position = Position { epoch, offset };
        let publication = Arc::new(Publication {
            position,
            ..publication
        });
        delivery(ids[0], Some(Conflate::Latest), publication)
    };
    let mut outbox = behind();
    outbox.push_delivery(conflating(1, 1));
    outbox.push_delivery(conflating(2, 1));
    (0..3).for_each(|_| drop(outbox.pop()));
    outbox.push_delivery(conflating(2, 2));
    assert_eq!(outbox.len(), 1, "it takes the place of the one before");
    outbox.push_frame(ServerFrame::Ping);
    assert_eq!(outbox.pop().map(|_| outbox.len()), Some(1));
    assert_eq!(outbox.queue.as_ref().map(|queue| queue.places()), Some(0));
}
