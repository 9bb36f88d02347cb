//! Members that join others: what each is sent, and what nobody else is sent because of them.

use super::*;

/// An exchange with a member that sums, and has seen publications up to this one.
fn summing(to: &str, last: u64) -> Scene {
    let mut scene = Scene::new(to);
    scene.subscribe(A, summed(), Start::Latest);
    scene.confirm(last - 1);
    scene.publish(last);
    scene.told(A);
    scene.told_all();
    scene.sent();
    scene
}

#[test]
fn whoever_joins_is_told_whether_it_goes_on_from_somewhere() {
    for flow in [Flow::IMMEDIATE, summed()] {
        let mut scene = Scene::new("job:1");
        scene.subscribe(A, flow, Start::Latest);
        scene.confirm(2);
        scene.publish(3);
        scene.subscribe(B, flow, Start::New);
        scene.subscribe(C, flow, Start::Latest);
        if flow == summed() {
            assert_eq!((scene.told(B), scene.told(C)), (vec![], vec![]));
            scene.answer();
            scene.confirm_again(3);
            scene.publish(3);
        }
        assert_eq!(scene.told(B), [Stands(false)]);
        assert_eq!(scene.told(C), [Stands(true), At(3)]);
        scene.answer();
        assert_eq!(scene.told(A), [Stands(true)]);
        assert_eq!(
            scene.told_all(),
            [At(3)],
            "what comes again is for those alone who join"
        );
    }
}

#[test]
fn who_waits_for_the_server_to_go_back_waits_for_that_unless_nothing_follows() {
    for to in ["job:1", "job:*"] {
        let mut scene = summing(to, 3);
        scene.subscribe(B, summed(), Start::Latest);
        scene.publish(4);
        assert_eq!(scene.told(B), []);
        scene.publish_last(5);
        let is_over = to == "job:1";
        assert_eq!(
            scene.told(B),
            if is_over { vec![Stands(true)] } else { vec![] }
        );
        assert_eq!(scene.told_all(), [At(4), At(5)]);
    }
}

#[test]
fn who_is_given_what_it_misses_is_told_of_a_loss_with_all_and_once() {
    for to in ["job:1", "job:*"] {
        let mut scene = summing(to, 3);
        scene.subscribe(B, summed(), Start::Latest);
        scene.answer();
        scene.confirm_again(3);
        scene.publish(3);
        assert_eq!(scene.told(B), [Stands(true), At(3)]);
        scene.reset(9);
        scene.publish(9);
        assert_eq!(scene.told_all(), [Reset(9), At(9)]);
        assert_eq!(scene.told(B), []);
    }
}

#[test]
fn who_starts_with_what_the_others_have_seen_joins_them_at_once() {
    let mut scene = Scene::new("job:1");
    scene.subscribe(A, summed(), since("job:1", 5));
    scene.confirm(5);
    scene.subscribe(B, summed(), since("job:1", 5));
    assert_eq!(scene.told(B), [Stands(true)]);
    scene.subscribe(C, summed(), since("job:1", 4));
    assert_eq!(scene.told(C), []);
}

#[test]
fn what_the_server_no_longer_keeps_of_one_topic_hides_no_loss_of_another() {
    let mut scene = Scene::new("job:*");
    scene.subscribe(A, Flow::IMMEDIATE, Start::Latest);
    scene.confirm(0);
    scene.publish(5);
    scene.subscribe(B, Flow::IMMEDIATE, since("job:2", 3));
    scene.answer();
    scene.confirm_again(0);
    scene.sent();
    // The first of the publications of job:1 that B missed is gone.
    scene.reset(5);
    let (seen, known) = (known("job:1", 4), known("job:2", 3));
    let again = scene.ask(Flow::IMMEDIATE, Start::Since(vec![seen, known]));
    let pattern = scene.pattern.clone();
    assert_eq!(
        scene.sent(),
        [
            ClientFrame::Unsubscribe { pattern },
            ClientFrame::Subscribe(again)
        ]
    );
}

/// The previous server may have had it, while this one has lost its link to the backend.
#[test]
fn who_knows_more_than_a_server_without_a_link_is_told_of_no_loss_before_that_has_one() {
    for (to, comes) in [
        ("job:1", true),
        ("job:1", false),
        ("job:*", true),
        ("job:*", false),
    ] {
        let mut scene = summing(to, 3);
        scene.server(ServerFrame::Stale);
        scene.subscribe(B, summed(), since("job:1", 5));
        scene.answer();
        scene.confirm_again(3);
        scene.publish(3);
        scene.answer();
        assert_eq!(scene.told(B), [Stands(true)], "{to}");
        assert_eq!(scene.told_all(), [Told::Stale]);
        scene.server(ServerFrame::Live);
        if comes {
            scene.publish(4);
            scene.publish(5);
        }
        scene.answer();
        let told = if comes { vec![] } else { vec![Reset(0), At(3)] };
        assert_eq!(scene.told(B), told, "{to}");
    }
}

/// What it has seen may be on its way to the others, or lost: then others come in its place, and it would take those for what it has seen.
#[test]
fn who_knows_more_than_the_others_is_told_of_a_loss_unless_it_comes_to_them_too() {
    for (to, comes) in [
        ("job:1", true),
        ("job:1", false),
        ("job:*", true),
        ("job:*", false),
    ] {
        let mut scene = Scene::new(to);
        scene.subscribe(A, Flow::IMMEDIATE, Start::Latest);
        scene.confirm(2);
        scene.publish(3);
        scene.subscribe(B, Flow::IMMEDIATE, since("job:1", 5));
        if comes {
            scene.publish(4);
            scene.publish(5);
        }
        scene.answer();
        let last = if comes { 5 } else { 3 };
        scene.confirm_again(last);
        scene.publish(last);
        scene.answer();
        assert_eq!(scene.told(B), [Stands(true)], "{to}");
        if !comes {
            // The server looks for it, and then goes back once more.
            scene.confirm_again(3);
            scene.confirm_again(3);
            scene.publish(3);
            assert_eq!(scene.told(B), [], "{to}");
            scene.answer();
        }
        let told: &[Told] = if comes { &[] } else { &[Reset(0), At(3)] };
        assert_eq!(scene.told(B), told, "{to}");
        let all = scene.told_all();
        assert_eq!(
            all,
            if comes {
                vec![At(3), At(4), At(5)]
            } else {
                vec![At(3)]
            }
        );
    }
}
