//! Topics that end and begin again while a server's link is down: its subscribers get what they missed, or a reset for what
//! is lost, and nothing else.

use tidegate_core::flow::Flow;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::{PublishRequest, Start};
use tidegate_core::publication::{POSITION_MAX, epoch_after};
use tidegate_tests::backend_model::World;
use tidegate_tests::json::Json;
use tidegate_tests::{secs, topic};

/// A server with a subscriber to `job:*`, who has heard of the end of `job:1`.
fn ended() -> (World, usize, tidegate_core::hub::ConnectionId) {
    let mut world = World::new(3);
    let server = world.add_server();
    let watcher = world.watch(server, "job:*", Flow::IMMEDIATE, Start::Latest);
    world.run_for(secs(1));
    finish(&mut world);
    world.run_for(secs(1));
    (world, server, watcher)
}

/// Another server publishes: the topic begins again, if it has ended, and ends.
fn finish(world: &mut World) {
    for end in [None, Some(EndReason::Complete)] {
        let mut request = PublishRequest::new(topic("job:1"), Json::from(1));
        request.restart = true;
        request.end = end.map(Into::into);
        world.publish_raw(&request);
    }
}

/// The server has no link while this happens.
fn meanwhile(world: &mut World, server: usize, happens: impl FnOnce(&mut World)) {
    world.servers[server].link.is_reachable = false;
    world.cut(server, true);
    world.run_for(secs(1));
    happens(world);
    world.servers[server].link.is_reachable = true;
    world.run_for(secs(30));
}

/// How many publications and how many losses the subscriber got.
fn told(world: &World, server: usize, watcher: tidegate_core::hub::ConnectionId) -> (usize, usize) {
    let told = &world.told(server, watcher, "job:*").told;
    let count = |kind: &str| told.iter().filter(|text| text.starts_with(kind)).count();
    (count("Publication"), count("Reset"))
}

#[test]
fn an_epoch_that_follows_the_known_one_is_no_loss() {
    let (mut world, server, watcher) = ended();
    meanwhile(&mut world, server, finish);
    assert_eq!(told(&world, server, watcher), (4, 0));
    world.check_converged();
}

#[test]
fn an_epoch_that_began_and_ended_unheard_is_told_as_a_loss() {
    let (mut world, server, watcher) = ended();
    meanwhile(&mut world, server, |world| {
        finish(world);
        finish(world);
    });
    assert_eq!(
        told(&world, server, watcher),
        (3, 1),
        "the latest stands for what was missed"
    );
    world.check_converged();
}

#[test]
fn an_epoch_that_began_and_ended_while_the_topic_was_read_is_told_as_a_loss() {
    let (mut world, server, watcher) = ended();
    world.weather.drops = 100;
    finish(&mut world);
    finish(&mut world);
    world.weather.drops = 0;
    finish(&mut world);
    world.run_for(secs(5));
    assert_eq!(told(&world, server, watcher), (3, 1));
    world.check_converged();
}

#[test]
fn what_follows_an_end_in_its_epoch_shows_that_the_end_was_lost() {
    let (mut world, server, watcher) = ended();
    world.store.lose_tail(&topic("job:1"), 1);
    for _ in 0..2 {
        let request = PublishRequest::new(topic("job:1"), Json::from(1));
        world.publish_raw(&request);
        world.run_for(secs(5));
    }
    assert_eq!(told(&world, server, watcher), (3, 1));
    world.check_converged();
}

/// What is in the end's place is too old to be told by then.
#[test]
fn an_epoch_that_has_gone_on_shows_that_its_end_was_lost() {
    let (mut world, server, watcher) = ended();
    let epoch = |world: &World| {
        world
            .store
            .latest(&topic("job:1"))
            .map(|one| one.position.epoch)
    };
    let before = epoch(&world);
    meanwhile(&mut world, server, |world| {
        world.store.lose_tail(&topic("job:1"), 1);
        world.store.count_max = 2;
        for _ in 0..3 {
            let request = PublishRequest::new(topic("job:1"), Json::from(1));
            world.publish_raw(&request);
        }
    });
    assert_eq!(told(&world, server, watcher), (3, 1));
    assert_ne!(
        epoch(&world),
        before,
        "whoever saw the end is told, wherever it resumes"
    );
    world.check_converged();
}

#[test]
fn epochs_after_the_largest_begin_with_the_first() {
    assert_eq!(epoch_after(1), 2);
    assert_eq!(epoch_after(POSITION_MAX - 1), POSITION_MAX);
    assert_eq!(epoch_after(POSITION_MAX), 1);
}
