//! Durable subscriptions: finding their topics' positions, claiming their cursors, starting them there, and storing
//! acknowledgements.

mod start;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::parked::Parked;
use super::{ConnectionId, Downlink, ServerAnswer, ServerHub};
use crate::durable::{
    Claimed, CursorAnswer, CursorCall, CursorKey, CursorLimits, DurableCounts, DurableName, Keeper,
    Shelf,
};
use crate::flow::Flow;
use crate::hub::start::OnLoss;
use crate::hub::{SubscribeError, Subscribed};
use crate::limits::DURABLE_TOPICS_MAX;
use crate::payload::Payload;
use crate::protocol::{Start, SubscribeRequest, TopicPosition};
use crate::session::Session;
use crate::time::Instant;
use crate::topic::Pattern;
use start::newest;

/// The durable subscriptions of a server's connections.
#[derive(Debug)]
pub(super) struct Durables {
    pub(super) keeper: Keeper,
    /// The cursors, if topics live here.
    shelf: Shelf,
    waiting: BTreeMap<(ConnectionId, Pattern), Waiting>,
    /// The results of local connections' durable subscriptions.
    pub(super) answers: VecDeque<ServerAnswer>,
}

/// A durable subscription that has not started yet.
#[derive(Debug)]
struct Waiting {
    key: CursorKey,
    flow: Flow,
    /// First the start that its client requested; once the cursor is claimed, its positions.
    start: Start,
    /// Whether everything that its client has seen counts as processed, because the client can't acknowledge.
    seen_is_handled: bool,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Finding out the positions of its topics, where a new cursor begins.
    Placing,
    /// The cursor has been requested.
    Claiming,
    /// Reading what it missed. If the copies lacked some of that, everything that is kept was requested, at this number
    /// of losses of the link.
    Starting { kept_read_at: Option<u64> },
}

impl Durables {
    pub(super) fn new(seed: u64, limits: CursorLimits) -> Self {
        Self {
            keeper: Keeper::new(seed),
            shelf: Shelf::new(limits),
            waiting: BTreeMap::new(),
            answers: VecDeque::new(),
        }
    }

    /// Returns whether a subscription with this pattern has yet to start, so that the pattern must stay followed.
    pub(super) fn waits_for(&self, pattern: &Pattern) -> bool {
        self.waiting.keys().any(|(_, known)| known == pattern)
    }

    /// Gives up a subscription that has not started. Returns whether there was one.
    pub(super) fn withdraw(&mut self, connection: ConnectionId, pattern: &Pattern) -> bool {
        let place = (connection, pattern.clone());
        self.waiting.remove(&place).is_some()
    }

    /// Changes the flow of a subscription that has not started.
    pub(super) fn set_flow(&mut self, connection: ConnectionId, pattern: &Pattern, flow: Flow) {
        if let Some(waiting) = self.waiting.get_mut(&(connection, pattern.clone())) {
            waiting.flow = flow;
        }
    }

    pub(super) fn is_waiting(&self, connection: ConnectionId, pattern: &Pattern) -> bool {
        self.waiting.contains_key(&(connection, pattern.clone()))
    }

    /// Takes the result of a local connection's subscription, if there is one.
    pub(super) fn take_answer(
        &mut self,
        connection: ConnectionId,
        pattern: &Pattern,
    ) -> Option<Result<Subscribed, SubscribeError>> {
        let at = self.answers.iter().position(|answer| {
            matches!(answer, ServerAnswer::Subscribed { connection: id, pattern: to, .. }
                if (*id, to) == (connection, pattern))
        })?;
        match self.answers.remove(at)? {
            ServerAnswer::Subscribed { result, .. } => Some(result),
            ServerAnswer::Published { .. } => None,
        }
    }

    fn key_of(&self, connection: ConnectionId, pattern: &Pattern) -> Option<CursorKey> {
        let waiting = self.waiting.get(&(connection, pattern.clone()));
        let waiting = waiting.map(|waiting| waiting.key.clone());
        waiting.or_else(|| self.keeper.key_of(connection, pattern).cloned())
    }
}

impl<P: Payload + Clone> ServerHub<P> {
    /// Begins a durable subscription. It is answered once the cursor is known.
    pub(super) fn begin_durable(
        &mut self,
        now: Instant,
        id: ConnectionId,
        request: SubscribeRequest,
        name: DurableName,
    ) {
        let SubscribeRequest {
            pattern,
            flow,
            start,
            ..
        } = request;
        let (user, seen_is_handled) = match &self.connections[id.index as usize].downlink {
            Downlink::Session(session) => (session.user().cloned(), false),
            Downlink::Local(local) => (local.user.clone(), true),
        };
        let waiting = Waiting {
            key: CursorKey {
                user,
                name,
                pattern: pattern.clone(),
            },
            flow,
            start,
            seen_is_handled,
            stage: Stage::Placing,
        };
        self.durables.waiting.insert((id, pattern.clone()), waiting);
        let placing = SubscribeRequest::new(pattern, flow);
        if self.prepare(now, id, &placing) {
            self.place_durable(now, id, &placing.pattern);
        }
    }

    /// What a durable subscription was parked for has come into sync.
    pub(super) fn go_on_durable(&mut self, now: Instant, id: ConnectionId, parked: Parked) {
        let pattern = &parked.request.pattern;
        let waiting = self.durables.waiting.get(&(id, pattern.clone()));
        match waiting.map(|waiting| waiting.stage) {
            Some(Stage::Placing) => self.place_durable(now, id, pattern),
            Some(Stage::Starting { kept_read_at }) => {
                self.start_durable(now, id, parked, kept_read_at);
            }
            Some(Stage::Claiming) | None => {}
        }
    }

    /// The positions of the topics are known, so the cursor can be claimed.
    fn place_durable(&mut self, now: Instant, id: ConnectionId, pattern: &Pattern) {
        let Some(waiting) = self.durables.waiting.get_mut(&(id, pattern.clone())) else {
            return;
        };
        waiting.stage = Stage::Claiming;
        let key = waiting.key.clone();
        let positions = match (&waiting.start, pattern.exact()) {
            (Start::Since(known), _) if !known.is_empty() => known.clone(),
            (start, Some(topic)) => {
                let position = self.hub.place_of(now, &topic);
                Vec::from([TopicPosition { topic, position }.before_latest(start)])
            }
            (start, None) => {
                let topics = self.hub.topics_of(pattern).into_iter();
                let positions = topics.filter_map(|topic| {
                    let position = self.hub.position(&topic)?;
                    Some(TopicPosition { topic, position }.before_latest(start))
                });
                positions.take(DURABLE_TOPICS_MAX).collect()
            }
        };
        self.durables.keeper.handle_claim(now, id, key, positions);
    }

    /// Passes requests about cursors on to their store, and the results back. Returns whether there were any.
    pub(super) fn drain_durables(&mut self, now: Instant) -> bool {
        let Durables { keeper, shelf, .. } = &mut self.durables;
        match &mut self.upstream {
            None => {
                if let Some(calls) = keeper.poll_calls(now) {
                    keeper.handle_answers(now, shelf.carry_out(now, &calls));
                }
            }
            Some(upstream) => {
                match upstream.mirror.poll_cursors() {
                    Some(Some(answers)) => keeper.handle_answers(now, answers),
                    Some(None) => keeper.handle_lost(now),
                    None => {}
                }
                if upstream.mirror.is_up()
                    && let Some(calls) = keeper.poll_calls(now)
                {
                    upstream.mirror.request_cursors(now, calls);
                }
            }
        }
        let claimed = keeper.poll_claimed();
        let is_any = claimed.is_some();
        if let Some(claimed) = claimed {
            self.take_claimed(now, claimed);
        }
        is_any
    }

    fn take_claimed(&mut self, now: Instant, claimed: Claimed) {
        let Claimed {
            connection: id,
            key,
            result,
        } = claimed;
        let pattern = key.pattern.clone();
        let place = (id, pattern.clone());
        let waiting = self.durables.waiting.get_mut(&place);
        let waiting = waiting.filter(|known| known.key == key && known.stage == Stage::Claiming);
        let keeper = &mut self.durables.keeper;
        let positions = match (waiting, result) {
            (None, _) => return keeper.handle_unwanted(&key),
            (Some(_), Err(answer)) => return self.refuse_durable(now, id, &pattern, &answer),
            (Some(waiting), Ok(positions)) => {
                let positions = newest(positions, &waiting.start);
                waiting.stage = Stage::Starting { kept_read_at: None };
                let start = Start::Since(positions.clone());
                let start = core::mem::replace(&mut waiting.start, start);
                keeper.handle_held(now, id, &key);
                if let (Start::Since(seen), true) = (start, waiting.seen_is_handled) {
                    keeper.handle_seen(now, id, &pattern, &seen);
                }
                positions
            }
        };
        let flow = self.durables.waiting[&place].flow;
        let request = SubscribeRequest {
            start: Start::Since(positions),
            ..SubscribeRequest::new(pattern, flow)
        };
        if self.prepare(now, id, &request) {
            self.start_durable(now, id, Parked::new(id, request), None);
        }
    }

    fn refuse_durable(
        &mut self,
        now: Instant,
        id: ConnectionId,
        pattern: &Pattern,
        answer: &CursorAnswer,
    ) {
        let waiting = self.durables.waiting.remove(&(id, pattern.clone()));
        let error = match answer {
            CursorAnswer::Full => SubscribeError::TooManyDurables,
            CursorAnswer::Claimed { .. }
            | CursorAnswer::Done
            | CursorAnswer::Listed(_)
            | CursorAnswer::Unsupported => SubscribeError::NoDurables,
        };
        let flow = waiting.map_or(Flow::IMMEDIATE, |waiting| waiting.flow);
        self.answer_durable(now, id, pattern, flow, Err(error));
        self.hub.note_released(pattern.clone());
    }

    /// Starts the subscription from its cursor, once what is missing has been read.
    fn start_durable(
        &mut self,
        now: Instant,
        id: ConnectionId,
        mut parked: Parked,
        kept_read_at: Option<u64>,
    ) {
        let SubscribeRequest { pattern, start, .. } = &parked.request;
        if let (Some(upstream), Start::Since(positions)) = (&mut self.upstream, start) {
            let losses = upstream.mirror.losses();
            let is_up = upstream.mirror.is_up();
            if !is_up
                || (kept_read_at != Some(losses)
                    && upstream
                        .mirror
                        .read_kept(now, &self.hub, pattern, positions))
            {
                parked.read_at = is_up.then_some(losses);
                if let Some(waiting) = self.durables.waiting.get_mut(&(id, pattern.clone())) {
                    let kept_read_at = parked.read_at;
                    waiting.stage = Stage::Starting { kept_read_at };
                }
                let waiting = upstream.parked(pattern).entry(pattern.clone());
                return waiting.or_default().push(parked);
            }
        }
        self.durables.withdraw(id, pattern);
        let (pattern, request) = (pattern.clone(), parked.request);
        if self.session(id).is_some() {
            self.start_session(now, id, request, OnLoss::Kept);
        } else {
            let result = self.start_local(now, id, &request, OnLoss::Kept);
            self.answer_durable(now, id, &pattern, request.flow, result);
        }
        self.hub.note_released(pattern);
    }

    /// A client has processed everything up to these positions.
    pub(super) fn acknowledge(
        &mut self,
        now: Instant,
        id: ConnectionId,
        pattern: &Pattern,
        positions: &[TopicPosition],
    ) {
        self.durables.keeper.handle_ack(now, id, pattern, positions);
    }

    /// A client wants its cursor to be deleted.
    pub(super) fn forget_durable(&mut self, id: ConnectionId, pattern: &Pattern) {
        if let Some(key) = self.durables.key_of(id, pattern) {
            self.durables.keeper.handle_forget(key);
        }
    }

    /// Stores acknowledgements now instead of waiting for more.
    pub(super) fn flush_durables(&mut self, now: Instant) {
        self.durables.keeper.handle_flush(now);
    }

    /// The server stops: stores what is left, even if an earlier batch is still in flight. The answer is not awaited.
    pub(super) fn store_last_durables(&mut self, now: Instant) {
        let keeper = &mut self.durables.keeper;
        keeper.handle_lost(now);
        keeper.handle_flush(now);
        if let Some(upstream) = &mut self.upstream
            && upstream.mirror.is_up()
            && let Some(calls) = keeper.poll_calls(now)
        {
            upstream.mirror.request_cursors(now, calls);
        }
    }

    /// Carries out calls on the cursors if topics live here; returns nothing if they live elsewhere.
    pub fn handle_cursor_calls(&mut self, now: Instant, calls: &[CursorCall]) -> Vec<CursorAnswer> {
        if self.upstream.is_some() {
            return Vec::new();
        }
        self.durables.shelf.carry_out(now, calls)
    }

    /// Figures about the durable subscriptions of this server's connections.
    pub fn durable_counts(&self) -> DurableCounts {
        self.durables.keeper.counts()
    }

    /// When cursors have to be stored; `None` while the link is down.
    pub(super) fn durables_timeout(&self) -> Option<Instant> {
        let upstream = self.upstream.as_ref();
        let is_possible = upstream.is_none_or(|upstream| upstream.mirror.is_up());
        let timeout = self.durables.keeper.poll_timeout();
        timeout.filter(|_| is_possible)
    }

    fn answer_durable(
        &mut self,
        now: Instant,
        id: ConnectionId,
        pattern: &Pattern,
        flow: Flow,
        result: Result<Subscribed, SubscribeError>,
    ) {
        if self.find(id).is_none() {
            return;
        }
        match &mut self.connections[id.index as usize].downlink {
            Downlink::Session(session) => {
                Session::handle_subscribed(session, pattern.clone(), flow, result);
                self.drain_session(now, id);
            }
            Downlink::Local(local) => {
                local.pending.retain(|known| known != pattern);
                self.durables.answers.push_back(ServerAnswer::Subscribed {
                    connection: id,
                    pattern: pattern.clone(),
                    result,
                });
            }
        }
    }
}
