//! The leader's exchange: many members below, one connection above.
//!
//! A member sends and receives the same frames as if this were the server; above is one [`Client`]. Interest is
//! aggregated: each pattern is subscribed to once, with the finest flow that a member needs. Whatever arrives is sent
//! to all members at once, and those that have seen it drop it by its offset. A member that starts from a different
//! position than the others gets the latest values seen here if those are all that it misses. Otherwise the
//! subscription upstream goes back, and what arrives again is for that member alone: see `exchange/joining.rs`. So all
//! members are at the same position, and can be sent sums. A durable member gets what no one has processed: see
//! `exchange/durable.rs`.
//!
//! One thing differs from a server. When a new member resumes, the other members' wildcard subscribers that asked for
//! [`Start::New`] may see publications from before their start.

mod durable;
mod incoming;
mod joining;
mod pings;
mod presence;
mod route;
mod upstream;

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use super::message::TabId;
use crate::client::{Client, ClientConfig, ConnectionState};
use crate::flow::Flow;
use crate::hub::SubscribeError;
use crate::limits::ROUTES_MAX;
use crate::ordered::OrderedMap;
use crate::payload::Payload;
use crate::protocol::{
    ClientFrame, ErrorCode, GroupTerm, PublishRequest, ServerFrame, SubscribeRequest, WireError,
};
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::topic::Pattern;
use pings::Pinged;
use presence::Presences;
use route::{Place, Route, Seat};

/// How long a member's link may be silent before the member pings. It can be long, because a loss between tabs is
/// always noticed by other means.
const MEMBER_HEARTBEAT_MS: u64 = 60 * 60 * 1000;

/// What an exchange emits to its owner.
#[derive(Debug)]
pub(super) enum ExchangeOutput<P> {
    AskToken { request: u32 },
    Connect { link: u32 },
    Disconnect { link: u32 },
    Send(ClientFrame<P>),
    State(ConnectionState),
    One(TabId, ServerFrame<P>),
    All(ServerFrame<P>),
}

/// A member's publish: the member, its link, and its own number for the request.
#[derive(Clone, Copy, Debug)]
struct MemberPublish {
    member: TabId,
    link: u32,
    request: u64,
}

#[derive(Debug)]
pub(super) struct Exchange<P> {
    client: Client<P>,
    /// The members and their current links.
    members: SortedMap<TabId, u32>,
    routes: OrderedMap<Pattern, Route<P>>,
    requests: SortedMap<u64, MemberPublish>,
    presences: Presences,
    /// Pings of members that are unanswered.
    pings: Vec<Pinged>,
    /// Whether members were last told that the server has lost its link to the backend.
    is_stale: bool,
    output: VecDeque<ExchangeOutput<P>>,
}

impl<P: Payload + Clone> Exchange<P> {
    pub(super) fn new(config: ClientConfig) -> Self {
        Self {
            client: Client::new(config),
            members: SortedMap::new(),
            routes: OrderedMap::new(),
            requests: SortedMap::new(),
            presences: Presences::default(),
            pings: Vec::new(),
            is_stale: false,
            output: VecDeque::new(),
        }
    }

    pub(super) fn members(&self) -> impl Iterator<Item = (TabId, u32)> {
        self.members.iter().map(|(member, link)| (*member, *link))
    }

    pub(super) fn link_of(&self, member: TabId) -> Option<u32> {
        self.members.get(&member).copied()
    }

    /// How many patterns are followed.
    pub(super) fn patterns(&self) -> usize {
        self.routes.len()
    }

    /// Sets the group that the connection states when it next opens.
    pub(super) fn set_group(&mut self, group: GroupTerm) {
        self.client.set_group(group);
    }

    /// A member has joined over this link, which replaces any earlier one.
    pub(super) fn handle_open(&mut self, now: Instant, member: TabId, link: u32) {
        self.leave_all(member);
        self.members.insert(member, link);
        self.client.handle_connect(now);
        self.handle_hurry(now);
    }

    /// Somebody is waiting for the connection, or the network is back.
    pub(super) fn handle_hurry(&mut self, now: Instant) {
        self.client.handle_hurry(now);
        self.drain();
    }

    /// A member has gone. Without members, there is no connection.
    pub(super) fn handle_close(&mut self, member: TabId) {
        if self.members.remove(&member).is_some() {
            self.leave_all(member);
            if self.members.is_empty() {
                self.client.handle_disconnect();
            }
            self.drain();
        }
    }

    fn leave_all(&mut self, member: TabId) {
        let joined = self.routes.iter();
        let joined: Vec<Pattern> = joined
            .filter(|(_, route)| route.seats.contains_key(&member))
            .map(|(pattern, _)| pattern.clone())
            .collect();
        for pattern in joined {
            self.leave(member, &pattern);
        }
        self.leave_presences(member);
        self.requests.retain(|_, publish| publish.member != member);
    }

    /// The longest message that the server accepts, in bytes, if it has said so.
    pub(super) const fn message_bytes_max(&self) -> Option<u64> {
        self.client.message_bytes_max()
    }

    /// A frame arrived over a member's link.
    pub(super) fn handle_frame(&mut self, now: Instant, member: TabId, frame: ClientFrame<P>) {
        match frame {
            ClientFrame::Hello { .. } => self.welcome(member),
            ClientFrame::Subscribe(request) => {
                if let Err(error) = self.subscribe(now, member, &request) {
                    self.fail(member, error.about_pattern(request.pattern));
                }
            }
            ClientFrame::Unsubscribe { pattern } => {
                if self.leave(member, &pattern) {
                    self.one(member, ServerFrame::Unsubscribed { pattern });
                } else {
                    self.fail(member, not_subscribed(pattern));
                }
            }
            ClientFrame::Ack { pattern, positions } => {
                self.acknowledge(now, member, &pattern, &positions);
            }
            ClientFrame::Forget { pattern } => self.forget(now, member, pattern),
            ClientFrame::Flow { pattern, flow } => self.reflow(now, member, pattern, flow),
            ClientFrame::Publish { request, publish } => {
                self.publish(now, member, request, publish);
            }
            ClientFrame::Track {
                request,
                topic,
                key,
                meta,
            } => self.track(now, (member, request), topic, key, meta),
            ClientFrame::Untrack { request } => self.untrack(member, request),
            ClientFrame::Watch { request, topic } => self.watch(now, member, request, topic),
            ClientFrame::Unwatch { topic } => self.unwatch(member, &topic),
            ClientFrame::Ping => self.ping(member),
            ClientFrame::Pong => {}
        }
        self.drain();
    }

    fn subscribe(
        &mut self,
        now: Instant,
        member: TabId,
        request: &SubscribeRequest,
    ) -> Result<(), WireError> {
        let flow = request.flow.validate();
        flow.map_err(|error| WireError::new(ErrorCode::BadFlow, error.message()))?;
        let (pattern, is_durable) = (&request.pattern, request.durable.is_some());
        if self.routes.len() >= ROUTES_MAX && !self.routes.contains_key(pattern) {
            let message =
                "the tabs of this browser follow too many patterns; unsubscribe from some";
            return Err(WireError::new(ErrorCode::TooManySubscriptions, message));
        }
        let known = self.routes.get(pattern);
        let slow = request.slow.or(known.and_then(|route| route.slow));
        let has_device = is_durable || known.is_some_and(|route| route.durable.is_some());
        if slow.is_some() && has_device {
            // The server would refuse the whole subscription.
            return Err(SubscribeError::SlowDurable.to_wire());
        }
        let route = self.routes.or_insert_with(pattern, Route::new);
        if route.seats.contains_key(&member) && !is_durable {
            let message = "this tab has a subscription with this pattern; change its flow instead";
            return Err(WireError::new(ErrorCode::AlreadySubscribed, message));
        }
        let becomes_durable = route.become_durable(request.durable.clone())?;
        if route.seats.is_empty() {
            route.first = Some((request.start.clone(), is_durable));
            route.seats.insert(member, Seat::new(request));
            route.aggregate();
            let start = route.begin(pattern, &request.start);
            self.follow(now, pattern, start);
        } else {
            self.sit_beside(member, request, becomes_durable);
        }
        Ok(())
    }

    /// Confirms a member's subscription; what it missed follows.
    fn confirm(&mut self, member: TabId, pattern: &Pattern, recovered: bool) {
        let Some(route) = self.routes.get_mut(pattern) else {
            return;
        };
        let position = route.position(pattern);
        let flow = route.upstream;
        if let Some(seat) = route.seats.get_mut(&member)
            && !matches!(seat.place, Place::Joining(_))
        {
            seat.place = Place::There;
        }
        let pattern = pattern.clone();
        self.one(
            member,
            ServerFrame::Subscribed {
                pattern,
                position,
                recovered,
                flow,
            },
        );
    }

    /// Returns whether the member had a subscription to leave.
    fn leave(&mut self, member: TabId, pattern: &Pattern) -> bool {
        let Some(route) = self.routes.get_mut(pattern) else {
            return false;
        };
        if route.seats.remove(&member).is_none() {
            return false;
        }
        if route.seats.is_empty() {
            self.routes.remove(pattern);
            self.client.handle_unsubscribe(pattern);
        } else {
            if !route.has_devices() && route.durable.take().is_some() {
                self.client.handle_not_durable(pattern);
            }
            let before = route.aggregate();
            self.push_up(pattern, before);
        }
        true
    }

    fn reflow(&mut self, now: Instant, member: TabId, pattern: Pattern, flow: Flow) {
        if let Err(error) = flow.validate() {
            let error = WireError::new(ErrorCode::BadFlow, error.message());
            return self.fail(member, error.about_pattern(pattern));
        }
        let Some(route) = self.routes.get_mut(&pattern) else {
            return self.fail(member, not_subscribed(pattern));
        };
        let Some(seat) = route.seats.get_mut(&member) else {
            return self.fail(member, not_subscribed(pattern));
        };
        seat.flow = flow;
        let before = route.aggregate();
        if before.conflates()
            && !route.upstream.conflates()
            && !route.is_rewinding
            && !route.past.has_combined()
        {
            // From here on nothing may be missing, so what the server holds back must not be conflated, either.
            let start = route.go_on(&pattern);
            self.follow(now, &pattern, start);
        } else {
            self.push_up(&pattern, before);
        }
    }

    fn publish(&mut self, now: Instant, member: TabId, request: u64, publish: PublishRequest<P>) {
        let link = self.members.get(&member).copied().unwrap_or(0);
        let number = self.client.handle_publish(now, publish);
        let publish = MemberPublish {
            member,
            link,
            request,
        };
        self.requests.insert(number, publish);
    }

    fn one(&mut self, member: TabId, frame: ServerFrame<P>) {
        self.output.push_back(ExchangeOutput::One(member, frame));
    }

    fn all(&mut self, frame: ServerFrame<P>) {
        self.output.push_back(ExchangeOutput::All(frame));
    }

    fn fail(&mut self, member: TabId, error: WireError) {
        self.one(member, ServerFrame::Error(error));
    }

    /// A member has got a token, or none could.
    pub(super) fn handle_token(&mut self, now: Instant, request: u32, token: Option<String>) {
        self.client.handle_token(now, request, token);
        self.drain();
    }

    /// The transport of `link` is open.
    pub(super) fn handle_opened(&mut self, now: Instant, link: u32) {
        self.client.handle_opened(now, link);
        self.drain();
    }

    /// The transport of `link` is closed.
    pub(super) fn handle_closed(&mut self, now: Instant, link: u32) {
        self.client.handle_closed(now, link);
        self.drain();
    }

    /// A frame arrived from the server.
    pub(super) fn handle_server_frame(&mut self, now: Instant, link: u32, frame: ServerFrame<P>) {
        self.client.handle_frame(now, link, frame);
        self.drain();
    }

    /// The connection is being given up: the frames sent now are the last.
    pub(super) fn handle_disconnect(&mut self) {
        self.client.handle_disconnect();
        self.drain();
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.client.handle_timeout(now);
        self.drain();
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.client.poll_timeout()
    }

    pub(super) fn poll_output(&mut self) -> Option<ExchangeOutput<P>> {
        self.output.pop_front()
    }

    fn drain(&mut self) {
        loop {
            if let Some(event) = self.client.poll_output() {
                self.handle_event(event);
            } else if !self.release_pings() {
                return;
            }
        }
    }
}

fn not_subscribed(pattern: Pattern) -> WireError {
    let message = "this tab has no subscription with this pattern; it may have ended";
    WireError::new(ErrorCode::NotSubscribed, message).about_pattern(pattern)
}

#[cfg(test)]
mod tests;
