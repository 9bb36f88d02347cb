//! A tab trusts no message: whatever it receives, and whatever happens to it, it goes on.

use std::sync::Arc;

use core::time::Duration;

use proptest::prelude::*;
use tidegate_core::client::{ClientConfig, ConnectionState, TokenSource};
use tidegate_core::flow::Flow;
use tidegate_core::protocol::{
    ClientFrame, ErrorCode, PublishRequest, ServerFrame, Start, SubscribeRequest, TopicPosition,
    WireError,
};
use tidegate_core::publication::{POSITION_MAX, Position, Publication};
use tidegate_core::tabs::{
    Body, Election, Message, Page, TABS_VERSION, TabHub, TabId, TabOutput, TabsConfig, TabsOutput,
    Term,
};
use tidegate_core::time::Instant;
use tidegate_core::topic::{Pattern, Topic};
use tidegate_tests::json::Json;
use tidegate_tests::{ms, pattern, topic};

/// An event at a tab.
#[derive(Clone, Debug)]
enum Fate {
    Wait(u64),
    Says(Message<Json>),
    Page(Page),
    /// The lock of the latest request, or of one before.
    Granted(u32),
    Lost(u32),
    Opened(u32),
    Closed(u32),
    Frame(u32, ServerFrame<Json>),
    Token(u32, bool),
    Publish,
}

fn any_position() -> impl Strategy<Value = Position> {
    let number = || prop_oneof![0..4_u64, Just(POSITION_MAX)];
    (number(), number()).prop_map(|(epoch, offset)| Position { epoch, offset })
}

fn any_topic() -> impl Strategy<Value = Topic> {
    prop_oneof![Just(topic("a")), Just(topic("b:1"))]
}

fn any_pattern() -> impl Strategy<Value = Pattern> {
    prop_oneof![Just("a"), Just("b:1"), Just("b:*"), Just("**")].prop_map(pattern)
}

fn any_start() -> impl Strategy<Value = Start> {
    let since = (any_topic(), any_position())
        .prop_map(|(topic, position)| TopicPosition { topic, position });
    prop_oneof![
        Just(Start::Latest),
        Just(Start::New),
        prop::collection::vec(since, 0..3).prop_map(Start::Since),
    ]
}

fn any_flow() -> impl Strategy<Value = Flow> {
    prop_oneof![
        Just(Flow::IMMEDIATE),
        Just(Flow::throttle(ms(100))),
        Just(Flow::debounce(Duration::ZERO)),
    ]
}

fn any_up() -> impl Strategy<Value = ClientFrame<Json>> {
    prop_oneof![
        Just(ClientFrame::Hello {
            group: None,
            token: None,
            client: None
        }),
        (any_pattern(), any_flow(), any_start()).prop_map(|(pattern, flow, start)| {
            ClientFrame::Subscribe(SubscribeRequest {
                start,
                ..SubscribeRequest::new(pattern, flow)
            })
        }),
        any_pattern().prop_map(|pattern| ClientFrame::Unsubscribe { pattern }),
        (any_pattern(), any_flow()).prop_map(|(pattern, flow)| ClientFrame::Flow { pattern, flow }),
        (any::<u64>(), any_topic()).prop_map(|(request, topic)| ClientFrame::Publish {
            request,
            publish: PublishRequest::new(topic, Json::from(1)),
        }),
        Just(ClientFrame::Ping),
    ]
}

fn any_down() -> impl Strategy<Value = ServerFrame<Json>> {
    let via = || prop::option::of(any_pattern());
    prop_oneof![
        prop::option::of(0..99_000_u64).prop_map(|expires_in_ms| ServerFrame::Welcome {
            heartbeat_ms: 25_000,
            expires_in_ms,
            message_bytes_max: None,
            publish_rate: None,
        }),
        (any_pattern(), prop::option::of(any_position())).prop_map(|(pattern, position)| {
            ServerFrame::Subscribed {
                pattern,
                position,
                recovered: true,
                flow: Flow::IMMEDIATE,
            }
        }),
        (any_topic(), any_position(), via()).prop_map(|(topic, position, via)| {
            let publication = Arc::new(Publication {
                topic,
                position,
                payload: Json::from(1),
                end: None,
            });
            ServerFrame::Publication { publication, via }
        }),
        (any_topic(), any_position(), via()).prop_map(|(topic, position, via)| {
            ServerFrame::Reset {
                topic,
                position,
                via,
            }
        }),
        (0..9_u64, any_position())
            .prop_map(|(request, position)| ServerFrame::Published { request, position }),
        any::<bool>().prop_map(|fatal| ServerFrame::Error(WireError {
            fatal,
            ..WireError::new(ErrorCode::Forbidden, "no")
        })),
        any::<u32>().prop_map(|within| ServerFrame::Drain {
            within_ms: within.into()
        }),
    ]
}

fn any_body() -> impl Strategy<Value = Body<Json>> {
    let link = || 0..6_u32;
    let members = prop::collection::vec((any_tab(), link()), 0..3);
    prop_oneof![
        any::<bool>().prop_map(|is_visible| Body::Probe { is_visible }),
        any::<bool>().prop_map(|is_visible| Body::Alive { is_visible }),
        any::<bool>().prop_map(|is_visible| Body::Claim { is_visible }),
        Just(Body::Bye),
        Just(Body::Yield),
        Just(Body::Tick),
        members.prop_map(|members| Body::Lead {
            group: "group".into(),
            state: ConnectionState::Connected,
            members
        }),
        link().prop_map(|link| Body::Join { link }),
        link().prop_map(|request| Body::AskToken { request }),
        (link(), prop::option::of(Just("t".to_owned())))
            .prop_map(|(request, token)| Body::Token { request, token }),
        link().prop_map(|link| Body::Joined { link }),
        link().prop_map(|link| Body::Gone { link }),
        (link(), any_up()).prop_map(|(link, frame)| Body::Up { link, frame }),
        any_down().prop_map(|frame| Body::Down { frame }),
    ]
}

fn any_tab() -> impl Strategy<Value = TabId> {
    (1..4_u64).prop_map(TabId)
}

fn any_message() -> impl Strategy<Value = Message<Json>> {
    let version = prop_oneof![9 => Just(TABS_VERSION), 1 => Just(TABS_VERSION + 1)];
    let counter = prop_oneof![9 => 0..8_u64, 1 => Just(u64::MAX)];
    let term = (counter, any_tab()).prop_map(|(counter, tab)| Term { counter, tab });
    let to = prop::option::of(any_tab());
    (version, any_tab(), to, term, any_body()).prop_map(|(version, from, to, term, body)| Message {
        version,
        from,
        to,
        term,
        body,
    })
}

fn any_fate() -> impl Strategy<Value = Fate> {
    let pages = prop_oneof![
        Just(Page::Visible),
        Just(Page::Hidden),
        Just(Page::Frozen),
        Just(Page::Leaving),
        Just(Page::Resumed),
    ];
    prop_oneof![
        3 => prop_oneof![0..50_u64, 0..20_000_u64].prop_map(Fate::Wait),
        8 => any_message().prop_map(Fate::Says),
        1 => pages.prop_map(Fate::Page),
        2 => (0..4_u32).prop_map(Fate::Granted),
        1 => (0..4_u32).prop_map(Fate::Lost),
        2 => (0..4_u32).prop_map(Fate::Opened),
        1 => (0..4_u32).prop_map(Fate::Closed),
        4 => (0..4_u32, any_down()).prop_map(|(link, frame)| Fate::Frame(link, frame)),
        2 => (0..4_u32, any::<bool>()).prop_map(|(request, is_some)| Fate::Token(request, is_some)),
        1 => Just(Fate::Publish),
    ]
}

/// A tab, and the latest numbers that it has asked its host for.
struct Host<const LEADS: bool> {
    hub: TabHub<Json, LEADS>,
    now: Instant,
    request: u32,
    link: u32,
    /// All its outputs since the last call.
    wanted: Vec<String>,
}

impl<const LEADS: bool> Host<LEADS> {
    fn new(election: Election, asks: bool) -> Self {
        let mut config = TabsConfig::new(TabId(1), election, "group".into(), ClientConfig::new(1));
        if asks {
            config.client.token = TokenSource::Asked;
        }
        let mut host = Self {
            hub: TabHub::new(config),
            now: Instant::ZERO,
            request: 0,
            link: 0,
            wanted: Vec::new(),
        };
        host.hub.handle_connect(host.now);
        for to in ["a", "b:*"] {
            let request = SubscribeRequest::new(pattern(to), Flow::IMMEDIATE);
            let id = host.hub.handle_subscribe(host.now, 0, request);
            id.expect("a sound flow");
        }
        host.drain();
        host
    }

    fn suffer(&mut self, fate: Fate) {
        let (now, hub) = (self.now, &mut self.hub);
        let link = |back: u32| self.link.saturating_sub(back);
        match fate {
            Fate::Wait(millis) => self.now = now + ms(millis),
            Fate::Says(message) => hub.handle_message(now, message),
            Fate::Page(page) => hub.handle_page(now, page),
            Fate::Granted(back) => hub.handle_granted(now, self.request.saturating_sub(back)),
            Fate::Lost(back) => hub.handle_lost(now, self.request.saturating_sub(back)),
            Fate::Opened(back) => hub.handle_uplink_opened(now, link(back)),
            Fate::Closed(back) => hub.handle_uplink_closed(now, link(back)),
            Fate::Frame(back, frame) => hub.handle_uplink_frame(now, link(back), frame),
            Fate::Token(request, is_some) => {
                hub.handle_token(now, request, is_some.then(|| "t".to_owned()));
            }
            Fate::Publish => {
                hub.handle_publish(now, PublishRequest::new(topic("a"), Json::from(1)));
            }
        }
        self.drain();
        if self.hub.poll_timeout().is_some_and(|at| at <= self.now) {
            self.hub.handle_timeout(self.now);
            self.drain();
            let again = self.hub.poll_timeout();
            assert!(again.is_none_or(|at| at > self.now), "{again:?}");
        }
    }

    fn drain(&mut self) {
        for _ in 0..10_000 {
            let output = self.hub.poll_output();
            self.wanted
                .extend(output.iter().map(|it| format!("{it:?}")));
            match output {
                Some(TabOutput::Tabs(TabsOutput::RequestLock { request, .. })) => {
                    self.request = request;
                }
                Some(TabOutput::Tabs(TabsOutput::OpenUplink { link })) => self.link = link,
                Some(_) => {}
                None => return,
            }
        }
        panic!("it has no end");
    }
}

proptest! {
    #[test]
    fn whatever_is_said_to_a_tab_it_goes_on(
        election in prop_oneof![
            Just(Election::Lock),
            Just(Election::Claims),
            Just(Election::Worker { generation: 0 }),
            Just(Election::Host { generation: 3 }),
        ],
        asks in any::<bool>(),
        fates in prop::collection::vec(any_fate(), 1..120),
    ) {
        let mut host = Host::<true>::new(election, asks);
        for fate in fates {
            host.suffer(fate);
        }
    }

    #[test]
    fn a_tab_that_never_leads_does_what_any_does_that_has_a_worker(
        generation in 0..4_u64,
        asks in any::<bool>(),
        fates in prop::collection::vec(any_fate(), 1..120),
    ) {
        let election = Election::Worker { generation };
        let mut any = Host::<true>::new(election, asks);
        let mut follower = Host::<false>::new(election, asks);
        for fate in fates {
            any.suffer(fate.clone());
            follower.suffer(fate);
            prop_assert_eq!(std::mem::take(&mut any.wanted), std::mem::take(&mut follower.wanted));
            prop_assert_eq!(any.hub.poll_timeout(), follower.hub.poll_timeout());
        }
    }
}

fn said(from: u64, counter: u64, body: Body<Json>) -> Fate {
    let term = Term {
        counter,
        tab: TabId(3),
    };
    Fate::Says(Message {
        version: TABS_VERSION,
        from: TabId(from),
        to: None,
        term: if from == 3 { term } else { later_term() },
        body,
    })
}

fn later_term() -> Term {
    Term {
        counter: 5,
        tab: TabId(2),
    }
}

/// A leader that has slept through its successor's election goes on sending until it hears of the successor.
#[test]
fn what_an_earlier_leader_says_is_no_sign_of_life_and_reaches_no_subscriber() {
    let publication = Arc::new(Publication {
        topic: topic("a"),
        position: Position {
            epoch: 1,
            offset: 1,
        },
        payload: Json::from(1),
        end: None,
    });
    let mut host = Host::<true>::new(Election::Lock, false);
    let leads = Body::Lead {
        group: "group".into(),
        state: ConnectionState::Connected,
        members: vec![(TabId(1), 1)],
    };
    host.suffer(said(2, 5, leads));
    host.wanted.clear();
    for _ in 0..40 {
        host.suffer(Fate::Wait(250));
        host.suffer(said(3, 3, Body::Tick));
        let frame = ServerFrame::Publication {
            publication: Arc::clone(&publication),
            via: None,
        };
        host.suffer(said(3, 3, Body::Down { frame }));
    }
    let wanted = host.wanted.concat();
    assert!(wanted.contains("Probe"), "the silence is noticed: {wanted}");
    assert!(!wanted.contains("Deliver"), "{wanted}");
}
