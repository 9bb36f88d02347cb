//! A server whose topics live beyond an uplink: what waits for the backend, and what it brings.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::connection::Downlink;
use super::parked::Parked;
use super::{ConnectionId, ServerHub};
use crate::hub::mirror::Mirror;
use crate::hub::{PublishError, SubscribeError, Subscribed, UplinkCounts};
use crate::payload::Payload;
use crate::protocol::{PublishRequest, ServerFrame};
use crate::publication::{Position, Publication};
use crate::time::Instant;
use crate::topic::Pattern;
use crate::uplink::{CallId, UplinkAnswer, UplinkCall, UplinkConfig};

/// The result of a request that could not be answered at once.
#[derive(Debug)]
pub enum ServerAnswer {
    /// The result of [`ServerHub::handle_request`].
    Published {
        /// The host's number for it.
        ticket: u64,
        /// The position of the publication, or why it was not published.
        result: Result<Position, PublishError>,
    },
    /// The result of [`ServerHub::handle_subscribe`], also for a durable subscription.
    Subscribed {
        /// The local connection.
        connection: ConnectionId,
        /// The pattern of the subscription.
        pattern: Pattern,
        /// The subscription, or why it was refused.
        result: Result<Subscribed, SubscribeError>,
    },
}

#[derive(Debug)]
pub(super) struct Upstream<P> {
    pub(super) mirror: Mirror<P, Origin>,
    /// Parked subscriptions without and with wildcards: when a topic comes into sync, only the latter have to be
    /// searched.
    pub(super) parked_exact: BTreeMap<Pattern, Vec<Parked>>,
    pub(super) parked_wild: BTreeMap<Pattern, Vec<Parked>>,
    pub(super) answers: VecDeque<ServerAnswer>,
    /// What connections were last told.
    is_stale: bool,
}

/// Who a publish is from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin {
    Session {
        connection: ConnectionId,
        request: u64,
    },
    Host(u64),
}

impl<P: Payload + Clone> Upstream<P> {
    pub(super) fn new(config: UplinkConfig) -> Self {
        Self {
            mirror: Mirror::new(config),
            parked_exact: BTreeMap::new(),
            parked_wild: BTreeMap::new(),
            answers: VecDeque::new(),
            is_stale: false,
        }
    }
}

impl<P: Payload + Clone> ServerHub<P> {
    /// Publishes on the server's own behalf, through the uplink. [`ServerHub::poll_answer`] returns the result.
    pub fn handle_request(&mut self, now: Instant, ticket: u64, request: PublishRequest<P>) {
        let Some(upstream) = &mut self.upstream else {
            return;
        };
        match self.hub.admit(request) {
            Ok(request) => upstream
                .mirror
                .handle_publish(now, Origin::Host(ticket), request),
            Err(error) => upstream.answers.push_back(ServerAnswer::Published {
                ticket,
                result: Err(error),
            }),
        }
        self.drain_hub(now);
    }

    /// The result of a call from [`ServerHub::poll_call`].
    pub fn handle_answer(&mut self, now: Instant, call: CallId, answer: UplinkAnswer<P>) {
        if let Some(upstream) = &mut self.upstream {
            upstream
                .mirror
                .handle_answer(now, &mut self.hub, call, answer);
        }
        self.drain_hub(now);
    }

    /// A publication arrived from the uplink.
    pub fn handle_heard(&mut self, now: Instant, publication: Arc<Publication<P>>) {
        if let Some(upstream) = &mut self.upstream {
            upstream
                .mirror
                .handle_publication(now, &mut self.hub, publication);
        }
        self.drain_hub_later(now);
    }

    /// Publications from the uplink may have been missed.
    pub fn handle_missed(&mut self, now: Instant) {
        if let Some(upstream) = &mut self.upstream {
            upstream.mirror.handle_missed(now);
        }
        self.drain_hub(now);
    }

    /// The uplink was lost.
    pub fn handle_lost(&mut self, now: Instant) {
        if let Some(upstream) = &mut self.upstream {
            upstream.mirror.handle_lost(now);
        }
        self.drain_hub(now);
    }

    /// The next call for the uplink. Calls may be carried out concurrently: none depends on another that is unanswered.
    pub fn poll_call(&mut self) -> Option<(CallId, UplinkCall<P>)> {
        self.upstream.as_mut()?.mirror.poll_call()
    }

    /// The next answer to a request that could not be answered at once.
    pub fn poll_answer(&mut self) -> Option<ServerAnswer> {
        let durable = self.durables.answers.pop_front();
        durable.or_else(|| self.upstream.as_mut()?.answers.pop_front())
    }

    /// Returns whether topics live in a backend, and the link to it is lost, or what was missed has not been read yet.
    pub fn is_stale(&self) -> bool {
        self.upstream
            .as_ref()
            .is_some_and(|upstream| upstream.is_stale)
    }

    /// Figures about keeping in sync with topics in a backend.
    pub fn uplink_counts(&self) -> UplinkCounts {
        let upstream = self.upstream.as_ref();
        upstream.map_or_else(UplinkCounts::default, |upstream| UplinkCounts {
            parked: upstream.parked_exact.len() + upstream.parked_wild.len(),
            ..upstream.mirror.counts()
        })
    }

    /// Returns whether topics live beyond an uplink.
    pub const fn has_uplink(&self) -> bool {
        self.upstream.is_some()
    }

    /// Passes a client's publication to the uplink; returns it if topics live here.
    pub(super) fn publish_upstream(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        request: u64,
        publish: PublishRequest<P>,
    ) -> Option<PublishRequest<P>> {
        let Some(upstream) = &mut self.upstream else {
            return Some(publish);
        };
        match self.hub.admit(publish) {
            Ok(publish) => {
                let origin = Origin::Session {
                    connection,
                    request,
                };
                upstream.mirror.handle_publish(now, origin, publish);
            }
            Err(error) => {
                if let Some(session) = self.session(connection) {
                    session.handle_published(request, Err(error));
                }
            }
        }
        None
    }

    /// Passes on what the uplink brought, and releases patterns that are no longer needed. Returns whether there was
    /// anything to do.
    pub(super) fn drain_upstream(&mut self, now: Instant) -> bool {
        let Some(upstream) = &mut self.upstream else {
            return false;
        };
        if let Some(pattern) = self.hub.poll_released() {
            let is_wanted = upstream.parked(&pattern).contains_key(&pattern)
                || self.hub.has_route(&pattern)
                || self.durables.waits_for(&pattern);
            if !is_wanted {
                let mirror = &mut upstream.mirror;
                mirror.handle_released(now, &mut self.hub, &pattern);
            }
            return true;
        }
        if let Some((origin, result)) = upstream.mirror.poll_published() {
            self.report_published(now, origin, result);
            return true;
        }
        if let Some(progress) = upstream.mirror.poll_progress() {
            self.start_parked(now, &progress);
            return true;
        }
        let is_stale = upstream.mirror.is_stale();
        if upstream.is_stale != is_stale {
            upstream.is_stale = is_stale;
            self.report_stale(now, is_stale);
            return true;
        }
        false
    }

    fn report_published(
        &mut self,
        now: Instant,
        origin: Origin,
        result: Result<Position, PublishError>,
    ) {
        match origin {
            Origin::Host(ticket) => {
                if let Some(upstream) = &mut self.upstream {
                    upstream
                        .answers
                        .push_back(ServerAnswer::Published { ticket, result });
                }
            }
            Origin::Session {
                connection,
                request,
            } if self.find(connection).is_some() => {
                if let Some(session) = self.session(connection) {
                    session.handle_published(request, result);
                }
                self.drain_session(now, connection);
                self.close_if_overfull(now, connection.index);
            }
            Origin::Session { .. } => {}
        }
    }

    fn report_stale(&mut self, now: Instant, is_stale: bool) {
        // A connection that has ended gets no more frames.
        let ids: Vec<ConnectionId> = self.ids().filter(|id| !self.has_ended(*id)).collect();
        for id in ids {
            match self.session(id) {
                Some(session) => {
                    session.handle_stale(is_stale);
                    self.drain_session(now, id);
                }
                None if is_stale => self.send(id.index, ServerFrame::Stale),
                None => self.send(id.index, ServerFrame::Live),
            }
        }
    }

    /// Returns whether everything that a local connection subscribed to has ended, and the connection is about to end.
    fn has_ended(&self, id: ConnectionId) -> bool {
        let downlink = &self.connections[id.index as usize].downlink;
        matches!(downlink, Downlink::Local(local) if local.is_ending && !local.is_wanted())
    }
}
