//! A pattern that waits to be followed has its turn, whatever becomes of others meanwhile.

use std::collections::BTreeSet;

use tidegate_core::flow::Flow;
use tidegate_core::hub::ConnectionId;
use tidegate_core::protocol::Start;
use tidegate_core::topic::Pattern;
use tidegate_core::uplink::UplinkCall;
use tidegate_tests::backend_model::World;
use tidegate_tests::json::Json;
use tidegate_tests::{ms, pattern, secs};

fn watch(world: &mut World, server: usize, to: &str) -> ConnectionId {
    world.watch(server, to, Flow::IMMEDIATE, Start::Latest)
}

fn changes_interest(call: &UplinkCall<Json>) -> bool {
    matches!(call, UplinkCall::Follow(_) | UplinkCall::Unfollow(_))
}

/// Answers what was kept, and gives what is followed by that.
fn answer_kept(world: &mut World) -> Vec<Pattern> {
    let mut followed = Vec::new();
    for (server, id, call) in core::mem::take(&mut world.held_calls) {
        let answer = world.perform(server, &call);
        world.answer(server, id, answer);
        if let UplinkCall::Follow(patterns) = call {
            followed.extend(patterns);
        }
    }
    followed
}

#[test]
fn what_is_new_is_followed_while_others_leave_all_the_time() {
    let mut world = World::new(1);
    let server = world.add_server();
    let leaving: Vec<ConnectionId> = (0..10)
        .map(|number| watch(&mut world, server, &format!("job:{number}")))
        .collect();
    world.run_for(secs(1));
    world.holds = changes_interest;
    let mut leaving = leaving.into_iter();
    world.close(server, leaving.next().expect("the first"));
    watch(&mut world, server, "new");
    let mut followed = Vec::new();
    for id in leaving {
        // Before it is answered that the one before is followed no more.
        world.close(server, id);
        world.run_for(ms(1));
        followed.extend(answer_kept(&mut world));
    }
    assert_eq!(followed, [pattern("new")]);
}

#[test]
fn each_is_followed_again_however_often_something_is_missed() {
    /// More than twice as many as one call names.
    const PATTERNS: usize = 2_500;
    let mut world = World::new(1);
    let server = world.add_server();
    let all: BTreeSet<Pattern> = (0..PATTERNS)
        .map(|number| {
            let name = format!("job:{number}");
            watch(&mut world, server, &name);
            pattern(&name)
        })
        .collect();
    world.run_for(secs(5));
    world.holds = changes_interest;
    let mut followed = BTreeSet::new();
    for _ in 0..6 {
        world.miss(server);
        world.run_for(secs(1));
        followed.extend(answer_kept(&mut world));
        // What is followed is read, and in step before the next is missed.
        world.run_for(secs(1));
    }
    assert_eq!(followed.len(), all.len());
}
