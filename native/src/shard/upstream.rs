//! Connects a shard to topics that live in a backend: calls go out, and answers come back.

use std::collections::HashMap;
use std::time::Instant as HostInstant;

use tidegate_core::hub::{
    ConnectionId, PublishError, ServerAnswer, SubscribeError, Subscribed, SubscriptionId,
};
use tidegate_core::protocol::{PublishRequest, SubscribeRequest};
use tidegate_core::publication::Position;
use tidegate_core::time::Instant;
use tidegate_core::topic::{Pattern, Topic};
use tidegate_core::uplink::Lookup;
use tokio::sync::oneshot;

use super::command::LookedUp;
use super::local::{LocalQueue, LocalReader, Opened, Opening};
use super::{EndpointKind, Shard};
use crate::hub::Publication;
use crate::json::Json;
use crate::uplink::Uplink;

/// The shard's end of its uplink.
pub(super) struct Upstream {
    pub(super) uplink: Uplink,
    last_ticket: u64,
    publishes: HashMap<u64, oneshot::Sender<Result<Position, PublishError>>>,
    openings: HashMap<ConnectionId, PendingOpening>,
    lookups: HashMap<u64, oneshot::Sender<LookedUp>>,
}

/// A local connection with subscriptions that are not confirmed yet.
struct PendingOpening {
    token: u64,
    reader: LocalReader,
    subscriptions: Vec<SubscriptionId>,
    unanswered: usize,
    reply: oneshot::Sender<Opened>,
}

impl Upstream {
    pub(super) fn new(uplink: Uplink) -> Self {
        Self {
            uplink,
            last_ticket: 0,
            publishes: HashMap::new(),
            openings: HashMap::new(),
            lookups: HashMap::new(),
        }
    }
}

impl Shard {
    /// Hands a publication to the uplink, or to the hub if topics live there.
    pub(super) fn publish(
        &mut self,
        now: Instant,
        request: PublishRequest<Json>,
        accepted: HostInstant,
        reply: oneshot::Sender<Result<Position, PublishError>>,
    ) {
        let Some(upstream) = &mut self.upstream else {
            let watched = self.to_be_watched(&request.topic, accepted);
            // The caller may be gone; the publication stands.
            let _ = reply.send(self.hub.handle_publish(now, request));
            self.watch(watched);
            return;
        };
        upstream.last_ticket += 1;
        upstream.publishes.insert(upstream.last_ticket, reply);
        self.hub.handle_request(now, upstream.last_ticket, request);
    }

    /// Looks topics up where they live.
    pub(super) fn look_up(
        &mut self,
        now: Instant,
        lookup: Lookup,
        reply: oneshot::Sender<LookedUp>,
    ) {
        let mut ticket = 0;
        if let Some(upstream) = &mut self.upstream {
            upstream.last_ticket += 1;
            ticket = upstream.last_ticket;
        }
        let found = self.hub.handle_lookup(now, ticket, lookup);
        match (found, &mut self.upstream) {
            // The caller may be gone.
            (Some(found), _) => drop(reply.send(Ok(found))),
            (None, Some(upstream)) => drop(upstream.lookups.insert(ticket, reply)),
            (None, None) => {}
        }
    }

    /// Returns the topic and the start time, if the delivery of its next publication is to be timed.
    pub(super) fn to_be_watched(
        &self,
        topic: &Topic,
        accepted: HostInstant,
    ) -> Option<(Topic, HostInstant)> {
        let is_due = self.upstream.is_none() && self.joiner.stopwatch.is_due(accepted);
        is_due.then(|| (topic.clone(), accepted))
    }

    /// Times the delivery of the latest publication of the topic.
    pub(super) fn watch(&mut self, watched: Option<(Topic, HostInstant)>) {
        if let Some((topic, accepted)) = watched
            && let Some(publication) = self.hub.latest(&topic)
        {
            self.joiner.stopwatch.watch(publication, accepted);
        }
    }

    /// Opens a local connection with its subscriptions.
    pub(super) fn open_local(&mut self, now: Instant, opening: Opening) {
        let id = self.hub.handle_open_local(opening.outbox_bytes_max);
        if let Some(slow) = opening.slow {
            self.hub.handle_slow(id, slow);
        }
        let (queue, reader) = LocalQueue::new(id, self.sender.clone());
        self.insert(id, EndpointKind::Local(queue));
        let (mut durable, mut room) = (None, None);
        if let Some(client) = opening.client {
            self.hub.handle_guest(now, id);
            let asked = self.at(client.asked);
            if !self.hub.handle_user(id, client.user, asked) {
                // The connection is over before it begins.
                let _ = opening.reply.send(Ok((reader, Vec::new())));
                return;
            }
            durable = client.device;
            room = client.room.map(Pattern::from);
        }
        let mut result = Ok(());
        let mut subscriptions = Vec::new();
        let mut unanswered = 0;
        let joined = room.map(|room| self.hub.handle_join(now, id, &room));
        let asked = opening.patterns.into_iter().map(|pattern| {
            let request = SubscribeRequest {
                start: opening.start.of(&pattern),
                durable: durable.clone(),
                ..SubscribeRequest::new(pattern, opening.flow)
            };
            self.hub.handle_subscribe(now, id, request)
        });
        for subscribed in joined.into_iter().chain(asked) {
            match subscribed {
                Ok(Some(subscribed)) => subscriptions.push(subscribed.id),
                Ok(None) => unanswered += 1,
                Err(error) => result = Err(error),
            }
        }
        if let Err(error) = result {
            self.close(id);
            let _ = opening.reply.send(Err(error));
            return;
        }
        if unanswered > 0 {
            let pending = PendingOpening {
                token: opening.token,
                reader,
                subscriptions,
                unanswered,
                reply: opening.reply,
            };
            self.await_opening(id, pending);
            return;
        }
        // Its first frames are there before the answer.
        self.drain();
        if opening.reply.send(Ok((reader, subscriptions))).is_err() {
            self.close(id);
        }
    }

    fn await_opening(&mut self, id: ConnectionId, opening: PendingOpening) {
        if let Some(upstream) = &mut self.upstream {
            upstream.openings.insert(id, opening);
        }
    }

    /// A local connection ends. If its caller is still waiting for the answer, it gets what there is.
    pub(super) fn end_opening(&mut self, id: ConnectionId) {
        let upstream = self.upstream.as_mut();
        if let Some(opening) = upstream.and_then(|upstream| upstream.openings.remove(&id)) {
            // If nobody is waiting, the dropped reader closes the connection.
            let _ = opening
                .reply
                .send(Ok((opening.reader, opening.subscriptions)));
        }
    }

    /// The caller that asked for a local connection has gone before it was answered.
    pub(super) fn cancel_opening(&mut self, token: u64) {
        let Some(upstream) = &mut self.upstream else {
            return;
        };
        let mut openings = upstream.openings.iter();
        let cancelled = openings.find(|(_, opening)| opening.token == token);
        if let Some(id) = cancelled.map(|(id, _)| *id) {
            upstream.openings.remove(&id);
            self.close(id);
        }
    }

    /// Passes on a publication that the backend announced.
    pub(super) fn handle_announced(&mut self, now: Instant, publication: Publication) {
        if let Some(upstream) = &self.upstream {
            upstream.uplink.count_taken(&publication);
        }
        let arrived = HostInstant::now();
        if self.joiner.stopwatch.is_due(arrived) {
            self.joiner.stopwatch.watch(&publication, arrived);
        }
        self.hub.handle_heard(now, publication);
    }

    /// Announcements were dropped; from now on they are accepted again.
    pub(super) fn notice_missed(&mut self, now: Instant) {
        if let Some(upstream) = &self.upstream {
            upstream.uplink.acknowledge_missed();
        }
        self.hub.handle_missed(now);
    }

    /// Passes calls and broadcasts to the uplink, and answers to those who wait for them.
    pub(super) fn drain_upstream(&mut self) {
        let mut is_idle = false;
        while !is_idle {
            is_idle = true;
            self.carry_out_calls();
            let Some(upstream) = &mut self.upstream else {
                return;
            };
            while let Some(message) = self.hub.poll_presence() {
                upstream.uplink.broadcast_presence(&message);
            }
            loop {
                let claims = self.hub.poll_claims();
                if claims.is_empty() {
                    break;
                }
                upstream.uplink.broadcast_claims(claims);
            }
            while let Some((ticket, found)) = self.hub.poll_found() {
                if let Some(reply) = upstream.lookups.remove(&ticket) {
                    // The caller may be gone.
                    let _ = reply.send(found);
                }
            }
            self.broadcast_disconnects(None);
            while let Some(answer) = self.hub.poll_answer() {
                is_idle = false;
                self.pass_on(answer);
            }
        }
    }

    fn pass_on(&mut self, answer: ServerAnswer) {
        match answer {
            ServerAnswer::Published { ticket, result } => {
                if let Some(upstream) = &mut self.upstream
                    && let Some(reply) = upstream.publishes.remove(&ticket)
                {
                    // The caller may be gone; the publication stands.
                    let _ = reply.send(result);
                }
            }
            ServerAnswer::Subscribed {
                connection,
                pattern,
                result,
            } => self.answer_opening(connection, &pattern, result),
        }
    }

    /// Passes calls to the uplink. An answer at once may lead to further calls. Returns whether there were any.
    pub(super) fn carry_out_calls(&mut self) -> bool {
        let now = self.now();
        let Some(upstream) = &self.upstream else {
            return false;
        };
        let mut had_calls = false;
        while let Some((id, call)) = self.hub.poll_call() {
            had_calls = true;
            if let Some(answer) = upstream.uplink.call(id, call) {
                self.hub.handle_answer(now, id, answer);
            }
        }
        had_calls
    }

    fn answer_opening(
        &mut self,
        id: ConnectionId,
        pattern: &Pattern,
        result: Result<Subscribed, SubscribeError>,
    ) {
        let Some(upstream) = &mut self.upstream else {
            return;
        };
        let Some(mut opening) = upstream.openings.remove(&id) else {
            return;
        };
        match result {
            Err(error) => {
                tracing::debug!(%pattern, %error, "a subscription was refused");
                let _ = opening.reply.send(Err(error));
                self.close(id);
            }
            Ok(subscribed) => {
                opening.subscriptions.push(subscribed.id);
                opening.unanswered -= 1;
                if opening.unanswered > 0 {
                    self.await_opening(id, opening);
                    return;
                }
                // Its first frames are there before the answer.
                self.flush(id);
                let opened = Ok((opening.reader, opening.subscriptions));
                if opening.reply.send(opened).is_err() {
                    self.close(id);
                }
            }
        }
    }
}
