//! What members are sent and what the server is asked for: an exchange by itself, whose members and server do what the
//! test says.

mod catch_up;
mod devices;
mod flows;
mod joins;
mod pings;
mod presences;

use core::time::Duration;

use alloc::sync::Arc;
use alloc::vec;

use super::*;
use crate::durable::DurableName;
use crate::flow::{Conflate, Slow};
use crate::lifecycle::EndReason;
use crate::protocol::{Start, TopicPosition};
use crate::publication::{Position, Publication};
use crate::topic::Topic;

const A: TabId = TabId(1);
const B: TabId = TabId(2);
const C: TabId = TabId(3);

/// What one member, or all, were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    /// Its subscription is confirmed; whether it continues from what it knows.
    Stands(bool),
    At(u64),
    Reset(u64),
    Ended,
    Left,
    Failed(ErrorCode),
    Pong,
    /// This many are present.
    Present(usize),
    Changed,
    /// The server has lost its link to the backend.
    Stale,
    Live,
    Other,
}
use Told::{At, Ended, Failed, Left, Pong, Reset, Stands};

/// An exchange with three members and a connection.
struct Scene {
    exchange: Exchange<()>,
    pattern: Pattern,
    now: Instant,
    link: u32,
    told: Vec<(Option<TabId>, Told)>,
    sent: Vec<ClientFrame<()>>,
    /// How many pings the server has not answered.
    pings: usize,
}

impl Scene {
    fn new(to: &str) -> Self {
        let mut scene = Self {
            exchange: Exchange::new(ClientConfig::new(1)),
            pattern: Pattern::new(to).unwrap(),
            now: Instant::from_millis(1),
            link: 0,
            told: Vec::new(),
            sent: Vec::new(),
            pings: 0,
        };
        for member in [A, B, C] {
            scene.exchange.handle_open(scene.now, member, 1);
        }
        scene.settle();
        scene.open();
        scene
    }

    /// Opens the requested connection.
    fn open(&mut self) {
        self.exchange.handle_opened(self.now, self.link);
        self.server(ServerFrame::Welcome {
            heartbeat_ms: 25_000,
            expires_in_ms: None,
            message_bytes_max: None,
            publish_rate: None,
        });
        self.sent.clear();
    }

    /// The connection is lost and replaced by another.
    fn lose(&mut self) {
        let before = self.link;
        self.pings = 0;
        self.exchange.handle_closed(self.now, before);
        self.settle();
        while self.link == before {
            self.now = self.exchange.poll_timeout().expect("it connects again");
            self.exchange.handle_timeout(self.now);
            self.settle();
        }
        self.open();
    }

    fn settle(&mut self) {
        while let Some(output) = self.exchange.poll_output() {
            match output {
                ExchangeOutput::Connect { link } => self.link = link,
                ExchangeOutput::Send(ClientFrame::Ping) => self.pings += 1,
                ExchangeOutput::Send(frame) => self.sent.push(frame),
                ExchangeOutput::One(member, frame) => self.note(Some(member), frame),
                ExchangeOutput::All(frame) => self.note(None, frame),
                ExchangeOutput::AskToken { .. }
                | ExchangeOutput::Disconnect { .. }
                | ExchangeOutput::State(_) => {}
            }
        }
    }

    /// Records a frame to one member, or to all.
    fn note(&mut self, member: Option<TabId>, frame: ServerFrame<()>) {
        let told = match frame {
            ServerFrame::Subscribed { recovered, .. } => vec![Stands(recovered)],
            ServerFrame::Publication { publication, via } => {
                assert_eq!(via.is_none(), self.pattern.is_exact());
                vec![At(publication.position.offset)]
            }
            ServerFrame::Batch { items, .. } => {
                let items = items.iter();
                items.map(|item| At(item.position.offset)).collect()
            }
            ServerFrame::Reset { position, .. } => vec![Reset(position.offset)],
            ServerFrame::End { .. } => vec![Ended],
            ServerFrame::Unsubscribed { .. } => vec![Left],
            ServerFrame::Error(error) => vec![Failed(error.code)],
            ServerFrame::Pong => vec![Pong],
            ServerFrame::PresenceState(state) => vec![Told::Present(state.present.len())],
            ServerFrame::PresenceDiff(_) => vec![Told::Changed],
            ServerFrame::Stale => vec![Told::Stale],
            ServerFrame::Live => vec![Told::Live],
            _ => vec![Told::Other],
        };
        self.told
            .extend(told.into_iter().map(|told| (member, told)));
    }

    fn say(&mut self, member: TabId, frame: ClientFrame<()>) {
        self.exchange.handle_frame(self.now, member, frame);
        self.settle();
    }

    fn ask(&self, flow: Flow, start: Start) -> SubscribeRequest {
        SubscribeRequest {
            start,
            ..SubscribeRequest::new(self.pattern.clone(), flow)
        }
    }

    fn subscribe(&mut self, member: TabId, flow: Flow, start: Start) {
        let request = self.ask(flow, start);
        self.say(member, ClientFrame::Subscribe(request));
    }

    fn subscribe_as(&mut self, member: TabId, name: &str, start: Start) {
        let request = SubscribeRequest {
            durable: DurableName::new(name).ok(),
            ..self.ask(Flow::IMMEDIATE, start)
        };
        self.say(member, ClientFrame::Subscribe(request));
    }

    fn unsubscribe(&mut self, member: TabId) {
        let pattern = self.pattern.clone();
        self.say(member, ClientFrame::Unsubscribe { pattern });
    }

    fn server(&mut self, frame: ServerFrame<()>) {
        self.exchange
            .handle_server_frame(self.now, self.link, frame);
        self.settle();
    }

    /// The server confirms the subscription to a topic at this offset.
    fn confirm(&mut self, offset: u64) {
        let position = self.pattern.is_exact().then_some(position(offset));
        self.server(ServerFrame::Subscribed {
            pattern: self.pattern.clone(),
            position,
            recovered: true,
            flow: Flow::IMMEDIATE,
        });
    }

    /// The server confirms the subscription that replaces an earlier one.
    fn confirm_again(&mut self, offset: u64) {
        let pattern = self.pattern.clone();
        self.server(ServerFrame::Unsubscribed { pattern });
        self.confirm(offset);
    }

    fn via(&self) -> Option<Pattern> {
        (!self.pattern.is_exact()).then(|| self.pattern.clone())
    }

    fn publish(&mut self, offset: u64) {
        let (publication, via) = (at(offset), self.via());
        self.server(ServerFrame::Publication { publication, via });
    }

    fn publish_last(&mut self, offset: u64) {
        let via = self.via();
        let publication = Arc::new(Publication {
            end: Some(EndReason::Complete),
            ..(*at(offset)).clone()
        });
        self.server(ServerFrame::Publication { publication, via });
    }

    fn reset(&mut self, offset: u64) {
        let via = self.via();
        self.server(ServerFrame::Reset {
            topic: topic("job:1"),
            position: position(offset),
            via,
        });
    }

    /// The server answers all pings sent until now.
    fn answer(&mut self) {
        for _ in 0..core::mem::take(&mut self.pings) {
            self.server(ServerFrame::Pong);
        }
    }

    /// What only this member was sent since the last call.
    fn told(&mut self, member: TabId) -> Vec<Told> {
        self.told_to(Some(member))
    }

    /// What all members were sent since the last call.
    fn told_all(&mut self) -> Vec<Told> {
        self.told_to(None)
    }

    fn told_to(&mut self, member: Option<TabId>) -> Vec<Told> {
        let own = self.told.extract_if(.., |(known, _)| *known == member);
        own.map(|(_, told)| told).collect()
    }

    /// What the server was asked for since the last call, except for pings.
    fn sent(&mut self) -> Vec<ClientFrame<()>> {
        core::mem::take(&mut self.sent)
    }
}

fn topic(text: &str) -> Topic {
    Topic::new(text).unwrap()
}

const fn position(offset: u64) -> Position {
    Position { epoch: 1, offset }
}

fn at(offset: u64) -> Arc<Publication<()>> {
    Arc::new(Publication {
        topic: topic("job:1"),
        position: position(offset),
        payload: (),
        end: None,
    })
}

fn known(text: &str, offset: u64) -> TopicPosition {
    TopicPosition {
        topic: topic(text),
        position: position(offset),
    }
}

fn since(text: &str, offset: u64) -> Start {
    Start::Since(vec![known(text, offset)])
}

fn throttled() -> Flow {
    Flow::throttle(Duration::from_millis(200))
}

fn summed() -> Flow {
    throttled().with_conflate(Conflate::Sum)
}

#[test]
#[cfg_attr(miri, ignore = "as many patterns as there may be")]
fn there_is_a_limit_of_patterns_but_not_of_members_of_one() {
    let mut scene = Scene::new("job:1");
    for number in 0..ROUTES_MAX {
        scene.pattern = Pattern::new(&alloc::format!("job:{number}")).unwrap();
        scene.subscribe(A, Flow::IMMEDIATE, Start::Latest);
    }
    assert_eq!(scene.exchange.patterns(), ROUTES_MAX);
    assert_eq!(scene.told(A), []);
    scene.subscribe(B, Flow::IMMEDIATE, Start::Latest);
    assert_eq!(scene.told(B), []);
    scene.pattern = Pattern::new("job:one-more").unwrap();
    scene.subscribe(B, Flow::IMMEDIATE, Start::Latest);
    assert_eq!(scene.told(B), [Failed(ErrorCode::TooManySubscriptions)]);
    assert_eq!(scene.exchange.patterns(), ROUTES_MAX);
}

#[test]
fn what_the_server_refuses_is_refused_to_all_who_want_it() {
    let mut scene = Scene::new("job:1");
    scene.subscribe(A, Flow::IMMEDIATE, Start::Latest);
    scene.subscribe(B, Flow::IMMEDIATE, Start::Latest);
    let error = WireError::new(ErrorCode::Forbidden, "no").about_pattern(scene.pattern.clone());
    scene.server(ServerFrame::Error(error));
    for member in [A, B] {
        assert_eq!(scene.told(member), [Failed(ErrorCode::Forbidden)]);
    }
    assert_eq!(scene.exchange.patterns(), 0);
    assert_eq!(scene.told, []);
}
