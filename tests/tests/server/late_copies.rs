//! What a client publishes goes over one connection after the other until it is answered, and an earlier copy may be on its
//! way still, at a server that stands still.
//!
//! The contract: a publish is stored once at the most, wherever its copies arrive. A refusal speaks of the copy that it answers:
//! where what spoke against it is over before an earlier copy arrives, that one is stored.

use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::{ClientFrame, PublishRequest};
use tidegate_core::publication::Position;
use tidegate_tests::backend_model::World;
use tidegate_tests::json::Json;
use tidegate_tests::{secs, topic};

fn copy(request: u64) -> ClientFrame<Json> {
    let mut publish = PublishRequest::new(topic("job:1"), serde_json::json!({ "n": 7 }).into());
    publish.id = Some("one of many".to_owned());
    ClientFrame::Publish { request, publish }
}

/// Somebody else writes to the backend.
fn write(world: &mut World, end: Option<EndReason>) {
    let mut request = PublishRequest::new(topic("job:1"), serde_json::json!({ "n": 0 }).into());
    request.restart = true;
    request.end = end.map(Into::into);
    world.publish_raw(&request);
}

/// A publish of a client comes by two connections to two servers. What each is answered.
fn answers(
    world: &World,
    connections: [(usize, tidegate_core::hub::ConnectionId); 2],
) -> [Vec<Option<Position>>; 2] {
    connections.map(|(server, id)| {
        let published = world.servers[server].watches[&id].published.iter();
        published.map(|(_, position)| *position).collect()
    })
}

fn stored(world: &World) -> Vec<Position> {
    let stored = world.store.stored.iter();
    let own = stored.filter(|publication| publication.payload.0["n"] == 7);
    own.map(|publication| publication.position).collect()
}

#[test]
fn a_copy_that_was_refused_may_be_stored_later_by_an_earlier_one_and_once_at_the_most() {
    let mut world = World::new(1);
    let connections = [(); 2].map(|()| {
        let server = world.add_server();
        (server, world.open_session(server))
    });
    let [(paused, early), (other, late)] = connections;
    write(&mut world, Some(EndReason::Complete));
    world.run_for(secs(1));
    world.say(other, late, copy(1));
    world.run_for(secs(1));
    assert_eq!(
        answers(&world, connections),
        [vec![], vec![None]],
        "the topic has ended"
    );
    assert_eq!(stored(&world), []);
    write(&mut world, None);
    // The frame has waited in the connection's socket until its server went on.
    world.say(paused, early, copy(1));
    world.run_for(secs(1));
    let [position] = stored(&world)[..] else {
        panic!("stored once: {:?}", stored(&world));
    };
    world.say(other, late, copy(2));
    world.run_for(secs(1));
    let expected = [vec![Some(position)], vec![None, Some(position)]];
    assert_eq!(answers(&world, connections), expected);
    assert_eq!(stored(&world), [position], "never twice");
}
