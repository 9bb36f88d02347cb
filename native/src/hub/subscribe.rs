//! How to subscribe.

use tidegate_core::durable::DurableName;
use tidegate_core::flow::{Flow, Slow};
use tidegate_core::protocol::Start;

use crate::Reducer;

/// How to subscribe.
#[derive(Clone, Debug)]
pub struct Subscribe {
    /// How to be paced.
    pub flow: Flow,
    /// What makes one of publications that wait, in place of the flow's conflation. Not with deltas. At most 5,000 wait for it; then it is
    /// called early.
    pub reduce: Option<Reducer>,
    /// Where to start.
    pub start: Start,
    /// The most bytes that wait for a slow reader before the oldest publications are shed.
    pub outbox_bytes_max: Option<usize>,
    /// A name by which a server remembers what was [dealt with](crate::client::ClientSubscription::handled). For its clients: a hub,
    /// and a client of a backend, refuse it.
    pub durable: Option<DurableName>,
    /// What becomes of publications while the reader, or the connection to the server, is behind; `None` for what the flow says.
    ///
    /// A client of a server has one connection for all its subscriptions. Those with the same pattern are one to the server, which
    /// is asked for what loses least of what they want; and [`Slow::Disconnect`] closes the connection of all of them, which
    /// resume on the next. Not with [`durable`](Self::durable).
    pub slow: Option<Slow>,
}

impl Subscribe {
    /// As the default, and remembered by the server under `name`.
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
