//! Subscribers that resume at a server that has no copy of their topics yet.

use tidegate_core::flow::Flow;
use tidegate_core::protocol::{Start, TopicPosition};
use tidegate_core::publication::Position;
use tidegate_tests::backend_model::{Last, Stage, Weather, World};
use tidegate_tests::{ms, secs, topic};

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

/// Two servers with subscribers to `job:1`; the second loses its link after three publications of five.
fn torn() -> (World, [usize; 2], Vec<TopicPosition>) {
    let mut world = World::new(1);
    let servers = [(); 2].map(|()| world.add_server());
    for server in servers {
        world.watch(server, "job:1", Flow::IMMEDIATE, Start::Latest);
    }
    world.run_for(secs(1));
    for number in 0..5 {
        if number == 3 {
            world.run_for(secs(1));
            world.servers[servers[1]].link.is_reachable = false;
            world.cut(servers[1], true);
        }
        world.publish(servers[0], "job:1");
    }
    world.run_for(secs(1));
    let position = world.published[4].result.expect("an answer");
    let known = TopicPosition {
        topic: topic("job:1"),
        position: position.expect("a position"),
    };
    (world, servers, vec![known])
}

#[test]
fn whoever_has_seen_more_than_a_server_without_a_link_waits_for_it_and_is_not_taken_back() {
    let (mut world, [_, stale], known) = torn();
    let id = world.watch(stale, "job:1", Flow::IMMEDIATE, Start::Since(known));
    world.run_for(secs(20));
    let told = world.told(stale, id, "job:1");
    assert_eq!((told.stage, told.told.len()), (Stage::Pending, 0));
    world.servers[stale].link.is_reachable = true;
    world.run_for(secs(30));
    let told = world.told(stale, id, "job:1");
    assert_eq!(told.stage, Stage::Live);
    assert!(told.told.iter().all(|text| !text.starts_with("Reset")));
    world.check_converged();
}

#[test]
fn whoever_knew_a_topic_before_it_began_waits_for_the_link_where_its_beginning_is_not_at_hand() {
    let (mut world, _) = published();
    let stale = world.add_server();
    world.watch(stale, "job:1", Flow::IMMEDIATE, Start::Latest);
    world.run_for(secs(1));
    world.servers[stale].link.is_reachable = false;
    world.cut(stale, true);
    world.run_for(secs(1));
    let unbegun = TopicPosition {
        topic: topic("job:1"),
        position: Position::default(),
    };
    let since = Start::Since(vec![unbegun]);
    let id = world.watch(stale, "job:1", Flow::IMMEDIATE, since);
    world.run_for(secs(1));
    world.servers[stale].link.is_reachable = true;
    world.run_for(secs(30));
    let told = &world.told(stale, id, "job:1").told;
    assert_eq!((count(told, "Publication"), count(told, "Reset")), (5, 0));
}

#[test]
fn whoever_has_seen_no_more_is_served_by_a_server_without_a_link() {
    let (mut world, [_, stale], mut known) = torn();
    known[0].position.offset -= 3;
    for start in [Start::Since(known), Start::Latest] {
        let id = world.watch(stale, "job:1", Flow::IMMEDIATE, start);
        let told = world.told(stale, id, "job:1");
        assert_eq!(told.stage, Stage::Live, "{told:#?}");
        let publications = told.told.iter();
        let publications = publications.filter(|text| text.starts_with("Publication"));
        assert_eq!(publications.count(), 1, "{told:#?}");
    }
    world.servers[stale].link.is_reachable = true;
    world.run_for(secs(30));
    world.check_converged();
}

/// A server on its own with five publications of `job:1`, and where the third stands.
fn published() -> (World, TopicPosition) {
    let mut world = World::new(1);
    let server = world.add_server();
    let numbers = [(); 5].map(|()| world.publish(server, "job:1"));
    world.run_for(secs(1));
    let third = world.published[numbers[2]].result.expect("an answer");
    let known = TopicPosition {
        topic: topic("job:1"),
        position: third.expect("a position"),
    };
    (world, known)
}

fn count(told: &[String], kind: &str) -> usize {
    told.iter().filter(|text| text.starts_with(kind)).count()
}

#[test]
fn by_wildcard_nobody_is_told_of_a_loss_because_a_server_without_a_link_lacks_the_beginning() {
    let (mut world, _) = published();
    let stale = world.add_server();
    world.watch(stale, "job:*", Flow::IMMEDIATE, Start::Latest);
    world.run_for(secs(1));
    world.servers[stale].link.is_reachable = false;
    world.cut(stale, true);
    world.run_for(secs(1));
    let nothing = Start::Since(Vec::new());
    let id = world.watch(stale, "job:*", Flow::IMMEDIATE, nothing);
    world.run_for(secs(20));
    assert_eq!(world.told(stale, id, "job:*").stage, Stage::Pending);
    world.servers[stale].link.is_reachable = true;
    world.run_for(secs(30));
    let told = &world.told(stale, id, "job:*").told;
    assert_eq!((count(told, "Publication"), count(told, "Reset")), (5, 0));
}

#[test]
fn nobody_is_told_of_a_loss_while_a_server_whose_link_is_back_compares_its_copies() {
    for (cut, resumes) in (0..20).flat_map(|cut| (0..30).map(move |after| (cut, after * 5))) {
        let (mut world, known) = published();
        let fresh = world.add_server();
        // The pattern has been listed while its topic was being read for the other.
        let since = Start::Since(vec![known]);
        world.watch(fresh, "job:1", Flow::IMMEDIATE, since.clone());
        world.watch(fresh, "job:*", Flow::IMMEDIATE, Start::Latest);
        world.run_for(ms(cut));
        world.cut(fresh, true);
        world.run_for(ms(resumes));
        let id = world.watch(fresh, "job:*", Flow::IMMEDIATE, since);
        world.run_for(secs(10));
        let told = &world.told(fresh, id, "job:*").told;
        let counts = (count(told, "Publication"), count(told, "Reset"));
        assert_eq!(counts, (2, 0), "{cut} ms, {resumes} ms");
    }
}

#[test]
fn who_waits_to_resume_is_given_all_of_a_topic_that_is_listed_for_another_meanwhile() {
    for (listed, begins) in (0..10).flat_map(|listed| (0..30).map(move |begins| (listed, begins))) {
        let (mut world, known) = published();
        world.weather = Weather {
            call_ms_max: 10,
            announce_ms_max: 10,
            ..Weather::CALM
        };
        let fresh = world.add_server();
        world.run_for(secs(1));
        // What it misses of one topic is read. Another topic begins meanwhile, and is listed for somebody else.
        let since = Start::Since(vec![known]);
        let id = world.watch(fresh, "job:*", Flow::IMMEDIATE, since);
        world.run_for(ms(listed));
        world.watch(fresh, "*:2", Flow::IMMEDIATE, Start::Latest);
        world.run_for(ms(begins));
        (0..3).for_each(|_| {
            world.publish(0, "job:2");
        });
        world.run_for(secs(10));
        let told = &world.told(fresh, id, "job:*").told;
        let counts = (count(told, "Publication"), count(told, "Reset"));
        assert_eq!(counts, (5, 0), "{listed} ms, {begins} ms");
    }
}
