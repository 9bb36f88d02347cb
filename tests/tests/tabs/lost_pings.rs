//! A tab's connection is lost while it rewinds for a subscriber that joins. What was requested comes over the next
//! connection, and nothing is lost.

use tidegate_core::flow::{Conflate, Flow};
use tidegate_core::hub::Due;
use tidegate_core::protocol::{ClientFrame, ServerFrame, SubscribeRequest};
use tidegate_core::tabs::{TabHub, TabOutput, TabsOutput};
use tidegate_core::time::Instant;
use tidegate_tests::bench::{position, publication};
use tidegate_tests::json::Json;
use tidegate_tests::{at, ms, pattern};

use crate::superseded::config;

/// A tab that leads, and the link that it has to a server which the test plays.
struct Scene {
    hub: TabHub<Json>,
    now: Instant,
    link: u32,
    pings: usize,
    /// What subscribers got: the offset of a publication, or `None` for a loss.
    told: Vec<(u32, Option<u64>)>,
}

impl Scene {
    fn subscribe(&mut self, downlink: u32, flow: Flow) {
        let request = SubscribeRequest::new(pattern("job:*"), flow);
        self.hub
            .handle_subscribe(self.now, downlink, request)
            .unwrap();
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(output) = self.hub.poll_output() {
            match output {
                TabOutput::Tabs(TabsOutput::OpenUplink { link }) => self.link = link,
                TabOutput::Tabs(TabsOutput::SendUplink(ClientFrame::Ping)) => self.pings += 1,
                TabOutput::Due(Due::Deliver { downlink, delivery }) => {
                    let offsets = delivery.emission.into_iter();
                    let told = offsets.map(|item| (downlink, Some(item.position.offset)));
                    self.told.extend(told);
                }
                TabOutput::Due(Due::Reset { downlink, .. }) => self.told.push((downlink, None)),
                _ => {}
            }
        }
    }

    fn receive(&mut self, frame: ServerFrame<Json>) {
        self.hub.handle_uplink_frame(self.now, self.link, frame);
        self.settle();
    }

    fn open(&mut self) {
        self.welcome();
        self.confirm();
    }

    fn welcome(&mut self) {
        self.hub.handle_uplink_opened(self.now, self.link);
        self.receive(ServerFrame::Welcome {
            heartbeat_ms: 25_000,
            expires_in_ms: None,
            message_bytes_max: None,
            publish_rate: None,
        });
    }

    fn confirm(&mut self) {
        self.receive(ServerFrame::Subscribed {
            pattern: pattern("job:*"),
            position: None,
            recovered: true,
            flow: Flow::IMMEDIATE,
        });
    }

    fn publish(&mut self, offset: u64) {
        self.receive(ServerFrame::Publication {
            publication: publication("job:1", position(offset)),
            via: Some(pattern("job:*")),
        });
    }

    /// The server answers all pings.
    fn answer(&mut self) {
        for _ in 0..core::mem::take(&mut self.pings) {
            self.receive(ServerFrame::Pong);
        }
    }

    /// The connection is lost, and there is another one as soon as the tab asks for it.
    fn lose(&mut self) {
        self.pings = 0;
        let before = self.link;
        self.hub.handle_uplink_closed(self.now, before);
        self.settle();
        while self.link == before {
            self.now = self.hub.poll_timeout().expect("it connects again");
            self.hub.handle_timeout(self.now);
            self.settle();
        }
    }
}

/// A subscriber that sums has seen the third publication, another one has joined, and the connection is lost while the
/// publications are repeated for it.
fn lost_while_it_comes_again() -> Scene {
    let mut scene = Scene {
        hub: TabHub::new(config()),
        now: at(1),
        link: 0,
        pings: 0,
        told: Vec::new(),
    };
    scene.hub.handle_connect(scene.now);
    let adds_up = |every| Flow::throttle(ms(every)).with_conflate(Conflate::Sum);
    scene.subscribe(0, adds_up(100));
    scene.hub.handle_granted(scene.now, 1);
    scene.settle();
    scene.open();
    scene.publish(3);
    assert_eq!(core::mem::take(&mut scene.told), [(0, Some(3))]);

    scene.subscribe(1, adds_up(200));
    scene.answer();
    scene.receive(ServerFrame::Unsubscribed {
        pattern: pattern("job:*"),
    });
    scene.confirm();
    assert_ne!(scene.pings, 0, "it asks whether all has come again");
    scene.lose();
    assert_eq!(scene.told, [], "nothing is known of what is to come");
    scene
}

#[test]
fn who_waits_for_what_comes_again_is_given_it_by_the_next_connection() {
    let mut scene = lost_while_it_comes_again();
    scene.open();
    scene.publish(3);
    scene.answer();
    scene.answer();
    assert_eq!(scene.told, [(1, Some(3))]);
}

/// A server whose topics live elsewhere answers pings while it waits for what it asks there.
#[test]
fn a_server_that_answers_before_it_confirms_has_lost_nothing() {
    let mut scene = lost_while_it_comes_again();
    scene.welcome();
    scene.answer();
    scene.confirm();
    scene.publish(3);
    scene.answer();
    scene.answer();
    assert_eq!(scene.told, [(1, Some(3))]);
}
