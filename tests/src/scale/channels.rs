//! How many channels a cluster follows at its backend, by the number of servers that share a million connections.

use tidegate_core::flow::Flow;
use tidegate_core::hub::{ServerConfig, ServerHub};
use tidegate_core::protocol::{ClientFrame, SubscribeRequest};
use tidegate_core::random::Random;
use tidegate_core::time::Instant;
use tidegate_core::uplink::{UplinkAnswer, UplinkCall, UplinkConfig};

use crate::json::Json;
use crate::pattern;

/// All connections of the cluster.
pub const CONNECTIONS: u64 = 1_000_000;

/// Rooms that users are in; a few rooms have most of the users.
const ROOMS: u64 = 20_000;

/// How many servers of a cluster are simulated; the others are like them.
const SERVERS_SEEN: u64 = 3;

/// The load of a cluster of one size.
#[derive(Clone, Copy, Debug)]
pub struct Channels {
    /// The servers that share the connections.
    pub servers: u64,
    /// The subscriptions of all connections.
    pub subscriptions: u64,
    /// The channels that all servers together follow at the backend.
    pub followed: u64,
}

/// Fills servers of a cluster with sessions, each subscribed to a topic of its own, to a room, and to a topic that all
/// get.
///
/// # Panics
/// If a subscription is refused.
pub fn measure(servers: u64) -> Channels {
    let own = CONNECTIONS / servers;
    let seen = SERVERS_SEEN.min(servers);
    let mut followed = 0;
    for server in 0..seen {
        followed += fill(server, own);
    }
    Channels {
        servers,
        subscriptions: 3 * CONNECTIONS,
        followed: followed * servers / seen,
    }
}

/// The channels that one server follows for its sessions.
fn fill(server: u64, sessions: u64) -> u64 {
    let now = Instant::from_millis(1);
    let mut config = ServerConfig::new(server);
    config.hub.subscriptions_max = usize::MAX;
    config.hub.topics_max = usize::MAX;
    let mut hub: ServerHub<Json> = ServerHub::with_uplink(config, UplinkConfig::new(server));
    let mut random = Random::new(server);
    answer(&mut hub, now);
    for session in 0..sessions {
        let id = hub.handle_open(now);
        let person = server * sessions + session;
        for to in [
            format!("user:{person}"),
            format!("room:{}", room(&mut random)),
            "news:all".to_owned(),
        ] {
            let request = SubscribeRequest::new(pattern(&to), Flow::IMMEDIATE);
            hub.handle_frame(now, id, ClientFrame::Subscribe(request));
        }
        if session % 1_000 == 999 {
            answer(&mut hub, now);
        }
    }
    answer(&mut hub, now);
    while hub.poll_output().is_some() {}
    assert_eq!(hub.counts().subscriptions as u64, 3 * sessions, "all stand");
    hub.uplink_counts().followed as u64
}

/// A random room, skewed: the first rooms have many users, the last ones hardly any.
fn room(random: &mut Random) -> u64 {
    let one = random.up_to(ROOMS - 1);
    let other = random.up_to(ROOMS - 1);
    one * other / ROOMS
}

/// Answers all calls like an empty backend.
fn answer(hub: &mut ServerHub<Json>, now: Instant) {
    while let Some((id, call)) = hub.poll_call() {
        let answer = match call {
            UplinkCall::Read { topic, .. } => {
                UplinkAnswer::Excerpt(tidegate_core::history::Excerpt {
                    topic,
                    position: tidegate_core::publication::Position::default(),
                    publications: Vec::new(),
                })
            }
            UplinkCall::List(_) => UplinkAnswer::Excerpts(Vec::new()),
            _ => UplinkAnswer::Done,
        };
        hub.handle_answer(now, id, answer);
    }
}
