//! Connections that wait for the uplink: what they wait for stays followed, and local ones end when all has ended.

use tidegate_core::flow::Flow;
use tidegate_core::protocol::{ClientFrame, Start, SubscribeRequest};
use tidegate_core::session::CloseReason;
use tidegate_core::topic::Topic;
use tidegate_core::uplink::UplinkCall;
use tidegate_tests::wire::kinds;
use tidegate_tests::{pattern, secs};

use crate::linked::{Call, Linked, numbers};

fn reads_second(call: &Call) -> bool {
    let is_second = |topic: &Topic| topic.as_str() == "job:2";
    matches!(call, UplinkCall::Read { topic, .. } if is_second(topic))
}

#[test]
fn it_ends_when_all_that_it_has_waited_for_has_ended() {
    let mut linked = Linked::new();
    let id = linked.server.handle_open_local(usize::MAX / 4);
    linked.subscribe_local(id, "job:1");
    linked.subscribe_local(id, "job:2");
    linked.end("job:1");
    assert_eq!(linked.closes, []);
    linked.end("job:2");
    assert_eq!(linked.closes, [(id, CloseReason::Ended)]);
    linked.frames(id);
    // A connection that has ended gets nothing more.
    linked.lose();
    assert_eq!(kinds(&linked.frames(id)), [""; 0]);
}

#[test]
fn it_does_not_end_while_it_waits_for_anything_but_its_room() {
    for room in ["user:7", "job:2"] {
        let mut linked = Linked::new();
        let id = linked.server.handle_open_local(usize::MAX / 4);
        linked.holds = reads_second;
        let joined = linked.server.handle_join(linked.now, id, &pattern(room));
        assert!(joined.is_ok());
        linked.settle();
        linked.subscribe_local(id, "job:1");
        if room == "user:7" {
            linked.subscribe_local(id, "job:2");
        }
        linked.end("job:1");
        let is_over = room == "job:2";
        assert_eq!(linked.closes.len(), usize::from(is_over), "{room}");
    }
}

#[test]
fn what_somebody_waits_for_stays_followed_when_others_leave() {
    for to in ["job:1", "job:*"] {
        let mut linked = Linked::new();
        linked.publish("job:1", 3);
        let (first, second) = (linked.client(), linked.client());
        linked.subscribe(first, to);
        linked.holds = |call| matches!(call, UplinkCall::Read { .. });
        let request = SubscribeRequest {
            start: Start::Since(vec![linked.at("job:1", 2)]),
            ..SubscribeRequest::new(pattern(to), Flow::IMMEDIATE)
        };
        linked.say(second, ClientFrame::Subscribe(request));
        assert_eq!(linked.server.uplink_counts().parked, 1);
        linked.unsubscribe(first, to);
        linked.let_go();
        assert_eq!(linked.server.uplink_counts().parked, 0);
        linked.pass(secs(1));
        linked.publish("job:1", 1);
        assert_eq!(numbers(&linked.frames(second)), [2, 3, 1]);
    }
}

#[test]
fn nothing_stays_followed_for_who_leaves_before_it_is_answered() {
    let mut linked = Linked::new();
    linked.holds = |call| matches!(call, UplinkCall::Read { .. });
    let client = linked.client();
    linked.subscribe(client, "job:1");
    let local = linked.server.handle_open_local(usize::MAX / 4);
    linked.subscribe_local(local, "job:2");
    assert_eq!(linked.server.uplink_counts().followed, 2);
    linked.close(client);
    linked.close(local);
    assert_eq!(linked.server.uplink_counts().followed, 0);
}
