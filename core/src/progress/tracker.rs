//! One node's tracker of a piece of work.

mod nodes;
mod publishing;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

use super::estimate::Velocity;
use super::message::{ProgressBody, ProgressMessage, ProgressMessageType};
use super::notice::{Done, Notice};
use super::register::{Ended, Target};
use super::share::Share;
use super::snapshot::Snapshot;
use super::tally::Tally;
use super::window::Window;
use super::{COUNT_MAX, ProgressConfig};
use crate::lifecycle::EndReason;
use crate::presence::{Key, NodeId};
use crate::time::Instant;
use nodes::{Link, Peer};
use publishing::Gates;

/// What a tracker's host must do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgressOutput {
    /// Broadcast this to all other nodes. Best effort is enough.
    Send(ProgressMessage),
    /// Publish this.
    Publish(Notice),
}

/// One node's tracker of a piece of work.
///
/// `handle_done`, `handle_queued`, `handle_target`, `handle_start` and `handle_end` are about the work; `handle_joined`
/// and `handle_left` about who is working (on all nodes, according to presences); `handle_stored` about what the
/// application has stored; `handle_linked`, `handle_message` and `handle_shutdown` about the other nodes. After each,
/// drain `poll_output` until `None`. Until it is linked, a tracker is alone: it sends nothing to nodes, and publishes
/// everything itself.
#[derive(Debug)]
pub struct Tracker {
    config: ProgressConfig,
    tally: Tally,
    /// The number of changes made here, which is also the version of this node's share.
    version: u64,
    active: BTreeSet<Key>,
    /// When the clock of this node's share began.
    began: Option<Instant>,
    /// When each share's window was last seen to advance.
    heard_at: BTreeMap<NodeId, Instant>,
    peers: BTreeMap<NodeId, Peer>,
    link: Link,
    /// When changes were last sent to other nodes.
    sent_at: Option<Instant>,
    gates: Gates,
    output: VecDeque<ProgressOutput>,
}

impl Tracker {
    /// A node that has counted nothing, and is alone.
    pub fn new(config: ProgressConfig) -> Self {
        Self {
            gates: Gates::new(&config.paces),
            config,
            tally: Tally::default(),
            version: 0,
            active: BTreeSet::new(),
            began: None,
            heard_at: BTreeMap::new(),
            peers: BTreeMap::new(),
            link: Link::Alone,
            sent_at: None,
            output: VecDeque::new(),
        }
    }

    /// A session has done `count` units.
    pub fn handle_done(&mut self, now: Instant, session: &Key, count: u64) {
        let sessions_max = self.config.limits.sessions_max;
        self.write(now)
            .count_done(session, count.min(COUNT_MAX), sessions_max);
        self.gates
            .handle_event(now, Done::new(session.clone(), count.min(COUNT_MAX)));
        self.change(now);
    }

    /// `count` more units have to be done.
    pub fn handle_queued(&mut self, now: Instant, count: u64) {
        self.write(now).count_queued(count.min(COUNT_MAX));
        self.change(now);
    }

    /// Sets the total amount of the work; `None` if it is unknown.
    pub fn handle_target(&mut self, now: Instant, target: Option<u64>) {
        let before = self.tally.target;
        if before.is_some_and(|before| before.value == target) {
            return;
        }
        self.tally.target = Some(Target {
            version: before.map_or(0, |before| before.version).saturating_add(1),
            node: self.config.node,
            value: target.map(|target| target.min(COUNT_MAX)),
        });
        self.change(now);
    }

    /// The work began `at_ms`, by the application's clock, in milliseconds. The earliest beginning counts.
    pub fn handle_start(&mut self, now: Instant, at_ms: u64) {
        let start = Tally {
            started_ms: Some(at_ms),
            ..Tally::default()
        };
        self.write(now);
        self.tally.join_registers(&start);
        self.change(now);
    }

    /// The work ended. The earliest end counts.
    pub fn handle_end(&mut self, now: Instant, at_ms: u64, reason: EndReason) {
        let end = Tally {
            ended: Some(Ended { at_ms, reason }),
            ..Tally::default()
        };
        self.tally.join_registers(&end);
        self.change(now);
    }

    /// A session has begun to work, on this or another node.
    pub fn handle_joined(&mut self, now: Instant, session: Key) {
        if self.active.len() < self.config.limits.active_max && self.active.insert(session) {
            self.change_users(now);
        }
    }

    /// A session has stopped working.
    pub fn handle_left(&mut self, now: Instant, session: &Key) {
        if self.active.remove(session) {
            self.change_users(now);
        }
    }

    /// Joins what the application has stored of the work, which must come from [`Tracker::tally`] of any node. It is
    /// counted once, however many nodes join it, and how often. Its speed is not taken over.
    pub fn handle_stored(&mut self, now: Instant, mut stored: Tally) {
        stored.forget_windows();
        stored.shares.remove(&self.config.node);
        self.join(now, &stored);
        self.change(now);
    }

    /// This node's share, with its window advanced to the present.
    fn write(&mut self, now: Instant) -> &mut Share {
        let began = *self.began.get_or_insert(now);
        let clock_us = micros_between(began, now);
        let buckets = self.config.buckets.max(1);
        let width = self.config.window.as_micros() / buckets as u128;
        let share = self.tally.shares.entry(self.config.node);
        let share = share.or_insert_with(|| {
            Share::begin(Window::new(
                u64::try_from(width).unwrap_or(u64::MAX),
                buckets,
            ))
        });
        share.advance(clock_us);
        self.heard_at.insert(self.config.node, now);
        share
    }

    fn change_users(&mut self, now: Instant) {
        self.gates.change_users();
        self.settle(now);
    }

    /// The tally has changed here.
    fn change(&mut self, now: Instant) {
        self.version += 1;
        self.gates.change();
        self.settle(now);
    }

    /// Deadlines were reached.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.review_peers(now);
        self.beat(now);
        self.settle(now);
    }

    /// Sends to nodes, and publishes, what is due.
    fn settle(&mut self, now: Instant) {
        self.send_changes(now);
        self.publish_due(now);
    }

    fn send(&mut self, body: ProgressBody) {
        self.output.push_back(ProgressOutput::Send(ProgressMessage {
            kind: ProgressMessageType::Progress,
            work: self.config.work.clone(),
            node: self.config.node,
            body,
        }));
    }

    /// What the host must do next.
    pub fn poll_output(&mut self) -> Option<ProgressOutput> {
        self.output.pop_front()
    }

    /// When [`Tracker::handle_timeout`] must be called at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadlines = [self.nodes_due(), self.gates.poll_timeout()];
        deadlines.into_iter().flatten().min()
    }

    /// What all nodes have counted, as far as this one knows. It can be stored, and passed to
    /// [`Tracker::handle_stored`] later.
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// How far the work is.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        Snapshot::new(
            &self.tally,
            self.active.len(),
            self.velocity(now),
            self.config.limits.sessions_told_max,
        )
    }

    /// The speed of the work.
    pub fn velocity(&self, now: Instant) -> Velocity {
        let windows = self.tally.shares.iter().filter_map(|(node, share)| {
            let window = share.window()?;
            let heard_at = *self.heard_at.get(node)?;
            let clock_us = window
                .clock_us()
                .saturating_add(micros_between(heard_at, now));
            let (counts, covered_us) = window.at(clock_us);
            Some((counts, covered_us, window.width_us()))
        });
        Velocity::of(windows)
    }

    /// The sessions that are working, as far as this node knows.
    pub fn active(&self) -> impl Iterator<Item = &Key> {
        self.active.iter()
    }

    /// Returns whether everything that was counted here has been sent to the other nodes.
    pub const fn is_told(&self) -> bool {
        match &self.link {
            Link::Alone | Link::Over => true,
            Link::Linked { sent, .. } => *sent == self.version,
        }
    }
}

fn micros_between(earlier: Instant, later: Instant) -> u64 {
    let between = later.saturating_since(earlier);
    u64::try_from(between.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
