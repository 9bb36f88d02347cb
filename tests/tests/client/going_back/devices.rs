//! Rewinding to a device's cursor, beside other subscribers that have joined.

use super::*;
use tidegate_tests::secs;

#[test]
fn a_device_waits_until_the_first_subscription_is_confirmed() {
    let mut scene = Scene::asked(JOB);
    scene.join_as_device(Start::New, "phone");
    assert_eq!(scene.told(), Vec::<String>::new());
    scene.confirm();
    assert_eq!(scene.told(), ["ask phone new"]);
}

#[test]
fn a_device_that_joins_without_a_connection_is_asked_for_by_the_next() {
    let mut scene = Scene::live(JOB);
    scene.bench.lose();
    scene.join_as_device(Start::New, "phone");
    assert_eq!(scene.told(), Vec::<String>::new());
    scene.bench.wake();
    scene.bench.events();
    scene.bench.open();
    scene.confirm();
    assert_eq!(scene.told(), ["ask phone new"]);
}

#[test]
fn who_joins_on_the_way_to_the_cursor_is_given_what_it_starts_with_afterwards() {
    let mut scene = Scene::live(JOB);
    scene.join_as_device(Start::Latest, "phone");
    assert_eq!(scene.told(), ["ask phone latest"]);
    scene.join(&since(1));
    scene.confirm();
    scene.deliver(JOB, position(3));
    assert_eq!(
        scene.told(),
        ["ping", "to the cursor", "again 3, the latest"]
    );
    scene.answer_ping();
    assert_eq!(scene.told(), ["leave", "ask  job:1@1"]);
    scene.start_anew();
    scene.deliver(JOB, position(3));
    scene.answer_ping();
    let again = ["ping", "back", "again 3, the latest", "ask phone latest"];
    assert_eq!(scene.told(), again);
    scene.confirm();
    scene.answer_ping();
    assert_eq!(scene.told(), ["ping", "to the cursor", "over"]);
}

#[test]
fn a_device_that_joins_while_what_was_seen_comes_again_waits_for_the_rest() {
    let mut scene = Scene::back(JOB, Start::Latest);
    scene.join_as_device(Start::Latest, "phone");
    assert_eq!(scene.told(), Vec::<String>::new());
    scene.deliver(JOB, position(3));
    scene.answer_ping();
    let again = ["again 3, the latest", "ask phone latest"];
    assert_eq!(scene.told(), again);
}

#[test]
fn a_device_that_joins_another_one_is_given_all_after_the_cursor() {
    let mut scene = Scene::device(JOB);
    scene.join_as_device(Start::Latest, "phone");
    scene.confirm();
    assert_eq!(scene.told(), ["ask phone latest", "ping", "to the cursor"]);
    scene.join_as_device(Start::Latest, "phone");
    assert_eq!(scene.told(), ["ask phone latest"]);
    // Publications that were requested before still arrive.
    scene.deliver(JOB, position(3));
    assert_eq!(scene.told(), ["again 3, the latest"]);
    // What is on its way is what this one wants, too.
    scene.join_as_device(Start::Latest, "phone");
    assert_eq!(scene.told(), Vec::<String>::new());
    scene.join_as_device(Start::New, "phone");
    assert_eq!(scene.told(), ["leave", "ask phone latest"]);
}

#[test]
fn a_device_that_wants_another_cursor_than_is_asked_for_has_its_own_asked_for() {
    let mut scene = Scene::live(JOB);
    scene.join_as_device(Start::Latest, "phone");
    assert_eq!(scene.told(), ["ask phone latest"]);
    for (start, name) in [(Start::New, "phone"), (Start::New, "tablet")] {
        scene.join_as_device(start, name);
        assert_eq!(scene.told(), ["leave", "ask  job:1@3"], "{name}");
        scene.start_anew();
        assert_eq!(scene.told(), [format!("ask {name} new")]);
    }
}

#[test]
fn a_device_of_another_name_waits_for_what_others_are_asked_for() {
    let mut scene = Scene::live(JOB);
    scene.join(&Start::Latest);
    scene.answer_ping();
    assert_eq!(scene.told(), ["ping", "leave", "ask  job:1@2"]);
    for name in ["phone", "tablet"] {
        scene.join_as_device(Start::New, name);
        assert_eq!(scene.told(), Vec::<String>::new());
    }
}

#[test]
fn what_a_device_lacks_is_lost_to_it_alone() {
    let mut scene = Scene::live(JOB);
    scene.join_as_device(Start::Latest, "phone");
    scene.reset(position(3));
    assert_eq!(scene.told(), ["ask phone latest"], "they have it");
    scene.confirm();
    scene.told();
    for (place, expected) in [
        (position(1), "lost to devices"),
        (position(3), "lost to devices"),
        (position(4), "lost"),
    ] {
        scene.reset(place);
        assert_eq!(scene.told(), [expected], "{place:?}");
    }
    // A subscriber that is waiting to start, and is served afterwards, makes no difference.
    scene.deliver(JOB, position(4));
    scene.join(&since(1));
    scene.reset(position(9));
    assert_eq!(scene.told(), ["new 4", "lost"]);
    let mut scene = Scene::device(JOB);
    scene.join_as_device(Start::Latest, "phone");
    scene.confirm();
    scene.told();
    let elsewhere = Position {
        epoch: EPOCH + 1,
        offset: 2,
    };
    scene.reset(elsewhere);
    assert_eq!(scene.told(), ["lost"]);
}

#[test]
fn what_all_miss_on_the_way_to_the_cursor_is_lost_to_all() {
    let mut scene = Scene::live(JOB);
    scene.join_as_device(Start::Latest, "phone");
    scene.reset(position(2));
    scene.deliver(JOB, position(2));
    assert_eq!(scene.told(), ["ask phone latest", "lost", "new 2"]);
    // What they have seen is not delivered again before the cursor is reached.
    scene.deliver(JOB, position(2));
    assert_eq!(scene.told(), Vec::<String>::new());
}

#[test]
fn what_has_begun_since_is_new_to_all_before_the_device_is_there() {
    let mut scene = Scene::live(JOBS);
    scene.join(&Start::Latest);
    scene.join_as_device(Start::Latest, "phone");
    scene.deliver("job:2", position(1));
    assert_eq!(scene.told(), ["ping", "new 1"]);
}

#[test]
fn when_its_last_device_leaves_a_subscription_is_asked_for_without_a_name() {
    for at_cursor in [false, true] {
        let mut scene = Scene::device(JOB);
        if at_cursor {
            scene.join_as_device(Start::Latest, "phone");
            scene.confirm();
            scene.told();
        }
        scene.deal_with(position(2));
        scene.lose_devices();
        assert_eq!(scene.told(), ["dealt with job:1@2"]);
        if at_cursor {
            scene.answer_ping();
            assert_eq!(scene.told(), ["over"]);
        }
        assert_eq!(scene.reopened(), ["ask  job:1@3"]);
    }
}

#[test]
fn when_the_device_leaves_on_the_way_to_its_cursor_it_goes_back_for_the_others() {
    let mut scene = Scene::device(JOB);
    scene.join(&Start::Latest);
    scene.answer_ping();
    scene.start_anew();
    scene.deliver(JOB, position(3));
    scene.answer_ping();
    let asked = [
        "ping",
        "leave",
        "ask  job:1@2",
        "ping",
        "back",
        "again 3, the latest",
        "ask phone latest",
    ];
    assert_eq!(scene.told(), asked);
    scene.lose_devices();
    assert_eq!(scene.told(), ["leave", "ask  job:1@2"]);
    scene.start_anew();
    scene.deliver("job:1", position(3));
    assert_eq!(scene.told(), ["ping", "back", "again 3, the latest"]);
}

#[test]
fn what_came_for_others_alone_is_asked_for_after_that_while_a_device_is_there() {
    let mut scene = Scene::device(JOBS);
    scene.join(&Start::Latest);
    scene.answer_ping();
    scene.start_anew();
    scene.deliver("job:2", position(5));
    assert_eq!(scene.told().last().unwrap(), "again 5, the latest");
    assert_eq!(scene.reopened(), ["ask  job:2@4 job:1@2"]);
    // Once it is for all, it comes from its beginning.
    scene.lose_devices();
    assert_eq!(scene.reopened(), ["ask  job:1@2"]);
}

#[test]
fn what_was_dealt_with_is_told_once_the_server_has_heard_of_the_device() {
    let mut scene = Scene::live(JOB);
    scene.join_as_device(Start::Latest, "phone");
    scene.deal_with(position(2));
    scene.bench.pass(secs(2));
    assert_eq!(scene.told(), ["ask phone latest"]);
    scene.confirm();
    scene.bench.pass(secs(2));
    assert_eq!(
        scene.told(),
        ["ping", "to the cursor", "dealt with job:1@2"]
    );
    scene.deal_with(position(3));
    scene.bench.lose();
    scene.lose_devices();
    assert_eq!(
        scene.told(),
        Vec::<String>::new(),
        "nobody is there to be told"
    );
}

#[test]
fn a_topic_that_ends_before_its_device_is_there_ends_at_the_cursor() {
    // While what is held back comes, while what was seen comes again, and while the cursor is asked for.
    let flattening = || {
        let mut scene = Scene::live(JOB);
        scene.join(&Start::Latest);
        scene.join_as_device(Start::Latest, "phone");
        scene
    };
    let repeating = || {
        let mut scene = Scene::back(JOB, Start::Latest);
        scene.join_as_device(Start::Latest, "phone");
        scene
    };
    let asked = || {
        let mut scene = Scene::live(JOB);
        scene.join_as_device(Start::Latest, "phone");
        scene
    };
    for (number, mut scene) in [flattening(), repeating(), asked()].into_iter().enumerate() {
        let is_asked = number == 2;
        assert_eq!(scene.told().contains(&"ask phone latest".into()), is_asked);
        scene.end_at(4);
        let (new, ask) = ("new 4", "ask phone latest");
        let expected = if is_asked { vec![new] } else { vec![new, ask] };
        assert_eq!(scene.told(), expected, "{number}");
        scene.confirm();
        scene.deliver(JOB, position(3));
        scene.end_at(4);
        let rest = [
            "ping",
            "to the cursor",
            "again 3",
            "again 4, the latest",
            "ended",
        ];
        assert_eq!(scene.told(), rest, "{number}");
    }
}

#[test]
fn what_was_dealt_with_up_to_the_end_is_told_at_once() {
    for is_late in [false, true] {
        let mut scene = Scene::device(JOB);
        scene.deliver(JOB, position(4));
        if !is_late {
            scene.deal_with(position(5));
        }
        scene.end_at(5);
        if is_late {
            scene.deal_with(position(5));
        }
        let mut expected = ["new 4", "new 5", "ended", "dealt with job:1@5"];
        if !is_late {
            expected.swap(2, 3);
        }
        assert_eq!(scene.told(), expected);
    }
}
