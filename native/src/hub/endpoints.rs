//! What the HTTP endpoints need from a hub.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tidegate_core::event_stream::EventStreamConfig;
use tidegate_core::flow::Flow;
use tidegate_core::protocol::WireError;
use tidegate_core::topic::Pattern;

use super::Hub;
use super::bodies::Bodies;
use super::posts::Publisher;
use crate::access::Door;
use crate::error::Stopped;
use crate::shard::{Command, Guest, Transport};

impl Hub {
    /// The flow that a client of these patterns is granted if it requests `flow`.
    pub(crate) fn granted_flow(&self, patterns: &[Pattern], flow: Flow) -> Flow {
        let floor = &self.inner.floor;
        let slowed = |flow, pattern| floor.grant(pattern, flow);
        let granted = patterns.iter().fold(flow, slowed);
        let is_slower = u64::from(granted != flow);
        self.inner.slowed.fetch_add(is_slower, Ordering::Relaxed);
        granted
    }

    /// Decides who may connect.
    pub(crate) fn door(&self) -> &Arc<Door> {
        &self.inner.door
    }

    /// The most bytes that a request to publish may have, including its payload.
    pub(crate) fn frame_bytes_max(&self) -> usize {
        self.inner.sockets.frame_bytes_max
    }

    /// The room for the bodies of requests.
    pub(crate) fn bodies(&self) -> &Arc<Bodies> {
        &self.inner.posts.bodies
    }

    /// The room for answers to requests that read.
    pub(crate) fn answers(&self) -> &Arc<Bodies> {
        &self.inner.answers
    }

    /// Counts the publications of a request against the rate of its publisher.
    ///
    /// # Errors
    /// If that is too often: how many of them, from the first one on, are allowed, and why the rest is not.
    pub(crate) fn count_posts(
        &self,
        publisher: &Publisher,
        publishes: usize,
    ) -> Result<(), (usize, WireError)> {
        self.inner.posts.count(publisher, publishes)
    }

    /// Whether clients are offered compressed messages.
    pub(crate) fn deflates(&self) -> bool {
        self.inner.sockets.compress_above.is_some()
    }

    /// How long clients have to go elsewhere, once they are asked to.
    pub(crate) fn drain_grace(&self) -> Duration {
        self.inner.drain_grace
    }

    /// Whether there are connections from outside this process.
    pub(crate) async fn has_clients(&self) -> Result<bool, Stopped> {
        self.inner.shards.have_clients().await
    }

    /// The timings of event streams.
    pub(crate) fn event_streams(&self) -> EventStreamConfig {
        self.inner.sockets.event_streams
    }

    /// Hands a connection over to one of the shards.
    pub(crate) fn connect(
        &self,
        transport: Transport,
        received: Bytes,
        guest: Guest,
    ) -> Result<(), Stopped> {
        let shard = self.inner.shards.least_loaded()?;
        shard.send_connection(Command::Connect {
            transport,
            received,
            guest,
        })
    }
}
