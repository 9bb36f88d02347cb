//! A leader whose connection the server closes, because there is a later one.

use tidegate_core::client::{ClientConfig, ConnectionState};
use tidegate_core::flow::Flow;
use tidegate_core::protocol::{ClientFrame, ErrorCode, ServerFrame, SubscribeRequest, WireError};
use tidegate_core::tabs::{
    Body, Election, Message, Role, TABS_VERSION, TabHub, TabId, TabOutput, TabsConfig, TabsOutput,
    Term,
};
use tidegate_core::time::Instant;
use tidegate_tests::json::Json;
use tidegate_tests::tab_model::scene::{leader, next_leader, publish_all, tabs};
use tidegate_tests::tab_model::{Browser, Path};
use tidegate_tests::{ms, pattern, secs};

const OWN: TabId = TabId(5);

pub(crate) fn outputs(hub: &mut TabHub<Json>) -> Vec<TabsOutput<Json>> {
    let all = std::iter::from_fn(|| hub.poll_output());
    all.filter_map(|output| match output {
        TabOutput::Tabs(output) => Some(output),
        _ => None,
    })
    .collect()
}

/// A tab that leads by its lock and is connected, and the hello that it said.
pub(crate) fn leading(now: Instant) -> (TabHub<Json>, ClientFrame<Json>) {
    leading_as(config(), now)
}

pub(crate) fn config() -> TabsConfig {
    let group = "few know it".into();
    TabsConfig::new(OWN, Election::Lock, group, ClientConfig::new(1))
}

pub(crate) fn leading_as(config: TabsConfig, now: Instant) -> (TabHub<Json>, ClientFrame<Json>) {
    let mut hub = TabHub::new(config);
    hub.handle_connect(now);
    let request = SubscribeRequest::new(pattern("job:1"), Flow::IMMEDIATE);
    hub.handle_subscribe(now, 0, request).unwrap();
    outputs(&mut hub);
    hub.handle_granted(now, 1);
    outputs(&mut hub);
    hub.handle_uplink_opened(now, 1);
    let hello = outputs(&mut hub)
        .into_iter()
        .find_map(|output| match output {
            TabsOutput::SendUplink(frame @ ClientFrame::Hello { .. }) => Some(frame),
            _ => None,
        });
    let welcome = ServerFrame::Welcome {
        heartbeat_ms: 25_000,
        expires_in_ms: None,
        message_bytes_max: None,
        publish_rate: None,
    };
    hub.handle_uplink_frame(now, 1, welcome);
    outputs(&mut hub);
    (hub, hello.expect("it says hello"))
}

pub(crate) fn supersede(hub: &mut TabHub<Json>, now: Instant) -> Vec<TabsOutput<Json>> {
    let error = WireError::new(ErrorCode::Superseded, "there is a later one").fatal();
    hub.handle_uplink_frame(now, 1, ServerFrame::Error(error));
    hub.handle_uplink_closed(now, 1);
    outputs(hub)
}

#[test]
fn a_leader_tells_the_server_its_group_and_its_term() {
    let (hub, hello) = leading(Instant::ZERO);
    let ClientFrame::Hello {
        group: Some(told), ..
    } = hello
    else {
        panic!("{hello:?}");
    };
    assert_eq!(told.group, "few know it");
    assert_eq!(told.term, hub.tabs().term());
    assert_eq!((told.term.counter, told.term.tab), (1, OWN));
}

#[test]
fn a_superseded_leader_lets_go_and_asks_who_leads_instead_of_connecting_again() {
    let now = Instant::ZERO + secs(1);
    let (mut hub, _) = leading(now);
    let said = supersede(&mut hub, now);
    assert!(said.contains(&TabsOutput::CloseUplink { link: 1 }));
    assert!(said.contains(&TabsOutput::ReleaseLock { request: 1 }));
    assert!(said.contains(&TabsOutput::Role(Role::Follower)));
    let asks = |output: &TabsOutput<Json>| match output {
        TabsOutput::Post(message) => matches!(message.body, Body::Probe { .. }),
        _ => false,
    };
    assert!(said.iter().any(asks), "{said:?}");
    assert!(
        !said
            .iter()
            .any(|output| matches!(output, TabsOutput::OpenUplink { .. }))
    );
}

#[test]
fn a_superseded_leader_follows_the_later_one_and_keeps_its_subscribers() {
    let now = Instant::ZERO + secs(1);
    let (mut hub, _) = leading(now);
    supersede(&mut hub, now);
    let from = TabId(9);
    let term = Term {
        counter: 2,
        tab: from,
    };
    let says = |body| Message {
        version: TABS_VERSION,
        from,
        to: None,
        term,
        body,
    };
    let lead = Body::Lead {
        group: "few know it".into(),
        state: ConnectionState::Connected,
        members: Vec::new(),
    };
    hub.handle_message(now + ms(1), says(lead));
    let joins = |output: &TabsOutput<Json>| match output {
        TabsOutput::Post(message) => matches!(message.body, Body::Join { .. }),
        _ => false,
    };
    let mut said = outputs(&mut hub);
    while !said.iter().any(joins) {
        let at = hub.poll_timeout().expect("it wants to be connected");
        assert!(at < now + secs(5), "{said:?}");
        hub.handle_timeout(at);
        said = outputs(&mut hub);
        assert!(
            !said
                .iter()
                .any(|output| matches!(output, TabsOutput::OpenUplink { .. }))
        );
    }
}

/// The connections that the server has, but for the one that watches it.
fn connections(browser: &Browser) -> usize {
    browser.server.connections() - 1
}

#[test]
fn the_connection_of_a_leader_that_hangs_ends_as_soon_as_the_next_one_connects() {
    for path in [Path::Lock, Path::Claims] {
        let mut browser = tabs(path, 4);
        let old = leader(&browser);
        publish_all(&mut browser, 0..200);
        browser.hang(old);
        let hung_at = browser.now;
        browser.run_until(|browser| connections(browser) == 2);
        browser.run_until(|browser| connections(browser) == 1);
        // In a stream, silence is noticed within half a second, and proven by another one.
        let all = browser.now - hung_at;
        assert!(all < ms(2_500), "{path:?}: {all:?}");
        next_leader(&mut browser, old);
        browser.run_for(secs(60));
        assert_eq!(connections(&browser), 1, "{path:?}");
        browser.wake(old);
        browser.run_for(secs(5));
        assert_eq!(connections(&browser), 1, "{path:?}");
        browser.check_converged();
    }
}
