//! What a server does about what its link loses: it reads what it was not told of, and says what it doesn't know.

use tidegate_core::flow::Flow;
use tidegate_core::hub::{ConnectionId, PublishError, ServerConfig};
use tidegate_core::protocol::{PublishRequest, Start};
use tidegate_core::uplink::{UplinkCall, UplinkConfig};
use tidegate_tests::backend_model::World;
use tidegate_tests::json::{Json, report};
use tidegate_tests::{secs, topic};

fn write(world: &mut World) {
    world.publish_raw(&PublishRequest::new(topic("job:1"), Json::from(1)));
}

fn publications(world: &World, server: usize, watcher: ConnectionId) -> usize {
    told(world, server, watcher, "Publication")
}

fn told(world: &World, server: usize, watcher: ConnectionId, what: &str) -> usize {
    let told = &world.told(server, watcher, "job:1").told;
    told.iter().filter(|text| text.starts_with(what)).count()
}

/// A server and its subscriber heard five publications. While the server has no link, the backend fails over to a replica that has
/// three of them, and is written to so often.
fn failed_over(written: u64) -> (World, usize, ConnectionId) {
    let mut world = World::new(1);
    let server = world.add_server();
    let watcher = world.watch(server, "job:1", Flow::IMMEDIATE, Start::Latest);
    world.run_for(secs(1));
    (0..5).for_each(|number| write_number(&mut world, number));
    world.run_for(secs(1));
    world.servers[server].link.is_reachable = false;
    world.cut(server, true);
    world.store.lose_tail(&topic("job:1"), 2);
    (0..written).for_each(|number| write_number(&mut world, 100 + number));
    world.run_for(secs(1));
    world.servers[server].link.is_reachable = true;
    world.run_for(secs(30));
    (world, server, watcher)
}

fn write_number(world: &mut World, number: u64) {
    world.publish_raw(&PublishRequest::new(topic("job:1"), report(number)));
}

#[test]
fn what_was_dropped_and_reported_is_read_without_another_publication() {
    let mut world = World::new(1);
    let server = world.add_server();
    let watcher = world.watch(server, "job:1", Flow::IMMEDIATE, Start::Latest);
    world.run_for(secs(1));
    write(&mut world);
    world.run_for(secs(1));
    (world.weather.drops, world.weather.reports) = (100, 100);
    write(&mut world);
    world.run_for(secs(2));
    assert_eq!(publications(&world, server, watcher), 2);
}

#[test]
fn what_there_was_no_room_for_while_a_topic_was_read_is_read_afterwards() {
    let mut world = World::new(1);
    let mut uplink = UplinkConfig::new(1);
    uplink.held_max = 2;
    let server = world.add_server_with(ServerConfig::new(1), uplink);
    world.holds = |call| matches!(call, UplinkCall::Read { .. });
    let watcher = world.watch(server, "job:1", Flow::IMMEDIATE, Start::Latest);
    world.run_for(secs(1));
    let (_, id, call) = world.held_calls.remove(0);
    let answer = world.perform(server, &call);
    for _ in 0..5 {
        write(&mut world);
    }
    world.run_for(secs(1));
    world.holds = |_| false;
    world.answer(server, id, answer);
    world.run_for(secs(1));
    // The subscription begins with the latest of the two that there was room for.
    assert_eq!(publications(&world, server, watcher), 4);
}

#[test]
fn a_publish_that_was_sent_and_not_answered_is_said_to_be_uncertain() {
    let mut world = World::new(1);
    let mut uplink = UplinkConfig::new(1);
    uplink.publish_patience = secs(1);
    uplink.call_timeout = secs(5);
    let server = world.add_server_with(ServerConfig::new(1), uplink);
    world.run_for(secs(1));
    world.holds = |call| matches!(call, UplinkCall::Publish(_));
    let number = world.publish(server, "job:1");
    world.run_for(secs(2));
    let result = world.published[number].result;
    assert_eq!(result, Some(Err(PublishError::Unconfirmed)));
}

#[test]
fn subscribers_are_taken_back_to_what_a_failover_has_left() {
    let (world, server, watcher) = failed_over(0);
    assert_eq!(told(&world, server, watcher, "Reset"), 1);
    assert_eq!(publications(&world, server, watcher), 6, "the latest again");
    world.check_converged();
}

#[test]
fn what_took_the_place_of_a_lost_tail_is_no_continuation_of_it() {
    // As many as were lost, and more: offsets show nothing.
    for written in [1, 2, 3, 20] {
        let (world, server, watcher) = failed_over(written);
        assert_eq!(told(&world, server, watcher, "Reset"), 1, "{written}");
        world.check_converged();
    }
}
