//! The presences that members are sent.

use super::*;
use crate::presence::{Key, NodeId, PresenceDiff, PresenceId, PresenceState, Present};

fn ann(clock: u64) -> Present<()> {
    let node = NodeId::new(1);
    Present {
        id: PresenceId { node, clock },
        key: Key::new("ann").unwrap(),
        meta: (),
    }
}

impl Scene {
    fn watch(&mut self, member: TabId, request: u64) {
        let topic = topic("room:1");
        self.say(member, ClientFrame::Watch { request, topic });
    }

    fn unwatch(&mut self, member: TabId) {
        let topic = topic("room:1");
        self.say(member, ClientFrame::Unwatch { topic });
    }

    fn track(&mut self, member: TabId, request: u64) {
        let (topic, key) = (topic("room:1"), ann(0).key);
        self.say(
            member,
            ClientFrame::Track {
                request,
                topic,
                key,
                meta: (),
            },
        );
    }

    /// The number of the last request.
    fn asked(&mut self) -> u64 {
        match self.sent().pop() {
            Some(ClientFrame::Watch { request, .. } | ClientFrame::Track { request, .. }) => {
                request
            }
            other => panic!("{other:?}"),
        }
    }

    fn refuse(&mut self, request: u64) {
        let error = WireError::new(ErrorCode::Forbidden, "no").about_request(request);
        self.server(ServerFrame::Error(error));
    }
}

#[test]
fn a_topic_is_watched_once_for_all_until_the_last_one_leaves() {
    let mut scene = Scene::new("job:1");
    scene.watch(A, 1);
    scene.asked();
    scene.watch(B, 1);
    scene.watch(B, 2);
    assert_eq!(scene.sent(), []);
    let (room, present) = (topic("room:1"), vec![ann(1)]);
    let state = PresenceState {
        topic: room,
        present,
    };
    assert_eq!(
        (scene.told(A), scene.told(B)),
        (vec![], vec![]),
        "nothing is known yet"
    );
    scene.server(ServerFrame::PresenceState(Arc::new(state)));
    assert_eq!(scene.told_all(), [Told::Present(1)]);
    scene.watch(C, 1);
    assert_eq!(scene.told(C), [Told::Present(1)]);
    let diff = PresenceDiff {
        topic: topic("room:1"),
        joins: vec![ann(2)],
        leaves: vec![],
    };
    scene.server(ServerFrame::PresenceDiff(Arc::new(diff)));
    assert_eq!(scene.told_all(), [Told::Changed]);
    scene.unwatch(A);
    scene.unwatch(A);
    scene.exchange.handle_close(B);
    scene.settle();
    assert_eq!(scene.sent(), []);
    scene.unwatch(C);
    let topic = topic("room:1");
    assert_eq!(scene.sent(), [ClientFrame::Unwatch { topic }]);
    scene.watch(A, 1);
    scene.asked();
    assert_eq!(scene.told(A), [], "what was known is forgotten");
}

#[test]
fn what_is_refused_is_refused_to_those_who_asked_for_it_by_their_numbers() {
    let mut scene = Scene::new("job:1");
    scene.watch(A, 7);
    let asked = scene.asked();
    scene.watch(B, 8);
    scene.refuse(asked);
    for member in [A, B] {
        assert_eq!(scene.told(member), [Failed(ErrorCode::Forbidden)]);
    }
    scene.track(A, 3);
    scene.asked();
    scene.track(B, 3);
    let asked = scene.asked();
    scene.refuse(asked);
    assert_eq!(
        (scene.told(A), scene.told(B)),
        (vec![], vec![Failed(ErrorCode::Forbidden)])
    );
    // Another one with the same number changes the meta; one that was refused begins anew.
    scene.track(A, 3);
    let first = scene.asked();
    scene.track(A, 3);
    assert_eq!(scene.asked(), first);
    scene.track(B, 3);
    assert!(scene.asked() > asked);
}
