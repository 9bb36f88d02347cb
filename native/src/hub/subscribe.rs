//! Options of a subscription.

use tidegate_core::durable::DurableName;
use tidegate_core::flow::{Flow, Slow};
use tidegate_core::protocol::{Start, TopicPosition};
use tidegate_core::publication::Position;
use tidegate_core::topic::Topic;

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
    /// The default options, starting after the positions that a program has kept, for example over its restart. What was
    /// published since is delivered first, as far as the topics' histories reach back;
    /// [`Event::Reset`](crate::Event::Reset) reports what is lost. Of a pattern's topics that are not listed, everything
    /// that is kept is delivered.
    ///
    /// A lost connection needs none of this: a [`Client`](crate::Client) resumes its subscriptions by itself.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::collections::BTreeMap;
    ///
    /// use futures_util::StreamExt as _;
    /// use tidegate::{Client, Event, Hub, Position, Subscribe, Topic};
    ///
    /// # let client = Client::from_hub(Hub::new(Default::default())?)?;
    /// # let first = client.publish("job:1", &"before").await?;
    /// # client.publish("job:1", &"meanwhile").await?;
    /// # let stored = format!("job:1 {first}");
    /// let mut known: BTreeMap<Topic, Position> = BTreeMap::new();
    /// for line in stored.lines() {
    ///     let (topic, position) = line.split_once(' ').ok_or("a topic and a position")?;
    ///     known.insert(topic.parse()?, position.parse()?);
    /// }
    /// let mut jobs = client.subscribe_with("job:*", Subscribe::since(known.clone())).await?;
    /// while let Some(event) = jobs.next().await {
    ///     if let Event::Publication(job) = event {
    ///         // Once it is processed, `known` is stored again: a line for each, with the topic and the position as text.
    ///         known.insert(job.topic.clone(), job.position);
    /// #       assert_eq!(job.payload.as_str(), "\"meanwhile\"");
    /// #       break;
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn since(positions: impl IntoIterator<Item = (Topic, Position)>) -> Self {
        let positions = positions.into_iter();
        let known = positions.map(|(topic, position)| TopicPosition { topic, position });
        Self {
            start: Start::Since(known.collect()),
            ..Self::default()
        }
    }

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
