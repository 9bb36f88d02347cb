//! Devices beside other members, and what becomes of them when they are no longer devices.

use super::*;

/// An exchange that has another member beside a device, both at the topic's position.
fn beside_a_device(to: &str, flow: Flow) -> Scene {
    let mut scene = Scene::new(to);
    scene.subscribe_as(A, "phone", Start::Latest);
    scene.confirm(0);
    scene.subscribe(B, flow, Start::Latest);
    scene.answer();
    scene.confirm_again(0);
    scene.answer();
    scene.confirm_again(0);
    scene.answer();
    assert!(!scene.exchange.routes[&scene.pattern].is_rewinding);
    for member in [A, B] {
        assert_eq!(scene.told(member).len(), 1, "{member:?} is confirmed");
    }
    scene.sent();
    scene
}

fn names(sent: Vec<ClientFrame<()>>) -> Vec<bool> {
    let names = sent.into_iter().filter_map(|frame| match frame {
        ClientFrame::Subscribe(request) => Some(request.durable.is_some()),
        _ => None,
    });
    names.collect()
}

#[test]
fn the_server_remembers_a_device_until_the_last_of_it_has_left() {
    let mut scene = beside_a_device("job:1", Flow::IMMEDIATE);
    scene.subscribe_as(C, "phone", since("job:1", 0));
    scene.unsubscribe(A);
    scene.unsubscribe(B);
    scene.publish(1);
    let pattern = scene.pattern.clone();
    let positions = Vec::from([known("job:1", 1)]);
    let ack = ClientFrame::Ack { pattern, positions };
    scene.sent();
    scene.say(C, ack.clone());
    assert_eq!(
        scene.sent(),
        [ack],
        "what has waited in the tab waits no longer"
    );
    scene.subscribe(B, Flow::IMMEDIATE, since("job:1", 1));
    scene.unsubscribe(C);
    assert_eq!(scene.sent(), []);
    assert!(scene.exchange.routes[&scene.pattern].durable.is_none());
    scene.subscribe_as(C, "tablet", Start::Latest);
    assert_eq!(scene.told(C).last(), Some(&Left), "another device may come");
}

#[test]
fn a_device_knows_nothing_by_what_it_knows_of_other_topics() {
    let cases = [
        ("job:1", Start::Latest, false),
        ("job:1", Start::New, false),
        ("job:1", Start::Since(Vec::new()), false),
        ("job:1", since("job:2", 4), false),
        ("job:1", since("job:1", 4), true),
        ("job:*", since("job:1", 4), true),
        ("job:*", Start::Latest, false),
    ];
    for (to, start, knows) in cases {
        let mut scene = Scene::new(to);
        scene.subscribe(A, Flow::IMMEDIATE, Start::Latest);
        scene.confirm(3);
        scene.publish(4);
        scene.subscribe_as(B, "phone", start.clone());
        let waits = scene.exchange.routes[&scene.pattern].seats.get(&B);
        let waits = waits.map(|seat| seat.awaits_cursor);
        assert_eq!(waits, Some(!knows), "{to} {start:?}");
    }
}

#[test]
fn what_a_device_misses_is_told_to_that_one_alone() {
    let mut scene = Scene::new("job:1");
    scene.subscribe(A, Flow::IMMEDIATE, Start::Latest);
    scene.confirm(4);
    scene.publish(5);
    scene.subscribe_as(B, "phone", Start::Latest);
    scene.subscribe(C, Flow::IMMEDIATE, Start::Latest);
    scene.confirm(5);
    assert_eq!(scene.told(B), [Stands(true)]);
    scene.told(C);
    scene.reset(4);
    scene.publish(4);
    scene.publish(5);
    assert_eq!(scene.told(B), [Reset(4), At(4), At(5)]);
    assert_eq!(scene.told(C), []);
    assert_eq!(scene.told_all(), [At(5)], "what the first one was told");
}

fn forget(scene: &mut Scene, member: TabId) -> Vec<ClientFrame<()>> {
    scene.sent();
    let pattern = scene.pattern.clone();
    scene.say(member, ClientFrame::Forget { pattern });
    scene.sent()
}

fn forgets(sent: &[ClientFrame<()>]) -> usize {
    let is_forget = |frame: &&ClientFrame<()>| matches!(frame, ClientFrame::Forget { .. });
    sent.iter().filter(is_forget).count()
}

#[test]
fn who_is_beside_a_device_that_is_forgotten_goes_on_without() {
    let mut scene = beside_a_device("job:1", throttled());
    scene.publish(1);
    assert_eq!(scene.told_all(), [At(1)]);
    assert_eq!(forgets(&forget(&mut scene, C)), 0);
    assert_eq!(scene.told(C), [Failed(ErrorCode::NotSubscribed)]);
    let sent = forget(&mut scene, A);
    assert_eq!((forgets(&sent), names(sent)), (1, vec![false]));
    assert_eq!((scene.told(A), scene.told(B)), (vec![Left], vec![]));
    scene.confirm_again(1);
    scene.publish(2);
    assert_eq!(scene.told_all(), [At(2)]);
    assert_eq!(forget(&mut scene, B).len(), 1, "it has left");
    assert_eq!(scene.told(B), [Left]);
}

#[test]
fn who_is_to_be_a_device_when_that_is_forgotten_is_none() {
    let mut scene = beside_a_device("job:1", throttled());
    scene.publish(1);
    // One is there already, and another one joins.
    scene.subscribe_as(B, "phone", Start::Latest);
    scene.subscribe_as(C, "phone", Start::Latest);
    assert_eq!((scene.told(B), scene.told(C)), (vec![], vec![]));
    let sent = forget(&mut scene, A);
    assert_eq!((forgets(&sent), names(sent)), (1, vec![false]));
    assert_eq!((scene.told(B), scene.told(C)), (vec![Stands(true)], vec![]));
    scene.confirm_again(1);
    scene.answer();
    scene.confirm_again(1);
    scene.publish(1);
    assert_eq!(scene.told(C), [Stands(true), At(1)]);
    assert_eq!(forgets(&forget(&mut scene, C)), 0);
}

#[test]
fn a_device_that_is_alone_leaves_nothing_behind_when_it_is_forgotten() {
    let mut scene = beside_a_device("job:1", throttled());
    scene.unsubscribe(B);
    assert_eq!(forget(&mut scene, A).len(), 1);
    assert_eq!(scene.exchange.patterns(), 0);
}

#[test]
fn what_was_dealt_with_in_an_earlier_epoch_is_not_told_of_a_later_one() {
    let mut scene = beside_a_device("job:1", Flow::IMMEDIATE);
    scene.publish(1);
    let pattern = scene.pattern.clone();
    let ack = |epoch| ClientFrame::Ack {
        pattern: pattern.clone(),
        positions: vec![TopicPosition {
            topic: topic("job:1"),
            position: Position { epoch, offset: 1 },
        }],
    };
    scene.sent();
    scene.say(A, ack(0));
    scene.say(A, ack(1));
    scene.say(A, ack(0));
    scene.unsubscribe(A);
    assert_eq!(scene.sent(), [ack(1)]);
}

#[test]
fn who_joins_beside_a_device_that_is_forgotten_is_given_what_it_misses() {
    for to in ["job:1", "job:*"] {
        for (has_begun, becomes_device) in [(false, false), (true, false), (true, true)] {
            let mut scene = beside_a_device(to, throttled());
            (1..=5).for_each(|offset| scene.publish(offset));
            scene.told_all();
            scene.subscribe(C, Flow::IMMEDIATE, since("job:1", 1));
            let mut expected = vec![Stands(true), At(2), At(3), At(4), At(5)];
            if has_begun {
                scene.answer();
                scene.confirm_again(5);
                scene.publish(2);
            }
            if becomes_device {
                scene.subscribe_as(C, "phone", Start::Latest);
                expected.insert(2, Stands(true));
            }
            forget(&mut scene, A);
            while !scene.is_there(C) {
                scene.confirm_again(5);
                scene.answer_from_history(5);
            }
            assert_eq!(scene.told(C), expected, "{to} {has_begun} {becomes_device}");
            assert_eq!(scene.told_all(), []);
        }
    }
}

impl Scene {
    fn is_there(&self, member: TabId) -> bool {
        let seat = self.exchange.routes[&self.pattern].seats.get(&member);
        seat.is_some_and(|seat| matches!(seat.place, Place::There))
    }

    /// The server sends what it was last asked for, up to a publication, and answers pings.
    fn answer_from_history(&mut self, last: u64) {
        let asked = self.sent().into_iter().rev().find_map(|frame| match frame {
            ClientFrame::Subscribe(request) => Some(request.start),
            _ => None,
        });
        if let Some(Start::Since(known)) = asked {
            let seen = known.first().map_or(0, |known| known.position.offset);
            (seen + 1..=last).for_each(|offset| self.publish(offset));
        }
        self.answer();
    }
}
