//! What is said about a subscription while the server still reads what it is to.

use proptest::prelude::*;
use tidegate_core::flow::Flow;
use tidegate_core::protocol::Start;
use tidegate_core::uplink::UplinkCall;
use tidegate_tests::backend_model::{Stage, World};
use tidegate_tests::{ms, pattern, secs};

proptest! {
    #[test]
    fn it_begins_with_the_flow_that_was_said_last(
        to in prop::sample::select(vec!["job:1", "job:*"]),
        paces in prop::collection::vec(prop::option::of(1..500_u64), 1..5),
    ) {
        let flow = |pace: &Option<u64>| pace.map_or(Flow::IMMEDIATE, |every| Flow::throttle(ms(every)));
        let mut world = World::new(1);
        let server = world.add_server();
        world.run_for(secs(1));
        world.holds = |call| matches!(call, UplinkCall::Read { .. } | UplinkCall::List { .. });
        let id = world.watch_session(server, to, flow(&paces[0]), Start::Latest);
        world.run_for(secs(1));
        for pace in &paces[1..] {
            world.set_flow(server, id, &pattern(to), flow(pace));
        }
        prop_assert_eq!(world.told(server, id, to).stage, Stage::Pending);
        prop_assert_eq!(world.held_calls.len(), 1);
        let (_, call, asked) = world.held_calls.remove(0);
        let answer = world.perform(server, &asked);
        world.answer(server, call, answer);
        world.run_for(secs(1));
        let told = world.told(server, id, to);
        let last = format!("{:?}", flow(&paces[paces.len() - 1]));
        prop_assert_eq!(told.stage, Stage::Live);
        prop_assert_eq!(told.told.len(), 1);
        prop_assert!(told.told[0].contains(&last), "{} instead of {}", told.told[0], last);
    }
}

/// Hosts that make frames of their own may make any.
#[test]
fn a_flow_that_is_none_is_refused_before_and_after_the_answer() {
    let flow = Flow::throttle(ms(0));
    for is_answered in [false, true] {
        let mut world = World::new(1);
        let server = world.add_server();
        world.run_for(secs(1));
        if !is_answered {
            world.holds = |call| matches!(call, UplinkCall::Read { .. });
        }
        let id = world.watch_session(server, "job:1", Flow::IMMEDIATE, Start::Latest);
        world.run_for(secs(1));
        world.set_flow(server, id, &pattern("job:1"), flow);
        let told = &world.told(server, id, "job:1").told;
        let last = told.last().expect("it is told something");
        assert!(last.contains("BadFlow"), "{last}");
    }
}
