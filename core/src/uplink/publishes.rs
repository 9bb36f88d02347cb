//! Publications on their way to the backend: in order, in batches, safely repeated, and given up in time.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{UplinkConfig, UplinkFailure};
use crate::hub::PublishError;
use crate::payload::Payload;
use crate::protocol::PublishRequest;
use crate::publication::Position;
use crate::random::Random;
use crate::time::Instant;

/// The queue of one hub. `T` identifies the publisher that the result goes to.
#[derive(Debug)]
pub(crate) struct Publishes<P, T> {
    /// In the order of their deadlines. The first `in_flight` of them are in the call in flight.
    queue: VecDeque<QueuedPublish<P, T>>,
    in_flight: usize,
    /// The sizes of the next batches, the next one last: the parts of batches of which something was refused.
    parts: Vec<usize>,
    bytes: usize,
    keys: Random,
    results: VecDeque<(T, Result<Position, PublishError>)>,
    config: UplinkConfig,
}

#[derive(Debug)]
struct QueuedPublish<P, T> {
    /// `None` once it was given up while a call may still contain it.
    origin: Option<T>,
    request: PublishRequest<P>,
    until: Instant,
    was_sent: bool,
    /// Whether a call that contained it was never answered.
    is_uncertain: bool,
}

impl<P: Payload + Clone, T> Publishes<P, T> {
    pub(crate) fn new(config: &UplinkConfig) -> Self {
        Self {
            queue: VecDeque::new(),
            in_flight: 0,
            parts: Vec::new(),
            bytes: 0,
            keys: Random::new(!config.seed),
            results: VecDeque::new(),
            config: config.clone(),
        }
    }

    /// Queues a publication. It gets an idempotency key if it has none and may have to be repeated.
    pub(crate) fn push(&mut self, now: Instant, origin: T, mut request: PublishRequest<P>) {
        let bytes = request.payload.size();
        if self.queue.len() >= self.config.publishes_max
            || self.bytes + bytes > self.config.publish_bytes_max
        {
            self.results
                .push_back((origin, Err(PublishError::Unavailable)));
            return;
        }
        if request.id.is_none() && self.config.gives_keys {
            request.id = Some(self.new_key());
        }
        self.bytes += bytes;
        self.queue.push_back(QueuedPublish {
            origin: Some(origin),
            request,
            until: now + self.config.publish_patience,
            was_sent: false,
            is_uncertain: false,
        });
    }

    fn new_key(&mut self) -> String {
        format!("{:016x}{:016x}", self.keys.next_u64(), self.keys.next_u64())
    }

    /// The next batch, unless one is in flight.
    pub(crate) fn next_batch(&mut self) -> Option<Vec<PublishRequest<P>>> {
        self.drop_given_up();
        if self.in_flight > 0 || self.queue.is_empty() {
            return None;
        }
        let mut batch = Vec::new();
        let mut bytes = 0;
        let count_max = self.parts.last().copied();
        let count_max = count_max.unwrap_or(self.config.batch_max);
        for waiting in self.queue.iter_mut().take(count_max) {
            bytes += waiting.request.payload.size();
            if bytes > self.config.batch_bytes_max && !batch.is_empty() {
                break;
            }
            waiting.was_sent = true;
            batch.push(waiting.request.clone());
        }
        self.in_flight = batch.len();
        Some(batch)
    }

    /// Removes publications that were given up. A publisher that was told that nothing is stored must be right, so what
    /// a call contains stays until the call is answered.
    fn drop_given_up(&mut self) {
        while self.in_flight == 0
            && let Some(first) = self.queue.front()
            && first.origin.is_none()
        {
            self.pop_first();
        }
    }

    fn pop_first(&mut self) -> Option<QueuedPublish<P, T>> {
        let first = self.queue.pop_front()?;
        self.bytes -= first.request.payload.size();
        if let Some(part) = self.parts.last_mut() {
            *part -= 1;
            if *part == 0 {
                self.parts.pop();
            }
        }
        Some(first)
    }

    /// The results of the batch.
    pub(crate) fn handle_results(&mut self, results: Vec<Result<Position, PublishError>>) {
        self.in_flight = 0;
        for result in results {
            self.finish_first(result);
        }
    }

    fn finish_first(&mut self, result: Result<Position, PublishError>) {
        if let Some(waiting) = self.pop_first()
            && let Some(origin) = waiting.origin
        {
            self.results.push_back((origin, result));
        }
    }

    /// The batch failed: what may wait is repeated in the next one.
    pub(crate) fn handle_failure(&mut self, failure: UplinkFailure) {
        let in_flight = core::mem::take(&mut self.in_flight);
        match failure {
            UplinkFailure::Full => {
                for _ in 0..in_flight {
                    let is_uncertain = self.queue.front().is_some_and(|first| first.is_uncertain);
                    self.finish_first(Err(if is_uncertain {
                        PublishError::Unconfirmed
                    } else {
                        PublishError::BackendFull
                    }));
                }
            }
            UplinkFailure::Lost => {
                for waiting in self.queue.iter_mut().take(in_flight) {
                    waiting.is_uncertain = true;
                }
                self.drop_given_up();
            }
            // Its content was refused in earlier calls, too, so none of them has stored it.
            UplinkFailure::Refused if in_flight == 1 => {
                self.finish_first(Err(PublishError::Refused));
            }
            UplinkFailure::Refused => {
                self.split(in_flight);
                self.drop_given_up();
            }
        }
    }

    /// At least one of the first `count` publications is refused. They are sent again in halves, so that the others
    /// wait for only a few more calls, and the order is kept.
    fn split(&mut self, count: usize) {
        if let Some(part) = self.parts.last_mut() {
            *part -= count;
            if *part == 0 {
                self.parts.pop();
            }
        }
        self.parts.extend([count - count / 2, count / 2]);
    }

    /// Gives up publications that have waited too long.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        for index in 0..self.queue.len() {
            let waiting = &mut self.queue[index];
            if waiting.until > now {
                break;
            }
            let error = if waiting.was_sent {
                PublishError::Unconfirmed
            } else {
                PublishError::Unavailable
            };
            if let Some(origin) = waiting.origin.take() {
                self.results.push_back((origin, Err(error)));
            }
        }
        self.drop_given_up();
    }

    /// How many publications are waiting.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// The next result, with its publisher.
    pub(crate) fn poll_result(&mut self) -> Option<(T, Result<Position, PublishError>)> {
        self.results.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let waiting = self.queue.iter().find(|waiting| waiting.origin.is_some())?;
        Some(waiting.until)
    }
}
