//! What a server reads from its backend: only what it lacks, and within the limit of simultaneous calls.

use tidegate_core::flow::Flow;
use tidegate_core::hub::ServerConfig;
use tidegate_core::protocol::{PublishRequest, Start, TopicPosition};
use tidegate_core::publication::Position;
use tidegate_core::topic::Topic;
use tidegate_core::uplink::{UplinkCall, UplinkConfig};
use tidegate_tests::backend_model::{Stage, World};
use tidegate_tests::json::{Json, report};
use tidegate_tests::{secs, topic};

fn write(world: &mut World, to: &str, count: u64) {
    for number in 0..count {
        world.publish_raw(&PublishRequest::new(topic(to), report(number)));
    }
}

/// The reads since the last call.
fn reads(world: &mut World) -> Vec<(Topic, Option<Position>)> {
    let calls = world.calls.drain(..);
    let reads = calls.filter_map(|(_, _, call)| match call {
        UplinkCall::Read { topic, since } => Some((topic, since)),
        _ => None,
    });
    reads.collect()
}

fn position(world: &World, of: &str, back: u64) -> Position {
    let latest = world.store.latest(&topic(of));
    let Position { epoch, offset } = latest.expect("it has begun").position;
    let offset = offset - back;
    Position { epoch, offset }
}

fn known(world: &World, of: &str, back: u64) -> TopicPosition {
    TopicPosition {
        topic: topic(of),
        position: position(world, of, back),
    }
}

#[test]
fn a_pattern_reads_the_topics_that_have_changed() {
    let mut world = World::new(1);
    let server = world.add_server();
    for name in ["job:1", "job:2", "job:3"] {
        write(&mut world, name, 2);
    }
    world.watch(server, "job:*", Flow::IMMEDIATE, Start::Latest);
    world.run_for(secs(1));
    assert_eq!(reads(&mut world), [], "the list says all");
    for changed in [false, true] {
        world.servers[server].link.is_reachable = false;
        world.cut(server, true);
        world.run_for(secs(1));
        if changed {
            write(&mut world, "job:2", 3);
            write(&mut world, "job:4", 2);
        }
        world.servers[server].link.is_reachable = true;
        world.run_for(secs(5));
        let known = position(&world, "job:2", 3 * u64::from(changed) + 1);
        let beginning = Position::default();
        let changes = [
            (topic("job:2"), Some(known)),
            (topic("job:4"), Some(beginning)),
        ];
        let expected = if changed { &changes[..] } else { &[] };
        assert_eq!(reads(&mut world), expected);
        world.check_converged();
    }
}

#[test]
fn the_first_subscriber_says_from_where_a_topic_is_read() {
    let mut world = World::new(1);
    write(&mut world, "job:1", 5);
    write(&mut world, "other:1", 9);
    let other = known(&world, "other:1", 0);
    let at = |world: &World, back| (topic("job:1"), Some(position(world, "job:1", back)));
    let resumes = |back| Start::Since(vec![other.clone(), known(&world, "job:1", back)]);
    let starts = [
        (Start::Latest, vec![(topic("job:1"), None)], 1),
        (resumes(2), vec![at(&world, 2)], 2),
        // Nothing came since, and there is no copy of the latest yet.
        (resumes(0), vec![at(&world, 0), at(&world, 1)], 0),
    ];
    for (start, expected, count) in starts {
        let server = world.add_server();
        let id = world.watch(server, "job:1", Flow::IMMEDIATE, start);
        world.run_for(secs(1));
        assert_eq!(reads(&mut world), expected);
        let told = &world.told(server, id, "job:1").told;
        assert_eq!(told.len(), 1 + count, "{told:#?}");
    }
}

#[test]
fn a_topic_that_has_not_begun_is_read_once() {
    let mut world = World::new(1);
    let server = world.add_server();
    let unbegun = TopicPosition {
        topic: topic("job:1"),
        position: Position::default(),
    };
    let start = Start::Since(vec![unbegun]);
    let id = world.watch(server, "job:1", Flow::IMMEDIATE, start);
    world.run_for(secs(1));
    let whole = (topic("job:1"), Some(Position::default()));
    assert_eq!(reads(&mut world), [whole]);
    assert_eq!(world.told(server, id, "job:1").stage, Stage::Live);
}

#[test]
fn reads_and_patterns_go_in_portions() {
    let mut world = World::new(1);
    let mut uplink = UplinkConfig::new(1);
    uplink.reads_max = 2;
    let server = world.add_server_with(ServerConfig::new(1), uplink);
    world.is_restless = false;
    world.run_for(secs(1));
    let id = world.open_local(server);
    world.holds = |call| matches!(call, UplinkCall::Follow(_) | UplinkCall::Read { .. });
    for number in 0..1003 {
        let to = format!("job:{number}");
        world.subscribe(server, id, &to, Flow::IMMEDIATE, Start::Latest);
    }
    let mut followed = Vec::new();
    let is_follow =
        |(_, _, call): &(usize, u64, UplinkCall<Json>)| matches!(call, UplinkCall::Follow(_));
    while let Some(at) = world.held_calls.iter().position(is_follow) {
        let (_, id, call) = world.held_calls.remove(at);
        if let UplinkCall::Follow(patterns) = &call {
            followed.push(patterns.len());
        }
        let answer = world.perform(server, &call);
        world.answer(server, id, answer);
    }
    assert_eq!(followed, [1, 1000, 2]);
    for _ in 0..3 {
        assert_eq!(world.held_calls.len(), 2);
        let (_, id, call) = world.held_calls.remove(0);
        let answer = world.perform(server, &call);
        world.answer(server, id, answer);
    }
}
