//! How a publication enters: it is checked, and appended to the topic's history.

use alloc::sync::Arc;

use super::Hub;
use super::error::PublishError;
use super::topics::TopicsFull;
use crate::lifecycle::StatedEnd;
use crate::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use crate::payload::Payload;
use crate::protocol::PublishRequest;
use crate::publication::{Position, Publication};
use crate::router::RouteId;
use crate::time::Instant;

/// The outcome of storing a publication.
pub(super) enum Stored<P> {
    /// It had been published before, with the same idempotency key.
    Before(Position),
    /// It is stored now; with the route of the topic's subscribers by name.
    Now(Arc<Publication<P>>, Option<RouteId>),
}

impl<P: Payload> Hub<P> {
    /// Appends a publication to the topic's history, without handing it to subscribers yet.
    pub(super) fn store(
        &mut self,
        now: Instant,
        request: PublishRequest<P>,
    ) -> Result<Stored<P>, PublishError> {
        let request = self.admit(request)?;
        let index = self
            .topics
            .find_or_add(now, &request.topic)
            .map_err(|TopicsFull| PublishError::TooManyTopics {
                topics_max: self.config.topics_max,
            })?;
        let state = self.topics.get(index);
        if let Some(position) = request
            .id
            .as_deref()
            .and_then(|id| state.position_of_key(id))
        {
            return Ok(Stored::Before(position));
        }
        let end_before = state.history.end();
        if let Some(reason) = end_before
            && !request.restart
        {
            return Err(PublishError::Ended(reason));
        }
        let bytes_max = self.config.retained_bytes_max;
        if !self.topics.has_room(index, request.payload.size()) {
            return Err(PublishError::Full { bytes_max });
        }
        if end_before.is_some() {
            self.topics.restart(index);
        }
        let is_first = self.topics.get(index).history.is_empty();
        let limits = self.config.history_of(&request.topic);
        let end = request.end_reason();
        let publication = self
            .topics
            .append(now, index, request.payload, end, &limits);
        let state = self.topics.get_mut(index);
        if let Some(id) = request.id {
            state.remember_key(id, publication.position);
        }
        if is_first {
            self.topics.mark_published(index);
        }
        let exact = self.topics.get(index).route;
        Ok(Stored::Now(publication, exact))
    }

    /// Checks a request where it enters the hub, and applies the terminal rule if the publisher didn't state an end.
    ///
    /// # Errors
    /// If the payload or the idempotency key is too large.
    pub fn admit(&self, mut request: PublishRequest<P>) -> Result<PublishRequest<P>, PublishError> {
        let bytes = request.payload.size();
        if bytes > self.config.payload_bytes_max {
            return Err(PublishError::PayloadTooLarge {
                bytes,
                bytes_max: self.config.payload_bytes_max,
            });
        }
        if let Some(id) = &request.id
            && id.len() > IDEMPOTENCY_KEY_BYTES_MAX
        {
            return Err(PublishError::KeyTooLong { bytes: id.len() });
        }
        if let (None, Some(rule)) = (request.end, &self.config.terminal_rule) {
            request.end = rule.evaluate(&request.payload).map(StatedEnd::from);
        }
        Ok(request)
    }
}
