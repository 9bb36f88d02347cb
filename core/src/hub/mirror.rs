//! Keeps a hub's copies of topics in sync with the originals, which live beyond the uplink.
//!
//! - **Follow, then read.** A pattern is followed first and read afterwards, so nothing is missed in between.
//!   Publications that arrive during the read are held, and applied after it.
//! - **Gaps are read.** Offsets reveal what is missing, and it is read from the last known publication on. So even if
//!   the push channel loses, delays or repeats publications, subscribers get each of them once and in order, or a
//!   reset.
//! - **Copies are compared after a loss.** When the link is back, everything is followed and read again, including the
//!   last known publication. If the original lacks it, or has a different one in its place, a part of the epoch was
//!   lost, and the topic begins a new one.

mod catch_up;
mod cursors;
mod interest;
mod lookups;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Hub, UplinkCounts};
use crate::history::Excerpt;
use crate::payload::Payload;
use crate::protocol::{PublishRequest, Start};
use crate::publication::{Position, Publication};
use crate::router::Router;
use crate::time::Instant;
use crate::topic::{Pattern, Topic};
use crate::uplink::{
    CallId, Link, Lookups, PendingCall, Publishes, UplinkAnswer, UplinkCall, UplinkConfig,
    UplinkFailure,
};
use catch_up::CatchUp;
use cursors::CursorBatch;
use interest::Followed;

/// What has come into sync since this was last polled.
#[derive(Debug)]
pub(super) enum Progress {
    /// A pattern is in sync.
    Pattern(Pattern),
    /// A topic is in sync.
    Topic(Topic),
}

/// The machine. `T` identifies the publisher that the result of a publish goes to.
#[derive(Debug)]
pub(super) struct Mirror<P, T> {
    config: UplinkConfig,
    link: Link,
    publishes: Publishes<P, T>,
    lookups: Lookups<P>,
    calls: VecDeque<(CallId, UplinkCall<P>)>,
    followed: BTreeMap<Pattern, Followed>,
    /// The same patterns, indexed so that those matching a topic can be found.
    patterns: Router<()>,
    to_follow: BTreeSet<Pattern>,
    /// The last pattern that a call asked to follow; the next call continues after it.
    followed_last: Option<Pattern>,
    to_unfollow: BTreeSet<Pattern>,
    /// Whether the last call was to unfollow. The next one is then to follow, if there is anything to follow.
    has_unfollowed: bool,
    /// Whether a call to follow or unfollow is in flight. There is only one at a time, so that none overtakes another.
    is_changing: bool,
    catch_ups: BTreeMap<Topic, CatchUp<P>>,
    /// Catch-ups whose read is yet to be requested.
    to_read: VecDeque<Topic>,
    reading: usize,
    progress: VecDeque<Progress>,
    cursors: CursorBatch,
    /// How often the link was lost. Each loss invalidates what was read before.
    losses: u64,
    is_stale: bool,
}

impl<P: Payload + Clone, T> Mirror<P, T> {
    pub(super) fn new(config: UplinkConfig) -> Self {
        Self {
            link: Link::new(&config),
            publishes: Publishes::new(&config),
            lookups: Lookups::new(&config),
            calls: VecDeque::new(),
            followed: BTreeMap::new(),
            patterns: Router::new(config.seed),
            to_follow: BTreeSet::new(),
            followed_last: None,
            to_unfollow: BTreeSet::new(),
            has_unfollowed: false,
            is_changing: false,
            catch_ups: BTreeMap::new(),
            to_read: VecDeque::new(),
            reading: 0,
            progress: VecDeque::new(),
            cursors: CursorBatch::None,
            losses: 0,
            is_stale: false,
            config,
        }
    }

    /// Publishes; [`Mirror::poll_published`] returns the result.
    pub(super) fn handle_publish(&mut self, now: Instant, origin: T, request: PublishRequest<P>) {
        self.publishes.push(now, origin, request);
        self.step(now);
    }

    /// Returns whether a subscription can start now. If not, requests what it needs, and [`Mirror::poll_progress`] says
    /// when to try again. After a loss of the link, until the copies have been compared with their originals, a
    /// subscription starts from the copies as they are, unless it would be told of a loss. `read_at` prevents the same
    /// history from being requested twice between two losses of the link.
    pub(super) fn prepare(
        &mut self,
        now: Instant,
        hub: &Hub<P>,
        pattern: &Pattern,
        start: &Start,
        read_at: &mut Option<u64>,
    ) -> bool {
        self.want(pattern);
        let Followed {
            is_known,
            is_compared,
            ..
        } = self.followed[pattern];
        if is_known && self.link.is_up() {
            if let Start::Since(positions) = start
                && *read_at != Some(self.losses)
            {
                *read_at = Some(self.losses);
                self.read_since(hub, pattern, positions);
            }
        } else if !is_known && let (Start::Since(positions), Some(topic)) = (start, pattern.exact())
        {
            let position = positions.iter().find(|known| known.topic == topic);
            self.note_since(pattern, position.map(|known| known.position));
        }
        self.step(now);
        let is_reading = *read_at == Some(self.losses) && self.is_catching_up(pattern);
        let is_waiting = is_reading || self.is_discovering(hub, pattern);
        is_known && !is_waiting && (is_compared || !would_lose(hub, pattern, start))
    }

    /// A pattern has lost its last subscription.
    pub(super) fn handle_released(&mut self, now: Instant, hub: &mut Hub<P>, pattern: &Pattern) {
        self.release(now, hub, pattern);
        self.step(now);
    }

    /// A publication arrived on the push channel.
    pub(super) fn handle_publication(
        &mut self,
        now: Instant,
        hub: &mut Hub<P>,
        publication: Arc<Publication<P>>,
    ) {
        if !self.link.is_up() {
            return;
        }
        self.route_or_hold(now, hub, publication);
        self.step(now);
    }

    /// The host dropped some publications that arrived on the push channel.
    pub(super) fn handle_missed(&mut self, now: Instant) {
        if self.link.is_up() {
            self.compare_again();
            self.step(now);
        }
    }

    /// The link was lost.
    pub(super) fn handle_lost(&mut self, now: Instant) {
        self.losses += 1;
        self.link.lose(now);
        self.calls.clear();
        self.publishes.handle_failure(UplinkFailure::Lost);
        self.lookups.handle_lost();
        self.is_changing = false;
        self.to_unfollow.clear();
        self.catch_ups.clear();
        self.to_read.clear();
        self.reading = 0;
        self.lose_cursors();
        self.follow_again();
        self.is_stale = true;
        self.step(now);
    }

    /// The result of a call.
    pub(super) fn handle_answer(
        &mut self,
        now: Instant,
        hub: &mut Hub<P>,
        call: CallId,
        answer: UplinkAnswer<P>,
    ) {
        if let UplinkAnswer::Failed(failure) = answer {
            return self.handle_failure(now, call, failure);
        }
        let Some(pending) = self.link.handle_answer(now, call) else {
            return;
        };
        match (pending, answer) {
            (PendingCall::Open | PendingCall::Probe, UplinkAnswer::Done) => {}
            (PendingCall::Follow(patterns), UplinkAnswer::Done) => {
                self.is_changing = false;
                for pattern in patterns {
                    self.handle_followed(now, hub, &pattern);
                }
            }
            (PendingCall::Unfollow, UplinkAnswer::Done) => self.is_changing = false,
            (PendingCall::Read(topic), UplinkAnswer::Excerpt(excerpt)) => {
                self.reading -= 1;
                self.handle_read(now, hub, call, &topic, &excerpt);
            }
            (PendingCall::List(pattern), UplinkAnswer::Excerpts(excerpts)) => {
                self.handle_listed(now, hub, call, &pattern, &excerpts);
            }
            (PendingCall::Renew(topic), UplinkAnswer::Done) => self.read_again(&topic),
            (PendingCall::Publish(count), UplinkAnswer::Published(results))
                if results.len() == count =>
            {
                self.publishes.handle_results(results);
            }
            (PendingCall::Cursors(count), UplinkAnswer::Cursors(answers))
                if answers.len() == count =>
            {
                self.cursors = CursorBatch::Answered(answers);
            }
            (PendingCall::Lookup, UplinkAnswer::Excerpt(excerpt)) => {
                self.lookups.handle_found(call, Vec::from([excerpt]));
            }
            (PendingCall::Lookup, UplinkAnswer::Excerpts(excerpts)) => {
                self.lookups.handle_found(call, excerpts);
            }
            // The answer doesn't fit the call. The state of the link is unknown now, so everything is requested again.
            _ => return self.handle_lost(now),
        }
        self.step(now);
    }

    fn handle_failure(&mut self, now: Instant, call: CallId, failure: UplinkFailure) {
        match (self.link.remove(call), failure) {
            (None, _) => {}
            (Some(PendingCall::Publish(_)), UplinkFailure::Full | UplinkFailure::Refused) => {
                self.publishes.handle_failure(failure);
                self.step(now);
            }
            (Some(PendingCall::Cursors(count)), UplinkFailure::Full) => self.refuse_cursors(count),
            (Some(PendingCall::Lookup), UplinkFailure::Refused) => {
                self.lookups.handle_refused(call);
                self.step(now);
            }
            (Some(_), _) => self.handle_lost(now),
        }
    }

    /// A deadline was reached.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.link.is_overdue(now) {
            self.handle_lost(now);
        }
        self.publishes.handle_timeout(now);
        self.give_up_lookups(now);
        self.step(now);
    }

    /// Makes all calls that can be made now.
    fn step(&mut self, now: Instant) {
        if self.link.start_opening(now) {
            self.call(now, PendingCall::Open, UplinkCall::Open);
        }
        if !self.link.is_up() {
            return;
        }
        if self.link.start_probing(now) {
            self.call(now, PendingCall::Probe, UplinkCall::Probe);
        }
        self.change_interest(now);
        self.read_next(now);
        if let Some(batch) = self.publishes.next_batch() {
            self.call(
                now,
                PendingCall::Publish(batch.len()),
                UplinkCall::Publish(batch),
            );
        }
        self.look_up_next(now);
    }

    fn call(&mut self, now: Instant, pending: PendingCall, call: UplinkCall<P>) -> CallId {
        let id = self.link.call(now, pending);
        self.calls.push_back((id, call));
        id
    }

    /// The next call for the host to make.
    pub(super) fn poll_call(&mut self) -> Option<(CallId, UplinkCall<P>)> {
        self.calls.pop_front()
    }

    /// The next result of a publish.
    pub(super) fn poll_published(&mut self) -> Option<(T, Result<Position, super::PublishError>)> {
        self.publishes.poll_result()
    }

    /// What has come into sync: subscriptions that wait for it can be prepared again.
    pub(super) fn poll_progress(&mut self) -> Option<Progress> {
        self.progress.pop_front()
    }

    /// Returns whether copies may be behind their originals: the link is lost, or not everything has been compared
    /// since it came back.
    pub(super) fn is_stale(&mut self) -> bool {
        if self.is_stale && self.link.is_up() && self.catch_ups.is_empty() {
            let all_live = self.followed.values().all(Followed::is_live);
            self.is_stale = !all_live;
        }
        self.is_stale
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        [
            self.link.poll_timeout(),
            self.publishes.poll_timeout(),
            self.lookups.poll_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Figures for metrics.
    pub(super) fn counts(&self) -> UplinkCounts {
        UplinkCounts {
            followed: self.followed.len(),
            behind: self.catch_ups.len(),
            parked: 0,
            publishes: self.publishes.len(),
        }
    }

    /// Compares a listed topic with its copy: they are in sync, or the topic has to be read.
    fn compare(&mut self, hub: &mut Hub<P>, now: Instant, excerpt: &Excerpt<P>) {
        let topic = &excerpt.topic;
        match hub.position(topic) {
            // A topic that is being read may have been read before this list was made. A topic that began after its
            // pattern came into sync must be read in full, because a resuming subscriber may be waiting for all of it.
            None if !hub.is_subscribed(topic)
                && !self.is_reading(topic)
                && !self.is_known(topic) =>
            {
                hub.adopt(now, excerpt);
            }
            Some(position) if position == excerpt.position && hub.agrees(&excerpt.publications) => {
            }
            None | Some(_) => self.catch_up(hub, topic),
        }
    }
}

/// Returns whether the copies would tell a resuming subscriber of a loss. Until they have been compared, what they lack
/// may not be lost, and a subscriber that has seen more than they have would be set back.
fn would_lose<P: Payload>(hub: &Hub<P>, pattern: &Pattern, start: &Start) -> bool {
    let Start::Since(positions) = start else {
        return false;
    };
    let mut seen = positions.iter().filter(|seen| pattern.matches(&seen.topic));
    if seen.any(|seen| !hub.covers(&seen.topic, seen.position)) {
        return true;
    }
    if pattern.is_exact() {
        return false;
    }
    // The other topics that the pattern matches are sent from their beginning.
    let known: BTreeSet<&Topic> = positions.iter().map(|known| &known.topic).collect();
    let mut others = hub.topics_of(pattern).into_iter();
    others.any(|topic| !known.contains(&topic) && !hub.covers(&topic, Position::default()))
}
