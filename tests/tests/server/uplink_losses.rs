//! What a server does about what its link loses: it reads what it was not told of, and says what it doesn't know.

use tidegate_core::flow::Flow;
use tidegate_core::hub::{ConnectionId, PublishError, ServerConfig};
use tidegate_core::protocol::{PublishRequest, Start};
use tidegate_core::uplink::{UplinkCall, UplinkConfig};
use tidegate_tests::backend_model::World;
use tidegate_tests::json::Json;
use tidegate_tests::{secs, topic};

fn write(world: &mut World) {
    world.publish_raw(&PublishRequest::new(topic("job:1"), Json::from(1)));
}

fn publications(world: &World, server: usize, watcher: ConnectionId) -> usize {
    let told = &world.told(server, watcher, "job:1").told;
    let publications = told.iter().filter(|text| text.starts_with("Publication"));
    publications.count()
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
