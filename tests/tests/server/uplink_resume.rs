//! Subscribers who resume at a server that has no copy of their topics yet.

use tidegate_core::flow::Flow;
use tidegate_core::protocol::{Start, TopicPosition};
use tidegate_tests::backend_model::{Last, World};
use tidegate_tests::{secs, topic};

#[test]
fn whoever_comes_after_one_who_missed_nothing_is_given_the_latest() {
    let mut world = World::new(1);
    let server = world.add_server();
    let number = world.publish(server, "job:1");
    world.run_for(secs(1));
    let stored = world.published[number].result;
    let position = stored.expect("an answer").expect("a position");
    let fresh = world.add_server();
    let known = vec![TopicPosition {
        topic: topic("job:1"),
        position,
    }];
    world.watch(fresh, "job:1", Flow::IMMEDIATE, Start::Since(known));
    world.run_for(secs(1));
    let late = world.watch(fresh, "job:1", Flow::IMMEDIATE, Start::Latest);
    world.run_for(secs(1));
    let last = world.told(fresh, late, "job:1").last[&topic("job:1")];
    let is_terminal = false;
    assert_eq!(
        last,
        Last::Seen {
            position,
            is_terminal
        }
    );
}

#[test]
fn a_pattern_that_resumes_beside_one_of_its_topics_recovers_all_of_it() {
    let mut world = World::new(1);
    let server = world.add_server();
    let numbers = [(); 3].map(|()| world.publish(server, "job:1"));
    world.run_for(secs(1));
    let stored = world.published[numbers[2]].result;
    let known = TopicPosition {
        topic: topic("job:1"),
        position: stored.expect("an answer").expect("a position"),
    };
    let fresh = world.add_server();
    let id = world.open_session(fresh);
    let nothing = Start::Since(Vec::new());
    world.subscribe(fresh, id, "job:*", Flow::IMMEDIATE, nothing);
    let known = Start::Since(vec![known]);
    world.subscribe(fresh, id, "job:1", Flow::IMMEDIATE, known);
    world.run_for(secs(1));
    let told = &world.told(fresh, id, "job:*").told;
    let publications = told.iter().filter(|text| text.starts_with("Publication"));
    assert_eq!(publications.count(), 3, "{told:#?}");
    assert!(told.iter().all(|text| !text.starts_with("Reset")));
}
