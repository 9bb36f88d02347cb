//! How a server brings its copies up to date if topics began, ended, continued or were lost while its link was down, or
//! while it was reading.

use tidegate_core::flow::Flow;
use tidegate_core::hub::{ConnectionId, ServerConfig};
use tidegate_core::protocol::{
    ClientFrame, PublishRequest, ServerFrame, Start, SubscribeRequest, TopicPosition,
};
use tidegate_core::publication::Position;
use tidegate_core::uplink::{UplinkAnswer, UplinkCall, UplinkConfig};
use tidegate_tests::backend_model::{Last, Stage, World};
use tidegate_tests::json::{Json, report};
use tidegate_tests::{pattern, secs, topic};

/// Another server publishes to the backend.
fn write(world: &mut World, to: &str, count: u64) {
    for number in 0..count {
        world.publish_raw(&PublishRequest::new(topic(to), report(number)));
    }
}

fn position(world: &World, of: &str) -> Position {
    let latest = world.store.latest(&topic(of));
    latest.expect("it has begun").position
}

fn known(world: &World, of: &str, back: u64) -> TopicPosition {
    let mut position = position(world, of);
    position.offset -= back;
    TopicPosition {
        topic: topic(of),
        position,
    }
}

fn latest(world: &mut World, server: usize, to: &str) -> ConnectionId {
    world.watch(server, to, Flow::IMMEDIATE, Start::Latest)
}

fn since(world: &mut World, server: usize, to: &str, known: Vec<TopicPosition>) -> ConnectionId {
    world.watch(server, to, Flow::IMMEDIATE, Start::Since(known))
}

/// How many publications and how many losses a subscriber got.
fn told(world: &World, server: usize, id: ConnectionId, of: &str) -> (usize, usize) {
    let told = &world.told(server, id, of).told;
    let count = |kind: &str| told.iter().filter(|text| text.starts_with(kind)).count();
    (count("Publication"), count("Reset"))
}

/// The server has no link while this happens.
fn meanwhile(world: &mut World, server: usize, happens: impl FnOnce(&mut World)) {
    world.servers[server].link.is_reachable = false;
    world.cut(server, true);
    world.run_for(secs(1));
    happens(world);
    world.servers[server].link.is_reachable = true;
    world.run_for(secs(5));
}

/// Answers all calls that were held back, in this order.
fn answer_all(world: &mut World, order: impl Fn(&UplinkCall<Json>) -> u8) {
    world.holds = |_| false;
    let mut calls = core::mem::take(&mut world.held_calls);
    calls.sort_by_key(|(_, _, call)| order(call));
    for (server, id, call) in calls {
        let answer = world.perform(server, &call);
        world.answer(server, id, answer);
    }
    world.run_for(secs(1));
}

fn is_read(call: &UplinkCall<Json>) -> bool {
    matches!(call, UplinkCall::Read { .. })
}

fn is_list(call: &UplinkCall<Json>) -> bool {
    matches!(call, UplinkCall::List(_))
}

#[test]
fn connections_are_told_while_a_server_is_out_of_step_and_at_no_other_time() {
    let mut world = World::new(1);
    let server = world.add_server();
    let idle = world.open_local(server);
    world.run_for(secs(1));
    let is_stale = |world: &World| world.servers[server].watches[&idle].is_stale;
    for wants in [false, true] {
        if wants {
            latest(&mut world, server, "job:*");
            assert!(!is_stale(&world), "a pattern that is new lacks nothing");
            world.run_for(secs(1));
        }
        world.servers[server].link.is_reachable = false;
        world.cut(server, true);
        world.run_for(secs(1));
        assert!(is_stale(&world));
        world.servers[server].link.is_reachable = true;
        world.holds = |call| is_list(call) || matches!(call, UplinkCall::Follow(_));
        world.run_for(secs(5));
        for _ in 0..2 * usize::from(wants) {
            assert!(is_stale(&world), "not everything is in step");
            let (_, id, call) = world.held_calls.remove(0);
            let answer = world.perform(server, &call);
            world.answer(server, id, answer);
        }
        world.run_for(secs(1));
        assert!(!is_stale(&world));
        world.holds = |_| false;
    }
}

#[test]
fn what_began_and_went_on_without_a_link_is_told_by_pattern_from_where_it_was_known() {
    let mut world = World::new(1);
    let server = world.add_server();
    write(&mut world, "job:1", 1);
    write(&mut world, "job:2", 1);
    let watcher = latest(&mut world, server, "job:*");
    world.run_for(secs(1));
    assert_eq!(told(&world, server, watcher, "job:*"), (2, 0));
    meanwhile(&mut world, server, |world| {
        write(world, "job:1", 2);
        write(world, "job:3", 3);
    });
    assert_eq!(told(&world, server, watcher, "job:*"), (7, 0));
    world.check_converged();
}

#[test]
fn what_the_backend_has_lost_altogether_is_told_by_pattern() {
    for to in ["job:*", "job:1"] {
        let mut world = World::new(1);
        let server = world.add_server();
        write(&mut world, "job:1", 2);
        let watcher = latest(&mut world, server, to);
        world.run_for(secs(1));
        meanwhile(&mut world, server, |world| world.store.wipe());
        let last = world.told(server, watcher, to).last[&topic("job:1")];
        assert_eq!(last, Last::Reset(Position::default()));
        // A topic without publications is remembered where somebody has subscribed to its name.
        let topics = world.servers[server].hub.counts().topics;
        assert_eq!(topics, usize::from(to == "job:1"));
        world.check_converged();
        write(&mut world, "job:1", 1);
        world.run_for(secs(1));
        world.check_converged();
    }
}

#[test]
fn a_topic_that_is_listed_while_it_is_read_is_given_up_by_nobody() {
    let mut world = World::new(1);
    let server = world.add_server();
    write(&mut world, "job:1", 1);
    let epoch = position(&world, "job:1").epoch;
    world.holds = |call| is_read(call) || is_list(call);
    let exact = latest(&mut world, server, "job:1");
    let wild = latest(&mut world, server, "job:*");
    world.run_for(secs(1));
    // The backend has carried out the read, and another publication arrives before the answer.
    let read = world
        .held_calls
        .iter()
        .position(|(_, _, call)| is_read(call));
    let (_, id, call) = world.held_calls.remove(read.expect("it is read"));
    let excerpt = world.perform(server, &call);
    write(&mut world, "job:1", 1);
    answer_all(&mut world, |_| 0);
    world.answer(server, id, excerpt);
    world.run_for(secs(1));
    assert_eq!(position(&world, "job:1").epoch, epoch, "nothing was lost");
    for (id, of) in [(exact, "job:1"), (wild, "job:*")] {
        assert_eq!(told(&world, server, id, of).1, 0);
    }
    world.check_converged();
}

#[test]
fn a_pattern_waits_for_the_topic_of_it_that_is_read_for_the_first_time() {
    let mut world = World::new(1);
    let server = world.add_server();
    write(&mut world, "job:1", 3);
    world.holds = is_read;
    let exact = latest(&mut world, server, "job:1");
    let wild = latest(&mut world, server, "job:*");
    world.run_for(secs(1));
    assert_eq!(world.told(server, wild, "job:*").stage, Stage::Pending);
    answer_all(&mut world, |_| 0);
    for (id, of) in [(exact, "job:1"), (wild, "job:*")] {
        assert_eq!(told(&world, server, id, of), (1, 0), "{of}");
    }
    world.check_converged();
}

#[test]
fn nobody_waits_for_a_link_because_of_topics_that_are_not_asked_for() {
    let mut world = World::new(1);
    let server = world.add_server();
    write(&mut world, "job:1", 3);
    write(&mut world, "other:1", 3);
    latest(&mut world, server, "job:*");
    world.run_for(secs(1));
    world.servers[server].link.is_reachable = false;
    world.cut(server, true);
    world.run_for(secs(1));
    let known = vec![known(&world, "other:1", 0), known(&world, "job:1", 0)];
    let id = since(&mut world, server, "job:*", known);
    assert_eq!(world.told(server, id, "job:*").stage, Stage::Live);
}

#[test]
fn of_two_who_resume_each_is_given_what_it_lacks() {
    for backs in [[4, 2], [2, 4]] {
        let mut world = World::new(1);
        let server = world.add_server();
        write(&mut world, "job:1", 5);
        // The copy has only the last publication.
        latest(&mut world, server, "job:1");
        world.run_for(secs(1));
        let ids = backs.map(|back| {
            let known = known(&world, "job:1", back);
            since(&mut world, server, "job:1", vec![known])
        });
        world.run_for(secs(1));
        for (id, back) in ids.into_iter().zip([backs[0], backs[1]]) {
            let back = usize::try_from(back).expect("few");
            assert_eq!(told(&world, server, id, "job:1"), (back, 0), "{backs:?}");
        }
    }
}

#[test]
fn who_resumes_from_elsewhere_takes_nothing_away_from_who_is_there() {
    for (other_epoch, back) in [(true, 5), (false, 1)] {
        let mut world = World::new(1);
        let server = world.add_server();
        write(&mut world, "job:1", 5);
        let watcher = latest(&mut world, server, "job:1");
        world.run_for(secs(1));
        world.weather.drops = 100;
        write(&mut world, "job:1", 3);
        let mut known = known(&world, "job:1", back);
        known.position.epoch += u64::from(other_epoch);
        let id = since(&mut world, server, "job:1", vec![known]);
        world.run_for(secs(1));
        let reads = world.calls.iter().filter_map(|(_, _, call)| match call {
            UplinkCall::Read { since, .. } => *since,
            _ => None,
        });
        // The read begins one before the last known publication, so that both can be compared, and not earlier.
        let offsets: Vec<u64> = reads.map(|since| since.offset).collect();
        assert_eq!(offsets, [4]);
        // What was read for the newcomer is no loss to the subscriber that was there before.
        assert_eq!(told(&world, server, watcher, "job:1"), (4, 0));
        let resets = usize::from(other_epoch);
        assert_eq!(told(&world, server, id, "job:1"), (1, resets));
    }
}

#[test]
fn a_gap_is_read_however_little_is_known_and_however_full_a_server_is() {
    for (topics_max, to, before) in [(1, "job:1", 1), (100, "job:*", 0)] {
        let mut world = World::new(1);
        let mut config = ServerConfig::new(1);
        config.hub.topics_max = topics_max;
        let server = world.add_server_with(config, UplinkConfig::new(1));
        let watcher = latest(&mut world, server, to);
        world.run_for(secs(1));
        write(&mut world, "job:1", before);
        world.run_for(secs(1));
        world.weather.drops = 100;
        write(&mut world, "job:1", 1);
        world.weather.drops = 0;
        write(&mut world, "job:1", 1);
        world.run_for(secs(1));
        let count = usize::try_from(before + 2).expect("few");
        assert_eq!(told(&world, server, watcher, to), (count, 0));
    }
}

#[test]
fn what_a_full_server_does_not_remember_is_told_all_the_same() {
    let mut world = World::new(1);
    let mut config = ServerConfig::new(1);
    config.hub.topics_max = 1;
    let server = world.add_server_with(config, UplinkConfig::new(1));
    write(&mut world, "job:1", 1);
    let watcher = latest(&mut world, server, "job:*");
    world.run_for(secs(1));
    meanwhile(&mut world, server, |world| {
        for number in 2..6 {
            write(world, &format!("job:{number}"), 1);
        }
    });
    // There is room for one topic at a time. Nothing is lost, so no loss may be reported.
    assert_eq!(told(&world, server, watcher, "job:*"), (5, 0));
    assert_eq!(world.servers[server].hub.counts().topics, 1);
}

#[test]
fn who_waits_for_a_topic_to_begin_has_a_place_for_it() {
    let mut world = World::new(1);
    let server = world.add_server();
    latest(&mut world, server, "job:1");
    world.run_for(secs(1));
    for _ in 0..2 {
        assert_eq!(world.servers[server].hub.counts().topics, 1);
        meanwhile(&mut world, server, |_| {});
    }
}

#[test]
fn a_full_server_asks_nothing_about_what_it_does_not_remember() {
    let mut world = World::new(1);
    let mut config = ServerConfig::new(1);
    config.hub.topics_max = 1;
    let server = world.add_server_with(config, UplinkConfig::new(1));
    write(&mut world, "job:1", 1);
    let watcher = latest(&mut world, server, "job:*");
    world.run_for(secs(1));
    world.holds = is_read;
    write(&mut world, "job:2", 3);
    world.run_for(secs(1));
    assert_eq!(told(&world, server, watcher, "job:*"), (4, 0));
}

/// A backend that answers from a stale copy of its own may not know yet that an epoch is over.
#[test]
fn a_lost_tail_is_told_once_where_the_backend_goes_on_to_show_its_epoch() {
    let mut world = World::new(1);
    let server = world.add_server();
    write(&mut world, "job:1", 5);
    let id = world.open_remote(server);
    let (token, client, group) = (None, None, None);
    let hello = ClientFrame::Hello {
        token,
        client,
        group,
    };
    world.say_remote(server, id, hello);
    let request = SubscribeRequest::new(pattern("job:1"), Flow::IMMEDIATE);
    world.say_remote(server, id, ClientFrame::Subscribe(request));
    world.run_for(secs(1));
    world.holds = |call| matches!(call, UplinkCall::Renew { .. });
    meanwhile(&mut world, server, |world| {
        world.store.lose_tail(&topic("job:1"), 2);
    });
    assert_eq!(world.held_calls.len(), 1);
    let (_, call, _) = world.held_calls.remove(0);
    world.answer(server, call, UplinkAnswer::Done);
    world.run_for(secs(1));
    assert!(world.held_calls.is_empty(), "once is enough");
    let hub = &mut world.servers[server].hub;
    let frames: Vec<_> = core::iter::from_fn(|| hub.poll_frame(id)).collect();
    let resets = frames.iter();
    let resets = resets.filter(|frame| matches!(frame, ServerFrame::Reset { .. }));
    assert_eq!(resets.count(), 1, "{frames:#?}");
    let mut told = frames.iter().filter_map(|frame| match frame {
        ServerFrame::Publication { publication, .. } => Some(publication.position),
        _ => None,
    });
    assert_eq!(told.next_back(), Some(position(&world, "job:1")));
}

#[test]
fn what_is_heard_before_a_pattern_is_compared_is_no_continuation_of_a_lost_tail() {
    let mut world = World::new(1);
    let server = world.add_server();
    write(&mut world, "job:1", 5);
    let watcher = latest(&mut world, server, "job:*");
    world.run_for(secs(1));
    world.holds = is_list;
    meanwhile(&mut world, server, |world| {
        world.store.lose_tail(&topic("job:1"), 2);
        write(world, "job:1", 2);
    });
    // It looks like the next publication after the last known one.
    write(&mut world, "job:1", 1);
    world.run_for(secs(1));
    assert_eq!(told(&world, server, watcher, "job:*"), (1, 0));
    answer_all(&mut world, |_| 0);
    assert_eq!(told(&world, server, watcher, "job:*").1, 1);
    world.check_converged();
}
