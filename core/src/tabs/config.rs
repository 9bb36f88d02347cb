//! How the tabs of a browser decide who leads.

use core::time::Duration;

use alloc::string::String;

use super::message::TabId;
use crate::client::ClientConfig;

/// How it is decided who holds the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Election {
    /// The holder of a lock leads: a Web Lock.
    Lock,
    /// The first to claim the lead has it, visible tabs before hidden ones. For browsers without locks. For as long as
    /// a message takes, two may lead, each with a term of its own; the older one then gives way.
    Claims,
    /// A worker that the tabs share leads. This is one of the tabs.
    Worker {
        /// The generation to start with: the last one known in this browser, or 0.
        generation: u64,
    },
    /// A worker that the tabs share leads. This is the worker.
    Host {
        /// Its generation, which the tab that started it has passed on.
        generation: u64,
    },
}

/// How a tab takes part, and how long it waits for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TabsConfig {
    /// This tab's id.
    pub tab: TabId,
    /// How the leader is decided.
    pub election: Election,
    /// The group name under which the server knows the tabs, if this tab is the first to lead: a random text that
    /// nobody else knows. Later leaders learn it from this one.
    pub group: String,
    /// The connection to the server, if this tab leads. Its seed also seeds the jitter of the election.
    pub client: ClientConfig,
    /// How long a leader's connection may be silent before it is asked for a sign of life.
    pub lease: Duration,
    /// The least of that: if signs of life usually come quickly, the leader is asked sooner.
    pub lease_min: Duration,
    /// The same while the leader has no connection, so that nothing can arrive over it.
    pub lease_offline: Duration,
    /// How long the answer may take. This doubles after each attempt to take over, so that a slow network doesn't cause
    /// one attempt after another.
    pub probe_timeout: Duration,
    /// How long a free lock may take to be granted before it is asked for again.
    pub grant_patience: Duration,
    /// How long a worker may take to be loaded and to start before another one is asked for.
    pub worker_patience: Duration,
    /// How long a claim waits for a better one.
    pub claim_window: Duration,
    /// The longest wait between attempts to take over; each waits up to twice as long as the one before.
    pub backoff_max: Duration,
    /// After a leadership that lasted this long, the backoff starts over.
    pub stable_after: Duration,
    /// How often the leader checks its members; those that miss two checks in a row are dropped.
    pub roll_every: Duration,
    /// How long a leader is hidden before it hands over to a visible tab.
    pub handover_after: Duration,
    /// How long a tab may take to get a token before another one is asked.
    pub token_patience: Duration,
    /// The most tabs that are connected through one leader.
    pub members_max: usize,
}

impl TabsConfig {
    /// 0.5 s to 5 s of silence (30 s without a connection) and 1 s for an answer; 1 s for a lock, 5 s for a worker; 5 s
    /// until a hidden leader hands over, 8 s for a token; 200 members.
    pub const fn new(tab: TabId, election: Election, group: String, client: ClientConfig) -> Self {
        Self {
            tab,
            election,
            group,
            client,
            lease: Duration::from_secs(5),
            lease_min: Duration::from_millis(500),
            lease_offline: Duration::from_secs(30),
            probe_timeout: Duration::from_secs(1),
            grant_patience: Duration::from_secs(1),
            worker_patience: Duration::from_secs(5),
            claim_window: Duration::from_millis(100),
            backoff_max: Duration::from_secs(60),
            stable_after: Duration::from_secs(60),
            roll_every: Duration::from_secs(15),
            handover_after: Duration::from_secs(5),
            token_patience: Duration::from_secs(8),
            members_max: 200,
        }
    }
}
