//! Conflation with a function of the subscriber's own.
//!
//! The core can merge and sum payloads. A subscriber's own function is called where the subscriber reads. It has to see
//! every publication, so batches are requested instead.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tidegate_core::flow::{Conflate, Flow};

use crate::{Event, Json, JsonError, Publication};

/// How many publications may wait for a reducer.
const REDUCED_MAX: NonZeroU32 = NonZeroU32::new(5_000).expect("is not zero");

type Reduce = dyn Fn(&Json, &Json) -> Result<Json, JsonError> + Send + Sync;

/// Combines an older and a newer value of the same topic into one: what happens to publications that wait, by a rule
/// that [`Conflate`] doesn't have.
///
/// If it fails or panics, that is logged and nothing is lost: both values are delivered, one after the other.
///
/// ```no_run
/// # async fn watch(hub: tidegate::Hub) -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use tidegate::core::flow::Flow;
/// use tidegate::{Reducer, Subscribe};
///
/// let worst_of_each_second = Subscribe {
///     flow: Flow::throttle(Duration::from_secs(1)),
///     reduce: Some(Reducer::of(|older: f64, newer: f64| older.max(newer))),
///     ..Subscribe::default()
/// };
/// let mut temperatures = hub.subscribe_with("oven:3", worst_of_each_second).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Reducer(Arc<Reduce>);

impl Reducer {
    /// A reducer of values as they were published.
    pub fn new(reduce: impl Fn(&Json, &Json) -> Json + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |older, newer| Ok(reduce(older, newer))))
    }

    /// A reducer of values that can be deserialised as `T`. It fails for others.
    pub fn of<T: DeserializeOwned + Serialize>(
        reduce: impl Fn(T, T) -> T + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(move |older, newer| {
            Json::from_value(&reduce(older.parse()?, newer.parse()?))
        }))
    }

    /// Combines two publications into one; `None` if the function fails or panics.
    fn reduce(&self, older: &Publication, newer: &Publication) -> Option<Publication> {
        let (from, to) = (&older.payload, &newer.payload);
        // Only the function itself can see state that its panic has left inconsistent, so unwinding past it is safe.
        let reduced = catch_unwind(AssertUnwindSafe(|| (self.0)(from, to)));
        let topic = &newer.topic;
        match reduced {
            Ok(Ok(payload)) => Some(Arc::new(tidegate_core::publication::Publication {
                topic: topic.clone(),
                position: newer.position,
                payload,
                end: newer.end,
            })),
            Ok(Err(error)) => {
                tracing::error!(%topic, %error, "a reducer can't read what was published; both are handed on");
                None
            }
            Err(_) => {
                tracing::error!(%topic, "a reducer panicked; both are handed on");
                None
            }
        }
    }
}

impl fmt::Debug for Reducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reducer")
    }
}

/// Applies a subscription's reducer, if it has one, to its events.
#[derive(Debug, Default)]
pub(crate) struct Reducing {
    reducer: Option<Reducer>,
    /// The events that remain to be delivered of a batch that a failing reducer did not combine into one.
    waiting: VecDeque<Event>,
}

impl Reducing {
    pub(crate) fn new(reducer: Option<Reducer>) -> Self {
        Self {
            reducer,
            waiting: VecDeque::new(),
        }
    }

    /// The flow to subscribe with.
    pub(crate) const fn flow(&self, flow: Flow) -> Flow {
        match self.reducer {
            Some(_) => flow.with_conflate(Conflate::Collect { max: REDUCED_MAX }),
            None => flow,
        }
    }

    /// Returns the next event that remains of an earlier batch. It comes before anything else.
    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.waiting.pop_front()
    }

    /// Returns the event to deliver instead of `event`. Further ones follow from [`Self::pop`].
    pub(crate) fn take(&mut self, event: Event) -> Event {
        match (&self.reducer, event) {
            (Some(reducer), Event::Batch(publications)) => {
                let reduced = reduced(reducer, &publications);
                self.waiting
                    .extend(reduced.into_iter().map(Event::Publication));
                self.waiting
                    .pop_front()
                    .unwrap_or(Event::Batch(publications))
            }
            (_, event) => event,
        }
    }
}

/// Reduces the publications of one emission to one, or to several if the reducer fails.
fn reduced(reducer: &Reducer, publications: &[Publication]) -> Vec<Publication> {
    let mut results: Vec<Publication> = Vec::new();
    for newer in publications {
        let reduced = results
            .last()
            .and_then(|older| reducer.reduce(older, newer));
        match (reduced, results.last_mut()) {
            (Some(reduced), Some(last)) => *last = reduced,
            _ => results.push(Arc::clone(newer)),
        }
    }
    results
}
