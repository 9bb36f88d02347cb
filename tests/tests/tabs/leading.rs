//! A leader at work: how often it proves that it is alive, and what happens to its transports.

use proptest::prelude::*;
use tidegate_core::client::ConnectionState;
use tidegate_core::durable::DurableName;
use tidegate_core::flow::Flow;
use tidegate_core::protocol::{ClientFrame, ServerFrame, SubscribeRequest};
use tidegate_core::tabs::{Body, Message, TABS_VERSION, TabHub, TabId, TabsConfig, TabsOutput};
use tidegate_core::time::Instant;
use tidegate_tests::bench::{position, publication};
use tidegate_tests::json::Json;
use tidegate_tests::{at, ms, pattern, secs, topic};

use crate::superseded::{config, leading, leading_as, outputs, supersede};

fn says(hub: &TabHub<Json>, from: TabId, body: Body<Json>) -> Message<Json> {
    Message {
        version: TABS_VERSION,
        from,
        to: None,
        term: hub.tabs().term(),
        body,
    }
}

/// How many of them tell all tabs that the leader lives, and nothing else.
fn ticks(said: &[TabsOutput<Json>]) -> usize {
    let is_tick = |output: &&TabsOutput<Json>| match output {
        TabsOutput::Post(message) => message.body == Body::Tick,
        _ => false,
    };
    said.iter().filter(is_tick).count()
}

proptest! {
    #[test]
    fn a_leader_whose_connection_says_little_says_that_it_lives_three_times_a_lease(
        waits in prop::collection::vec(prop_oneof![Just(None), (0..3_000_u64).prop_map(Some)], 1..30),
        is_alone: bool,
    ) {
        let third = secs(1);
        let config = TabsConfig { lease: third * 3, ..config() };
        let mut now = at(1);
        let (mut hub, _) = leading_as(config, now);
        if !is_alone {
            let alive = says(&hub, TabId(9), Body::Alive { is_visible: true });
            hub.handle_message(now, alive);
            outputs(&mut hub);
        }
        let mut said = now;
        for wait in waits {
            now = wait.map_or(now.max(said + third), |wait| now + ms(wait));
            hub.handle_uplink_frame(now, 1, ServerFrame::Pong);
            let is_due = now - said >= third;
            prop_assert_eq!(ticks(&outputs(&mut hub)), usize::from(is_due && !is_alone), "at {:?}", now);
            if is_due {
                said = now;
            }
        }
    }
}

/// Lets time pass until a tab does what is looked for; returns that.
fn until<T>(
    hub: &mut TabHub<Json>,
    within: Instant,
    find: impl Fn(&TabsOutput<Json>) -> Option<T>,
) -> (Instant, T) {
    loop {
        let now = hub.poll_timeout().expect("it wants to be woken");
        assert!(now <= within, "nothing until {now:?}");
        hub.handle_timeout(now);
        if let Some(found) = outputs(hub).iter().find_map(&find) {
            return (now, found);
        }
    }
}

/// The states of its connection that a leader tells all tabs.
fn said_states(hub: &mut TabHub<Json>) -> Vec<ConnectionState> {
    let said = outputs(hub).into_iter();
    said.filter_map(|output| match output {
        TabsOutput::Post(message) => match message.body {
            Body::Lead { state, .. } => Some(state),
            _ => None,
        },
        _ => None,
    })
    .collect()
}

#[test]
fn a_tab_that_leads_again_is_told_of_its_transports_as_the_first_time() {
    let now = at(1);
    let (mut hub, _) = leading(now);
    supersede(&mut hub, now);
    let (now, request) = until(&mut hub, at(60_000), |output| match output {
        TabsOutput::RequestLock { request, .. } => Some(*request),
        _ => None,
    });
    hub.handle_granted(now, request);
    assert!(outputs(&mut hub).contains(&TabsOutput::OpenUplink { link: 2 }));
    hub.handle_uplink_closed(now, 2);
    assert_eq!(said_states(&mut hub), [ConnectionState::Disconnected]);
    let (now, link) = until(&mut hub, at(60_000), |output| match output {
        TabsOutput::OpenUplink { link } => Some(*link),
        _ => None,
    });
    assert_eq!(link, 3);
    hub.handle_uplink_opened(now, 3);
    hub.handle_uplink_frame(
        now,
        3,
        ServerFrame::Welcome {
            heartbeat_ms: 25_000,
            expires_in_ms: None,
            message_bytes_max: None,
            publish_rate: None,
        },
    );
    assert_eq!(said_states(&mut hub), [ConnectionState::Connected]);
}

#[test]
fn a_transport_that_was_given_up_is_closed_once() {
    let (mut hub, _) = leading(at(1));
    let (now, ()) = until(&mut hub, at(120_000), |output| {
        (*output == TabsOutput::CloseUplink { link: 1 }).then_some(())
    });
    hub.handle_disconnect(now);
    let said = outputs(&mut hub);
    assert!(
        !said.contains(&TabsOutput::CloseUplink { link: 1 }),
        "{said:?}"
    );
}

#[test]
fn a_leader_that_hears_of_a_later_term_tells_the_server_of_its_own_the_next_time() {
    let now = at(1);
    let (mut hub, _) = leading(now);
    let term = hub.tabs().term();
    let mut alive = says(&hub, TabId(9), Body::Alive { is_visible: true });
    alive.term.counter += 4;
    hub.handle_message(now, alive);
    let later = hub.tabs().term();
    assert_eq!((later.counter, later.tab), (term.counter + 5, term.tab));
    hub.handle_uplink_closed(now, 1);
    let (now, link) = until(&mut hub, at(60_000), |output| match output {
        TabsOutput::OpenUplink { link } => Some(*link),
        _ => None,
    });
    hub.handle_uplink_opened(now, link);
    let said = outputs(&mut hub)
        .into_iter()
        .find_map(|output| match output {
            TabsOutput::SendUplink(ClientFrame::Hello { group, .. }) => group,
            _ => None,
        });
    assert_eq!(said.map(|group| group.term), Some(later));
}

#[test]
fn what_a_leader_has_dealt_with_goes_before_its_connection_is_closed() {
    let now = at(1);
    let (mut hub, _) = leading(now);
    let to = pattern("job:2");
    let request = SubscribeRequest {
        durable: Some(DurableName::new("phone").unwrap()),
        ..SubscribeRequest::new(to.clone(), Flow::IMMEDIATE)
    };
    let id = hub.handle_subscribe(now, 0, request).unwrap();
    hub.handle_uplink_frame(
        now,
        1,
        ServerFrame::Subscribed {
            pattern: to.clone(),
            position: Some(position(0)),
            recovered: true,
            flow: Flow::IMMEDIATE,
        },
    );
    let publication = publication("job:2", position(1));
    let came = ServerFrame::Publication {
        publication,
        via: None,
    };
    hub.handle_uplink_frame(now, 1, came);
    outputs(&mut hub);
    hub.handle_handled(now, id, &topic("job:2"), position(1));
    hub.handle_disconnect(now);
    let said = outputs(&mut hub);
    let acked = said.iter().position(|output| {
        matches!(output, TabsOutput::SendUplink(ClientFrame::Ack { pattern, .. }) if *pattern == to)
    });
    let closed = said
        .iter()
        .position(|output| *output == TabsOutput::CloseUplink { link: 1 });
    assert!(acked.is_some() && acked < closed, "{said:?}");
}
