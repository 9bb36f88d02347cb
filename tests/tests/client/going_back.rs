//! Rewinding for subscribers that have joined, frame by frame, with everything that may happen meanwhile.

mod devices;

use tidegate_core::client::ClientEvent;
use tidegate_core::durable::DurableName;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::{ClientFrame, ServerFrame, Start, SubscribeRequest, TopicPosition};
use tidegate_core::publication::{Position, Publication};
use tidegate_tests::bench::{Bench, EPOCH, Event, known, position, publication};
use tidegate_tests::{pattern, topic};

const JOB: &str = "job:1";
const JOBS: &str = "job:*";

fn place(known: &TopicPosition) -> String {
    format!(" {}@{}", known.topic, known.position.offset)
}

fn asked(request: &SubscribeRequest) -> String {
    let name = request.durable.as_ref().map_or("", DurableName::as_str);
    let start = match &request.start {
        Start::Latest => " latest".into(),
        Start::New => " new".into(),
        Start::Since(since) => since.iter().map(place).collect::<String>(),
    };
    format!("ask {name}{start}")
}

/// The client's outputs about subscriptions, in short.
fn brief(event: Event) -> Option<String> {
    Some(match event {
        ClientEvent::Send(ClientFrame::Ping) => "ping".into(),
        ClientEvent::Send(ClientFrame::Unsubscribe { .. }) => "leave".into(),
        ClientEvent::Send(ClientFrame::Subscribe(request)) => asked(&request),
        ClientEvent::Send(ClientFrame::Ack { positions, .. }) => {
            format!(
                "dealt with{}",
                positions.iter().map(place).collect::<String>()
            )
        }
        ClientEvent::Rewinding {
            to_cursor: false, ..
        } => "back".into(),
        ClientEvent::Rewinding {
            to_cursor: true, ..
        } => "to the cursor".into(),
        ClientEvent::Repeat {
            publication,
            is_latest,
            ..
        } => {
            let latest = if is_latest { ", the latest" } else { "" };
            format!("again {}{latest}", publication.position.offset)
        }
        ClientEvent::Rewound { .. } => "over".into(),
        ClientEvent::Publication { publication, .. } => {
            format!("new {}", publication.position.offset)
        }
        ClientEvent::RepeatReset { .. } => "lost to devices".into(),
        ClientEvent::Reset { .. } => "lost".into(),
        ClientEvent::Ended { .. } => "ended".into(),
        _ => return None,
    })
}

struct Scene {
    bench: Bench,
    to: &'static str,
}

impl Scene {
    /// A client whose subscription is not confirmed yet.
    fn asked(to: &'static str) -> Self {
        let mut bench = Bench::wanted();
        bench.subscribe(to, Start::Latest);
        bench.open();
        Self { bench, to }
    }

    /// A client that has seen three publications of `job:1`.
    fn live(to: &'static str) -> Self {
        let mut scene = Self::asked(to);
        scene.confirm();
        (1..=3).for_each(|offset| scene.deliver(JOB, position(offset)));
        scene.told();
        scene
    }

    /// One that rewinds for a subscriber with this start, and whose subscription is confirmed again.
    fn back(to: &'static str, start: Start) -> Self {
        let mut scene = Self::live(to);
        scene.join(&start);
        scene.answer_ping();
        scene.start_anew();
        let told = scene.told();
        assert_eq!(told.last().map(String::as_str), Some("back"), "{told:?}");
        scene
    }

    /// A durable one that began at its cursor, and has seen everything.
    fn device(to: &'static str) -> Self {
        let mut scene = Self::live(to);
        scene.join_as_device(Start::Latest, "phone");
        scene.confirm();
        scene.answer_ping();
        assert_eq!(
            scene.told(),
            ["ask phone latest", "ping", "to the cursor", "over"]
        );
        scene
    }

    fn told(&mut self) -> Vec<String> {
        self.bench.events().into_iter().filter_map(brief).collect()
    }

    fn confirm(&mut self) {
        self.bench.confirm(self.to, None);
    }

    fn answer_ping(&mut self) {
        self.bench.receive(ServerFrame::Pong);
    }

    /// The server ends the subscription, and confirms it as it was requested again.
    fn start_anew(&mut self) {
        let pattern = pattern(self.to);
        self.bench.receive(ServerFrame::Unsubscribed { pattern });
        self.confirm();
    }

    fn join(&mut self, start: &Start) {
        self.bench.client.handle_rewind(&pattern(self.to), start);
    }

    fn join_as_device(&mut self, start: Start, name: &str) {
        let name = DurableName::new(name).unwrap();
        let pattern = pattern(self.to);
        self.bench.client.handle_durable(&pattern, start, name);
    }

    fn lose_devices(&mut self) {
        let pattern = pattern(self.to);
        self.bench.client.handle_not_durable(&pattern);
    }

    fn deal_with(&mut self, position: Position) {
        let (now, to) = (self.bench.now, pattern(self.to));
        let client = &mut self.bench.client;
        client.handle_handled(now, &to, &topic(JOB), position);
    }

    fn via(&self) -> Option<tidegate_core::topic::Pattern> {
        Some(pattern(self.to)).filter(|pattern| !pattern.is_exact())
    }

    fn deliver(&mut self, to: &str, position: Position) {
        let via = self.via();
        let publication = publication(to, position);
        self.bench
            .receive(ServerFrame::Publication { publication, via });
    }

    fn reset(&mut self, position: Position) {
        let (via, topic) = (self.via(), topic(JOB));
        self.bench.receive(ServerFrame::Reset {
            topic,
            position,
            via,
        });
    }

    /// The topic ends with this publication.
    fn end_at(&mut self, offset: u64) {
        let last = Publication {
            end: Some(EndReason::Complete),
            ..(*publication(JOB, position(offset))).clone()
        };
        let via = self.via();
        let publication = last.into();
        self.bench
            .receive(ServerFrame::Publication { publication, via });
        self.end();
    }

    fn end(&mut self) {
        self.bench.receive(ServerFrame::End {
            pattern: pattern(self.to),
            reason: EndReason::Complete,
        });
    }

    /// The requests over the next connection.
    fn reopened(&mut self) -> Vec<String> {
        let asked = |frame| match frame {
            ClientFrame::Subscribe(request) => Some(asked(&request)),
            _ => None,
        };
        self.bench.reopen().into_iter().filter_map(asked).collect()
    }
}

fn since(offset: u64) -> Start {
    Start::Since(vec![known(JOB, position(offset))])
}

/// A server that has lost its link to the backend may know less than the previous one, which must not cost any
/// publication.
#[test]
fn what_does_not_come_again_from_a_server_without_a_link_is_waited_for() {
    let mut scene = Scene::back(JOB, Start::Latest);
    scene.bench.receive(ServerFrame::Stale);
    scene.answer_ping();
    assert_eq!(scene.told(), [] as [&str; 0]);
    scene.bench.receive(ServerFrame::Live);
    assert_eq!(scene.told(), ["ping"]);
    scene.deliver(JOB, position(3));
    scene.answer_ping();
    assert_eq!(scene.told(), ["again 3, the latest", "over"]);
}

#[test]
fn what_only_whoever_joins_has_seen_may_be_still_to_come_from_a_server_without_a_link() {
    let mut scene = Scene::back(JOB, since(5));
    scene.bench.receive(ServerFrame::Stale);
    scene.deliver(JOB, position(3));
    scene.answer_ping();
    assert_eq!(scene.told(), ["again 3, the latest"]);
    scene.bench.receive(ServerFrame::Live);
    assert_eq!(scene.told(), ["ping"]);
    scene.answer_ping();
    assert_eq!(scene.told(), ["over"]);
}

/// The server may not have been sent yet what another one had.
#[test]
fn what_only_whoever_joins_has_seen_has_to_be_looked_for_once() {
    let mut scene = Scene::back(JOB, since(5));
    scene.deliver(JOB, position(3));
    scene.answer_ping();
    let asked = ["again 3, the latest", "leave", "ask  job:1@5"];
    assert_eq!(scene.told(), asked);
    scene.start_anew();
    assert_eq!(scene.told(), ["leave", "ask  job:1@2"]);
    scene.start_anew();
    scene.deliver(JOB, position(3));
    scene.answer_ping();
    assert_eq!(
        scene.told(),
        ["ping", "back", "again 3, the latest", "over"]
    );
}

#[test]
fn whoever_joins_while_what_is_held_back_comes_starts_with_those_before() {
    let mut scene = Scene::live(JOB);
    scene.join(&Start::Latest);
    assert_eq!(scene.told(), ["ping"]);
    scene.join(&since(1));
    // It only arrives now, and is not a repetition.
    scene.deliver(JOB, position(4));
    scene.deliver(JOB, position(2));
    assert_eq!(scene.told(), ["new 4"]);
    scene.answer_ping();
    assert_eq!(scene.told(), ["leave", "ask  job:1@1"]);
    scene.start_anew();
    assert_eq!(scene.told(), ["ping", "back"]);
    (2..=5).for_each(|offset| scene.deliver(JOB, position(offset)));
    let all = ["again 2", "again 3", "again 4, the latest", "new 5"];
    assert_eq!(scene.told(), all);
    scene.join(&since(4));
    assert_eq!(scene.told(), ["leave", "ask  job:1@1"]);
    scene.start_anew();
    scene.answer_ping();
    assert_eq!(scene.told(), ["ping", "back"], "that was the one before");
    scene.deliver(JOB, position(5));
    scene.answer_ping();
    assert_eq!(scene.told(), ["again 5, the latest", "over"]);
}

#[test]
fn a_loss_while_what_is_held_back_comes_is_one_to_all() {
    let mut scene = Scene::live(JOB);
    scene.join(&since(1));
    scene.reset(position(9));
    assert_eq!(scene.told(), ["ping", "lost"]);
}

#[test]
fn a_loss_to_somebody_who_has_joined_is_none_to_the_others() {
    let mut scene = Scene::back(JOB, since(1));
    scene.reset(position(3));
    assert_eq!(scene.told(), ["leave", "ask  job:1@2"]);
    scene.start_anew();
    scene.reset(position(9));
    assert_eq!(scene.told(), ["ping", "back", "lost"]);
}

#[test]
fn nothing_is_held_back_by_what_is_not_confirmed() {
    let mut scene = Scene::asked(JOB);
    scene.join(&Start::Latest);
    scene.answer_ping();
    assert_eq!(scene.told(), ["ping"]);
    scene.confirm();
    scene.answer_ping();
    assert_eq!(scene.told(), ["ping", "leave", "ask "]);
}

#[test]
fn a_topic_that_ends_while_it_goes_back_for_others_alone_has_ended() {
    let mut scene = Scene::back(JOB, Start::Latest);
    scene.end_at(4);
    assert_eq!(scene.told(), ["new 4", "ended"]);
}

#[test]
fn what_each_of_several_knows_of_a_topic_that_nobody_has_seen_is_asked_for_once() {
    let knows = |all: &[(&str, u64)]| {
        let known = all.iter().map(|(to, offset)| known(to, position(*offset)));
        Start::Since(known.collect())
    };
    let mut scene = Scene::live(JOBS);
    scene.join(&knows(&[("job:2", 5), ("job:3", 6)]));
    scene.join(&knows(&[("job:3", 4), ("job:2", 7)]));
    scene.answer_ping();
    let Some(asked) = scene.told().pop() else {
        panic!("it does not ask");
    };
    assert_eq!(asked, "ask  job:2@5 job:3@4");

    let mut scene = Scene::asked(JOB);
    scene.confirm();
    scene.join(&Start::Since(vec![]));
    scene.join(&since(4));
    scene.answer_ping();
    assert_eq!(scene.told(), ["ping", "leave", "ask  job:1@4"]);
}

fn in_epoch(epoch: u64, offset: u64) -> Start {
    let position = Position { epoch, offset };
    Start::Since(vec![known(JOB, position)])
}

#[test]
fn what_somebody_knows_of_another_epoch_is_nothing_to_go_back_to_but_its_beginning_is() {
    for (epoch, offset, expected) in [
        (EPOCH, 1, 1),
        (EPOCH, 5, 2),
        (EPOCH - 1, 1, 2),
        (EPOCH - 1, 0, 0),
        (0, 0, 0),
    ] {
        let mut scene = Scene::live(JOB);
        scene.join(&in_epoch(epoch, offset));
        scene.answer_ping();
        let asked = format!("ask  job:1@{expected}");
        assert_eq!(scene.told(), ["ping", "leave", &asked], "{epoch} {offset}");
    }
}

#[test]
fn of_what_nobody_has_seen_all_comes_where_one_wants_it() {
    let asked = |to, starts: &[(u64, u64)]| {
        let mut scene = Scene::asked(to);
        scene.confirm();
        for (epoch, offset) in starts {
            scene.join(&in_epoch(*epoch, *offset));
        }
        scene.answer_ping();
        scene.told().pop().unwrap()
    };
    assert_eq!(asked(JOB, &[(EPOCH, 5)]), "ask  job:1@5");
    assert_eq!(asked(JOB, &[(EPOCH, 0)]), "ask  job:1@0");
    assert_eq!(asked(JOB, &[(0, 0)]), "ask ");
    assert_eq!(asked(JOB, &[(0, 0), (EPOCH, 5)]), "ask ");
    assert_eq!(asked(JOBS, &[(EPOCH, 5)]), "ask  job:1@5");
    assert_eq!(asked(JOBS, &[(EPOCH, 0)]), "ask ");
    assert_eq!(asked(JOBS, &[(EPOCH, 5), (EPOCH, 0)]), "ask  job:1@0");
}

#[test]
fn the_one_that_is_furthest_behind_is_content_with_less_where_there_is_less() {
    for (others, expected) in [((EPOCH - 1, 1), 4), ((EPOCH - 1, 0), 2)] {
        let mut scene = Scene::live(JOB);
        (4..=5).for_each(|offset| scene.deliver(JOB, position(offset)));
        scene.join(&since(2));
        scene.join(&in_epoch(others.0, others.1));
        scene.answer_ping();
        scene.start_anew();
        scene.told();
        scene.reset(position(5));
        let asked = format!("ask  job:1@{expected}");
        assert_eq!(scene.told(), ["leave", &asked]);
    }
}
