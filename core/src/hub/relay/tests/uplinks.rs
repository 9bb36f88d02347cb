//! Uplinks that serve others, too, that have another clock, or that send batches which are not the emission of one
//! gate.

use super::*;
use crate::lifecycle::EndReason;

#[test]
fn on_another_clock_nobody_waits_and_who_misses_more_than_the_latest_is_told() {
    let (mut scene, _) = Scene::followed("job:1", 0);
    scene.relay = Relay::on_other_clock();
    scene.subscribe(Flow::IMMEDIATE, Start::Latest);
    (1..=5).for_each(|offset| scene.publish(offset));
    for (flow, known, given) in [
        (Flow::IMMEDIATE, 2, &[Reset, At(5)][..]),
        (Flow::IMMEDIATE, 4, &[At(5)]),
        (Flow::IMMEDIATE, 5, &[]),
        (throttled(), 2, &[At(5)]),
    ] {
        let id = scene.subscribe(flow, since("job:1", 1, known));
        assert_eq!(scene.told(id), given, "{known}");
    }
}

#[test]
fn who_is_paced_beside_others_by_a_shared_uplink_is_paced_as_if_alone() {
    let mut scene = Scene::new("job:1");
    scene.relay = Relay::shared();
    let id = scene.subscribe(throttled(), Start::Latest);
    scene.subscribe(throttled(), Start::Latest);
    scene.relay.handle_subscribed(&scene.pattern);
    scene.publish(1);
    assert_eq!(scene.told(id), [At(1)]);
    let first = scene.now;
    scene.now = first + Duration::from_millis(50);
    scene.publish(2);
    let due = first + Duration::from_millis(200);
    assert_eq!(scene.relay.poll_timeout(), Some(due));
    scene
        .relay
        .handle_timeout(first + Duration::from_millis(200));
    assert_eq!(scene.told(id), [At(2)]);
}

#[test]
fn of_a_batch_of_several_topics_each_has_its_pace() {
    let mut scene = Scene::new("job:*");
    let id = scene.subscribe(throttled(), Start::Latest);
    scene.subscribe(Flow::IMMEDIATE, Start::Latest);
    scene.relay.handle_subscribed(&scene.pattern);
    let other = Publication {
        topic: topic("job:2"),
        ..(*at(5)).clone()
    };
    let items = [at(1), Arc::new(other), at(2)];
    scene.relay.handle_batch(scene.now, &scene.pattern, &items);
    assert_eq!(scene.told(id), [At(1), At(5)]);
}

#[test]
fn a_batch_that_ends_a_topic_leaves_nothing_to_wait_for() {
    let (mut scene, _) = Scene::followed("job:*", 0);
    let id = scene.subscribe(throttled(), Start::Latest);
    let last = Publication {
        end: Some(EndReason::Complete),
        ..(*at(3)).clone()
    };
    let items = [at(1), at(2), Arc::new(last)];
    scene.relay.handle_batch(scene.now, &scene.pattern, &items);
    assert_eq!(scene.told(id), [At(1), At(2), At(3)]);
    assert_eq!(scene.relay.poll_timeout(), None);
}
