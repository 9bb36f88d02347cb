//! Options of a subscription.

use tidegate_core::durable::DurableName;
use tidegate_core::flow::{Flow, Slow};
use tidegate_core::protocol::Start;

use crate::Reducer;

/// Options of a subscription. The default delivers every publication at once, starting with the latest value.
#[derive(Clone, Debug)]
pub struct Subscribe {
    /// Its pace, and what happens to publications that wait.
    pub flow: Flow,
    /// Combines publications that wait, instead of the flow's own conflation. Not with deltas. At most 5,000 wait for
    /// it; then it is called early.
    pub reduce: Option<Reducer>,
    /// Where it starts: with the latest value, with what is published from now on, or after given positions.
    pub start: Start,
    /// The most bytes that wait for a slow reader before the oldest publications are dropped; `None` for the hub's
    /// default.
    pub outbox_bytes_max: Option<usize>,
    /// The name of a durable subscription: the server remembers under it what has been
    /// [processed](crate::client::ClientSubscription::handled). Only for clients of a server: a hub, and a client of a
    /// backend, refuse it.
    pub durable: Option<DurableName>,
    /// What happens to publications while the reader, or the connection to the server, is too slow; `None` for what the
    /// flow implies.
    ///
    /// A client of a server has one connection for all its subscriptions. Subscriptions with the same pattern are one
    /// subscription to the server, which gets the policy that loses least. [`Slow::Disconnect`] closes the connection
    /// of all subscriptions; they resume on the next one. Not with [`durable`](Self::durable).
    pub slow: Option<Slow>,
}

impl Subscribe {
    /// The default options, with a durable subscription of this name.
    pub fn durable(name: DurableName) -> Self {
        Self {
            durable: Some(name),
            ..Self::default()
        }
    }
}

impl Default for Subscribe {
    fn default() -> Self {
        Self {
            flow: Flow::IMMEDIATE,
            reduce: None,
            start: Start::Latest,
            outbox_bytes_max: None,
            durable: None,
            slow: None,
        }
    }
}
