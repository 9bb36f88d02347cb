//! A tab's hub: what its user asks for reaches the server, and what happens to the tab reaches its part in sharing.

use super::*;
use crate::durable::DurableName;
use crate::flow::Flow;
use crate::presence::Key;
use crate::protocol::{ClientFrame, PublishRequest, SubscribeRequest};
use crate::publication::Position;
use crate::topic::{Pattern, Topic};

/// A tab that leads, is connected, and follows `job:1`.
pub(super) fn leading(now: Instant, flow: Flow) -> TabHub<()> {
    let mut hub = TabHub::new(TabsConfig {
        client: ClientConfig::new(1),
        ..config(Election::Lock)
    });
    hub.handle_connect(now);
    // The connection is not needed until there is something to do.
    let pattern = Pattern::new("job:1").unwrap();
    let request = SubscribeRequest::new(pattern, flow);
    hub.handle_subscribe(now, 0, request).unwrap();
    hub.handle_granted(now, 1);
    hub.handle_uplink_opened(now, 1);
    hub.handle_uplink_frame(now, 1, welcome());
    outputs(&mut hub);
    hub
}

pub(super) const fn welcome() -> ServerFrame<()> {
    ServerFrame::Welcome {
        heartbeat_ms: 25_000,
        expires_in_ms: None,
        message_bytes_max: None,
        publish_rate: None,
    }
}

fn outputs(hub: &mut TabHub<()>) -> Vec<TabsOutput<()>> {
    let outputs = core::iter::from_fn(|| hub.poll_output());
    let tabs = outputs.filter_map(|output| match output {
        TabOutput::Tabs(output) => Some(output),
        _ => None,
    });
    tabs.collect()
}

/// What was sent to the server.
fn sent(hub: &mut TabHub<()>) -> Vec<ClientFrame<()>> {
    let sent = outputs(hub).into_iter().filter_map(|output| match output {
        TabsOutput::SendUplink(frame) => Some(frame),
        _ => None,
    });
    sent.collect()
}

#[test]
fn what_a_user_asks_for_reaches_the_server() {
    let now = Instant::from_millis(1);
    let mut hub = leading(now, Flow::IMMEDIATE);
    let topic = Topic::new("room:1").unwrap();
    let key = Key::new("ann").unwrap();

    assert_eq!(hub.unanswered(), 0);
    for number in 1..=2 {
        hub.handle_publish(now, PublishRequest::new(topic.clone(), ()));
        assert_eq!(hub.unanswered(), number);
    }
    outputs(&mut hub);

    let number = hub.handle_track(now, topic.clone(), key, ());
    let tracked = sent(&mut hub);
    assert!(matches!(tracked[..], [ClientFrame::Track { .. }]));
    hub.handle_retrack(now, number, ());
    assert_eq!(sent(&mut hub), tracked);
    hub.handle_untrack(now, number);
    assert!(matches!(sent(&mut hub)[..], [ClientFrame::Untrack { .. }]));

    hub.handle_watch(now, &topic);
    assert!(matches!(sent(&mut hub)[..], [ClientFrame::Watch { .. }]));
    hub.handle_unwatch(now, &topic);
    assert_eq!(sent(&mut hub), [ClientFrame::Unwatch { topic }]);
}

#[test]
fn a_device_is_forgotten_by_the_server() {
    let now = Instant::from_millis(1);
    let mut hub = leading(now, Flow::IMMEDIATE);
    let pattern = Pattern::new("job:2").unwrap();
    let request = SubscribeRequest {
        durable: DurableName::new("phone").ok(),
        ..SubscribeRequest::new(pattern.clone(), Flow::IMMEDIATE)
    };
    let id = hub.handle_subscribe(now, 0, request).unwrap();
    let stands = ServerFrame::Subscribed {
        pattern: pattern.clone(),
        position: Some(Position::default()),
        recovered: true,
        flow: Flow::IMMEDIATE,
    };
    hub.handle_uplink_frame(now, 1, stands);
    outputs(&mut hub);
    hub.handle_forget(now, id);
    assert_eq!(sent(&mut hub), [ClientFrame::Forget { pattern }]);
}

#[test]
fn a_tab_whose_lock_is_lost_closes_its_connection() {
    let now = Instant::from_millis(1);
    let mut hub = leading(now, Flow::IMMEDIATE);
    hub.handle_lost(now, 1);
    assert!(outputs(&mut hub).contains(&TabsOutput::CloseUplink { link: 1 }));
}

/// A tab that is connected through another one, or through a worker.
fn connected(election: Election, now: Instant) -> TabHub<()> {
    let mut hub = TabHub::new(config(election));
    hub.handle_connect(now);
    let pattern = Pattern::new("job:1").unwrap();
    let request = SubscribeRequest::new(pattern, Flow::IMMEDIATE);
    hub.handle_subscribe(now, 0, request).unwrap();
    let frame = ServerFrame::Welcome {
        heartbeat_ms: 3_600_000,
        expires_in_ms: None,
        message_bytes_max: None,
        publish_rate: None,
    };
    for body in [
        lead(ConnectionState::Connected, &[]),
        Body::Joined { link: 1 },
        Body::Down { frame },
    ] {
        hub.handle_message(now, said(LEADER, TERM, body));
    }
    assert_eq!(hub.state(), ConnectionState::Connected);
    outputs(&mut hub);
    hub
}

/// Returns whether a tab tries to take its leader's place with this output.
fn takes_over(output: &TabsOutput<()>) -> bool {
    match output {
        TabsOutput::Post(message) => matches!(message.body, Body::Claim { .. }),
        TabsOutput::SpawnWorker { .. } | TabsOutput::RequestLock { steal: true, .. } => true,
        _ => false,
    }
}

#[test]
fn who_tries_to_take_over_is_not_connected_until_somebody_leads() {
    for election in [
        Election::Lock,
        Election::Claims,
        Election::Worker { generation: 3 },
    ] {
        for attempts in 1..=3 {
            let mut now = Instant::from_millis(1);
            let mut hub = connected(election, now);
            let mut tried = 0;
            while tried < attempts && hub.tabs().role() != Role::Leader {
                now = hub.poll_timeout().expect("it waits");
                hub.handle_timeout(now);
                tried += u32::from(outputs(&mut hub).iter().any(takes_over));
                let is_connected = hub.state() == ConnectionState::Connected;
                assert!(tried == 0 || !is_connected, "{election:?}");
            }
            if hub.tabs().role() != Role::Leader {
                hub.handle_message(now, said(LEADER, TERM, Body::Tick));
                assert_eq!(hub.state(), ConnectionState::Connected, "it was only slow");
            }
        }
    }
}
