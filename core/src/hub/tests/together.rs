//! What is routed together, and in which order it is due.

use super::*;
use crate::hub::owed::Owed;

fn subscribe(hub: &mut Hub<()>, to: &str, flow: Flow) -> SubscriptionId {
    let request = SubscribeRequest {
        start: Start::New,
        ..SubscribeRequest::new(Pattern::new(to).unwrap(), flow)
    };
    hub.handle_subscribe(Instant::ZERO, 0, &request).unwrap().id
}

fn publish(hub: &mut Hub<()>, millis: u64, to: &str) {
    let request = PublishRequest::new(Topic::new(to).unwrap(), ());
    hub.handle_publish(Instant::from_millis(millis), request)
        .unwrap();
}

/// The number of publications in each entry that is due.
fn owed(hub: &mut Hub<()>) -> Vec<usize> {
    let owed = core::iter::from_fn(|| hub.poll_owed());
    let count = |owed| match owed {
        Owed::Run { mut run, .. } => 1 + core::iter::from_fn(|| run.split_first()).count(),
        Owed::Due(_) => 1,
    };
    owed.map(count).collect()
}

#[test]
#[cfg_attr(miri, ignore = "thousands of publications")]
fn what_comes_of_a_topic_at_one_instant_is_owed_at_once_up_to_a_limit() {
    let mut hub = Hub::new(HubConfig::new(7));
    subscribe(&mut hub, "job:*", Flow::IMMEDIATE);
    for (instants, expected) in [
        (&[1, 1, 1][..], &[3][..]),
        (&[1, 2, 2], &[1, 2]),
        (&[3; 1_024], &[1_024]),
        (&[3; 1_025], &[1_024, 1]),
    ] {
        for millis in instants {
            publish(&mut hub, *millis, "job:1");
        }
        assert_eq!(owed(&mut hub), expected);
    }
    for to in ["job:1", "job:1", "job:2", "job:1"] {
        publish(&mut hub, 4, to);
    }
    assert_eq!(owed(&mut hub), [2, 1, 1]);
}

#[test]
fn what_waits_leaves_when_its_time_comes_that_a_change_of_flow_has_brought_nearer() {
    let throttle = |secs| Flow::throttle(Duration::from_secs(secs));
    let mut hub = Hub::new(HubConfig::new(7));
    let id = subscribe(&mut hub, "job:1", throttle(10));
    for millis in [0, 1] {
        publish(&mut hub, millis, "job:1");
    }
    assert_eq!(owed(&mut hub), [1]);
    hub.handle_flow(Instant::from_millis(2), id, throttle(1))
        .unwrap();
    let due = Instant::from_millis(1_000);
    assert_eq!(hub.poll_timeout(), Some(due));
    hub.handle_timeout(due);
    assert_eq!(owed(&mut hub), [1]);
}

#[test]
fn what_is_due_earlier_leaves_earlier_however_late_it_is_and_whatever_it_was_put_off() {
    let mut hub = Hub::new(HubConfig::new(7));
    let quiet = Flow::debounce(Duration::from_millis(10));
    let put_off = subscribe(&mut hub, "job:1", quiet);
    let once = subscribe(&mut hub, "job:2", quiet);
    for (millis, to) in [(0, "job:1"), (1, "job:2"), (5, "job:1")] {
        publish(&mut hub, millis, to);
    }
    hub.handle_timeout(Instant::from_millis(50));
    let order = core::iter::from_fn(|| hub.poll_output()).map(|due| match due {
        Due::Deliver { delivery, .. } => delivery.subscription,
        other => panic!("{other:?}"),
    });
    assert!(order.eq([once, put_off]));
}
