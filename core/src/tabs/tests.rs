//! One tab by itself: whom it believes, when it is silent, and what it lets go of. What others send is up to the test.

mod hub;
mod stale;

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::message::TERM_COUNTER_MAX;
use super::*;
use crate::client::{ClientConfig, TokenSource};
use crate::protocol::ServerFrame;

const OWN: TabId = TabId(5);
const LEADER: TabId = TabId(2);
const OTHER: TabId = TabId(9);
const TERM: Term = Term {
    counter: 3,
    tab: LEADER,
};

struct Scene {
    tabs: Tabs<()>,
    now: Instant,
}

fn config(election: Election) -> TabsConfig {
    let client = ClientConfig {
        token: TokenSource::Asked,
        ..ClientConfig::new(1)
    };
    TabsConfig::new(OWN, election, "few know it".into(), client)
}

impl Scene {
    /// A tab that doesn't take part yet.
    fn away(election: Election) -> Self {
        Self {
            tabs: Tabs::new(config(election)),
            now: Instant::from_millis(1),
        }
    }

    fn new(election: Election) -> Self {
        let mut scene = Self::away(election);
        scene.tabs.handle_enter(scene.now);
        scene.outputs();
        scene
    }

    /// A tab that leads because it holds the lock.
    fn leading() -> Self {
        let mut scene = Self::new(Election::Lock);
        scene.tabs.handle_granted(scene.now, 1);
        assert_eq!(scene.tabs.role(), Role::Leader);
        scene.outputs();
        scene
    }

    /// A tab whose hub is linked to a leader whose connection has this state.
    fn linked(election: Election, state: ConnectionState) -> Self {
        let mut scene = Self::new(election);
        scene.tabs.handle_connect(scene.now, 1);
        scene.hear(LEADER, TERM, lead(state, &[]));
        scene.hear(LEADER, TERM, Body::Joined { link: 1 });
        assert!(scene.outputs().contains(&TabsOutput::Opened { link: 1 }));
        scene
    }

    fn hear(&mut self, from: TabId, term: Term, body: Body<()>) {
        self.tabs.handle_message(self.now, said(from, term, body));
    }

    fn outputs(&mut self) -> Vec<TabsOutput<()>> {
        core::iter::from_fn(|| self.tabs.poll_output()).collect()
    }

    /// The messages that it sends to others.
    fn says(&mut self) -> Vec<(Option<TabId>, Body<()>)> {
        let said = self
            .outputs()
            .into_iter()
            .filter_map(|output| match output {
                TabsOutput::Post(message) => Some((message.to, message.body)),
                _ => None,
            });
        said.collect()
    }

    /// Handles its next deadline. Returns how long that took.
    fn wake(&mut self) -> Duration {
        let at = self.tabs.poll_timeout().expect("it waits");
        let waited = at - self.now;
        self.now = at;
        self.tabs.handle_timeout(at);
        waited
    }
}

fn said(from: TabId, term: Term, body: Body<()>) -> Message<()> {
    Message {
        version: TABS_VERSION,
        from,
        to: None,
        term,
        body,
    }
}

fn lead(state: ConnectionState, members: &[(TabId, u32)]) -> Body<()> {
    Body::Lead {
        group: "few know it".into(),
        state,
        members: members.to_vec(),
    }
}

const PROBE: Body<()> = Body::Probe { is_visible: true };

#[test]
fn a_tab_that_takes_no_part_says_nothing() {
    type Away = fn(&mut Tabs<()>, Instant);
    let ways: [Away; 4] = [
        |_, _| (),
        |tabs, now| {
            tabs.handle_enter(now);
            tabs.handle_leave();
        },
        |tabs, now| {
            tabs.handle_enter(now);
            tabs.handle_page(now, Page::Frozen);
        },
        |tabs, now| {
            tabs.handle_page(now, Page::Leaving);
            tabs.handle_enter(now);
        },
    ];
    for away in ways {
        let mut scene = Scene::away(Election::Lock);
        away(&mut scene.tabs, scene.now);
        scene.outputs();
        let now = scene.now;
        scene.tabs.handle_page(now, Page::Hidden);
        scene.tabs.handle_page(now, Page::Visible);
        scene.hear(OTHER, TERM, PROBE);
        scene.hear(LEADER, TERM, lead(ConnectionState::Connected, &[]));
        scene.tabs.handle_token(now, 1, None);
        scene.tabs.handle_page(now, Page::Leaving);
        scene.tabs.handle_leave();
        assert_eq!(scene.outputs(), []);
        assert_eq!(scene.tabs.term(), TERM, "it has heard, all the same");
    }
}

#[test]
fn a_leader_whose_lock_is_lost_stops_at_once_and_no_other_loss_matters() {
    let mut scene = Scene::new(Election::Lock);
    scene.tabs.handle_lost(scene.now, 1);
    assert_eq!(scene.outputs(), [], "it did not hold it");

    let mut scene = Scene::leading();
    scene.tabs.handle_lost(scene.now, 7);
    assert_eq!(scene.outputs(), []);
    scene.tabs.handle_lost(scene.now, 1);
    assert_eq!(scene.tabs.role(), Role::Follower);
    assert!(scene.says().contains(&(None, Body::Bye)));
}

#[test]
fn what_does_not_concern_a_tab_is_not_heard() {
    let term = |counter| Term { counter, ..TERM };
    let heard = said(OTHER, term(TERM_COUNTER_MAX), PROBE);
    let ignored = [
        Message {
            version: TABS_VERSION + 1,
            ..said(OTHER, TERM, PROBE)
        },
        said(OWN, TERM, PROBE),
        Message {
            to: Some(LEADER),
            ..said(OTHER, TERM, PROBE)
        },
        said(OTHER, term(TERM_COUNTER_MAX + 1), PROBE),
    ];
    let mut scene = Scene::new(Election::Lock);
    for message in ignored {
        scene.tabs.handle_message(scene.now, message);
        assert_eq!(scene.outputs(), []);
        assert_eq!(scene.tabs.term(), Term::default());
    }
    for to in [None, Some(OWN)] {
        let message = Message {
            to,
            ..heard.clone()
        };
        scene.tabs.handle_message(scene.now, message);
        let alive = Body::Alive { is_visible: true };
        assert_eq!(scene.says(), [(Some(OTHER), alive)]);
        assert_eq!(scene.tabs.term().counter, TERM_COUNTER_MAX);
    }
}

#[test]
fn only_a_leader_speaks_for_itself() {
    let later = Term {
        counter: 8,
        tab: OTHER,
    };
    // A message mentions a later leadership, so this tab needs a later term to be listened to. A tab that has a later
    // term goes first.
    let connected = ConnectionState::Connected;
    for (from, body, goes_on) in [
        (OTHER, Body::Alive { is_visible: true }, true),
        (LEADER, Body::Tick, true),
        (OTHER, Body::Tick, false),
        (OTHER, lead(connected.clone(), &[]), false),
    ] {
        let mut scene = Scene::leading();
        scene.hear(from, later, body);
        let (counter, tab) = if goes_on { (9, OWN) } else { (8, OTHER) };
        assert_eq!(scene.tabs.term(), Term { counter, tab });
        assert_eq!(scene.tabs.role() == Role::Leader, goes_on);
    }

    let mut scene = Scene::linked(Election::Lock, connected);
    let silent_at = scene.tabs.poll_timeout();
    scene.now = scene.now + Duration::from_secs(1);
    for body in [
        Body::Tick,
        Body::Yield,
        Body::Gone { link: 1 },
        Body::Down {
            frame: ServerFrame::Pong,
        },
    ] {
        scene.hear(OTHER, TERM, body);
        assert_eq!(scene.outputs(), []);
        assert_eq!(scene.tabs.poll_timeout(), silent_at);
    }
}

#[test]
fn a_worker_that_hears_of_a_later_one_is_over() {
    let mut scene = Scene::new(Election::Host { generation: 3 });
    scene.hear(OTHER, Term { counter: 4, ..TERM }, PROBE);
    let over = [TabsOutput::Role(Role::Away), TabsOutput::Retire];
    assert_eq!(scene.outputs(), over);
    scene.tabs.handle_leave();
    assert_eq!(scene.outputs(), []);
}

#[test]
fn of_two_that_claim_the_visible_one_goes_first_and_then_the_lower_number() {
    for (is_visible, from, is_visible_there, goes_first) in [
        (true, OTHER, true, true),
        (true, LEADER, true, false),
        (true, LEADER, false, true),
        (false, OTHER, true, false),
        (false, OTHER, false, true),
        (false, LEADER, false, false),
    ] {
        let mut scene = Scene::away(Election::Claims);
        let page = if is_visible {
            Page::Visible
        } else {
            Page::Hidden
        };
        scene.tabs.handle_page(scene.now, page);
        scene.tabs.handle_enter(scene.now);
        while !scene.says().contains(&(None, Body::Claim { is_visible })) {
            scene.wake();
        }
        let is_visible = is_visible_there;
        scene.hear(from, Term::default(), Body::Claim { is_visible });
        let claims_again = !scene.says().is_empty();
        scene.wake();
        let leads = scene.tabs.role() == Role::Leader;
        assert_eq!((claims_again, leads), (goes_first, goes_first), "{from:?}");
    }
}

#[test]
fn a_link_ends_with_what_the_leader_says_of_it_and_with_what_it_does_not_say() {
    let connected = ConnectionState::Connected;
    let closed = [TabsOutput::Closed { link: 1 }];
    let mut scene = Scene::linked(Election::Lock, connected.clone());
    scene.hear(LEADER, TERM, Body::Gone { link: 2 });
    assert_eq!(scene.outputs(), []);
    scene.hear(LEADER, TERM, Body::Gone { link: 1 });
    assert_eq!(scene.outputs(), closed);

    let mut scene = Scene::linked(Election::Lock, connected.clone());
    scene.hear(LEADER, TERM, lead(connected.clone(), &[(OWN, 1)]));
    assert!(!scene.outputs().contains(&closed[0]));
    scene.hear(
        LEADER,
        TERM,
        lead(connected.clone(), &[(OWN, 2), (OTHER, 1)]),
    );
    assert!(scene.outputs().contains(&closed[0]));

    // A tab that joins is not a member yet.
    let mut scene = Scene::new(Election::Lock);
    scene.tabs.handle_connect(scene.now, 1);
    for _ in 0..2 {
        scene.hear(LEADER, TERM, lead(connected.clone(), &[]));
        assert!(!scene.outputs().contains(&closed[0]));
    }
}

#[test]
fn a_link_that_was_given_up_is_not_asked_for() {
    for (given_up, asks) in [(2, true), (1, false)] {
        let mut scene = Scene::new(Election::Lock);
        scene.tabs.handle_connect(scene.now, 1);
        scene.tabs.handle_disconnect(given_up);
        scene.hear(LEADER, TERM, lead(ConnectionState::Connected, &[]));
        let join = (Some(LEADER), Body::Join { link: 1 });
        assert_eq!(scene.says().contains(&join), asks);
    }
}

#[test]
fn a_leader_without_a_connection_is_waited_for_longer_unless_it_is_a_worker() {
    let (lock, worker) = (Election::Lock, Election::Worker { generation: 3 });
    let (connected, lost) = (ConnectionState::Connected, ConnectionState::Disconnected);
    for (election, state, seconds) in [
        (lock, connected.clone(), 5),
        (lock, ConnectionState::Stale, 5),
        (lock, lost.clone(), 30),
        (worker, connected, 5),
        (worker, lost, 5),
    ] {
        let mut scene = Scene::linked(election, state.clone());
        let least = Duration::from_secs(seconds);
        let waited = scene.wake();
        assert!(
            (least / 2..=least * 5 / 4).contains(&waited),
            "{election:?} {state:?}: {waited:?}"
        );
        assert_eq!(scene.says(), [(None, PROBE)]);
    }
}

#[test]
fn who_knows_of_nobody_but_the_leader_takes_over_and_others_ask_once_more() {
    for knows_another in [false, true] {
        let mut scene = Scene::linked(Election::Lock, ConnectionState::Connected);
        if knows_another {
            scene.hear(OTHER, TERM, Body::Alive { is_visible: true });
        }
        scene.wake();
        assert_eq!(scene.says(), [(None, PROBE)]);
        scene.wake();
        let again = if knows_another {
            vec![(None, PROBE)]
        } else {
            vec![]
        };
        assert_eq!(scene.says(), again);
        while !scene.steals() {
            assert!(scene.now < Instant::from_millis(60_000));
            scene.wake();
        }
    }
}

impl Scene {
    /// Returns whether it requests the lock that another one holds.
    fn steals(&mut self) -> bool {
        let is_theft = |output| matches!(output, TabsOutput::RequestLock { steal: true, .. });
        self.outputs().into_iter().any(is_theft)
    }
}

#[test]
fn who_cannot_answer_lets_the_next_be_asked_at_once_and_nobody_else_does() {
    let mut scene = Scene::new(Election::Host { generation: 3 });
    let term = scene.tabs.term();
    for tab in [LEADER, OTHER] {
        scene.hear(tab, term, Body::Alive { is_visible: true });
    }
    scene.hear(LEADER, term, Body::Join { link: 1 });
    let mut asked = scene.says().into_iter().filter_map(|said| match said {
        (Some(to), Body::AskToken { request }) => Some((to, request)),
        _ => None,
    });
    let (first, request) = asked.next().expect("somebody is asked");
    let next = if first == LEADER { OTHER } else { LEADER };
    let cannot = Body::Token {
        request,
        token: None,
    };
    scene.hear(next, term, cannot.clone());
    assert_eq!(scene.says(), []);
    scene.hear(first, term, cannot);
    assert_eq!(scene.says(), [(Some(next), Body::AskToken { request })]);
}
