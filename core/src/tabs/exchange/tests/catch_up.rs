//! Bringing a member to the others' position with what is at hand.

use super::*;

impl Scene {
    /// An exchange whose first member has this start, and is confirmed.
    fn begun(to: &str, flow: Flow, start: Start) -> Self {
        let mut scene = Self::new(to);
        scene.subscribe(A, flow, start);
        scene.confirm(4);
        scene
    }

    /// The offsets that a newcomer is sent from what is at hand; `None` if the server must go back.
    fn at_hand(&self, flow: Flow, start: &Start) -> Option<Vec<u64>> {
        let route = &self.exchange.routes[&self.pattern];
        let frames = route.replay(&self.pattern, flow, start)?;
        let offsets = frames.into_iter().map(|frame| match frame {
            ServerFrame::Publication { publication, .. } => publication.position.offset,
            other => panic!("{other:?}"),
        });
        Some(offsets.collect())
    }
}

fn in_epoch(epoch: u64, offset: u64) -> Start {
    Start::Since(vec![TopicPosition {
        topic: topic("job:1"),
        position: Position { epoch, offset },
    }])
}

fn both(offset: u64, other: u64) -> Start {
    Start::Since(vec![known("job:1", offset), known("job:2", other)])
}

#[test]
fn who_misses_no_more_than_the_latest_values_is_given_these() {
    let nothing = Start::Since(Vec::new());
    let all = Flow::IMMEDIATE;
    let cases = [
        ("job:1", all, Start::New, Some(&[][..])),
        ("job:1", all, Start::Latest, Some(&[5])),
        ("job:1", all, nothing.clone(), Some(&[5])),
        ("job:1", all, since("job:2", 9), Some(&[5])),
        ("job:1", all, since("job:1", 3), None),
        ("job:1", throttled(), since("job:1", 3), Some(&[5])),
        ("job:1", all, since("job:1", 4), Some(&[5])),
        ("job:1", all, since("job:1", 5), Some(&[])),
        ("job:1", all, since("job:1", 6), None),
        ("job:1", throttled(), since("job:1", 6), None),
        ("job:1", all, in_epoch(2, 5), None),
        ("job:*", all, Start::New, Some(&[])),
        ("job:*", all, Start::Latest, Some(&[5])),
        ("job:*", all, nothing.clone(), None),
        ("job:*", throttled(), nothing, Some(&[5])),
        ("job:*", all, since("job:1", 4), Some(&[5])),
        ("job:*", all, since("job:1", 5), Some(&[])),
        ("job:*", all, both(5, 9), None),
        ("job:*", all, in_epoch(2, 4), None),
    ];
    for (to, flow, start, given) in cases {
        let mut scene = Scene::begun(to, Flow::IMMEDIATE, Start::Latest);
        scene.publish(5);
        let given = given.map(<[u64]>::to_vec);
        assert_eq!(scene.at_hand(flow, &start), given, "{to} {start:?}");
        // Except if the server is going back, or everything came from a device's cursor.
        let route = scene.exchange.routes.get_mut(&scene.pattern).unwrap();
        route.is_rewinding = true;
        assert_eq!(scene.at_hand(flow, &start), None);
        let route = scene.exchange.routes.get_mut(&scene.pattern).unwrap();
        (route.is_rewinding, route.is_of_device) = (false, true);
        assert_eq!(scene.at_hand(flow, &start), None);
    }
}

#[test]
fn what_nobody_has_asked_for_is_not_at_hand() {
    for (to, given) in [("job:1", Some(vec![5])), ("job:*", None)] {
        let mut scene = Scene::begun(to, Flow::IMMEDIATE, Start::New);
        assert_eq!(scene.at_hand(Flow::IMMEDIATE, &Start::Latest), None);
        assert_eq!(scene.at_hand(Flow::IMMEDIATE, &Start::New), Some(vec![]));
        scene.publish(5);
        assert_eq!(scene.at_hand(Flow::IMMEDIATE, &Start::Latest), given);
    }
}

#[test]
fn what_the_server_has_conflated_is_for_those_who_would_have_it_so() {
    let merged = throttled().with_conflate(Conflate::Merge);
    let level = since("job:1", 5);
    for (asked, flow, is_served) in [
        (throttled(), throttled(), true),
        (throttled(), Flow::IMMEDIATE, false),
        (throttled(), summed(), false),
        (summed(), summed(), true),
        (summed(), merged, false),
        (summed(), throttled(), false),
        (summed(), Flow::IMMEDIATE, false),
        (Flow::IMMEDIATE, summed(), true),
        (Flow::IMMEDIATE, throttled(), true),
    ] {
        let mut scene = Scene::begun("job:1", asked, Start::Latest);
        scene.publish(5);
        let given = scene.at_hand(flow, &level);
        assert_eq!(given.is_some(), is_served, "{asked:?} {flow:?}");
    }
}

#[test]
fn beside_who_adds_up_only_those_are_level_who_know_just_that() {
    for (start, is_level) in [
        (Start::Latest, false),
        (Start::New, false),
        (Start::Since(Vec::new()), false),
        (since("job:1", 4), false),
        (since("job:1", 5), true),
        (in_epoch(2, 5), false),
        (since("job:2", 5), false),
        (both(5, 1), false),
    ] {
        let mut scene = Scene::begun("job:*", summed(), Start::Latest);
        scene.publish(5);
        let given = is_level.then(Vec::new);
        assert_eq!(scene.at_hand(summed(), &start), given, "{start:?}");
    }
    let scene = Scene::begun("job:*", summed(), Start::New);
    let nothing = Start::Since(Vec::new());
    assert_eq!(scene.at_hand(summed(), &nothing), None);
    let scene = Scene::begun("job:*", summed(), Start::Latest);
    assert_eq!(scene.at_hand(summed(), &nothing), Some(vec![]));
}

#[test]
fn the_server_is_asked_for_what_the_first_one_starts_with() {
    let nothing = Start::Since(Vec::new());
    let last_first = Start::Since(vec![known("job:2", 3), known("job:1", 4)]);
    for (to, start, asked) in [
        ("job:1", Start::New, Start::New),
        ("job:1", Start::Latest, Start::Latest),
        ("job:1", nothing.clone(), Start::Latest),
        ("job:1", since("job:2", 3), Start::Latest),
        ("job:1", both(4, 3), since("job:1", 4)),
        ("job:*", both(4, 3), last_first),
        ("job:*", nothing.clone(), nothing.clone()),
        ("job:*", since("room:1", 3), nothing.clone()),
    ] {
        let mut scene = Scene::new(to);
        scene.subscribe(A, Flow::IMMEDIATE, start);
        let request = scene.ask(Flow::IMMEDIATE, asked);
        assert_eq!(scene.sent(), [ClientFrame::Subscribe(request)]);
    }
}

#[test]
fn after_a_reset_all_go_on_from_there() {
    let mut scene = Scene::begun("job:1", Flow::IMMEDIATE, Start::Latest);
    scene.publish(5);
    scene.reset(9);
    assert_eq!(scene.at_hand(Flow::IMMEDIATE, &since("job:1", 7)), None);
    assert_eq!(scene.at_hand(Flow::IMMEDIATE, &Start::Latest), None);
    assert_eq!(
        scene.at_hand(Flow::IMMEDIATE, &since("job:1", 8)),
        Some(vec![])
    );
    scene.publish(9);
    assert_eq!(
        scene.at_hand(Flow::IMMEDIATE, &Start::Latest),
        Some(vec![9])
    );
    let via = scene.via();
    scene.server(ServerFrame::Reset {
        topic: topic("job:1"),
        position: Position::default(),
        via,
    });
    assert_eq!(scene.at_hand(Flow::IMMEDIATE, &Start::Latest), Some(vec![]));
}
