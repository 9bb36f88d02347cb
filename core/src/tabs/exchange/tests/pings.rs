//! Members that ask whether everything has arrived.

use super::*;

fn assert_answered_by_the_next_connection(scene: &mut Scene) {
    assert_eq!((scene.pings, scene.told(A)), (0, vec![]));
    scene.confirm(0);
    assert_eq!(scene.pings, 1, "now the rest can have come");
    scene.answer();
    assert_eq!(scene.told(A), [Pong]);
}

#[test]
fn a_sign_of_life_comes_from_the_server_or_by_the_next_connection() {
    let mut scene = Scene::new("job:1");
    scene.subscribe(A, Flow::IMMEDIATE, Start::Latest);
    scene.confirm(0);
    scene.told(A);
    scene.say(A, ClientFrame::Ping);
    assert_eq!((scene.pings, scene.told(A)), (1, vec![]));
    // Other states of an open connection lose nothing.
    scene.server(ServerFrame::Stale);
    scene.server(ServerFrame::Live);
    assert_eq!(scene.pings, 1);
    scene.lose();
    assert_answered_by_the_next_connection(&mut scene);
}

/// The server had confirmed what a member follows, but the connection was lost before it sent the rest.
#[test]
fn without_a_connection_what_a_member_follows_has_not_come() {
    let mut scene = Scene::new("job:1");
    scene.subscribe(A, Flow::IMMEDIATE, Start::Latest);
    scene.confirm(0);
    scene.lose();
    scene.told(A);
    scene.say(A, ClientFrame::Ping);
    assert_answered_by_the_next_connection(&mut scene);
}

/// A server without a link to its backend may confirm it only when the link is back, and answers pings meanwhile.
#[test]
fn what_the_server_has_never_confirmed_keeps_no_sign_of_life_back() {
    let mut scene = Scene::new("job:1");
    scene.subscribe(A, Flow::IMMEDIATE, Start::Latest);
    scene.say(A, ClientFrame::Ping);
    assert_eq!(scene.pings, 1);
    scene.answer();
    assert_eq!(scene.told(A), [Pong]);
}

/// It affects what an answered ping means to members.
#[test]
fn members_are_told_whether_the_server_has_its_link() {
    let mut scene = Scene::new("job:1");
    let hello = ClientFrame::Hello {
        token: None,
        client: None,
        group: None,
    };
    scene.subscribe(A, Flow::IMMEDIATE, Start::Latest);
    scene.server(ServerFrame::Stale);
    assert_eq!(scene.told_all(), [Told::Stale]);
    scene.say(B, hello.clone());
    assert_eq!(
        scene.told(B),
        [Told::Other, Told::Stale],
        "after its welcome"
    );
    scene.server(ServerFrame::Live);
    assert_eq!(scene.told_all(), [Told::Live]);
    scene.say(B, hello);
    assert_eq!(scene.told(B), [Told::Other]);
    scene.server(ServerFrame::Stale);
    scene.lose();
    assert_eq!(scene.told_all(), [Told::Stale, Told::Live]);
}

#[test]
fn to_one_who_joins_all_has_come_when_all_has_come_again() {
    let mut scene = Scene::new("job:1");
    scene.subscribe(A, summed(), Start::Latest);
    scene.confirm(2);
    scene.publish(3);
    scene.subscribe(B, summed(), Start::Latest);
    scene.answer();
    scene.confirm_again(3);
    let asked = scene.pings;
    scene.say(B, ClientFrame::Ping);
    assert_eq!(scene.pings, asked);
    scene.publish(3);
    scene.answer();
    assert_eq!((scene.pings, scene.told(B)), (1, vec![Stands(true), At(3)]));
    scene.answer();
    assert_eq!(scene.told(B), [Pong]);
}
