//! Tabs whose leader's server has lost its link to the backend, and may know less than the previous server.

use alloc::sync::Arc;

use super::hub::leading;
use super::*;
use crate::flow::{Conflate, Flow};
use crate::hub::Due;
use crate::protocol::{ClientFrame, Start, SubscribeRequest, TopicPosition};
use crate::publication::{Position, Publication};
use crate::topic::{Pattern, Topic};

/// What the server is asked, or a subscriber is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    Asked(Start),
    Pinged,
    Told(u64),
    Lost,
    Shows(ConnectionState),
}
use Event::{Asked, Lost, Pinged, Shows, Told};

/// A leading tab that sums what is published to `job:1`, and has been sent three publications.
struct Scene {
    hub: TabHub<()>,
    now: Instant,
    link: u32,
}

fn job() -> Pattern {
    Pattern::new("job:1").unwrap()
}

const fn position(offset: u64) -> Position {
    Position { epoch: 1, offset }
}

fn since(offset: u64) -> Start {
    Start::Since(vec![TopicPosition {
        topic: Topic::new("job:1").unwrap(),
        position: position(offset),
    }])
}

impl Scene {
    fn new() -> Self {
        let now = Instant::from_millis(1);
        let every = Duration::from_millis(200);
        let flow = Flow::throttle(every).with_conflate(Conflate::Sum);
        let mut scene = Self {
            hub: leading(now, flow),
            now,
            link: 1,
        };
        scene.confirm(2);
        scene.publish(3);
        assert_eq!(scene.events(), [Told(3)]);
        scene
    }

    /// Its server has lost its link, and knows less than the tab has seen. It goes back for a subscriber that has
    /// joined.
    fn back() -> Self {
        let mut scene = Self::new();
        scene.server(ServerFrame::Stale);
        let request = SubscribeRequest::new(job(), Flow::IMMEDIATE);
        scene.hub.handle_subscribe(scene.now, 1, request).unwrap();
        assert_eq!(scene.events(), [Shows(ConnectionState::Stale), Pinged]);
        scene.server(ServerFrame::Pong);
        assert_eq!(scene.events(), [Asked(since(2))]);
        scene.server(ServerFrame::Unsubscribed { pattern: job() });
        scene.confirm(2);
        assert_eq!(scene.events(), [Pinged]);
        scene
    }

    fn server(&mut self, frame: ServerFrame<()>) {
        self.hub.handle_uplink_frame(self.now, self.link, frame);
    }

    fn confirm(&mut self, offset: u64) {
        self.server(ServerFrame::Subscribed {
            pattern: job(),
            position: Some(position(offset)),
            recovered: true,
            flow: Flow::IMMEDIATE,
        });
    }

    fn publish(&mut self, offset: u64) {
        let publication = Arc::new(Publication {
            topic: Topic::new("job:1").unwrap(),
            position: position(offset),
            payload: (),
            end: None,
        });
        self.server(ServerFrame::Publication {
            publication,
            via: None,
        });
    }

    /// The connection is lost, and the next server welcomes the tab.
    fn move_on(&mut self) {
        let before = self.link;
        self.hub.handle_uplink_closed(self.now, before);
        while self.link == before {
            self.now = self.hub.poll_timeout().expect("it connects again");
            self.hub.handle_timeout(self.now);
            self.events();
        }
        self.hub.handle_uplink_opened(self.now, self.link);
        self.server(super::hub::welcome());
    }

    fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(output) = self.hub.poll_output() {
            events.extend(match output {
                TabOutput::Tabs(TabsOutput::OpenUplink { link }) => {
                    self.link = link;
                    None
                }
                TabOutput::Tabs(TabsOutput::SendUplink(ClientFrame::Ping)) => Some(Pinged),
                TabOutput::Tabs(TabsOutput::SendUplink(ClientFrame::Subscribe(request))) => {
                    Some(Asked(request.start))
                }
                TabOutput::Due(Due::Deliver { delivery, .. }) => {
                    let last = delivery.emission.into_iter().last();
                    last.map(|last| Told(last.position.offset))
                }
                TabOutput::Due(Due::Reset { .. }) => Some(Lost),
                TabOutput::State(state) => Some(Shows(state)),
                _ => None,
            });
        }
        events
    }
}

#[test]
fn what_does_not_come_again_from_a_server_without_a_link_is_waited_for() {
    let mut scene = Scene::back();
    scene.server(ServerFrame::Pong);
    assert_eq!(scene.events(), []);
    scene.server(ServerFrame::Live);
    let connected = Shows(ConnectionState::Connected);
    assert_eq!(scene.events(), [Pinged, connected]);
    scene.publish(3);
    assert_eq!(scene.events(), [Told(3)], "to the one who has joined");
    scene.server(ServerFrame::Pong);
    assert_eq!(scene.events(), []);
}

#[test]
fn what_has_not_come_when_the_server_has_its_link_again_is_lost() {
    let mut scene = Scene::back();
    scene.server(ServerFrame::Pong);
    scene.server(ServerFrame::Live);
    scene.events();
    scene.server(ServerFrame::Pong);
    assert_eq!(scene.events(), [Asked(Start::Latest), Lost]);
}

#[test]
fn what_is_waited_for_may_come_by_the_next_server() {
    let mut scene = Scene::back();
    scene.server(ServerFrame::Pong);
    scene.move_on();
    let connected = Shows(ConnectionState::Connected);
    assert_eq!(scene.events(), [Asked(since(2)), connected]);
    scene.confirm(3);
    assert_eq!(scene.events(), [Pinged]);
    scene.publish(3);
    scene.server(ServerFrame::Pong);
    assert_eq!(scene.events(), [Told(3)]);
}
